"""Readiness of a model: the evidence of each point, gathered from what is stored."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from watchkeeper.alerting.rules import AlertThresholds, alerts
from watchkeeper.alerting.runbook import page
from watchkeeper.clock import Clock
from watchkeeper.errors import NotFoundError
from watchkeeper.events import EventLog
from watchkeeper.experiments import ExperimentState
from watchkeeper.experiments.repository import ExperimentRepository
from watchkeeper.health import Condition
from watchkeeper.incidents import AlertRepository, IncidentRepository, IncidentState
from watchkeeper.monitoring.health import health_of
from watchkeeper.monitoring.report_cache import Asked, Known, Reports
from watchkeeper.readiness import ITEMS, Answer, Checklist, PointState, Waiver, checklist
from watchkeeper.readiness.evidence import (
    ALERT_TEST,
    ALERTS,
    BACKUPS,
    LOAD_TEST,
    NOTIFICATION_TEST,
    NOTIFICATIONS,
    REHEARSAL,
    RESTORE_TEST,
    WAIVER,
    load_test_of,
    rehearsal_of,
    waiver_of,
)
from watchkeeper.records import AuditTrail, Entry, FindingRepository
from watchkeeper.registry import ModelRegistry

__all__ = ["Installation", "Readiness"]

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
    Condition.HEALTHY: PointState.PASS,
    Condition.UNHEALTHY: PointState.FAIL,
    Condition.UNKNOWN: PointState.UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What the settings say of the installation that a checklist asks about.

    Attributes
    ----------
    log_file : Path or None
    grafana : str or None
        Its address.
    on_call : bool
        Whether critical alerts have a route to an on-call engineer.
    receivers : tuple of str
        Names of the receivers of incidents.
    """

    log_file: Path | None = None
    grafana: str | None = None
    on_call: bool = False
    receivers: tuple[str, ...] = ()


class Readiness:
    """The checklist of each model, by what is stored and measured; it changes nothing.

    Parameters
    ----------
    events : EventLog
    registry : ModelRegistry
    findings : FindingRepository
    alerts : AlertRepository
    experiments : ExperimentRepository
    incidents : IncidentRepository
    audit : AuditTrail
    reports : Reports
        Where answers that take a while are cached.
    clock : Clock
    installation : Installation
    health_terms : callable
        A model to the terms that `watchkeeper.monitoring.health.health_of` goes by.
    """

    def __init__(
        self,
        *,
        events: EventLog,
        registry: ModelRegistry,
        findings: FindingRepository,
        alerts: AlertRepository,
        experiments: ExperimentRepository,
        incidents: IncidentRepository,
        audit: AuditTrail,
        reports: Reports,
        clock: Clock,
        installation: Installation,
        health_terms: Callable[[str], Mapping[str, Any]],
    ) -> None:
        self._events, self._registry, self._findings = events, registry, findings
        self._alerts, self._experiments, self._incidents = alerts, experiments, incidents
        self._audit, self._reports, self._clock = audit, reports, clock
        self._installation, self._health_terms = installation, health_terms

    def of(self, model: str, at: datetime | None = None) -> Checklist:
        """Return the checklist of a model, by default now.

        Parameters
        ----------
        model : str
        at : datetime, optional

        Returns
        -------
        Checklist

        Raises
        ------
        NotFoundError
            If nothing is known of the model.
        """
        now = self._clock() if at is None else at
        return self._checklist(model, now, self._measured(model, now))

    def latest(
        self, model: str, at: datetime | None = None
    ) -> tuple[Checklist | None, Known[dict[str, Answer]]]:
        """Return the same at once: what takes a while is as it last was, and is measured again.

        The checklist is None while that is measured for the first time.

        Parameters
        ----------
        model : str
        at : datetime, optional
            By default now.

        Returns
        -------
        tuple of Checklist or None and Known of dict of str to Answer
            The checklist, and the answers that take a while.
        """
        now = self._clock() if at is None else at
        slow = self._reports.latest(
            Asked(
                "readiness",
                model,
                of=self._registry.get_production_model(model),
                at=now,
                make=lambda: self._measured(model, now),
            )
        )
        if slow.report is None:
            return None, slow
        return self._checklist(model, now, slow.report), slow

    def _checklist(self, model: str, at: datetime, measured: Mapping[str, Answer]) -> Checklist:
        answers = dict(measured)
        answers |= self._stored(model, at)
        answers |= self._chain(at)
        answers["logs"] = _logs(self._installation.log_file)
        answers["procedures"] = _procedures()
        return checklist(model, answers, self._waivers(model), at=at)

    def _measured(self, model: str, at: datetime) -> dict[str, Answer]:
        """Return the answers that take a while: events are read, and another server is called."""
        health = health_of(
            self._events, self._registry, self._findings, self._alerts, model, at=at,
            **self._health_terms(model),
        )  # fmt: skip
        answers = {}
        for key, name in _OF_HEALTH.items():
            component = health.status.components[name]
            evidence = {"table_versions": health.table_versions, **component.figures}
            state = _BY_CONDITION[component.condition]
            answers[key] = Answer(state, component.reason, at, evidence)
        with suppress(NotFoundError):  # nothing is recorded
            counts = self._events.counts(model)
            state = PointState.PASS if counts.outcomes else PointState.UNKNOWN
            text = f"{counts.outcomes:,} outcomes of {counts.predictions:,} predictions"
            answers["outcomes"] = Answer(state, text, counts.newest, {})
        if self._installation.grafana is not None:
            answers["grafana"] = _grafana(self._installation.grafana, at)
        return answers

    def _stored(self, model: str, at: datetime) -> Iterator[tuple[str, Answer]]:
        """Yield what measurements, experiments, rehearsals and incidents say."""
        production = self._registry.get_production_model(model)
        version = None if production is None else production.partition(":")[2]
        for key, kind in (("accuracy", "quality"), ("drift", "drift")):
            for finding in self._findings.find(model, kind, limit=1):
                fresh = at - finding.at <= _FRESH
                state = PointState.PASS if kind == "drift" or not finding.bad else PointState.FAIL
                late = f"the last check was at {finding.at:%Y-%m-%d}"
                evidence = {"finding": finding.number, "table_versions": finding.table_versions}
                yield (
                    key,
                    Answer(state, finding.summary, finding.at, evidence)
                    if fresh
                    else Answer(PointState.UNKNOWN, late, finding.at, evidence),
                )
        yield "ab-test", self._experiment(model, version)
        for key, action, subject in (
            ("load-test", LOAD_TEST, load_test_of(model)),
            ("rollback", REHEARSAL, rehearsal_of(model)),
            ("backups", RESTORE_TEST, BACKUPS),
        ):
            for entry in self._audit.entries(subject=subject, action=action, limit=1):
                state = PointState.PASS if entry.evidence.get("passed") else PointState.FAIL
                tested = entry.evidence.get("version", version)
                if tested != version:
                    state = PointState.UNKNOWN
                text = f"{entry.reason or action}, of version {tested}"
                yield key, Answer(state, text, entry.at, {"audit": entry.number, **entry.evidence})
        yield "post-mortems", self._post_mortems(model, at)

    def _post_mortems(self, model: str, at: datetime) -> Answer:
        ended = [
            incident
            for incident in self._incidents.find(model, IncidentState.RESOLVED)
            if incident.severity == "critical"
        ]
        without = [incident.name for incident in ended if not incident.post_mortem]
        count = len(ended) - len(without)
        text = f"{count} of {len(ended)} critical incidents that are over have one"
        state = PointState.FAIL if without else PointState.PASS
        return Answer(state, text, at, {"without": without})

    def _experiment(self, model: str, version: str | None) -> Answer:
        for experiment in self._experiments.find(model, ExperimentState.STOPPED):
            arms = {arm.key: arm.model_version for arm in experiment.allocation.arms}
            decision = experiment.decision or {}
            if version in arms.values():
                better = arms.get(str(decision.get("arm"))) == version
                shipped = decision.get("verdict") == "ship" and better
                state = PointState.PASS if shipped else PointState.FAIL
                text = f"{experiment.name}: {decision.get('reason', 'no verdict')}"
                return Answer(state, text, experiment.ended_at, {"experiment": experiment.name})
        return Answer(PointState.UNKNOWN, f"no experiment with version {version} has ended")

    def _chain(self, at: datetime) -> Iterator[tuple[str, Answer]]:
        """Yield whether figures and alerts travel: an alert that came has passed every link."""
        last = self._alerts.last_received()
        fresh = last is not None and at - last[0] <= _RECENT
        text = (
            "no alert has come yet"
            if last is None
            else f"{last[1]} came at {last[0]:%Y-%m-%d %H:%M}"
        )
        answer = Answer(
            PointState.PASS if fresh else PointState.UNKNOWN, text, last[0] if last else None
        )
        yield "metrics", answer
        tests = self._audit.entries(subject=ALERTS, action=ALERT_TEST, limit=1)
        yield "alerts", _tested(tests[0]) if tests else answer
        installation = self._installation
        tries = [
            entry
            for entry in self._audit.entries(
                subject=NOTIFICATIONS, action=NOTIFICATION_TEST, limit=100
            )
            if entry.evidence.get("receiver") in installation.receivers
        ]
        if tries:
            yield "on-call", _tested(tries[0])
        elif installation.on_call:
            yield "on-call", answer
        elif installation.receivers:
            yield (
                "on-call",
                Answer(PointState.UNKNOWN, "a receiver is configured, and was never tried"),
            )
        else:
            yield (
                "on-call",
                Answer(PointState.FAIL, "no route to an on-call engineer is configured"),
            )

    def _waivers(self, model: str) -> list[Waiver]:
        """Return the last waiver of each point."""
        items = {waiver_of(model, item.key): item.key for item in ITEMS}
        waivers: dict[str, Waiver] = {}
        for entry in self._audit.entries(model, action=WAIVER):
            if entry.subject in items:  # a point that there is no longer needs no waiver
                item = items[entry.subject]
                until = datetime.fromisoformat(entry.evidence["until"])
                waivers.setdefault(item, Waiver(item, entry.actor, entry.reason, until))
        return list(waivers.values())


def _tested(entry: Entry) -> Answer:
    """Return what the last test of a route says."""
    state = PointState.PASS if entry.evidence.get("passed") else PointState.FAIL
    return Answer(state, entry.reason, entry.at, {"audit": entry.number, **entry.evidence})


def _logs(path: Path | None) -> Answer:
    if path is None:
        return Answer(PointState.UNKNOWN, "no `log_file` is set, so no log line can be read")
    try:
        lines = _last_lines(path)
    except OSError as error:
        return Answer(PointState.FAIL, f"{path.name} cannot be read: {error.strerror}")
    if not lines:
        return Answer(PointState.UNKNOWN, f"{path.name} is empty")
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            return Answer(PointState.FAIL, f"a line of {path.name} is not JSON: {line[:80]!r}")
        if not isinstance(record, dict) or not record.keys() >= _LOGGED:
            return Answer(PointState.FAIL, f"a line of {path.name} lacks one of {sorted(_LOGGED)}")
    return Answer(PointState.PASS, f"the last {len(lines)} lines of {path.name} are well-formed")


def _last_lines(path: Path) -> list[str]:
    """Return the last lines of a file, however large it is."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    whole = lines if size <= _TAIL else lines[1:]  # the first may have begun earlier
    return whole[-_LINES:]


def _procedures() -> Answer:
    text = page(AlertThresholds())
    names = [alert.name for alert in alerts(AlertThresholds())]
    missing = [name for name in names if f'id="{name.lower()}"' not in text]
    sentence = f"the runbook has a section for {len(names) - len(missing)} of {len(names)} alerts"
    return Answer(PointState.FAIL if missing else PointState.PASS, sentence)


def _grafana(address: str, at: datetime) -> Answer:
    try:
        with urlopen(f"{address}/api/health", timeout=3) as answer:  # noqa: S310 - http(s) by settings
            status = answer.status
    except (URLError, OSError, ValueError) as error:
        return Answer(PointState.FAIL, f"{address} does not answer: {error}", at)
    state = PointState.PASS if status == 200 else PointState.FAIL
    return Answer(state, f"{address} answers with {status}", at)
