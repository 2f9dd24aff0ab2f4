"""`ComprehensiveMonitoringSystem`: what was measured, held against what is asked."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np

from watchkeeper.clock import Clock, as_utc, system_clock
from watchkeeper.errors import InvalidValueError
from watchkeeper.health.status import Component, Condition, HealthStatus
from watchkeeper.health.traffic import Traffic
from watchkeeper.policies.health import Thresholds
from watchkeeper.results import strict_json

__all__ = ["ComprehensiveMonitoringSystem", "EarlierVerdict", "Measured"]


@dataclass(frozen=True, slots=True)
class EarlierVerdict:
    """What an earlier measurement said.

    Attributes
    ----------
    bad : bool
    summary : str
    at : datetime
    since : datetime or None
        When it first said so, of the measurements in a row that did.
    """

    bad: bool
    summary: str
    at: datetime
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a model at one time.

    Attributes
    ----------
    traffic : Traffic
    baseline : float or None
        Accuracy that the version in production was registered with.
    drift : EarlierVerdict or None
        Of the last drift check of its inputs.
    quality : EarlierVerdict or None
        Of the last quality check, for models without an accuracy (regressions).
    alerts : tuple of str
        Alerts that fire, as sentences.
    """

    traffic: Traffic
    baseline: float | None = None
    drift: EarlierVerdict | None = None
    quality: EarlierVerdict | None = None
    alerts: tuple[str, ...] = ()


class ComprehensiveMonitoringSystem:
    """Holds what was measured of a model against what is asked of it.

    Parameters
    ----------
    measure : callable
        A time to what is known then: from a server's event store by
        `watchkeeper.monitoring.health`, or from one's own tables by
        `watchkeeper.health.traffic_of`.
    thresholds : Thresholds, optional
    drift_valid : float
        Seconds for which a drift check holds.
    clock : callable
    """

    def __init__(
        self,
        measure: Callable[[datetime], Measured],
        *,
        thresholds: Thresholds | None = None,
        drift_valid: float = 2 * 86_400.0,
        clock: Clock = system_clock,
    ) -> None:
        self._measure, self._clock = measure, clock
        self._thresholds = thresholds or Thresholds()
        self._drift_valid = timedelta(seconds=drift_valid)

    def check_system_health(self) -> HealthStatus:
        """Return how every component is now.

        Returns
        -------
        HealthStatus
        """
        now = as_utc(self._clock())
        measured, at = self._measure(now), self._thresholds
        components = {
            component.name: component
            for component in (
                _performance(measured, at),
                _latency(measured.traffic, at),
                _errors(measured.traffic, at),
                _availability(measured.traffic, at),
                self._drift(measured.drift, now),
                _log(measured.traffic, at, now),
            )
        }
        wrong = [
            f"{component.name} is {component.condition.value}: {component.reason}"
            for component in components.values()
            if component.condition is not Condition.HEALTHY
        ]
        return HealthStatus(
            is_healthy=not wrong,
            components=components,
            alerts=[*wrong, *measured.alerts],
            metrics={
                name: value
                for component in components.values()
                for name, value in component.figures.items()
            },
            timestamp=now,
        )

    def generate_health_report(
        self,
        format: Literal["text", "json", "html"] = "text",  # noqa: A002 - the word users know
    ) -> str:
        """Return the health as a report.

        Parameters
        ----------
        format : {"text", "json", "html"}

        Returns
        -------
        str

        Raises
        ------
        InvalidValueError
            If there is no such format.
        """
        if format not in {"text", "json", "html"}:
            raise InvalidValueError("format", format, "text, json or html")
        status = self.check_system_health()
        if format == "json":
            return strict_json(status.to_dict())
        return status.to_html() if format == "html" else status.to_text()

    def _drift(self, drift: EarlierVerdict | None, now: datetime) -> Component:
        do = "`watchkeeper drift --model MODEL --start TIME` names the features that drifted."
        if drift is None or now - drift.at > self._drift_valid:
            reason = (
                "no check yet"
                if drift is None
                else f"the last check was at {drift.at:%Y-%m-%d %H:%M}"
            )
            return Component("data_drift", Condition.UNKNOWN, reason, {}, {}, None, do)
        condition = Condition.UNHEALTHY if drift.bad else Condition.HEALTHY
        since = (drift.since or drift.at) if drift.bad else None
        return Component("data_drift", condition, drift.summary, {}, {}, since, do)


def _performance(measured: Measured, at: Thresholds) -> Component:
    do = "Compare with the former version, and retrain or `watchkeeper models rollback MODEL`."
    name, traffic = "model_performance", measured.traffic
    labelled, right = int(traffic.labelled.sum()), int(traffic.right.sum())
    if not labelled and measured.quality is not None:
        condition = Condition.UNHEALTHY if measured.quality.bad else Condition.HEALTHY
        since = (measured.quality.since or measured.quality.at) if measured.quality.bad else None
        return Component(name, condition, measured.quality.summary, {}, {}, since, do)
    limit = at.accuracy
    requirement = f"at least {limit:.2%}"
    if measured.baseline is not None and measured.baseline * at.accuracy_of_baseline > limit:
        limit = measured.baseline * at.accuracy_of_baseline
        requirement = f"at least {limit:.2%}, {at.accuracy_of_baseline:.0%} of the baseline"
    limits = {"accuracy": limit}
    if labelled < at.min_samples:
        reason = f"{labelled:,} outcomes are known, and {at.min_samples:,} are needed"
        do = "Post outcomes to `/v1/models/MODEL/outcomes`, with the ids of the predictions."
        return Component(name, Condition.UNKNOWN, reason, {"accuracy": None}, limits, None, do)
    accuracy = right / labelled
    reason = f"accuracy {accuracy:.2%} of {labelled:,} labelled; {requirement}"
    bad = accuracy < limit
    since = _since(traffic, lambda hour: _below(hour.right, hour.labelled, limit)) if bad else None
    return Component(name, _condition(bad), reason, {"accuracy": accuracy}, limits, since, do)


def _latency(traffic: Traffic, at: Thresholds) -> Component:
    do = "See whether traffic rose with it; add `server.workers` or replicas."
    limits = {"latency_p95_ms": at.latency_p95_ms, "latency_p99_ms": at.latency_p99_ms}
    count = len(traffic.latencies)
    if count < at.min_samples:
        return _too_few("latency", count, at, dict.fromkeys(limits), limits)
    p95, p99 = (float(latency) for latency in np.quantile(traffic.latencies, (0.95, 0.99)))
    reason = (
        f"95th percentile {p95:,.0f} ms, 99th {p99:,.0f} ms; at most {at.latency_p95_ms:,.0f} and "
        f"{at.latency_p99_ms:,.0f}"
    )
    bad = p95 > at.latency_p95_ms or p99 > at.latency_p99_ms

    def slow(hour: Traffic) -> bool:
        requests = hour.requests.sum()
        return bool(hour.slow.sum() > 0.05 * requests or hour.very_slow.sum() > 0.01 * requests)

    figures = {"latency_p95_ms": p95, "latency_p99_ms": p99}
    since = _since(traffic, slow) if bad else None
    return Component("latency", _condition(bad), reason, {**figures}, limits, since, do)


def _errors(traffic: Traffic, at: Thresholds) -> Component:
    do = "`watchkeeper events export MODEL` has the errors; the runbook: HighErrorRate."
    limits = {"error_rate": at.error_rate}
    requests, failed = int(traffic.requests.sum()), int(traffic.failed.sum())
    if requests < at.min_samples:
        return _too_few("error_rate", requests, at, {"error_rate": None}, limits)
    rate = failed / requests
    bad = rate > at.error_rate
    since = (
        _since(traffic, lambda hour: bool(hour.failed.sum() > at.error_rate * hour.requests.sum()))
        if bad
        else None
    )
    reason = f"{rate:.2%} ({failed:,} of {requests:,}) failed; at most {at.error_rate:.2%}"
    return Component("error_rate", _condition(bad), reason, {"error_rate": rate}, limits, since, do)


def _availability(traffic: Traffic, at: Thresholds) -> Component:
    do = "See the server's log, and `GET /v2/health/ready`, for what was refused or failed."
    limits = {"availability": at.availability}
    requests = int(traffic.requests.sum())
    if requests < at.min_samples:
        return _too_few("availability", requests, at, {"availability": None}, limits)
    up, minutes = _minutes(traffic)
    share = up / minutes
    bad = share < at.availability
    since = _since(traffic, lambda hour: _minutes(hour)[0] < _minutes(hour)[1]) if bad else None
    reason = (
        f"in {share:.3%} of {minutes:,} minutes with requests at least half were answered; "
        f"at least {at.availability:.3%}"
    )
    return Component(
        "availability", _condition(bad), reason, {"availability": share}, limits, since, do
    )


def _log(traffic: Traffic, at: Thresholds, now: datetime) -> Component:
    do = "Ask the callers; then `watchkeeper doctor`, and the runbook: PredictionLogNotAdvancing."
    name, requests = "prediction_log", int(traffic.requests.sum())
    limits = {"silence_seconds": at.no_traffic_after}
    if traffic.newest is None:
        reason = "no prediction is recorded"
        return Component(name, Condition.UNKNOWN, reason, {"recorded": 0.0}, limits, None, do)
    silent = max(0.0, (now - traffic.newest).total_seconds())
    figures: dict[str, float | None] = {"recorded": float(requests), "silence_seconds": silent}
    reason = (
        f"{requests:,} predictions are recorded, the last at {traffic.newest:%Y-%m-%d %H:%M:%S}"
    )
    quiet = silent > at.no_traffic_after
    condition = Condition.UNKNOWN if quiet else Condition.HEALTHY
    return Component(
        name, condition, reason, figures, limits, traffic.newest if quiet else None, do
    )


def _too_few(
    name: str,
    count: int,
    at: Thresholds,
    figures: dict[str, Any],
    limits: dict[str, float],
) -> Component:
    reason = f"{count:,} predictions, and {at.min_samples:,} are needed"
    do = "Wait for traffic, or ask the callers where it is."
    return Component(name, Condition.UNKNOWN, reason, figures, limits, None, do)


def _condition(bad: bool) -> Condition:
    return Condition.UNHEALTHY if bad else Condition.HEALTHY


def _minutes(traffic: Traffic) -> tuple[int, int]:
    """Return the minutes in which at least half was answered, and those with requests."""
    busy = traffic.requests > 0
    up = busy & (2 * traffic.failed <= traffic.requests)
    return int(up.sum()), int(busy.sum())


def _below(part: Any, whole: Any, limit: float) -> bool:
    return bool(part.sum() < limit * whole.sum())


def _since(traffic: Traffic, bad: Callable[[Traffic], bool]) -> datetime | None:
    """Return when the last hours in a row began that were bad; the worst moment was not later."""
    began: datetime | None = None
    for start, hour in reversed(traffic.by_hour()):
        if not bad(hour):
            if began is not None:
                break
            continue
        began = start
    return began
