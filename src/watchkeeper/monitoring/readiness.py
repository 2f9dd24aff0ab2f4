"""Readiness of a model: the evidence of each point, gathered from what is kept."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.error import URLError
from urllib.request import urlopen

from watchkeeper.alerting.rules import Thresholds, alerts
from watchkeeper.alerting.runbook import page
from watchkeeper.clock import as_utc
from watchkeeper.errors import ConflictError, InvalidValueError, NotFoundError
from watchkeeper.events import EventLog
from watchkeeper.experiments import Experiment
from watchkeeper.experiments import State as ExperimentState
from watchkeeper.health import Condition
from watchkeeper.identity import By
from watchkeeper.incidents import Incident, IncidentState
from watchkeeper.monitoring.health import health_of
from watchkeeper.monitoring.report_cache import Asked
from watchkeeper.monitoring.repositories import Kept, KeptAlerts, KeptFindings, Trail
from watchkeeper.operations.alerts import ALERT_SUBJECT, ALERT_TEST
from watchkeeper.operations.receivers import PROOF, SUBJECT
from watchkeeper.readiness import Answer, Checklist, State, Waiver, checklist
from watchkeeper.readiness.checklist import item_of
from watchkeeper.records import Entry
from watchkeeper.registry import ModelRegistry

__all__ = [
    "LOAD_TEST",
    "REHEARSAL",
    "Around",
    "Parts",
    "measured",
    "measured_asked",
    "of_model",
    "require_ready",
    "waive",
]

LOAD_TEST, REHEARSAL = "load test", "rollback rehearsal"
_WAIVE = "waive readiness"
_FRESH = timedelta(days=30)  # for which a measurement speaks
_RECENT = timedelta(days=1)  # within which an alert says that the chain stands
_LINES = 50  # of the log that are read
_TAIL = 1 << 18  # bytes of it, which hold so many lines
_LOGGED = {"timestamp", "level", "message"}
_OF_HEALTH = {
    "latency": "latency",
    "error-rate": "error_rate",
    "availability": "availability",
    "accuracy-kept": "model_performance",
    "prediction-log": "prediction_log",
}
_BY_CONDITION = {
    Condition.HEALTHY: State.PASS,
    Condition.UNHEALTHY: State.FAIL,
    Condition.UNKNOWN: State.UNKNOWN,
}


class ReceivedAlerts(KeptAlerts, Protocol):
    """Where alerts are kept, and when one came last."""

    def last_received(self) -> tuple[datetime, str] | None:
        """Return when the last alert came, and its name."""
        ...


class Parts(Protocol):
    """What the evidence is read from; an `watchkeeper.app.App` is one."""

    @property
    def events(self) -> EventLog: ...
    @property
    def registry(self) -> ModelRegistry: ...
    @property
    def findings(self) -> KeptFindings: ...
    @property
    def alerts(self) -> ReceivedAlerts: ...
    @property
    def experiments(self) -> Kept[Experiment]: ...
    @property
    def incidents(self) -> Kept[Incident]: ...
    @property
    def audit(self) -> Trail: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the settings say of the surroundings.

    Attributes
    ----------
    log_file : Path or None
    grafana : str or None
        Its address.
    on_call : bool
        Whether critical alerts have a route to a person.
    receivers : tuple of str
        Who is told of incidents.
    """

    log_file: Path | None = None
    grafana: str | None = None
    on_call: bool = False
    receivers: tuple[str, ...] = ()


def of_model(
    parts: Parts,
    model: str,
    *,
    at: datetime,
    around: Around,
    health: Mapping[str, Any],
    slow: Mapping[str, Answer] | None = None,
) -> Checklist:
    """Return the checklist of a model at a time.

    Parameters
    ----------
    around : Around
    health : mapping
        The terms that `watchkeeper.monitoring.health.health_of` goes by.
    slow : mapping of str to Answer, optional
        What `measured` has said, perhaps a while ago; by default it is asked now.

    Raises
    ------
    NotFoundError
        If nothing is known of the model.
    """
    answers = dict(
        measured(parts, model, at=at, around=around, health=health) if slow is None else slow
    )
    answers |= _kept(parts, model, at)
    answers |= _chain(parts, at, around)
    answers["logs"] = _logs(around.log_file)
    answers["procedures"] = _procedures()
    return checklist(model, answers, _waivers(parts.audit, model), at=at)


def measured(
    parts: Parts, model: str, *, at: datetime, around: Around, health: Mapping[str, Any]
) -> dict[str, Answer]:
    """Return the answers that take a while: events are read, and another server is asked.

    Raises
    ------
    NotFoundError
        If nothing is known of the model.
    """
    found = health_of(
        parts.events, parts.registry, parts.findings, parts.alerts, model, at=at, **health
    )
    answers = {}
    for key, component in _OF_HEALTH.items():
        each = found.status.components[component]
        evidence = {"table_versions": found.table_versions, **each.figures}
        answers[key] = Answer(_BY_CONDITION[each.condition], each.reason, at, evidence)
    with suppress(NotFoundError):  # nothing is recorded
        counts = parts.events.counts(model)
        state = State.PASS if counts.outcomes else State.UNKNOWN
        told = f"{counts.outcomes:,} outcomes of {counts.predictions:,} predictions"
        answers["outcomes"] = Answer(state, told, counts.newest, {})
    if around.grafana is not None:
        answers["grafana"] = _grafana(around.grafana, at)
    return answers


def measured_asked(
    parts: Parts, model: str, *, at: datetime, around: Around, health: Mapping[str, Any]
) -> Asked[dict[str, Answer]]:
    """Ask for `measured`; what is in production is part of what it is of."""
    return Asked(
        "readiness",
        model,
        of=parts.registry.get_production_model(model),
        at=at,
        make=lambda: measured(parts, model, at=at, around=around, health=health),
    )


def waive(
    audit: Trail, model: str, item: str, *, until: datetime, at: datetime, actor: str, reason: str
) -> Waiver:
    """Keep somebody's word that a point need not pass until a day; a day that has passed ends it.

    Raises
    ------
    NotFoundError
        If there is no such point.
    InvalidValueError
        If there is no reason.
    """
    item_of(item)
    if not reason.strip():
        raise InvalidValueError("reason", reason, "why it need not pass, in words")
    audit.note(
        at=at, by=By(actor, reason), action=_WAIVE, subject=f"{model}:readiness/{item}",
        evidence={"until": as_utc(until).isoformat()},
    )  # fmt: skip
    return Waiver(item, actor, reason, as_utc(until))


def require_ready(found: Checklist) -> None:
    """Refuse what asks for a model that is ready.

    Raises
    ------
    ConflictError
        If a required point neither passes nor is waived.
    """
    if found.ready:
        return
    missing = [
        each.item.key
        for each in found.points
        if each.item.priority == "required" and each.state not in {State.PASS, State.WAIVED}
    ]
    raise ConflictError(
        f"{found.model} is not ready: {', '.join(missing)}",
        f"`watchkeeper checklist {found.model}` says what to do, and how to waive a point.",
    )


def _kept(parts: Parts, model: str, at: datetime) -> Iterator[tuple[str, Answer]]:
    """Yield what measurements, experiments, rehearsals and incidents say."""
    production = parts.registry.get_production_model(model)
    version = None if production is None else production.partition(":")[2]
    for key, kind in (("accuracy", "quality"), ("drift", "drift")):
        for each in parts.findings.find(model, kind, limit=1):
            fresh = at - each.at <= _FRESH
            state = State.PASS if kind == "drift" or not each.bad else State.FAIL
            told = each.summary if fresh else f"the last check was at {each.at:%Y-%m-%d}"
            evidence = {"finding": each.number, "table_versions": each.table_versions}
            yield key, Answer(state if fresh else State.UNKNOWN, told, each.at, evidence)
    yield "ab-test", _experiment(parts, model, version)
    for key, action, subject in (
        ("load-test", LOAD_TEST, f"{model}:loadtest"),
        ("rollback", REHEARSAL, f"{model}:rollback"),
        ("backups", "restore test", "system:backup"),
    ):
        for entry in parts.audit.entries(subject=subject, action=action, limit=1):
            state = State.PASS if entry.evidence.get("passed") else State.FAIL
            tried = entry.evidence.get("version", version)
            if tried != version:
                state = State.UNKNOWN
            told = f"{entry.reason or action}, of version {tried}"
            yield key, Answer(state, told, entry.at, {"audit": entry.number, **entry.evidence})
    over = [
        each
        for each in parts.incidents.find(model, IncidentState.RESOLVED)
        if each.severity == "critical"
    ]
    without = [each.name for each in over if not each.post_mortem]
    told = f"{len(over) - len(without)} of {len(over)} critical incidents that are over have one"
    yield (
        "post-mortems",
        Answer(State.FAIL if without else State.PASS, told, at, {"without": without}),
    )


def _experiment(parts: Parts, model: str, version: str | None) -> Answer:
    for each in parts.experiments.find(model, ExperimentState.STOPPED):
        arms = {arm.key: arm.model_version for arm in each.allocation.arms}
        decision = each.decision or {}
        if version in arms.values():
            better = arms.get(str(decision.get("arm"))) == version
            shipped = decision.get("verdict") == "ship" and better
            state = State.PASS if shipped else State.FAIL
            told = f"{each.name}: {decision.get('reason', 'no verdict')}"
            return Answer(state, told, each.ended_at, {"experiment": each.name})
    return Answer(State.UNKNOWN, f"no experiment with version {version} has ended")


def _chain(parts: Parts, at: datetime, around: Around) -> Iterator[tuple[str, Answer]]:
    """Yield whether figures and alerts travel: an alert that came has passed every link."""
    last = parts.alerts.last_received()
    fresh = last is not None and at - last[0] <= _RECENT
    told = (
        "no alert has come yet" if last is None else f"{last[1]} came at {last[0]:%Y-%m-%d %H:%M}"
    )
    answer = Answer(State.PASS if fresh else State.UNKNOWN, told, last[0] if last else None)
    yield "metrics", answer
    tested = parts.audit.entries(subject=ALERT_SUBJECT, action=ALERT_TEST, limit=1)
    yield "alerts", _tested(tested[0]) if tested else answer
    tried = [
        each
        for each in parts.audit.entries(subject=SUBJECT, action=PROOF, limit=100)
        if each.evidence.get("receiver") in around.receivers
    ]
    if tried:
        yield "on-call", _tested(tried[0])
    elif around.on_call:
        yield "on-call", answer
    elif around.receivers:
        yield "on-call", Answer(State.UNKNOWN, "a receiver is configured, and was never tried")
    else:
        yield "on-call", Answer(State.FAIL, "no route to a person is configured")


def _tested(entry: Entry) -> Answer:
    """Return what the last test of a route says."""
    state = State.PASS if entry.evidence.get("passed") else State.FAIL
    return Answer(state, entry.reason, entry.at, {"audit": entry.number, **entry.evidence})


def _logs(path: Path | None) -> Answer:
    if path is None:
        return Answer(State.UNKNOWN, "no `log_file` is set, so nothing can be read back")
    try:
        lines = _last_lines(path)
    except OSError as error:
        return Answer(State.FAIL, f"{path.name} cannot be read: {error.strerror}")
    if not lines:
        return Answer(State.UNKNOWN, f"{path.name} is empty")
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:
            return Answer(State.FAIL, f"a line of {path.name} is not JSON: {line[:80]!r}")
        if not isinstance(found, dict) or not found.keys() >= _LOGGED:
            return Answer(State.FAIL, f"a line of {path.name} lacks one of {sorted(_LOGGED)}")
    return Answer(State.PASS, f"the last {len(lines)} lines of {path.name} are well-formed")


def _last_lines(path: Path) -> list[str]:
    """Return the last lines of a file, however large it is."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        found = file.read().decode("utf-8", errors="replace").splitlines()
    whole = found if size <= _TAIL else found[1:]  # the first may have begun earlier
    return whole[-_LINES:]


def _procedures() -> Answer:
    text = page(Thresholds())
    names = [each.name for each in alerts(Thresholds())]
    missing = [name for name in names if f'id="{name.lower()}"' not in text]
    told = f"the runbook has a section for {len(names) - len(missing)} of {len(names)} alerts"
    return Answer(State.FAIL if missing else State.PASS, told)


def _grafana(address: str, at: datetime) -> Answer:
    try:
        with urlopen(f"{address}/api/health", timeout=3) as answer:  # noqa: S310 - http(s) by settings
            status = answer.status
    except (URLError, OSError, ValueError) as error:
        return Answer(State.FAIL, f"{address} does not answer: {error}", at)
    state = State.PASS if status == 200 else State.FAIL
    return Answer(state, f"{address} answers with {status}", at)


def _waivers(audit: Trail, model: str) -> list[Waiver]:
    """Return the last waiver of each point."""
    found: dict[str, Waiver] = {}
    for entry in audit.entries(model, action=_WAIVE):
        item = entry.subject.partition("readiness/")[2]
        until = datetime.fromisoformat(entry.evidence["until"])
        found.setdefault(item, Waiver(item, entry.actor, entry.reason, until))
    return list(found.values())
