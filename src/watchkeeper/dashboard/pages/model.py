"""Page of a model: state, time lines, activity and actions."""

from collections.abc import Iterator
from typing import Any

from watchkeeper.app import App
from watchkeeper.charts import BarChart, Chart, LineChart, Reference, Series
from watchkeeper.charts import Span as Stretch
from watchkeeper.dashboard.activity import marks_of
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.dashboard.summary import ModelSummary, summary_of, unhealthy_spans
from watchkeeper.errors import NotFoundError
from watchkeeper.health import Component, Condition
from watchkeeper.rollouts.shadow import ShadowState
from watchkeeper.timelines import Band

__all__ = ["page", "quality_chart"]

_NAMES = {
    "accuracy": "Accuracy",
    "auc": "AUC",
    "brier": "Brier score",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
}


def page(app: App, ask: Ask) -> Page:
    """Return the page of a model.

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
        If the model is neither registered nor has events.
    InvalidValueError
        If the query asks for a range that does not exist.
    """
    model, span = ask.names["model"], ask.span()
    registered = bool(app.registry.taken_versions(model))
    if not registered and model not in app.events.models():
        raise NotFoundError("model", model, "The overview lists those there are.")
    latest = app.reports.latest(summary_of(app, model, span, ask.now, ask.viewer.zone))
    summary = latest.report
    charts = {} if summary is None else dict(_charts(app, summary, ask))
    back, why_not = None, ""
    try:
        back = app.registry.earlier(model).version
    except NotFoundError as error:
        why_not = error.message
    shadows = app.shadows.find(model, ShadowState.RUNNING)
    return Page(
        template="model.html",
        title=model,
        section="Overview",
        model=model,
        span=span,
        charts=charts,
        context={
            "summary": summary,
            "making": latest.making,
            "error": latest.error,
            "as_of": latest.at,
            "back": back,
            "why_not": why_not,
            "components": [] if summary is None else _worst_first(summary),
            "active": [incident for incident in summary.activity.incidents if incident.active]
            if summary
            else [],
            "rollouts": [rollout for rollout in app.rollouts.find(model) if rollout.active],
            "shadows": shadows,
            "experiments": [
                experiment
                for experiment in app.experiments.find(model)
                if experiment.state.value == "running"
            ],
            "policy": app.settings.policy(model),
            "registered": registered,
        },
    )


def _worst_first(summary: ModelSummary) -> list[Component]:
    order = (Condition.UNHEALTHY, Condition.UNKNOWN, Condition.HEALTHY)
    parts = summary.health.status.components.values()
    return sorted(parts, key=lambda part: order.index(part.condition))


def quality_chart(summary: ModelSummary, ask: Ask) -> LineChart | None:
    """Return how the quality of a model went, with what was done; None where nothing is known.

    Parameters
    ----------
    summary : ModelSummary
    ask : Ask

    Returns
    -------
    LineChart or None
    """
    if summary.line is None:
        return None
    line = summary.line.timeline
    name = "accuracy" if line.accuracy is not None else "mae"
    band = line.accuracy or line.mae
    return None if band is None else _quality(summary, ask, name, band)


def _charts(app: App, summary: ModelSummary, ask: Ask) -> Iterator[tuple[str, Chart]]:
    if summary.line is None or not summary.line.timeline.starts:
        return
    line = summary.line.timeline
    health = app.settings.policy(summary.model).health
    marks = marks_of(summary.activity.events)
    for name in _NAMES:
        band = line[name]
        if band is not None:
            yield name, _quality(summary, ask, name, band)
    yield (
        "traffic",
        BarChart(
            title="Predictions",
            zone=ask.viewer.zone,
            times=line.starts,
            end=line.ends[-1],
            values=list(line.answered),
            failed=list(line.failed),
            marks=marks,
        ),
    )

    def drawn(title: str, unit: str, *series: Series, **more: Any) -> LineChart:
        return LineChart(
            title=title, unit=unit, zone=ask.viewer.zone, times=line.starts, end=line.ends[-1],
            series=series, zero=True, **more,
        )  # fmt: skip

    yield "errors", drawn(
        "Share of predictions that failed", "%", _series("failed", line.error_share),
        references=[Reference("limit", health.error_rate)], marks=marks,
    )  # fmt: skip
    yield "latency", drawn(
        "Latency", "ms",
        Series("p50", list(line.latency_p50), style=0),
        Series("p95", list(line.latency_p95), style=1),
        Series("p99", list(line.latency_p99), style=2),
        marks=marks,
    )  # fmt: skip
    yield (
        "coverage",
        drawn("Label coverage", "%", Series("labelled", list(line.coverage))),
    )
    if line.predicted_share is not None and line.positive_share is not None:
        yield "shares", drawn(
            "Share of the positive class, predicted and actual", "%",
            _series("predicted", line.predicted_share),
            _series("actual", line.positive_share, style=1),
        )  # fmt: skip


def _quality(summary: ModelSummary, ask: Ask, name: str, band: Band) -> LineChart:
    assert summary.line is not None
    line = summary.line.timeline
    registered = summary.registered_metrics.get(name, [])
    return LineChart(
        title=f"{_NAMES[name]} of {summary.model}",
        unit="%" if name == "accuracy" else "",
        zone=ask.viewer.zone,
        times=line.starts,
        end=line.ends[-1],
        series=[
            _series(_NAMES[name].lower() if name != "auc" else "AUC", band),
            *([Series("as registered", registered, style=1)] if any(registered) else []),
        ],
        spans=[Stretch(start, end, "unhealthy") for start, end in unhealthy_spans(summary.periods)],
        marks=marks_of(summary.activity.events),
    )


def _series(label: str, band: Band, style: int = 0) -> Series:
    return Series(label, list(band.value), list(band.low), list(band.high), style)
