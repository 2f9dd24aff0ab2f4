"""Experiments: which there are, and what one of them says so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

from watchkeeper.app import App
from watchkeeper.charts import (
    Interval,
    IntervalChart,
    LineChart,
    Mark,
    Progress,
    Reference,
    Series,
    Tone,
)
from watchkeeper.dashboard.changes import changes_of
from watchkeeper.dashboard.page import Ask, Drawn, Page
from watchkeeper.experiments import Experiment, Metric, State
from watchkeeper.experiments.analysis import Comparison, GuardrailResult, Moment
from watchkeeper.experiments.report import ExperimentReport
from watchkeeper.monitoring.report_cache import Asked, Known

__all__ = ["one", "page"]

_MOST = 50
_MOMENTS = 120
_ORDER = (State.RUNNING, State.DRAFT, State.STOPPED)
_TONES: Mapping[str, Tone] = {"acceptable": "good", "harmful": "bad"}


@dataclass(frozen=True, slots=True)
class _Listed:
    """An experiment in the list."""

    experiment: Experiment
    units: int | None
    verdict: str
    reason: str
    making: bool


@dataclass(frozen=True, slots=True)
class _Compared:
    """A row of a table of comparisons, its figures as text."""

    metric: str
    arm: str
    units: str
    control: str
    treatment: str
    difference: str
    between: str
    relative: str
    p: str
    standing: str


def page(app: App, ask: Ask) -> Page:
    """Return the list of experiments, those that run first."""
    model, state = ask.query.get("model"), ask.query.get("state")
    everything = app.experiments.find()
    found = [
        each
        for each in everything
        if model in {None, "", each.model} and state in {None, "", each.state.value}
    ]
    found.sort(key=lambda each: _ORDER.index(each.state))  # and the newest first, as they come
    shown = found[:_MOST]
    asked = [_asked(app, ask, each) for each in shown if each.state is not State.DRAFT]
    known = dict(zip((each.name for each in asked), app.reports.latest_of(asked), strict=True))
    return Page(
        template="experiments.html",
        title="Experiments",
        section="Experiments",
        context={
            "listed": [_listed(each, known.get(each.name)) for each in shown],
            "left": len(found) - len(shown),
            "any": bool(everything),
            "models": sorted({each.model for each in everything}),
            "states": [each.value for each in _ORDER],
        },
    )


def one(app: App, ask: Ask) -> Page:
    """Return what an experiment says so far, the verdict first."""
    own = app.experiments.get(ask.names["name"])
    known: Known[ExperimentReport] | None = None
    if own.state is not State.DRAFT:
        known = app.reports.latest(_asked(app, ask, own))
    report = None if known is None else known.report
    return Page(
        template="experiment.html",
        title=f"Experiment {own.name}",
        section="Experiments",
        model=own.model,
        charts={} if report is None else _charts(own, report, ask),
        context={
            "own": own,
            "known": known,
            "report": report,
            "shares": ", ".join(f"{e.key} {e.weight_bp / 100:g} %" for e in own.allocation.arms),
            "production": app.registry.get_production_model(own.model),
            "changes": changes_of(app.experiments.history(own.name)),
            **({} if report is None else _figures(own, report)),
        },
    )


def _figures(own: Experiment, report: ExperimentReport) -> dict[str, Any]:
    """Return what the tables of a report hold."""
    secondary = {each.name: each for each in own.secondary}
    return {
        "counted": _counted(report),
        "shipped": next(
            (arm.model_version for arm in own.allocation.arms if arm.key == report.decision.arm),
            None,
        ),
        "rows": [_compared(own.metric, e.comparison, e.standing.value) for e in report.arms],
        "guardrails": _guardrails(own, report),
        "secondary": [_compared(secondary[each.metric], each, "") for each in report.secondary],
        "split": _split(own, report),
    }


def _asked(app: App, ask: Ask, own: Experiment) -> Asked[ExperimentReport]:
    return app.experiment_reports.request(own, ask.now)


def _listed(own: Experiment, known: Known[ExperimentReport] | None) -> _Listed:
    report = None if known is None else known.report
    kept = own.decision or ({} if report is None else report.decision.to_dict())
    return _Listed(
        own,
        None if report is None else sum(report.units.values()),
        kept.get("verdict", ""),
        kept.get("reason", ""),
        known is not None and known.making and report is None,
    )


def _counted(report: ExperimentReport) -> int:
    """Return the units that have been watched for long enough to count."""
    if not report.arms:
        return 0
    control = max(each.comparison.contrast.units_control for each in report.arms)
    return control + sum(each.comparison.contrast.units_treatment for each in report.arms)


def _charts(own: Experiment, report: ExperimentReport, ask: Ask) -> dict[str, Drawn]:
    charts: dict[str, Drawn] = {}
    if own.planned_units is not None:
        counted = _counted(report)
        charts["sample"] = Progress(
            title="Units that count, of those planned",
            label=f"{counted:,} of {own.planned_units:,} units",
            share=counted / own.planned_units,
        )
    return {**charts, **_over_time(own, report, ask), **_guarded(own, report)}


def _over_time(own: Experiment, report: ExperimentReport, ask: Ask) -> dict[str, Drawn]:
    """Return the difference of each treatment with its interval, as it became known."""
    phases = [
        Mark(each.started_at, f"phase {each.number}: other weights", "experiment")
        for each in own.phases[1:]
    ]
    charts: dict[str, Drawn] = {}
    for arm in report.arms:
        moments = _thinned(arm.moments)
        if not moments:
            continue
        decided = [Mark(each.at, "decided", "experiment") for each in arm.looks if each.crossed]
        charts[f"difference-{arm.arm}"] = LineChart(
            title=f"{own.metric.name}: {arm.arm} minus {own.control}",
            unit=_unit(own.metric, arm.comparison),
            zone=ask.viewer.zone,
            times=[each.at for each in moments],
            end=max(report.at, moments[-1].at),
            series=[
                Series(
                    "difference",
                    [each.difference for each in moments],
                    low=[each.low for each in moments],
                    high=[each.high for each in moments],
                )
            ],
            references=[Reference("no difference", 0.0)],
            marks=[*phases, *decided],
        )
    return charts


def _thinned(moments: Sequence[Moment]) -> Sequence[Moment]:
    """Return so many of them as a chart can tell apart, the last one always."""
    every = max(1, ceil(len(moments) / _MOMENTS))
    return moments[::-1][::every][::-1]


def _guarded(own: Experiment, report: ExperimentReport) -> dict[str, Drawn]:
    """Return a chart of each guardrail: each has a unit and a margin of its own."""
    charts: dict[str, Drawn] = {}
    for guardrail in own.guardrails:
        metric = guardrail.metric
        results = [each for each in report.guardrails if each.comparison.metric == metric.name]
        if results:
            charts[f"guardrail-{metric.name}"] = IntervalChart(
                title=f"{metric.name}, difference from {own.control}",
                unit=_unit(metric, results[0].comparison),
                rows=[_interval(each) for each in results],
                margin=-guardrail.margin if metric.higher_is_better else guardrail.margin,
            )
    return charts


def _interval(result: GuardrailResult) -> Interval:
    own, tone = result.comparison, _TONES.get(result.safety.value, "")
    difference = own.contrast.difference if _both_known(own) else None
    return Interval(own.arm, difference, own.low, own.high, tone=tone)


def _guardrails(own: Experiment, report: ExperimentReport) -> list[tuple[_Compared, str]]:
    metrics = {each.metric.name: each.metric for each in own.guardrails}
    found = []
    for each in report.guardrails:
        metric = metrics[each.comparison.metric]
        row = _compared(metric, each.comparison, each.safety.value)
        found.append((row, _apart(each.margin, _unit(metric, each.comparison)).removeprefix("+")))
    return found


def _split(own: Experiment, report: ExperimentReport) -> list[dict[str, Any]]:
    """Return what each arm was given, and what it has."""
    ratio = report.sample_ratio
    return [
        {
            "arm": arm.key,
            "version": arm.model_version,
            "weight": arm.weight_bp / 10_000,
            "units": report.units[arm.key],
            "expected": None if ratio is None else round(ratio.expected[place]),
        }
        for place, arm in enumerate(own.allocation.arms)
    ]


def _compared(metric: Metric, own: Comparison, standing: str) -> _Compared:
    found, unit, known = own.contrast, _unit(metric, own), _both_known(own)
    p = own.p_value if own.adjusted_p_value is None else own.adjusted_p_value
    return _Compared(
        metric=own.metric,
        arm=own.arm,
        units=f"{found.units_treatment:,}",
        control=_value(found.control, unit) if known else "-",
        treatment=_value(found.treatment, unit) if known else "-",
        difference=_apart(found.difference, unit) if known else "-",
        between=_between(own.low, own.high, unit),
        relative=f"{100 * own.relative:+.1f} %" if known and own.relative is not None else "-",
        p=f"{p:.3g}" if p >= 0.001 else "below 0.001",
        standing=standing,
    )


def _both_known(own: Comparison) -> bool:
    return bool(own.contrast.units_control and own.contrast.units_treatment)


def _unit(metric: Metric, own: Comparison) -> str:
    """Return the unit of a metric's values; ``%`` means that they are shares."""
    if own.contrast.shares or (metric.counts_events and metric.kind != "mean"):
        return "%"
    return "ms" if metric.source == "latency_ms" else ""


def _value(value: float, unit: str) -> str:
    return f"{100 * value:.2f} %" if unit == "%" else f"{value:,.4g} {unit}".rstrip()


def _apart(value: float, unit: str) -> str:
    """Return a difference; of shares in percentage points."""
    return f"{100 * value:+.2f} points" if unit == "%" else f"{value:+,.4g} {unit}".rstrip()


def _between(low: float, high: float, unit: str) -> str:
    if not (isfinite(low) and isfinite(high)):
        return "not bounded yet"
    return f"{_apart(low, unit).removesuffix(' points')} to {_apart(high, unit)}"
