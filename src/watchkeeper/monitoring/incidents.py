"""What is read of incidents: how long they took, and drafts of post-mortems."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import NotFoundError
from watchkeeper.events import UNIT_HASH, EventLog, Window
from watchkeeper.incidents import Incident, IncidentRepository
from watchkeeper.monitoring.report_cache import Asked
from watchkeeper.records import AuditTrail
from watchkeeper.results import Result

__all__ = ["Pace", "draft", "draft_asked", "pace"]

_BEFORE = timedelta(hours=24)  # in which a change may be the cause


@dataclass(frozen=True, slots=True)
class Pace(Result):
    """How long incidents took, of those that were opened in a stretch of time.

    Attributes
    ----------
    opened, acknowledged, resolved : int
        How many were opened, and what became of them so far.
    to_acknowledge, to_resolve : timedelta or None
        On average, from the opening on; None where there is none.
    """

    opened: int
    acknowledged: int
    resolved: int
    to_acknowledge: timedelta | None
    to_resolve: timedelta | None


def pace(audit: AuditTrail, *, since: datetime) -> Pace:
    """Return how long the incidents that were opened since a time took, by the audit trail.

    Parameters
    ----------
    audit : AuditTrail
    since : datetime

    Returns
    -------
    Pace
    """

    def first(action: str) -> dict[str, datetime]:
        entries = audit.entries(action=f"incident {action}", since=since, limit=10_000)
        return {entry.subject: entry.at for entry in entries}  # the newest come first

    opened = first("create")

    def taken(action: str) -> list[timedelta]:
        return [at - opened[subject] for subject, at in first(action).items() if subject in opened]

    acknowledged, resolved = taken("acknowledge"), taken("resolve")
    return Pace(
        opened=len(opened),
        acknowledged=len(acknowledged),
        resolved=len(resolved),
        to_acknowledge=_mean(acknowledged),
        to_resolve=_mean(resolved),
    )


def _mean(lengths: Sequence[timedelta]) -> timedelta | None:
    return sum(lengths, timedelta()) / len(lengths) if lengths else None


def draft_asked(
    incidents: IncidentRepository,
    events: EventLog,
    audit: AuditTrail,
    incident: Incident,
    at: datetime,
) -> Asked[str]:
    """Ask for the draft of a post-mortem; one of an incident that is over stays as it is.

    Parameters
    ----------
    incidents : IncidentRepository
    events : EventLog
    audit : AuditTrail
    incident : Incident
    at : datetime

    Returns
    -------
    Asked of str
    """
    return Asked(
        "draft",
        incident.name,
        of=incident,
        at=at,
        make=lambda: draft(incidents, events, audit, incident.name, at),
        lasting=not incident.active,
    )


def draft(
    incidents: IncidentRepository, events: EventLog, audit: AuditTrail, name: str, at: datetime
) -> str:
    """Return a post-mortem in Markdown, with all that is known; causes are to be filled in.

    Parameters
    ----------
    incidents : IncidentRepository
    events : EventLog
    audit : AuditTrail
    name : str
        Of the incident.
    at : datetime
        Now.

    Returns
    -------
    str
        Markdown.
    """
    incident = incidents.get(name)
    end = max(incident.ended_at or at, incident.opened_at + timedelta(microseconds=1))
    lasted = timedelta(seconds=round((end - incident.opened_at).total_seconds()))
    lines = [
        f"# Post-mortem: {incident.title}",
        "",
        f"Incident `{incident.name}` of `{incident.model}`, {incident.severity}, "
        f"{incident.state.value}; owner: {incident.owner or 'none'}. It lasted {lasted}, from "
        f"{incident.opened_at:%Y-%m-%d %H:%M:%S} to "
        + (f"{end:%Y-%m-%d %H:%M:%S} UTC." if incident.ended_at else "now."),
        "",
        "## Impact",
        "",
        *_impact(events, incident.model, Window(incident.opened_at, end)),
        "",
        "## Timeline",
        "",
        "| when (UTC) | who | what |",
        "| --- | --- | --- |",
        *(
            f"| {step.at:%Y-%m-%d %H:%M:%S} | {step.actor} | {_cell(step.what)} |"
            for step in incident.timeline
        ),
        "",
        "## Changes in the day before",
        "",
        *_changes(audit, incident),
        "",
        "## Evidence",
        "",
        *(f"- `{key}`: {_cell(str(value))}" for key, value in _evidence(incident)),
        "",
        "## Cause",
        "",
        "## What went well, and what did not",
        "",
        "## Actions, each with an owner and a date",
        "",
    ]
    return "\n".join(lines)


def _impact(events: EventLog, model: str, window: Window) -> Iterator[str]:
    predictions = failed = 0
    units: list[pa.Array] = []
    try:
        for read in events.days(model, window, columns=[UNIT_HASH, "status"]):
            predictions += read.rows.num_rows
            failed += pc.sum(pc.equal(read.rows["status"].cast(pa.string()), "error")).as_py() or 0
            units.append(read.rows[UNIT_HASH].unique())
    except NotFoundError:
        yield "Nothing is recorded of this model."
        return
    apart = len(pa.chunked_array(units).unique()) if units else 0
    yield (
        f"{predictions:,} predictions for {apart:,} units were made meanwhile; "
        f"{failed:,} of them failed."
    )


def _changes(audit: AuditTrail, incident: Incident) -> Iterator[str]:
    since = incident.opened_at - _BEFORE
    entries = audit.entries(incident.model, since=since, until=incident.opened_at, limit=100)
    changes = [entry for entry in reversed(entries) if entry.kind != "incident"]
    if not changes:
        yield "None is recorded."
    for change in changes:
        why = f": {_cell(change.reason)}" if change.reason else ""
        yield (
            f"- {change.at:%Y-%m-%d %H:%M:%S} {change.action} of `{change.subject}` by "
            f"{change.actor or 'unknown actor'}{why}"
        )


def _evidence(incident: Incident) -> Iterator[tuple[str, object]]:
    yield "source", incident.source
    for moment in incident.timeline:
        yield from moment.evidence.items()


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:500]
