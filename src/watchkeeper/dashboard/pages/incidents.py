"""Incidents: the list, active ones first, and the page of one incident."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from watchkeeper.app import App
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.dashboard.paging import leaf_of
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.incidents import Incident, IncidentState, IncidentStep, Moment
from watchkeeper.monitoring.incidents import draft_asked, pace
from watchkeeper.results import plain, strict_json

__all__ = ["one", "page"]

_PER_PAGE = 50
_MOST = 200  # that are not over, shown at once
_LONGEST = 1_000  # characters of a piece of evidence
_SEVERITIES = ("critical", "warning")
_NAMED = {"rollout": "/rollouts/", "run": "/retraining/", "experiment": "/experiments/"}
"""Evidence that is the name of something with a page."""

_TONES: Mapping[IncidentStep, str] = {
    IncidentStep.RESOLVED: "good",
    IncidentStep.RECOVERED: "good",
    IncidentStep.ACKNOWLEDGED: "busy",
    IncidentStep.ASSIGNED: "busy",
}


def page(app: App, ask: Ask) -> Page:
    """Return the list of incidents, active ones first.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    InvalidValueError
        If the query asks for a state or a severity that does not exist.
    """
    model = ask.query.get("model") or None
    state = _one_of(ask, "state", tuple(IncidentState))
    severity = _one_of(ask, "severity", _SEVERITIES)
    store = app.incidents
    chosen = {"severity": severity}
    active = (
        [] if state == IncidentState.RESOLVED
        else store.find(model, state, severity=severity, active=True, limit=_MOST)
    )  # fmt: skip
    over = 0 if state in {IncidentState.OPEN, IncidentState.ACKNOWLEDGED} else None
    leaf = leaf_of(
        ask.query, store.count(model, **chosen, active=False) if over is None else 0, _PER_PAGE
    )
    past = (
        store.find(model, **chosen, active=False, limit=_PER_PAGE, offset=leaf.offset)
        if leaf.count
        else []
    )
    month = ask.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Page(
        template="incidents.html",
        title="Incidents",
        section="Incidents",
        context={
            "active": [
                _IncidentRow(incident, ask.now) for incident in sorted(active, key=_urgency)
            ],
            "active_count": store.count(model, state, severity=severity, active=True),
            "past": [_IncidentRow(incident, ask.now) for incident in past],
            "leaf": leaf,
            "ever": bool(active) or store.count() > 0,
            "names": store.models(),
            "states": list(IncidentState),
            "severities": _SEVERITIES,
            "asked": {"model": model, "state": state, "severity": severity},
            "pace": pace(app.audit, since=month),
            "month": month,
        },
    )


def one(app: App, ask: Ask) -> Page:
    """Return the page of an incident: timeline, impact, post-mortem and actions.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    NotFoundError
        If there is no incident of this name.
    """
    incident = app.incidents.get(ask.names["name"])
    draft = None
    if not incident.post_mortem:
        draft = app.reports.latest(
            draft_asked(app.incidents.repository, app.events, app.audit, incident, ask.now)
        )
    return Page(
        template="incident.html",
        title=incident.title,
        section="Incidents",
        context={
            "row": _IncidentRow(incident, ask.now),
            "incident": incident,
            "impact": _impact(app, incident, ask.now),
            "source": _source(incident),
            "causes": [
                proof
                for proof in _proofs(incident.model, incident.timeline[0].evidence)
                if proof.where.startswith("/")
            ]
            if incident.timeline
            else [],
            "runbook": incident.runbook if _leads_somewhere(incident.runbook) else "",
            "moments": [_MomentLine.of(incident, moment) for moment in reversed(incident.timeline)],
            "draft": draft,
        },
    )


@dataclass(frozen=True, slots=True)
class _IncidentRow:
    """An incident as a list shows it."""

    incident: Incident
    now: datetime

    @property
    def lasted(self) -> timedelta:
        """Its duration until its end, or until now."""
        return max((self.incident.ended_at or self.now) - self.incident.opened_at, timedelta())


@dataclass(frozen=True, slots=True)
class _Proof:
    """A piece of evidence, and where it can be seen."""

    name: str
    text: str
    where: str


@dataclass(frozen=True, slots=True)
class _MomentLine:
    """A moment of an incident."""

    moment: Moment
    proofs: tuple[_Proof, ...]

    @classmethod
    def of(cls, incident: Incident, moment: Moment) -> "_MomentLine":
        return cls(moment, tuple(_proofs(incident.model, moment.evidence)))

    @property
    def tone(self) -> str:
        """The colour of its point in the timeline."""
        return _TONES.get(self.moment.step, "bad" if self.moment.evidence else "")


@dataclass(frozen=True, slots=True)
class _Impact:
    """Predictions during an incident, by whole hours."""

    start: datetime
    end: datetime
    predictions: int
    failed: int
    versions: Mapping[str, int]
    as_of: datetime


def _impact(app: App, incident: Incident, now: datetime) -> _Impact | None:
    """Return what the time line has of it; None where none is known yet."""
    end = max(incident.ended_at or now, incident.opened_at + timedelta(microseconds=1))
    try:
        if app.timelines.known(incident.model) is None:
            return None
        timeline = app.timelines.timeline(incident.model, incident.opened_at, end, points=1)
    except NotFoundError:  # nothing is recorded of it
        return None
    line = timeline.timeline
    if not line.starts:
        return None
    return _Impact(
        line.starts[0], line.ends[-1], int(line.predictions.sum()), int(line.failed.sum()),
        timeline.as_of.table_versions, timeline.as_of.at,
    )  # fmt: skip


def _source(incident: Incident) -> _Proof:
    """Return the source of an incident, and its address."""
    kind, name = incident.origin
    model = quote(incident.model)
    where = {
        "alert": f"/runbook#{quote(name.lower())}",
        "rollout": f"/rollouts/{quote(name)}",
        "retraining": f"/retraining?model={model}",
        "finding": f"/models/{model}/drift" if name == "drift" else f"/models/{model}",
    }.get(kind, "")
    return _Proof(kind, name or kind, where)


def _proofs(model: str, evidence: Mapping[str, Any]) -> Iterator[_Proof]:
    for name, value in evidence.items():
        text = value if isinstance(value, str) else strict_json(plain(value))
        where = ""
        if name == "finding" and isinstance(value, int):
            where = f"/models/{quote(model)}/history/finding:{value}"
        elif name in _NAMED and isinstance(value, str):
            where = f"{_NAMED[name]}{quote(value)}"
        elif _leads_somewhere(text):
            where = text
        yield _Proof(name, text[:_LONGEST] + ("…" if len(text) > _LONGEST else ""), where)


def _leads_somewhere(text: str) -> bool:
    """Return whether a text may be a link: clients can post any text."""
    return text.startswith(("https://", "http://")) and " " not in text


def _urgency(incident: Incident) -> tuple[bool, bool, datetime]:
    owned = incident.state is not IncidentState.OPEN
    return incident.severity != "critical", owned, incident.opened_at


def _one_of(ask: Ask, name: str, choices: tuple[str, ...]) -> str | None:
    value = ask.query.get(name) or None
    if value is not None and value not in choices:
        raise InvalidValueError(name, value, f"one of {', '.join(choices)}")
    return value
