"""The page of a model: how it is, its time lines, what was done, and what helps."""

from collections.abc import Iterator
from typing import Any

from watchkeeper.app import App
from watchkeeper.charts import BarChart, LineChart, Reference, Series
from watchkeeper.charts import Span as Stretch
from watchkeeper.dashboard.activity import marks_of
from watchkeeper.dashboard.page import Ask, Drawn, Page
from watchkeeper.dashboard.summary import Brief, brief_of, spells
from watchkeeper.errors import NotFoundError
from watchkeeper.health import Component, Condition
from watchkeeper.rollouts.shadow import ShadowState
from watchkeeper.timelines import Band

__all__ = ["page", "story_chart"]

_NAMES = {
    "accuracy": "Accuracy",
    "auc": "AUC",
    "brier": "Brier score",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
}


def page(app: App, ask: Ask) -> Page:
    """Return the page of a model."""
    model, span = ask.names["model"], ask.span()
    registered = bool(app.registry.taken_versions(model))
    if not registered and model not in app.events.models():
        raise NotFoundError("model", model, "The overview lists those there are.")
    found = app.reports.latest(brief_of(app, model, span, ask.now, ask.viewer.zone))
    brief = found.report
    charts = {} if brief is None else dict(_charts(app, brief, ask))
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
            "brief": brief,
            "making": found.making,
            "error": found.error,
            "as_of": found.at,
            "back": back,
            "why_not": why_not,
            "components": [] if brief is None else _worst_first(brief),
            "active": [each for each in brief.deeds.incidents if each.active] if brief else [],
            "rollouts": [each for each in app.rollouts.find(model) if each.active],
            "shadows": shadows,
            "experiments": [
                each for each in app.experiments.find(model) if each.state.value == "running"
            ],
            "policy": app.settings.policy(model),
            "registered": registered,
        },
    )


def _worst_first(brief: Brief) -> list[Component]:
    order = (Condition.UNHEALTHY, Condition.UNKNOWN, Condition.HEALTHY)
    parts = brief.health.status.components.values()
    return sorted(parts, key=lambda each: order.index(each.condition))


def story_chart(brief: Brief, ask: Ask) -> LineChart | None:
    """Return how the quality of a model went, with what was done; None where nothing is known."""
    if brief.line is None:
        return None
    line = brief.line.timeline
    name = "accuracy" if line.accuracy is not None else "mae"
    band = line.accuracy or line.mae
    return None if band is None else _quality(brief, ask, name, band)


def _charts(app: App, brief: Brief, ask: Ask) -> Iterator[tuple[str, Drawn]]:
    if brief.line is None or not brief.line.timeline.starts:
        return
    line = brief.line.timeline
    health = app.settings.policy(brief.model).health
    marks = marks_of(brief.deeds.told)
    for name in _NAMES:
        band = line[name]
        if band is not None:
            yield name, _quality(brief, ask, name, band)
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
        drawn(
            "Share of answers whose outcome is known", "%", Series("labelled", list(line.coverage))
        ),
    )
    if line.predicted_share is not None and line.positive_share is not None:
        yield "shares", drawn(
            "Share of the positive class, as predicted and as it came", "%",
            _series("predicted", line.predicted_share),
            _series("came true", line.positive_share, style=1),
        )  # fmt: skip


def _quality(brief: Brief, ask: Ask, name: str, band: Band) -> LineChart:
    assert brief.line is not None
    line = brief.line.timeline
    promised = brief.promised.get(name, [])
    return LineChart(
        title=f"{_NAMES[name]} of {brief.model}",
        unit="%" if name == "accuracy" else "",
        zone=ask.viewer.zone,
        times=line.starts,
        end=line.ends[-1],
        series=[
            _series(_NAMES[name].lower() if name != "auc" else "AUC", band),
            *([Series("as registered", promised, style=1)] if any(promised) else []),
        ],
        spans=[Stretch(start, end, "ill") for start, end in spells(brief.story)],
        marks=marks_of(brief.deeds.told),
    )


def _series(label: str, band: Band, style: int = 0) -> Series:
    return Series(label, list(band.value), list(band.low), list(band.high), style)
