"""The event store: the one reader of events, whether they still wait in the journal or have landed.

Segments that wait are read first and the tables afterwards; what a table's transactions name is
left out. So a reader sees every event that was acknowledged before it began, once, while others
write. One UTC day at a time is held in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from watchkeeper.clock import as_utc, system_clock
from watchkeeper.errors import NotFoundError
from watchkeeper.events import (
    DayKeys,
    EventCounts,
    EventWindow,
    Window,
    check_name,
)
from watchkeeper.store.columns import TypeSource
from watchkeeper.store.committer import ColumnsChangedError, no_types
from watchkeeper.store.model_view import EventSide, ModelView
from watchkeeper.store.pending import Unlanded
from watchkeeper.store.segments import list_segments, segment_status
from watchkeeper.store.tables import event_tables, log_stamps

if TYPE_CHECKING:
    from watchkeeper.store.compaction import CompactionReport, Dropped

__all__ = ["EventStore"]

_ALL = Window()


class EventStore:
    """The events of a data directory; a `watchkeeper.events.EventLog`.

    Parameters
    ----------
    data_dir : Path
    types : TypeSource, optional
        What the signatures of registered versions declare.
    until : datetime, optional
        What arrived later is left out.
    """

    def __init__(
        self, data_dir: Path, *, types: TypeSource = no_types, until: datetime | None = None
    ) -> None:
        self._until = until
        self._journal, self._events = data_dir / "journal", data_dir / "events"
        self._unlanded = Unlanded(self._journal, types)
        self._day_keys: dict[str, tuple[object, DayKeys]] = {}  # with what was there then

    def as_of(self, at: datetime) -> "EventStore":
        """Return the events as they were known; see `watchkeeper.events.EventLog.as_of`.

        Parameters
        ----------
        at : datetime
            What arrived later is left out.

        Returns
        -------
        EventStore
        """
        past = copy(self)
        past._until, past._day_keys = as_utc(at), {}
        return past

    def models(self) -> list[str]:
        """Return the names of the models with events, sorted.

        Returns
        -------
        list of str
        """
        return sorted(self._unlanded.models().union(event_tables(self._events)))

    def counts(self, model: str) -> EventCounts:
        """Return how much is kept of `model`; see `watchkeeper.events.EventLog.counts`.

        Parameters
        ----------
        model : str

        Returns
        -------
        EventCounts

        Raises
        ------
        NotFoundError
            If there are no events of the model.
        """
        return self._open(model).counts()

    def read(
        self, model: str, window: Window = _ALL, *, columns: Sequence[str] | None = None
    ) -> EventWindow:
        """Return a window of `model`; see `watchkeeper.events.EventLog.read`.

        Parameters
        ----------
        model : str
        window : Window
        columns : sequence of str, optional
            By default all.

        Returns
        -------
        EventWindow

        Raises
        ------
        NotFoundError
            If there are no events of the model.
        """
        view = self._open(model)
        days = list(view.days(window, columns))
        rows = (
            pa.concat_tables(days, promote_options="default").unify_dictionaries()
            if days
            else view.empty(columns)
        )
        return EventWindow(model, window, rows, view.versions)

    def days(
        self, model: str, window: Window = _ALL, *, columns: Sequence[str] | None = None
    ) -> Iterator[EventWindow]:
        """Yield the same a UTC day at a time; see `watchkeeper.events.EventLog.days`.

        Parameters
        ----------
        model : str
        window : Window
        columns : sequence of str, optional
            By default all.

        Yields
        ------
        EventWindow

        Raises
        ------
        NotFoundError
            If there are no events of the model.
        """
        view = self._open(model)
        for rows in view.days(window, columns):
            yield EventWindow(model, window, rows, view.versions)

    def day_keys(self, model: str) -> DayKeys:
        """Return by what changed days are told; see `watchkeeper.events.EventLog.day_keys`.

        Parameters
        ----------
        model : str

        Returns
        -------
        DayKeys

        Raises
        ------
        NotFoundError
            If there are no events of the model.
        """
        stamp = self._stamp(model)  # first: what is written meanwhile changes it
        cached = self._day_keys.get(model)
        if cached is None or cached[0] != stamp:
            view = self._open(model)
            cached = stamp, DayKeys(view.day_keys(), view.versions)
            self._day_keys[model] = cached
        return cached[1]

    def arrivals(self, model: str, since: datetime) -> dict[date | None, int]:
        """Return how many outcomes came after a moment, by the UTC day of their prediction.

        Cheap: only files are looked into that the log of the table says have such rows. Corrected
        and repeated outcomes count again. Under None are those whose day is not known yet.

        Parameters
        ----------
        model : str
        since : datetime

        Returns
        -------
        dict of date or None to int

        Raises
        ------
        NotFoundError
            If nothing is kept of `model`.
        """
        return self._open(model).arrivals(since)

    def compact(
        self,
        model: str | None = None,
        *,
        retention: timedelta | None = None,
        max_bytes: int | None = None,
        now: datetime | None = None,
        dropping: Callable[["Dropped"], object] = lambda _: None,
    ) -> "CompactionReport":
        """Merge small files, file late outcomes, and drop what is older or larger than allowed.

        See `watchkeeper.store.compaction.compact`. Only what has landed is compacted.

        Parameters
        ----------
        model : str, optional
        retention : timedelta, optional
        max_bytes : int, optional
            Bytes.
        now : datetime, optional
        dropping : callable

        Returns
        -------
        CompactionReport

        Raises
        ------
        NotFoundError
            If nothing is kept of `model`.
        """
        from watchkeeper.store.compaction import compact

        if model is not None and model not in event_tables(self._events):
            self._open(model)  # it may be in the journal alone: then there is nothing to do yet
            return compact(
                self._events, (), retention=None, max_bytes=None, now=system_clock(),
                dropping=dropping,
            )  # fmt: skip
        return compact(
            self._events,
            None if model is None else [model],
            retention=retention,
            max_bytes=max_bytes,
            now=now or system_clock(),
            dropping=dropping,
        )

    def _stamp(self, model: str) -> object:
        """Return what differs whenever anything has been written that may be of the model."""
        segments = [
            (segment.journal_id, segment.number, status and status.st_size)
            for segment in list_segments(self._journal)
            for status in (segment_status(segment),)
        ]
        return segments, log_stamps(self._events / check_name(model, "model"))

    def _open(self, model: str) -> "ModelView":
        check_name(model, "model")  # it names a folder
        while True:
            waiting = self._unlanded.of_model(model)
            try:
                view = ModelView(
                    EventSide("prediction", model, self._events, waiting, self._until),
                    EventSide("outcome", model, self._events, waiting, self._until),
                )
                break
            except ColumnsChangedError:
                continue
        if not view.exists:
            models = ", ".join(self.models()) or "none yet"
            raise NotFoundError("model with events", model, f"There are events of: {models}.")
        return view
