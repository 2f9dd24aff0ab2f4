"""Experiments: the list, and the page of one experiment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

from watchkeeper.app import App
from watchkeeper.charts import (
    Chart,
    Interval,
    IntervalChart,
    LineChart,
    Mark,
    ProgressBar,
    Reference,
    Series,
    Tone,
)
from watchkeeper.dashboard.changes import changes_of
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.experiments import Experiment, ExperimentState, Metric
from watchkeeper.experiments.analysis import Comparison, DifferencePoint, GuardrailResult
from watchkeeper.experiments.report import ExperimentReport
from watchkeeper.monitoring.report_cache import Asked, Known

__all__ = ["one", "page"]

_MOST = 50
_MOMENTS = 120
_ORDER = (ExperimentState.RUNNING, ExperimentState.DRAFT, ExperimentState.STOPPED)
_TONES: Mapping[str, Tone] = {"acceptable": "good", "harmful": "bad"}


@dataclass(frozen=True, slots=True)
class _ListedExperiment:
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
    """Return the list of experiments, running ones first.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page
    """
    model, state = ask.query.get("model"), ask.query.get("state")
    everything = app.experiments.find()
    matching = [
        experiment
        for experiment in everything
        if model in {None, "", experiment.model} and state in {None, "", experiment.state.value}
    ]
    matching.sort(
        key=lambda experiment: _ORDER.index(experiment.state)
    )  # and the newest first, as they come
    shown = matching[:_MOST]
    queries = [
        _report_query(app, ask, experiment)
        for experiment in shown
        if experiment.state is not ExperimentState.DRAFT
    ]
    reports = dict(
        zip((query.name for query in queries), app.reports.latest_of(queries), strict=True)
    )
    return Page(
        template="experiments.html",
        title="Experiments",
        section="Experiments",
        context={
            "listed": [_listed(experiment, reports.get(experiment.name)) for experiment in shown],
            "left": len(matching) - len(shown),
            "any": bool(everything),
            "models": sorted({experiment.model for experiment in everything}),
            "states": [experiment.value for experiment in _ORDER],
        },
    )


def one(app: App, ask: Ask) -> Page:
    """Return the page of an experiment, the verdict first.

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
        If there is no experiment of this name.
    """
    experiment = app.experiments.get(ask.names["name"])
    latest: Known[ExperimentReport] | None = None
    if experiment.state is not ExperimentState.DRAFT:
        latest = app.reports.latest(_report_query(app, ask, experiment))
    report = None if latest is None else latest.report
    return Page(
        template="experiment.html",
        title=f"Experiment {experiment.name}",
        section="Experiments",
        model=experiment.model,
        charts={} if report is None else _charts(experiment, report, ask),
        context={
            "experiment": experiment,
            "known": latest,
            "report": report,
            "shares": ", ".join(
                f"{e.key} {e.weight_bp / 100:g} %" for e in experiment.allocation.arms
            ),
            "production": app.registry.get_production_model(experiment.model),
            "changes": changes_of(app.experiments.history(experiment.name)),
            **({} if report is None else _figures(experiment, report)),
        },
    )


def _figures(experiment: Experiment, report: ExperimentReport) -> dict[str, Any]:
    """Return what the tables of a report hold."""
    secondary = {metric.name: metric for metric in experiment.secondary}
    return {
        "counted": _counted(report),
        "shipped": next(
            (
                arm.model_version
                for arm in experiment.allocation.arms
                if arm.key == report.decision.arm
            ),
            None,
        ),
        "rows": [_compared(experiment.metric, e.comparison, e.standing.value) for e in report.arms],
        "guardrails": _guardrails(experiment, report),
        "secondary": [
            _compared(secondary[result.metric], result, "") for result in report.secondary
        ],
        "split": _split(experiment, report),
    }


def _report_query(app: App, ask: Ask, experiment: Experiment) -> Asked[ExperimentReport]:
    return app.experiment_reports.request(experiment, ask.now)


def _listed(experiment: Experiment, latest: Known[ExperimentReport] | None) -> _ListedExperiment:
    report = None if latest is None else latest.report
    decision = experiment.decision or ({} if report is None else report.decision.to_dict())
    return _ListedExperiment(
        experiment,
        None if report is None else sum(report.units.values()),
        decision.get("verdict", ""),
        decision.get("reason", ""),
        latest is not None and latest.making and report is None,
    )


def _counted(report: ExperimentReport) -> int:
    """Return the units whose conversion window is complete."""
    if not report.arms:
        return 0
    control = max(arm.comparison.contrast.units_control for arm in report.arms)
    return control + sum(arm.comparison.contrast.units_treatment for arm in report.arms)


def _charts(experiment: Experiment, report: ExperimentReport, ask: Ask) -> dict[str, Chart]:
    charts: dict[str, Chart] = {}
    if experiment.planned_units is not None:
        counted = _counted(report)
        charts["sample"] = ProgressBar(
            title="Units with complete conversion window, of those planned",
            label=f"{counted:,} of {experiment.planned_units:,} units",
            share=counted / experiment.planned_units,
        )
    return {**charts, **_over_time(experiment, report, ask), **_guarded(experiment, report)}


def _over_time(experiment: Experiment, report: ExperimentReport, ask: Ask) -> dict[str, Chart]:
    """Return the difference of each treatment with its interval, as it became known."""
    phases = [
        Mark(phase.started_at, f"phase {phase.number}: other weights", "experiment")
        for phase in experiment.phases[1:]
    ]
    charts: dict[str, Chart] = {}
    for arm in report.arms:
        moments = _thinned(arm.moments)
        if not moments:
            continue
        decided = [Mark(look.at, "decided", "experiment") for look in arm.looks if look.crossed]
        charts[f"difference-{arm.arm}"] = LineChart(
            title=f"{experiment.metric.name}: {arm.arm} minus {experiment.control}",
            unit=_unit(experiment.metric, arm.comparison),
            zone=ask.viewer.zone,
            times=[point.at for point in moments],
            end=max(report.at, moments[-1].at),
            series=[
                Series(
                    "difference",
                    [point.difference for point in moments],
                    low=[point.low for point in moments],
                    high=[point.high for point in moments],
                )
            ],
            references=[Reference("no difference", 0.0)],
            marks=[*phases, *decided],
        )
    return charts


def _thinned(moments: Sequence[DifferencePoint]) -> Sequence[DifferencePoint]:
    """Return at most as many moments as a chart can show, the last one always."""
    every = max(1, ceil(len(moments) / _MOMENTS))
    return moments[::-1][::every][::-1]


def _guarded(experiment: Experiment, report: ExperimentReport) -> dict[str, Chart]:
    """Return a chart of each guardrail: each has a unit and a margin of its own."""
    charts: dict[str, Chart] = {}
    for guardrail in experiment.guardrails:
        metric = guardrail.metric
        results = [
            result for result in report.guardrails if result.comparison.metric == metric.name
        ]
        if results:
            charts[f"guardrail-{metric.name}"] = IntervalChart(
                title=f"{metric.name}, difference from {experiment.control}",
                unit=_unit(metric, results[0].comparison),
                rows=[_interval(result) for result in results],
                margin=-guardrail.margin if metric.higher_is_better else guardrail.margin,
            )
    return charts


def _interval(result: GuardrailResult) -> Interval:
    comparison, tone = result.comparison, _TONES.get(result.safety.value, "")
    difference = comparison.contrast.difference if _both_known(comparison) else None
    return Interval(comparison.arm, difference, comparison.low, comparison.high, tone=tone)


def _guardrails(experiment: Experiment, report: ExperimentReport) -> list[tuple[_Compared, str]]:
    metrics = {guardrail.metric.name: guardrail.metric for guardrail in experiment.guardrails}
    rows = []
    for guardrail in report.guardrails:
        metric = metrics[guardrail.comparison.metric]
        row = _compared(metric, guardrail.comparison, guardrail.safety.value)
        rows.append(
            (row, _apart(guardrail.margin, _unit(metric, guardrail.comparison)).removeprefix("+"))
        )
    return rows


def _split(experiment: Experiment, report: ExperimentReport) -> list[dict[str, Any]]:
    """Return weight and exposed units of each variant."""
    ratio = report.sample_ratio
    return [
        {
            "arm": arm.key,
            "version": arm.model_version,
            "weight": arm.weight_bp / 10_000,
            "units": report.units[arm.key],
            "expected": None if ratio is None else round(ratio.expected[index]),
        }
        for index, arm in enumerate(experiment.allocation.arms)
    ]


def _compared(metric: Metric, comparison: Comparison, standing: str) -> _Compared:
    contrast, unit, measured = (
        comparison.contrast,
        _unit(metric, comparison),
        _both_known(comparison),
    )
    p = comparison.p_value if comparison.adjusted_p_value is None else comparison.adjusted_p_value
    return _Compared(
        metric=comparison.metric,
        arm=comparison.arm,
        units=f"{contrast.units_treatment:,}",
        control=_value(contrast.control, unit) if measured else "-",
        treatment=_value(contrast.treatment, unit) if measured else "-",
        difference=_apart(contrast.difference, unit) if measured else "-",
        between=_between(comparison.low, comparison.high, unit),
        relative=f"{100 * comparison.relative:+.1f} %"
        if measured and comparison.relative is not None
        else "-",
        p=f"{p:.3g}" if p >= 0.001 else "below 0.001",
        standing=standing,
    )


def _both_known(comparison: Comparison) -> bool:
    return bool(comparison.contrast.units_control and comparison.contrast.units_treatment)


def _unit(metric: Metric, comparison: Comparison) -> str:
    """Return the unit of a metric's values; ``%`` means that they are shares."""
    if comparison.contrast.shares or (metric.counts_events and metric.kind != "mean"):
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
