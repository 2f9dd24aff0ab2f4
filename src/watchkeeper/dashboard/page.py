"""What a page is asked, and what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from watchkeeper.charts import Chart
from watchkeeper.dashboard.time_range import TimeRange, span_of
from watchkeeper.dashboard.viewer import Viewer
from watchkeeper.telemetry.system import JobStatus

__all__ = ["Ask", "Page", "Running"]


class Running(Protocol):
    """The server that shows a page."""

    @property
    def started_at(self) -> datetime: ...
    def jobs(self) -> Sequence[JobStatus]:
        """Return its background jobs.

        Returns
        -------
        sequence of JobStatus
        """
        ...

    def not_ready(self) -> list[str]:
        """Return why it should not get traffic; nothing when it should.

        Returns
        -------
        list of str
        """
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """The request of a page.

    Attributes
    ----------
    path : str
    names : mapping of str to str
        Parameters of the path: a model, a rollout, ….
    query : mapping of str to str
    viewer : Viewer
    now : datetime
        By the clock of the app.
    server : Running
    """

    path: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    viewer: Viewer
    now: datetime
    server: Running

    def span(self, default: str = "1y") -> TimeRange:
        """Return the time range that was asked for.

        Parameters
        ----------
        default : str
            Name of the range without a choice of the viewer.

        Returns
        -------
        TimeRange

        Raises
        ------
        InvalidValueError
            As `span_of`.
        """
        return span_of(self.query, now=self.now, default=default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Content of a page.

    Attributes
    ----------
    template : str
        Its name in the folder of templates.
    title : str
    section : str
        Its entry in the navigation.
    model : str
        Model of the page; empty where it has none.
    span : TimeRange or None
        The time range that it is of, where it is of one.
    charts : mapping of str to Chart
        By the name with which ``?csv=NAME`` asks for the table of one.
    context : dict
        Further values of its template.
    """

    template: str
    title: str
    section: str
    model: str = ""
    span: TimeRange | None = None
    charts: Mapping[str, Chart] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
