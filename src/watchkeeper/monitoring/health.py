"""Health of a model from what is recorded of it, and what is left of its error budgets."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import NotFoundError
from watchkeeper.events import EventLog, Window
from watchkeeper.health import (
    Budget,
    ComprehensiveMonitoringSystem,
    EarlierVerdict,
    HealthStatus,
    Measured,
    Slo,
    Thresholds,
    budget_of,
    traffic_of,
)
from watchkeeper.incidents import AlertRepository
from watchkeeper.monitoring.event_columns import wrong_of
from watchkeeper.monitoring.measurements import baseline_of
from watchkeeper.records import Finding, FindingRepository
from watchkeeper.registry import ModelRegistry
from watchkeeper.results import Result
from watchkeeper.rollouts.shadow import stream_of

__all__ = ["ModelHealth", "health_of", "served"]

_COLUMNS = ("timestamp", "status", "latency_ms")
_LABELS = ("prediction", "actual")
_TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class ModelHealth(Result):
    """Health of a model, with what it was computed of.

    Attributes
    ----------
    model : str
    status : HealthStatus
    budgets : tuple of Budget
    start, end : datetime
        Of the window that the components are of; budgets have windows of their own.
    table_versions : dict of str to int
        Of the event store, for the evidence.
    """

    model: str
    status: HealthStatus
    budgets: tuple[Budget, ...]
    start: datetime
    end: datetime
    table_versions: dict[str, int]

    @property
    def is_healthy(self) -> bool:
        """Whether every component is well."""
        return self.status.is_healthy


def health_of(
    events: EventLog,
    registry: ModelRegistry,
    findings: FindingRepository,
    alerts: AlertRepository,
    model: str,
    *,
    at: datetime,
    window: timedelta = timedelta(days=1),
    thresholds: Thresholds | None = None,
    slos: Sequence[Slo] = (),
    task: str = "binary",
    positive: object = 1,
) -> ModelHealth:
    """Return the health of a model at a time.

    Parameters
    ----------
    events : EventLog
    registry : ModelRegistry
    findings : FindingRepository
    alerts : AlertRepository
    model : str
    at : datetime
    window : timedelta
        Until `at`, of which the components are.
    thresholds : Thresholds, optional
        Of the components; by default those of `Thresholds`.
    slos : sequence of Slo
        Of which the budgets are.
    task : {"binary", "multiclass", "regression"}
    positive : label

    Returns
    -------
    ModelHealth

    Raises
    ------
    NotFoundError
        If there is neither a version nor a recorded prediction of the model.
    """
    if model not in events.models() and not registry.list_models(model_name=model):
        raise NotFoundError("model", model, "`watchkeeper models list` has those that there are.")
    limits = thresholds or Thresholds()
    longest = max([window, *(timedelta(days=slo.days) for slo in slos)])
    versions: dict[str, int] = {}
    tables: list[pa.Table] = []
    earlier: list[pa.Table] = []
    with suppress(NotFoundError):  # nothing is recorded, or retention has dropped all of it
        columns = _COLUMNS if task == "regression" else (*_COLUMNS, *_LABELS)
        until = at + timedelta(microseconds=1)  # what was predicted now is part of it
        for read in events.days(model, Window(at - longest, until), columns=columns):
            versions = read.versions
            new = pc.greater_equal(read.rows["timestamp"], pa.scalar(at - window, _TIME))
            earlier.append(read.rows.filter(pc.invert(new)))
            tables.append(_with_right(read.rows.filter(new), task, positive))
    traffic, before = traffic_of(tables, limits), traffic_of(earlier, limits)
    measured = Measured(
        traffic=traffic,
        baseline=baseline_of(registry, model).get("accuracy"),
        drift=_verdict(findings.find(model, "drift")),
        quality=_verdict(findings.find(model, "quality")) if task == "regression" else None,
        alerts=tuple(_firing(alerts, model)),
    )
    system = ComprehensiveMonitoringSystem(lambda _: measured, thresholds=limits, clock=lambda: at)
    return ModelHealth(
        model=model,
        status=system.check_system_health(),
        budgets=tuple(budget_of(slo, traffic + before, at) for slo in slos),
        start=at - window,
        end=at,
        table_versions=versions,
    )


def served(events: EventLog, registry: ModelRegistry) -> list[str]:
    """Return the models that serve traffic: in production here, or recorded from elsewhere.

    Parameters
    ----------
    events : EventLog
    registry : ModelRegistry

    Returns
    -------
    list of str
    """
    shadows = {stream_of(version.model_name) for version in registry.list_models()}
    recorded = set(events.models()) - shadows
    return sorted(recorded | registry.production().keys())


def _with_right(rows: pa.Table, task: str, positive: object) -> pa.Table:
    """Return rows with what is known of their answers; a regression is never simply right."""
    if task == "regression":
        return rows
    return rows.append_column("right", pa.array(1.0 - wrong_of(rows, task, positive)))


def _verdict(findings: Sequence[Finding]) -> EarlierVerdict | None:
    """Return what the last measurement said, and since when the last ones in a row said so."""
    if not findings:
        return None
    newest, since = findings[0], findings[0].at
    for finding in findings:
        if finding.bad != newest.bad:
            break
        since = finding.start or finding.at
    return EarlierVerdict(newest.bad, newest.summary, newest.at, since)


def _firing(alerts: AlertRepository, model: str) -> Iterator[str]:
    for alert in alerts.find("firing"):
        if alert.labels.get("model", model) == model and alert.labels.get("severity") != "none":
            summary = alert.annotations.get("summary", "it fires")
            yield f"{alert.name}: {summary}, since {alert.starts_at:%Y-%m-%d %H:%M}"
