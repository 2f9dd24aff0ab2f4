"""One incident: what went wrong, its assignee, what was done, until it is resolved."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from watchkeeper.clock import as_utc
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.identity import RecordId
from watchkeeper.results import Result, Stored

__all__ = ["Incident", "IncidentState", "IncidentStep", "Moment", "Severity"]

Severity = Literal["critical", "warning"]


class IncidentState(StrEnum):
    """Where an incident is."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class IncidentStep(StrEnum):
    """What kind of moment one is."""

    REPORTED = "reported"
    RECOVERED = "recovered"
    NOTED = "noted"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    RESOLVED = "resolved"
    FINISHED = "finished"


def _read_cause(stored: str | None) -> RecordId | None:
    return None if stored is None else RecordId.parse(stored)


def _written_cause(cause: RecordId | None) -> str | None:
    return None if cause is None else str(cause)


Cause = Annotated[RecordId | None, Stored(_read_cause, _written_cause)]


@dataclass(frozen=True, slots=True)
class Moment(Result):
    """What happened at one time, who did or said it, and by what it is shown.

    Attributes
    ----------
    at : datetime
    actor, what : str
    evidence : dict of str to Any
    step : IncidentStep
    """

    at: datetime
    actor: str
    what: str
    evidence: dict[str, Any]
    step: IncidentStep = IncidentStep.NOTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident(Result):
    """An incident, as it is stored.

    Attributes
    ----------
    name, model, title : str
    severity : {"critical", "warning"}
        The worst that was told.
    source : str
        What it came of, such as ``alert:HighErrorRate``; while it is not resolved, the same source
        adds to it and opens no other.
    state : IncidentState
    opened_at : datetime
    ended_at : datetime or None
    owner : str
        The assignee; empty without one.
    runbook : str
        Where it says what to do.
    timeline : tuple of Moment
        The oldest first.
    cause : RecordId or None
        The record that opened it.
    post_mortem : str
        What was learned, in Markdown; empty until it is finished.

    Raises
    ------
    InvalidValueError
        If a name is none, or there is no such severity.
    """

    name: str
    model: str
    title: str
    severity: Severity
    source: str
    state: IncidentState = IncidentState.OPEN
    opened_at: datetime
    ended_at: datetime | None = None
    owner: str = ""
    runbook: str = ""
    timeline: tuple[Moment, ...] = ()
    cause: Cause = None
    post_mortem: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        check_name(self.model, "model")
        if self.severity not in {"critical", "warning"}:
            raise InvalidValueError("severity", self.severity, "critical or warning")

    @property
    def active(self) -> bool:
        """Whether it is not over."""
        return self.state is not IncidentState.RESOLVED

    @property
    def origin(self) -> tuple[str, str]:
        """The kind and the name of its source: ``alert`` and ``HighErrorRate``."""
        kind, _, name = self.source.partition(":")
        return kind, name

    def told(
        self,
        at: datetime,
        actor: str,
        what: str,
        evidence: Mapping[str, Any] | None = None,
        *,
        step: IncidentStep = IncidentStep.NOTED,
    ) -> Self:
        """Return it with one more moment.

        Parameters
        ----------
        at : datetime
        actor : str
        what : str
            What happened, in words.
        evidence : mapping of str to Any, optional
        step : IncidentStep

        Returns
        -------
        Incident

        Raises
        ------
        InvalidValueError
            If nothing is said.
        """
        if not what.strip():
            raise InvalidValueError("note", what, "a text that says what happened")
        moment = Moment(as_utc(at), actor, what, dict(evidence or {}), step)
        return replace(self, timeline=(*self.timeline, moment))

    def acknowledged(self, at: datetime, actor: str, reason: str = "") -> Self:
        """Return it in the hands of `actor`.

        Parameters
        ----------
        at : datetime
        actor, reason : str

        Returns
        -------
        Incident

        Raises
        ------
        ConflictError
            If it is over.
        """
        self._require_active()
        text = f"acknowledged: {reason}" if reason else "acknowledged"
        incident = self.told(at, actor, text, step=IncidentStep.ACKNOWLEDGED)
        return replace(incident, state=IncidentState.ACKNOWLEDGED, owner=self.owner or actor)

    def assigned(self, at: datetime, actor: str, owner: str) -> Self:
        """Return it in the hands of `owner`.

        Parameters
        ----------
        at : datetime
        actor : str
        owner : str
            A person or a team.

        Returns
        -------
        Incident

        Raises
        ------
        ConflictError
            If it is over.
        InvalidValueError
            If there is no owner.
        """
        self._require_active()
        if not owner.strip():
            raise InvalidValueError("owner", owner, "the name of a person or a team")
        incident = self.told(at, actor, f"assigned to {owner}", step=IncidentStep.ASSIGNED)
        return replace(incident, owner=owner)

    def resolved(self, at: datetime, actor: str, reason: str) -> Self:
        """Return it as it is when it is over.

        Parameters
        ----------
        at : datetime
        actor, reason : str

        Returns
        -------
        Incident

        Raises
        ------
        ConflictError
            If it is over already.
        InvalidValueError
            If there is no reason.
        """
        self._require_active()
        if not reason.strip():
            raise InvalidValueError("reason", reason, "a text that says why it is resolved")
        incident = self.told(at, actor, f"resolved: {reason}", step=IncidentStep.RESOLVED)
        return replace(incident, state=IncidentState.RESOLVED, ended_at=as_utc(at))

    def finished(self, at: datetime, actor: str, post_mortem: str) -> Self:
        """Return it with what was learned from it.

        Parameters
        ----------
        at : datetime
        actor : str
        post_mortem : str
            Markdown.

        Returns
        -------
        Incident

        Raises
        ------
        ConflictError
            If it is not over.
        """
        if self.active:
            raise ConflictError(f"the incident {self.name} is not over", "Resolve it first.")
        incident = self.told(at, actor, "post-mortem finished", step=IncidentStep.FINISHED)
        return replace(incident, post_mortem=post_mortem)

    def _require_active(self) -> None:
        if not self.active:
            raise ConflictError(f"the incident {self.name} is resolved", "Open another one.")
