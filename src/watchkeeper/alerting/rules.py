"""Recording rules and alerts for Prometheus, each alert with what it means and what to do.

The textbook forms are wrong in ways that show only on a bad night: a ratio of an error series with
itself is 1 after the first error, a quantile that is not summed over replicas alerts once for each,
and a comparison with NaN or with nothing never alerts. Here every expression is summed by model and
version first, no traffic is no series, and what can fall silent has a partner that says so.

>>> [alert.name for alert in alerts(Thresholds()) if alert.severity == "critical"][:2]
['HighErrorRate', 'ModelAccuracyDrop']
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from watchkeeper.policies.health import HealthPolicy, SloPolicy
from watchkeeper.policies.quantities import Positive, Share, check_fields

__all__ = [
    "AlertRule",
    "Objective",
    "Recording",
    "Thresholds",
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
_P95 = "model:model_prediction_latency_seconds:p95_rate5m"
_ACCURACY = "model:model_accuracy:newest"
_DRIFT = "model:model_dataset_drift_detected:newest"
_BUSY = f"{_ON} {_RATE} > 0.1"
_WHO = "{{ $labels.model }} {{ $labels.model_version }}"


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
class Thresholds:
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
    """A figure that Prometheus computes once for all who ask."""

    record: str
    expr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """What people are told of, and when.

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


def recordings(thresholds: Thresholds) -> list[Recording]:
    """Return the recording rules, in the order in which they need each other."""
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


def _burning(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the shares that spend the budgets, over each window."""
    for span in _SPANS:
        asked = f"sum by (model) (rate(model_predictions_total[{span}]))"
        failed = f'sum by (model) (rate(model_predictions_total{{status="error"}}[{span}]))'
        yield Recording(
            record=f"model:model_prediction_errors:slo_ratio_rate{span}",
            expr=f"({failed}\nor 0 * {asked})\n/ ({asked} > 0)",
        )
        for objective in thresholds.objectives:
            whose = _whose(objective, thresholds)
            bucket = "model_prediction_latency_seconds_bucket"

            def within(
                bound: str, whose: str = whose, bucket: str = bucket, span: str = span
            ) -> str:
                labels = ",".join(each for each in (f'le="{bound}"', whose) if each)
                return f"sum by (model) (rate({bucket}{{{labels}}}[{span}]))"

            yield Recording(
                record=f"model:model_prediction_slow:slo_ratio_rate{span}",
                expr=f"1 - {within(_bound(objective.seconds))}\n/ ({within('+Inf')} > 0)",
            )


def _whose(objective: Objective, thresholds: Thresholds) -> str:
    """Return the matcher of the models that have an objective; of all, nothing."""
    if objective.model:
        return f'model="{objective.model}"'
    others = "|".join(re.escape(each.model) for each in thresholds.objectives if each.model)
    return f'model!~"{others}"'.replace("\\", "\\\\") if others else ""


def _bound(seconds: float) -> str:
    """Return a bound of a histogram as its label has it."""
    return str(float(seconds))


def _burns(thresholds: Thresholds, what: Literal["errors", "slow"], severity: str) -> str:
    """Return when a budget is spent too fast: in a long and in a short window."""
    parts = []
    for objective in thresholds.objectives:
        whose = _whose(objective, thresholds)
        labels = f"{{{whose}}}" if whose else ""
        allowed = 1 - (objective.errors if what == "errors" else objective.latency)
        for factor, *spans in _BURNS[severity]:
            both = (
                f"model:model_prediction_{what}:slo_ratio_rate{span}{labels}"
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


def alerts(thresholds: Thresholds) -> list[AlertRule]:
    """Return the alerts, the most urgent of each group first."""
    return [*_model_alerts(thresholds), *_budget_alerts(thresholds), *_system_alerts()]


def _budget_alerts(at: Thresholds) -> list[AlertRule]:
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
            expr=_burns(at, what, severity),
            hold="0m",
            severity=severity,
            summary=f"{{{{ $labels.model }}}} spends its {budget[:-6].lower()} budget too fast",
            description=f"{{{{ $value | humanizePercentage }}}} of the predictions of "
            f"{{{{ $labels.model }}}} {told}, over both windows of the alert: {spent}.",
            means=f"At this pace more predictions {told} this month than its objective allows "
            f"({spent}). `watchkeeper health --model MODEL` shows what is left.",
            steps=(
                "`watchkeeper health --model MODEL` says since when, and which windows burn.",
                (
                    "Did it begin with a promotion or a rollout? Take that back first: "
                    "`watchkeeper models rollback MODEL`, `watchkeeper rollouts abort NAME`."
                ),
                "Otherwise as for HighErrorRate and HighPredictionLatency.",
            ),
        )
        for budget, what, told in budgets
        for pace, severity, spent in paces
    ]


def _model_alerts(at: Thresholds) -> list[AlertRule]:
    return [
        AlertRule(
            name="HighErrorRate",
            expr=f"{_RATIO} > {at.error_rate:g} and {_BUSY}",
            hold="5m",
            severity="critical",
            summary=f"{_WHO} fails",
            description=f"{{{{ $value | humanizePercentage }}}} of the predictions of {_WHO} "
            "failed "
            f"over 5 minutes, above {at.error_rate:.3g} of them.",
            means="Callers get errors instead of predictions: the model raises, hangs, refuses its "
            "inputs or answers nonsense. Inputs that a caller got wrong before they reached the "
            "model do not count.",
            steps=(
                ("Read the errors: `watchkeeper events export MODEL --out recent.parquet "
                 "--start TIME`"
                " has one row a prediction with its `status` and `error`; the server's log has the "
                "same."),
                ("Did it begin with a promotion (`watchkeeper models show`)? Then "
                "`watchkeeper models rollback MODEL` puts the former version back at once."),
                ("Did it begin with new inputs? `watchkeeper drift --model MODEL --start TIME` "
                 "names "
                "the features that changed; tell the team that sends them."),
            ),
        ),
        AlertRule(
            name="ModelAccuracyDrop",
            expr=f"{_ACCURACY} < {at.accuracy:g}",
            hold="10m",
            severity="critical",
            summary=f"{_WHO} is often wrong",
            description=f"The accuracy of {_WHO} is {{{{ $value | humanizePercentage }}}}, below "
            f"{at.accuracy:.3g}.",
            means="Of the newest labelled predictions fewer are right than was promised. Nothing "
            "fails: callers get wrong answers with status 200.",
            steps=(
                ("`watchkeeper quality --model MODEL --start TIME` shows accuracy and AUC with the "
                "baseline, and how many of the predictions have their outcome yet."),
                ("`watchkeeper drift --model MODEL --start TIME` shows whether the inputs "
                 "moved; if "
                "not, the world changed or the outcomes did: look at a few rows of "
                "`watchkeeper events export`."),
                ("`watchkeeper models rollback MODEL` if the former version was better; retrain on "
                "recent outcomes otherwise."),
                ("If the baseline of this model never was above the limit, set "
                "`telemetry.alerts.accuracy` and export again."),
            ),
        ),
        AlertRule(
            name="HighPredictionLatency",
            expr=f"{_P95} > {at.latency_p95:g} and {_BUSY}",
            hold="5m",
            severity="warning",
            summary=f"{_WHO} is slow",
            description=f"One in twenty requests to {_WHO} takes longer than "
            f"{{{{ $value | humanizeDuration }}}}, above {at.latency_p95:g} s.",
            means="Callers wait. It is the time from a request's arrival until its answer is "
            "recorded: waiting for other rows, the model, and the journal.",
            steps=(
                ("On the model's dashboard, see whether traffic rose with it (then add "
                "`server.workers` or replicas) or the model became slow by itself."),
                ("Large requests: rows a request show in the rate of predictions against that of "
                "requests. `server.max_rows` limits them."),
                "A slow disk shows in `watchkeeper_journal_bytes` and in the log.",
            ),
        ),
        AlertRule(
            name="PredictionsStopped",
            expr="sum by (model) (rate(model_predictions_total[5m])) == 0\n"
            "and sum by (model) (rate(model_predictions_total[1h] offset 15m)) > 0.1",
            hold="10m",
            severity="warning",
            summary="{{ $labels.model }} is not called any more",
            description="{{ $labels.model }} had more than 0.1 predictions a second in the hour "
            "before, and has {{ $value }} now, for 15 minutes.",
            means="The server is up and nobody calls. Callers fail before they reach it, or were "
            "told to go elsewhere.",
            steps=(
                ("Ask the callers, and look at what stands between: balancer, DNS, keys "
                "(`server.api_keys`)."),
                "`GET /v2/health/ready` of each replica says whether it takes traffic and why not.",
            ),
        ),
        AlertRule(
            name="TrafficSpike",
            expr=f"{_RATE} > {at.traffic:g}",
            hold="2m",
            severity="warning",
            summary=f"{_WHO} gets far more traffic than usual",
            description=f"{_WHO} answers {{{{ $value | humanize }}}} predictions a second, above "
            f"{at.traffic:g}.",
            means="More is asked than was planned for: a launch, a backfill, a caller that retries "
            "in a loop.",
            steps=(
                ("Group recent predictions by `unit_id` (`watchkeeper events export`): one "
                 "caller or "
                "all of them?"),
                "See that latency and refused requests stay low; add replicas or `server.workers`.",
                "If this is the new normal, raise `telemetry.alerts.traffic` and export again.",
            ),
        ),
        AlertRule(
            name="ModelAccuracyStale",
            expr=f"time() - max {_BY} (model_accuracy_timestamp_seconds) > 86400\n"
            f"and {_ON} {_RATE} > 0",
            hold="10m",
            severity="warning",
            summary=f"Nobody knows how good {_WHO} is now",
            description=f"The accuracy of {_WHO} was last measured "
            "{{ $value | humanizeDuration }} ago, more than a day, and it goes on predicting.",
            means="Outcomes stopped coming, or cannot be measured. The accuracy that dashboards "
            "show is old.",
            steps=(
                ("`watchkeeper events stats` shows how many outcomes are recorded; ask whoever "
                 "posts "
                "them to `/v1/models/MODEL/outcomes`."),
                ("If they come: `watchkeeper_job_failures_total` for the tasks `landing` and "
                "`accuracy`, and the server's log."),
            ),
        ),
        AlertRule(
            name="ModelAccuracyUnknown",
            expr=f"sum {_BY} (increase(model_predictions_total[1d])) > 0\nunless {_ON} {_ACCURACY}",
            hold="1d",
            severity="warning",
            summary=f"Nobody knows how good {_WHO} is",
            description=f"{_WHO} made {{{{ $value | humanize }}}} predictions in a day and its "
            "accuracy was never known.",
            means="No outcomes arrive for it, or fewer than `models.NAME.quality.min_samples`.",
            steps=(
                ("Post outcomes to `/v1/models/MODEL/outcomes` with the `prediction_id` that the "
                "answer carried."),
                "If the ids do not match, coverage in `watchkeeper quality --model MODEL` is 0.",
                "A model whose truth is never known: silence this alert for it in Alertmanager.",
            ),
        ),
        AlertRule(
            name="ModelDriftDetected",
            expr=f"{_DRIFT} == 1",
            hold="1h",
            severity="warning",
            summary="The inputs of {{ $labels.model }} have changed",
            description="The inputs of {{ $labels.model }} over the last window differ from "
            "what it "
            "learned on (verdict {{ $value }}, expected 0).",
            means="At least one feature moved by more than chance and more than the smallest "
            "effect "
            "that matters. Quality may suffer, and outcomes will tell only later.",
            steps=(
                ("`watchkeeper drift --model MODEL --start TIME` lists the features, the strongest "
                "first."),
                "One feature alone is often a broken pipeline: a unit, a default, a missing join.",
                "Many at once are the world: compare quality, and retrain when it falls.",
            ),
        ),
        AlertRule(
            name="RolloutRolledBack",
            expr="sum by (model) (increase(model_rollout_rollbacks_total[30m])) > 0",
            hold="0s",
            severity="warning",
            summary="A rollout of {{ $labels.model }} was taken back",
            description="{{ $value | humanize }} rollouts of {{ $labels.model }} were taken back "
            "in 30 minutes; expected 0.",
            means="A new version broke a limit, was worse than production, or its deadline passed. "
            "Production answers everything again.",
            steps=(
                ("`watchkeeper rollouts list --model MODEL` names it, `watchkeeper rollouts "
                "history NAME` gives the reason and its figures."),
                "Mend the version and roll it out under another name: evidence is not inherited.",
            ),
        ),
        AlertRule(
            name="RetrainingFailed",
            expr='sum by (model) (increase(model_retraining_runs_total{outcome="failed"}[1h])) > 0',
            hold="0s",
            severity="warning",
            summary="A retraining of {{ $labels.model }} failed",
            description="{{ $value | humanize }} retrainings of {{ $labels.model }} failed in an "
            "hour; expected 0.",
            means="No candidate came of it. Production is as it was, and what asked for the "
            "training, a drop of quality say, is as it was too.",
            steps=(
                ("`watchkeeper retrain runs --model MODEL` names it, `watchkeeper retrain show "
                "RUN` gives the reason, `watchkeeper retrain log RUN` what the trainer printed."),
                "Data: the reason names the column. Time, memory: raise the limit of its policy.",
                "`watchkeeper retrain MODEL` trains it again.",
            ),
        ),
    ]  # fmt: skip


def _system_alerts() -> list[AlertRule]:
    return [
        AlertRule(
            name="WatchkeeperDown",
            group=SYSTEM_GROUP,
            expr='up{job="watchkeeper"} == 0 or absent(up{job="watchkeeper"})',
            hold="2m",
            severity="critical",
            summary="Watchkeeper {{ $labels.instance }} does not answer Prometheus",
            description="{{ $labels.instance }} has not answered a scrape for 2 minutes "
            "(up is {{ $value }}, expected 1).",
            means="The process is gone, the network is cut, or its key is wrong. If it is "
            "gone, its "
            "callers get nothing.",
            steps=(
                "`GET /v2/health/live` from the machine itself, then from Prometheus' machine.",
                (
                    "The end of its log says why it ended; what it had acknowledged is in the "
                    "journal "
                    "and lands when a server starts on the same data directory."
                ),
                "`watchkeeper doctor` checks settings, disk, registry and tables.",
            ),
        ),
        AlertRule(
            name="PredictionsNotRecorded",
            group=SYSTEM_GROUP,
            expr="sum by (service) (increase(watchkeeper_events_dropped_total[5m])) > 0",
            hold="0m",
            severity="critical",
            summary="Predictions are answered and not recorded",
            description="{{ $value | humanize }} predictions of the last 5 minutes are on no disk; "
            "expected 0.",
            means="The disk or the journal's budget is used up and `store.when_full` is `answer`. "
            "What is not recorded is lost to drift, quality and every later question.",
            steps=(
                "Free disk space, or raise `store.journal_max_bytes`; recording resumes by itself.",
                "`watchkeeper events compact` drops what retention allows.",
            ),
        ),
        AlertRule(
            name="PredictionLogNotAdvancing",
            group=SYSTEM_GROUP,
            expr="max by (service) (watchkeeper_oldest_segment_age_seconds) > 900",
            hold="5m",
            severity="critical",
            summary="The prediction log does not advance",
            description="Events have waited {{ $value | humanizeDuration }} to land in tables, "
            "more "
            "than 15 minutes.",
            means="Nothing is lost: events are in the journal, and are read from there. But it "
            "grows, and when it is full predictions are refused.",
            steps=(
                (
                    "The server's log says `cannot land events of …` with the reason; "
                    "`watchkeeper doctor` repeats it."
                ),
                "A damaged table: restore it, or move it aside; its segments wait.",
            ),
        ),
        AlertRule(
            name="RequestsRefused",
            group=SYSTEM_GROUP,
            expr="sum by (service) (rate(watchkeeper_requests_refused_total[5m])) > 0.1",
            hold="5m",
            severity="warning",
            summary="Requests are refused",
            description="{{ $value | humanize }} requests a second are answered 503, above 0.1.",
            means="Too many at once, a version that cannot be loaded, or no room to record.",
            steps=(
                "`GET /v2/health/ready` gives the reasons.",
                (
                    "Overload: `watchkeeper_requests_in_flight` is near "
                    "`server.max_in_flight`; add "
                    "workers or replicas."
                ),
            ),
        ),
        AlertRule(
            name="WatchkeeperJobFailing",
            group=SYSTEM_GROUP,
            expr="sum by (service, task) (increase(watchkeeper_job_failures_total[15m])) > 0",
            hold="15m",
            severity="warning",
            summary="The background job {{ $labels.task }} fails",
            description="{{ $labels.task }} failed {{ $value | humanize }} times in 15 minutes; "
            "expected 0.",
            means="`registry`: promotions are not followed. `landing`: events wait in the journal. "
            "`accuracy`, `drift`: these figures are old. `rollouts`: nothing is decided, and "
            "shares expire. `retraining`: nothing is trained. `compaction`: "
            "tables grow, and nothing too old is dropped.",
            steps=("The server's log has the error of each run.", "`watchkeeper doctor`."),
        ),
        AlertRule(
            name="Watchdog",
            group=SYSTEM_GROUP,
            expr="vector(1)",
            hold="0m",
            severity="none",
            summary="Alerting works",
            description="This alert always fires (value {{ $value }}).",
            means="Nothing is wrong. When it stops arriving, Prometheus, Alertmanager or the way "
            "between them is broken, and no other alert would reach anybody.",
            steps=("Nothing to do. If it is missing: check Prometheus and Alertmanager.",),
        ),
    ]


def rule_groups(thresholds: Thresholds, runbook_url: str) -> dict[str, Any]:
    """Return a rule file: the recordings, then the alerts by group.

    Parameters
    ----------
    thresholds : Thresholds
    runbook_url : str
        Page whose anchors are the alerts' names in lower case.
    """
    found = alerts(thresholds)
    groups: list[dict[str, Any]] = [
        {
            "name": "ml_model_rates",
            "interval": "30s",
            "rules": [
                {"record": each.record, "expr": each.expr} for each in recordings(thresholds)
            ],
        }
    ]
    for group in dict.fromkeys(each.group for each in found):
        rules = [_rule(each, runbook_url) for each in found if each.group == group]
        groups.append({"name": group, "interval": "30s", "rules": rules})
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
