"""Incidents: opened by what was found or told, taken in hand, resolved, learned from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import ConflictError, InvalidValueError, NotFoundError
from watchkeeper.events import UNIT_HASH, EventLog, Window, check_name
from watchkeeper.identity import By, RecordId
from watchkeeper.incidents import Alert, Incident, IncidentState
from watchkeeper.incidents.incident import Severity
from watchkeeper.monitoring.report_cache import Asked
from watchkeeper.monitoring.repositories import Kept, Trail
from watchkeeper.records import Finding
from watchkeeper.results import Result
from watchkeeper.rollouts import Hold, Rollout, State

__all__ = [
    "Pace",
    "change",
    "draft",
    "draft_asked",
    "of_alerts",
    "of_finding",
    "of_holds",
    "open_incident",
    "over",
    "pace",
]

_ACTOR = "watchkeeper"
_BEFORE = timedelta(hours=24)  # in which a change may be the cause
_NO_MODEL = "system"
_HOLD = "hold:"
_FOR_A_PERSON = {
    Hold.SRM, Hold.SIGNAL, Hold.ANALYSIS_ERROR, Hold.APPROVAL, Hold.READINESS,
}  # fmt: skip
_SEVERITIES: Mapping[str, Severity] = {"critical": "critical", "warning": "warning"}


def open_incident(
    incidents: Kept[Incident],
    *,
    model: str,
    title: str,
    severity: Severity,
    source: str,
    evidence: Mapping[str, Any],
    at: datetime,
    actor: str = _ACTOR,
    cause: RecordId | None = None,
    runbook: str = "",
) -> Incident:
    """Open an incident, or add to the one of the same source that is not over.

    What is told again in the same words is not added again.
    """
    while True:
        known = _of(incidents, model, source)
        if known is not None:
            if known.timeline[-1].what == title:
                return known
            return _save(
                incidents, known, known.told(at, actor, title, evidence), "tell", at, actor
            )
        taken = {each.name for each in incidents.find(model)}
        stem = f"{model[:70]}-{at:%Y%m%d-%H%M%S}"
        numbered = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
        made = Incident(
            name=next(each for each in (stem, *numbered) if each not in taken),
            model=model,
            title=title,
            severity=severity,
            source=source,
            opened_at=at,
            runbook=runbook,
        ).told(at, actor, title, evidence)
        with suppress(ConflictError):  # another process was faster
            incidents.add(made, at=at, by=By(actor, title, cause))
            return made


def over(
    incidents: Kept[Incident], *, model: str, source: str, told: str, at: datetime
) -> Incident | None:
    """Resolve the incident of a source that is not there any more, unless somebody has it in hand.

    One that was acknowledged is told of it, and stays with its owner.
    """
    known = _of(incidents, model, source)
    if known is None or known.timeline[-1].what == told:
        return known
    if known.state is IncidentState.ACKNOWLEDGED:
        return _save(incidents, known, known.told(at, _ACTOR, told), "tell", at, _ACTOR)
    return _save(incidents, known, known.resolved(at, _ACTOR, told), "resolve", at, _ACTOR)


def change(
    incidents: Kept[Incident],
    name: str,
    action: str,
    text: str = "",
    *,
    at: datetime,
    actor: str,
) -> Incident:
    """Let a person acknowledge, assign, note, resolve or finish an incident.

    Parameters
    ----------
    action : {"acknowledge", "assign", "note", "resolve", "finish"}
    text : str
        The reason, the owner, the note, or the post-mortem.

    Raises
    ------
    ConflictError
        If that cannot be done in its state.
    InvalidValueError
        If there is no text where one is needed.
    """
    before = incidents.get(name)
    if action == "acknowledge":
        after = before.acknowledged(at, actor, text)
    elif action == "assign":
        after = before.assigned(at, actor, text)
    elif action == "note":
        after = before.told(at, actor, text)
    elif action == "resolve":
        after = before.resolved(at, actor, text)
    else:
        after = before.finished(at, actor, text)
    return _save(incidents, before, after, action, at, actor, text if action != "finish" else "")


def of_alerts(incidents: Kept[Incident], news: Sequence[Alert], *, at: datetime) -> list[Incident]:
    """Open or end incidents by alerts that are new or have ended."""
    found: list[Incident] = []
    for alert in news:
        severity = _SEVERITIES.get(alert.labels.get("severity", ""))
        if severity is None:
            continue
        model, source = _model_of(alert), f"alert:{alert.name}"
        if alert.status == "resolved":
            ended = over(incidents, model=model, source=source, told="the alert has ended", at=at)
            found += [] if ended is None else [ended]
            continue
        told = alert.annotations.get("summary", "").strip() or alert.name
        found.append(
            open_incident(
                incidents, model=model, title=told, severity=severity, source=source,
                evidence=alert.to_dict(), at=at, runbook=alert.annotations.get("runbook_url", ""),
            )
        )  # fmt: skip
    return found


def _model_of(alert: Alert) -> str:
    """Return the model of an alert; the system where its label cannot be the name of one."""
    try:
        return check_name(alert.labels.get("model", _NO_MODEL), "model")
    except InvalidValueError:
        return _NO_MODEL


def of_finding(
    incidents: Kept[Incident], finding: Finding, *, at: datetime, runbook: str = ""
) -> Incident | None:
    """Open an incident by a finding that is bad, or end it by one that is not."""
    source = f"finding:{finding.kind}"
    if not finding.bad:
        told = f"the last check was well: {finding.summary}"
        return over(incidents, model=finding.model, source=source, told=told, at=at)
    known = _of(incidents, finding.model, source)
    if known is not None:  # a check an hour would fill the timeline with the same
        return known
    return open_incident(
        incidents, model=finding.model, title=f"{finding.kind}: {finding.summary}",
        severity="critical" if finding.kind == "quality" else "warning", source=source,
        evidence={"finding": finding.number, "table_versions": finding.table_versions}, at=at,
        runbook=runbook,
    )  # fmt: skip


def of_holds(
    incidents: Kept[Incident], rollouts: Iterable[Rollout], *, at: datetime, runbook: str = ""
) -> None:
    """Keep an incident for each rollout that waits for a person, and end those of the rest.

    One hold opens one incident: who resolves it has heard of the hold, and is not told again.

    Parameters
    ----------
    rollouts : iterable of Rollout
        All that are under way.
    """
    held = {
        f"{_HOLD}{rollout.name}:{rollout.step}:{rollout.hold.value}": rollout
        for rollout in rollouts
        if rollout.state is State.HOLDING and rollout.hold in _FOR_A_PERSON
    }
    for state in (IncidentState.OPEN, IncidentState.ACKNOWLEDGED):
        for incident in incidents.find(state=state.value):
            if incident.source.startswith(_HOLD) and incident.source not in held:
                over(
                    incidents, model=incident.model, source=incident.source,
                    told="the rollout does not wait any more", at=at,
                )  # fmt: skip
    for source, rollout in held.items():
        if all(incident.source != source for incident in incidents.find(rollout.model)):
            open_incident(
                incidents, model=rollout.model,
                title=f"rollout {rollout.name} of version {rollout.version} held at "
                f"{rollout.plan.steps[rollout.step]:g} % of the traffic ({rollout.hold}); "
                "waiting for manual approval",
                severity="warning", source=source,
                evidence={"rollout": rollout.name, "step": rollout.step + 1}, at=at,
                runbook=runbook,
            )  # fmt: skip


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


def pace(audit: Trail, *, since: datetime) -> Pace:
    """Return how long the incidents that were opened since a time took, by the audit trail."""

    def first(action: str) -> dict[str, datetime]:
        found = audit.entries(action=f"incident {action}", since=since, limit=10_000)
        return {each.subject: each.at for each in found}  # the newest come first

    opened = first("create")

    def taken(action: str) -> list[timedelta]:
        return [at - opened[each] for each, at in first(action).items() if each in opened]

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
    incidents: Kept[Incident], events: EventLog, audit: Trail, incident: Incident, at: datetime
) -> Asked[str]:
    """Ask for the draft of a post-mortem; one of an incident that is over stays as it is."""
    return Asked(
        "draft",
        incident.name,
        of=incident,
        at=at,
        make=lambda: draft(incidents, events, audit, incident.name, at),
        lasting=not incident.active,
    )


def draft(
    incidents: Kept[Incident], events: EventLog, audit: Trail, name: str, at: datetime
) -> str:
    """Return a post-mortem in Markdown, with all that is known; causes are for people to find."""
    incident = incidents.get(name)
    end = max(incident.ended_at or at, incident.opened_at + timedelta(microseconds=1))
    lasted = timedelta(seconds=round((end - incident.opened_at).total_seconds()))
    lines = [
        f"# Post-mortem: {incident.title}",
        "",
        f"Incident `{incident.name}` of `{incident.model}`, {incident.severity}, "
        f"{incident.state.value}; owner: {incident.owner or 'nobody'}. It lasted {lasted}, from "
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
            f"| {each.at:%Y-%m-%d %H:%M:%S} | {each.actor} | {_cell(each.what)} |"
            for each in incident.timeline
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
    made = failed = 0
    units: list[pa.Array] = []
    try:
        for read in events.days(model, window, columns=[UNIT_HASH, "status"]):
            made += read.rows.num_rows
            failed += pc.sum(pc.equal(read.rows["status"].cast(pa.string()), "error")).as_py() or 0
            units.append(read.rows[UNIT_HASH].unique())
    except NotFoundError:
        yield "Nothing is recorded of this model."
        return
    apart = len(pa.chunked_array(units).unique()) if units else 0
    yield (
        f"{made:,} predictions for {apart:,} units were made meanwhile; {failed:,} of them failed."
    )


def _changes(audit: Trail, incident: Incident) -> Iterator[str]:
    since, own = incident.opened_at - _BEFORE, f"{incident.model}:incidents/"
    found = audit.entries(incident.model, since=since, until=incident.opened_at, limit=100)
    kept = [each for each in reversed(found) if not each.subject.startswith(own)]
    if not kept:
        yield "None is recorded."
    for each in kept:
        why = f": {_cell(each.reason)}" if each.reason else ""
        yield (
            f"- {each.at:%Y-%m-%d %H:%M:%S} {each.action} of `{each.subject}` by "
            f"{each.actor or 'somebody'}{why}"
        )


def _evidence(incident: Incident) -> Iterator[tuple[str, object]]:
    yield "source", incident.source
    for moment in incident.timeline:
        yield from moment.evidence.items()


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:500]


def _of(incidents: Kept[Incident], model: str, source: str) -> Incident | None:
    """Return the incident of a source that is not over."""
    return next(
        (each for each in incidents.find(model) if each.active and each.source == source), None
    )


def _save(
    incidents: Kept[Incident],
    before: Incident,
    after: Incident,
    action: str,
    at: datetime,
    actor: str,
    reason: str = "",
) -> Incident:
    told = reason or after.timeline[-1].what
    evidence = after.timeline[-1].to_dict()
    incidents.save(before, after, action=action, at=at, by=By(actor, told), evidence=evidence)
    return after
