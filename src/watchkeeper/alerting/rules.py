"""Recording rules and alerts for Prometheus, each alert with what it means and what to do.

The textbook forms are wrong in ways that show only on a bad night: a ratio of an error series with
itself is 1 after the first error, a quantile that is not summed over replicas alerts once for each,
and a comparison with NaN or with nothing never alerts. Here every expression is summed by model and
version first, no traffic is no series, and what can fall silent has a partner that says so. The
alerts and the texts of the runbook are in ``alerts.toml``; what is computed from the objectives is
here.

>>> [alert.name for alert in alerts(AlertThresholds()) if alert.severity == "critical"][:2]
['HighErrorRate', 'ModelAccuracyDrop']
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template
from typing import Any, Literal

from watchkeeper.policies.health import HealthPolicy, SloPolicy
from watchkeeper.policies.quantities import Positive, Share, check_fields

__all__ = [
    "AlertRule",
    "AlertThresholds",
    "Objective",
    "Recording",
    "alerts",
    "recordings",
    "rule_groups",
]

Severity = Literal["critical", "warning", "none"]

MODEL_GROUP, SYSTEM_GROUP = "ml_model_alerts", "watchkeeper_alerts"

_BY = "by (model, model_version)"
_ON = "on (model, model_version)"
_RATE = "model:model_predictions:rate5m"
_ERRORS = "model:model_prediction_errors:rate5m"
_RATIO = "model:model_prediction_errors:ratio_rate5m"
_ACCURACY = "model:model_accuracy:newest"
_DRIFT = "model:model_dataset_drift_detected:newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What share of a model's predictions is to be good over 30 days.

    Attributes
    ----------
    model : str
        Empty for all that have no objective of their own.
    errors : float
        Share that is answered without an error.
    latency : float
        Share that is answered within `seconds`.
    seconds : float
        One of the bounds of the latency histogram.
    """

    model: str = ""
    errors: float = SloPolicy().errors
    latency: float = SloPolicy().latency
    seconds: float = HealthPolicy().latency_p95_ms / 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertThresholds:
    """Where alerts begin.

    Attributes
    ----------
    latency_p95 : float
        Seconds.
    error_rate, accuracy : float
        Shares.
    traffic : float
        Predictions a second.
    objectives : tuple of Objective
        By which error budgets burn; those of models of their own, and one for all others.

    Raises
    ------
    InvalidValueError
        If a value is out of its range.
    """

    latency_p95: Positive = 1.0
    error_rate: Share = 0.05
    accuracy: Share = 0.85
    traffic: Positive = 1000.0
    objectives: tuple[Objective, ...] = (Objective(),)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A figure that Prometheus computes once for all queries."""

    record: str
    expr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """One alert: when it fires, and the texts of its runbook section.

    Attributes
    ----------
    hold : str
        How long it must be true, as Prometheus writes it.
    severity : {"critical", "warning", "none"}
        A page, a ticket, or neither.
    means : str
        What is the case when it fires, as sentences.
    steps : tuple of str
        What to do then, in order.
    """

    name: str
    group: str = MODEL_GROUP
    expr: str
    hold: str
    severity: Severity
    summary: str
    description: str
    means: str
    steps: tuple[str, ...]


def recordings(thresholds: AlertThresholds) -> list[Recording]:
    """Return the recording rules, in the order in which they need each other.

    Parameters
    ----------
    thresholds : AlertThresholds

    Returns
    -------
    list of Recording
    """
    quantiles = [
        Recording(
            record=f"model:model_prediction_latency_seconds:p{q * 100:.0f}_rate5m",
            expr=f"histogram_quantile({q}, sum by (le, model, model_version) "
            "(rate(model_prediction_latency_seconds_bucket[5m])))\n"
            f"and {_ON} {_RATE} > 0",
        )
        for q in (0.5, 0.95, 0.99)
    ]
    return [
        Recording(record=_RATE, expr=f"sum {_BY} (rate(model_predictions_total[5m]))"),
        Recording(
            record=_ERRORS,
            expr=f'sum {_BY} (rate(model_predictions_total{{status="error"}}[5m]))\nor 0 * {_RATE}',
        ),
        Recording(record=_RATIO, expr=f"{_ERRORS} / ({_RATE} > 0)"),
        *quantiles,
        Recording(
            record=_ACCURACY,
            expr=_newest(
                "model_accuracy", "model_accuracy_timestamp_seconds", "model, model_version"
            ),
        ),
        Recording(
            record=_DRIFT,
            expr=_newest("model_dataset_drift_detected", "model_drift_timestamp_seconds", "model"),
        ),
        *_burning(thresholds),
    ]


_BURNS = {
    "critical": ((14.4, "1h", "5m"), (6.0, "6h", "30m")),
    "warning": ((3.0, "1d", "2h"), (1.0, "3d", "6h")),
}  # factor, long and short window: those of `watchkeeper.health.BURNS`
_SPANS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


def _burning(thresholds: AlertThresholds) -> Iterator[Recording]:
    """Yield the shares that spend the budgets, over each window."""
    for span in _SPANS:
        requests = f"sum by (model) (rate(model_predictions_total[{span}]))"
        failed = f'sum by (model) (rate(model_predictions_total{{status="error"}}[{span}]))'
        yield Recording(
            record=f"model:model_prediction_errors:slo_ratio_rate{span}",
            expr=f"({failed}\nor 0 * {requests})\n/ ({requests} > 0)",
        )
        for objective in thresholds.objectives:
            whose = _whose(objective, thresholds)
            bucket = "model_prediction_latency_seconds_bucket"

            def within(
                bound: str, whose: str = whose, bucket: str = bucket, span: str = span
            ) -> str:
                labels = ",".join(matcher for matcher in (f'le="{bound}"', whose) if matcher)
                return f"sum by (model) (rate({bucket}{{{labels}}}[{span}]))"

            yield Recording(
                record=f"model:model_prediction_slow:slo_ratio_rate{span}",
                expr=f"1 - {within(_bound(objective.seconds))}\n/ ({within('+Inf')} > 0)",
            )


def _whose(objective: Objective, thresholds: AlertThresholds) -> str:
    """Return the matcher of the models that have an objective; of all, nothing."""
    if objective.model:
        return f'model="{objective.model}"'
    named = [re.escape(objective.model) for objective in thresholds.objectives if objective.model]
    excluded = "|".join(named)
    return f'model!~"{excluded}"'.replace("\\", "\\\\") if excluded else ""


def _bound(seconds: float) -> str:
    """Return a bound of a histogram as its label has it."""
    return str(float(seconds))


def _burns(thresholds: AlertThresholds, fault: Literal["errors", "slow"], severity: str) -> str:
    """Return when a budget is spent too fast: in a long and in a short window."""
    parts = []
    for objective in thresholds.objectives:
        whose = _whose(objective, thresholds)
        labels = f"{{{whose}}}" if whose else ""
        allowed = 1 - (objective.errors if fault == "errors" else objective.latency)
        for factor, *spans in _BURNS[severity]:
            both = (
                f"model:model_prediction_{fault}:slo_ratio_rate{span}{labels}"
                f" > {factor * allowed:.6g}"
                for span in spans
            )
            parts.append(f"({' and '.join(both)})")
    return "\nor ".join(parts)


def _newest(gauge: str, measured: str, labels: str) -> str:
    """Return the value that was measured last, of replicas of which one at a time measures."""
    recent, at = f"last_over_time({gauge}[15m])", f"last_over_time({measured}[15m])"
    return (
        f"min by ({labels}) (\n"
        f"  {recent}\n"
        f"  and {at} == on ({labels}) group_left () max by ({labels}) ({at})\n"
        ")\n"
        f"or min by ({labels}) ({recent})"
    )


def alerts(thresholds: AlertThresholds) -> list[AlertRule]:
    """Return the alerts, the most urgent of each group first.

    Parameters
    ----------
    thresholds : AlertThresholds

    Returns
    -------
    list of AlertRule
    """
    return [
        *_written_alerts(thresholds, MODEL_GROUP),
        *_budget_alerts(thresholds),
        *_written_alerts(thresholds, SYSTEM_GROUP),
    ]


def _budget_alerts(at: AlertThresholds) -> list[AlertRule]:
    budgets: tuple[tuple[str, Literal["errors", "slow"], str], ...] = (
        ("ErrorBudget", "errors", "fail"),
        ("LatencyBudget", "slow", "take longer than the objective allows"),
    )
    paces: tuple[tuple[str, Literal["critical", "warning"], str], ...] = (
        ("Fast", "critical", "2 % of a month's budget in an hour, or 5 % in six"),
        ("Slowly", "warning", "10 % of a month's budget in a day, or in three"),
    )
    return [
        AlertRule(
            name=f"{budget}Burns{pace}",
            expr=_burns(at, fault, severity),
            hold="0m",
            severity=severity,
            summary=f"The {budget[:-6].lower()} budget of {{{{ $labels.model }}}} burns too fast",
            description=f"{{{{ $value | humanizePercentage }}}} of the predictions of "
            f"{{{{ $labels.model }}}} {failing}, over both windows of the alert: {spent}.",
            means=f"At this pace more predictions {failing} this month than its objective allows "
            f"({spent}). `watchkeeper health --model MODEL` shows the remaining error budget.",
            steps=(
                "`watchkeeper health --model MODEL` shows when it began, and which windows burn.",
                (
                    "If it began with a promotion or a rollout, roll that back first: "
                    "`watchkeeper models rollback MODEL`, `watchkeeper rollouts abort NAME`."
                ),
                "Otherwise follow the steps of HighErrorRate and HighPredictionLatency.",
            ),
        )
        for budget, fault, failing in budgets
        for pace, severity, spent in paces
    ]


class _Text(Template):
    """A text in which ``@{name}`` is a threshold; braces and ``$`` are Prometheus' own."""

    delimiter = "@"


@cache
def _entries() -> list[dict[str, Any]]:
    """Return the alerts of ``alerts.toml`` as they are written there."""
    text = resources.files("watchkeeper.alerting").joinpath("alerts.toml").read_text("utf-8")
    entries: list[dict[str, Any]] = tomllib.loads(text)["alert"]
    return entries


def _written_alerts(thresholds: AlertThresholds, group: str) -> list[AlertRule]:
    """Return the alerts of a group of ``alerts.toml``, with the thresholds put in."""
    names = ("latency_p95", "error_rate", "accuracy", "traffic")
    values = {name: f"{getattr(thresholds, name):g}" for name in names}
    values |= {f"{name}_rounded": f"{getattr(thresholds, name):.3g}" for name in names}

    def text(template: str) -> Any:
        return _Text(template).substitute(values)

    return [
        AlertRule(
            **{name: text(value) for name, value in entry.items() if name != "steps"},
            steps=tuple(map(text, entry["steps"])),
        )
        for entry in _entries()
        if entry["group"] == group
    ]


def rule_groups(thresholds: AlertThresholds, runbook_url: str) -> dict[str, Any]:
    """Return a rule file: the recordings, then the alerts by group.

    Parameters
    ----------
    thresholds : AlertThresholds
    runbook_url : str
        Page whose anchors are the alerts' names in lower case.

    Returns
    -------
    dict of str to object
    """
    rules = alerts(thresholds)
    groups: list[dict[str, Any]] = [
        {
            "name": "ml_model_rates",
            "interval": "30s",
            "rules": [
                {"record": recording.record, "expr": recording.expr}
                for recording in recordings(thresholds)
            ],
        }
    ]
    for group in dict.fromkeys(alert.group for alert in rules):
        of_group = [_rule(alert, runbook_url) for alert in rules if alert.group == group]
        groups.append({"name": group, "interval": "30s", "rules": of_group})
    return {"groups": groups}


def _rule(alert: AlertRule, runbook_url: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.hold,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{runbook_url}#{alert.name.lower()}",
        },
    }
