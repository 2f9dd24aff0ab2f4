"""The overview: condition of each model, since when, why, and what is under way."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from watchkeeper.app import App
from watchkeeper.charts import Chart, Sparkline
from watchkeeper.charts import Span as Stretch
from watchkeeper.dashboard.activity import marks_of
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.dashboard.pages.model import quality_chart
from watchkeeper.dashboard.rendering import ms, number, percent
from watchkeeper.dashboard.summary import ModelSummary, summary_of, unhealthy_spans
from watchkeeper.health import Condition
from watchkeeper.monitoring.health import served
from watchkeeper.monitoring.report_cache import Asked, Known
from watchkeeper.rollouts import Rollout

__all__ = ["page"]

_DETAILED = 3  # models whose periods are shown here; the pages of the rest show theirs
_ORDER = (Condition.UNHEALTHY, Condition.UNKNOWN, Condition.HEALTHY)


@dataclass(frozen=True, slots=True)
class Row:
    """One model, as the table of all models shows it."""

    model: str
    summary: ModelSummary | None
    error: str
    lines: dict[str, Sparkline]
    rollout: Rollout | None
    incidents: int
    unowned: int

    def newest(self, name: str) -> str:
        """Return the last figure of one of its time lines that is known.

        Parameters
        ----------
        name : str
            Of a line in `lines`.

        Returns
        -------
        str
            With its unit; empty where none is known.
        """
        line = self.lines[name]
        numbers = [value for value in line.values if value is not None and not math.isnan(value)]
        if not numbers:
            return ""
        if line.unit == "%":
            return percent(numbers[-1])
        return ms(numbers[-1]) if line.unit == "ms" else number(numbers[-1])

    @property
    def condition(self) -> Condition:
        """Condition of the model; unknown until it is computed."""
        return Condition.UNKNOWN if self.summary is None else self.summary.condition


def page(app: App, ask: Ask) -> Page:
    """Return the overview of all models.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    InvalidValueError
        If the query asks for a range that does not exist.
    """
    span = ask.span()
    latest = app.reports.latest(
        Asked("served", "", of=None, at=ask.now, make=lambda: served(app.events, app.registry))
    )
    models = latest.report or []
    summaries = app.reports.latest_of(
        [summary_of(app, name, span, ask.now, ask.viewer.zone) for name in models]
    )
    active = [incident for incident in app.incidents.find() if incident.active]
    under_way = {
        rollout.model: rollout for rollout in reversed(app.rollouts.find()) if rollout.active
    }
    rows = [
        Row(
            model=name,
            summary=summary.report,
            error=summary.error,
            lines=_lines(summary, ask),
            rollout=under_way.get(name),
            incidents=sum(incident.model == name for incident in active),
            unowned=sum(incident.model == name and not incident.owner for incident in active),
        )
        for name, summary in zip(models, summaries, strict=True)
    ]
    rows.sort(key=lambda row: (_ORDER.index(row.condition), -row.incidents, row.model))
    rows_with_story = [row for row in rows if row.summary is not None and row.summary.periods][
        :_DETAILED
    ]
    charts: dict[str, Chart] = {}
    for row in rows_with_story:
        if row.summary is not None and (chart := quality_chart(row.summary, ask)) is not None:
            charts[f"story-{row.model}"] = chart
    return Page(
        template="overview.html",
        title="Overview",
        section="Overview",
        span=span,
        charts=charts,
        context={
            "rows": rows,
            "base_url": app.settings.url,
            "detailed": rows_with_story,
            "making": latest.making
            or any(summary.making and summary.report is None for summary in summaries),
            "unhealthy": [row.model for row in rows if row.condition is Condition.UNHEALTHY],
            "as_of": min((summary.at for summary in summaries if summary.at), default=None),
            "incidents": sorted(active, key=lambda incident: incident.opened_at, reverse=True)[:5],
        },
    )


def _lines(latest: Known[ModelSummary], ask: Ask) -> dict[str, Sparkline]:
    """Return the time lines of a model as the table shows them."""
    summary = latest.report
    if summary is None or summary.line is None or not summary.line.timeline.starts:
        return {}
    line = summary.line.timeline
    zone = ask.viewer.zone
    unhealthy = [
        Stretch(start, end, "unhealthy") for start, end in unhealthy_spans(summary.periods)
    ]
    drawn: dict[str, Sparkline] = {}

    def draw(
        name: str, title: str, unit: str, values: Sequence[float], limit: float | None
    ) -> None:
        drawn[name] = Sparkline(
            title=f"{title} of {summary.model}",
            unit=unit,
            zone=zone,
            times=line.starts,
            end=line.ends[-1],
            values=values,
            limit=limit,
            spans=unhealthy if name == "quality" else (),
            marks=marks_of(
                [
                    event
                    for event in summary.activity.events
                    if event.kind in {"promotion", "rollback"}
                ]
            )
            if name == "quality"
            else (),
            zero=name != "quality",
        )

    draw("traffic", "predictions", "predictions", list(line.predictions), None)
    draw("errors", "failed", "%", list(line.error_share.value), None)
    draw("latency", "95th percentile of the latency", "ms", list(line.latency_p95), None)
    quality = line.accuracy or line.mae
    if quality is not None:
        metric = "accuracy" if line.accuracy is not None else "mae"
        unit = "%" if metric == "accuracy" else ""
        draw("quality", metric, unit, list(quality.value), summary.baseline.get(metric))
    return drawn
