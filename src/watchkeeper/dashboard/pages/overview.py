"""The overview: which model is ill, since when, why, and what is being done about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from watchkeeper.app import App
from watchkeeper.charts import Span as Stretch
from watchkeeper.charts import Sparkline
from watchkeeper.dashboard.activity import marks_of
from watchkeeper.dashboard.page import Ask, Drawn, Page
from watchkeeper.dashboard.pages.model import story_chart
from watchkeeper.dashboard.rendering import ms, number, percent
from watchkeeper.dashboard.summary import Brief, brief_of, spells
from watchkeeper.health import Condition
from watchkeeper.monitoring.health import served
from watchkeeper.monitoring.report_cache import Asked, Known
from watchkeeper.rollouts import Rollout

__all__ = ["page"]

_TOLD = 3  # models whose story is told here; of the others their pages tell it
_ORDER = (Condition.UNHEALTHY, Condition.UNKNOWN, Condition.HEALTHY)


@dataclass(frozen=True, slots=True)
class Row:
    """One model, as the table of all models shows it."""

    model: str
    brief: Brief | None
    error: str
    lines: dict[str, Sparkline]
    rollout: Rollout | None
    incidents: int
    unowned: int

    def newest(self, name: str) -> str:
        """Return the last figure of one of its time lines that is known."""
        line = self.lines[name]
        known = [each for each in line.values if each is not None and not math.isnan(each)]
        if not known:
            return ""
        if line.unit == "%":
            return percent(known[-1])
        return ms(known[-1]) if line.unit == "ms" else number(known[-1])

    @property
    def condition(self) -> Condition:
        """How it is; unknown while that is being found out."""
        return Condition.UNKNOWN if self.brief is None else self.brief.condition


def page(app: App, ask: Ask) -> Page:
    """Return the overview of all models."""
    span = ask.span()
    known = app.reports.latest(
        Asked("served", "", of=None, at=ask.now, make=lambda: served(app.events, app.registry))
    )
    models = known.report or []
    briefs = app.reports.latest_of(
        [brief_of(app, each, span, ask.now, ask.viewer.zone) for each in models]
    )
    active = [each for each in app.incidents.find() if each.active]
    under_way = {each.model: each for each in reversed(app.rollouts.find()) if each.active}
    rows = [
        Row(
            model=name,
            brief=found.report,
            error=found.error,
            lines=_lines(found, ask),
            rollout=under_way.get(name),
            incidents=sum(each.model == name for each in active),
            unowned=sum(each.model == name and not each.owner for each in active),
        )
        for name, found in zip(models, briefs, strict=True)
    ]
    rows.sort(key=lambda each: (_ORDER.index(each.condition), -each.incidents, each.model))
    told = [each for each in rows if each.brief is not None and each.brief.story][:_TOLD]
    charts: dict[str, Drawn] = {}
    for row in told:
        if row.brief is not None and (chart := story_chart(row.brief, ask)) is not None:
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
            "told": told,
            "making": known.making or any(each.making and each.report is None for each in briefs),
            "ill": [each.model for each in rows if each.condition is Condition.UNHEALTHY],
            "as_of": min((each.at for each in briefs if each.at), default=None),
            "incidents": sorted(active, key=lambda each: each.opened_at, reverse=True)[:5],
        },
    )


def _lines(found: Known[Brief], ask: Ask) -> dict[str, Sparkline]:
    """Return the time lines of a model as the table shows them."""
    brief = found.report
    if brief is None or brief.line is None or not brief.line.timeline.starts:
        return {}
    line = brief.line.timeline
    zone = ask.viewer.zone
    ill = [Stretch(start, end, "ill") for start, end in spells(brief.story)]
    drawn: dict[str, Sparkline] = {}

    def draw(
        name: str, title: str, unit: str, values: Sequence[float], limit: float | None
    ) -> None:
        drawn[name] = Sparkline(
            title=f"{title} of {brief.model}",
            unit=unit,
            zone=zone,
            times=line.starts,
            end=line.ends[-1],
            values=values,
            limit=limit,
            spans=ill if name == "quality" else (),
            marks=marks_of(
                [each for each in brief.deeds.told if each.kind in {"promotion", "rollback"}]
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
        draw("quality", metric, unit, list(quality.value), brief.baseline.get(metric))
    return drawn
