"""Summary of a model: its condition, its periods and its activity."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache

import numpy as np

from watchkeeper.app import App
from watchkeeper.dashboard.activity import Activity, Promotion, activity_of
from watchkeeper.dashboard.periods import (
    DriftedFeatures,
    Period,
    PeriodLimits,
    UnhealthyPeriod,
    periods_of,
    unhealthy_periods,
)
from watchkeeper.dashboard.time_range import TimeRange
from watchkeeper.drift.checks import DRIFTED, Checks
from watchkeeper.errors import NotFoundError
from watchkeeper.health import Condition
from watchkeeper.monitoring.health import ModelHealth
from watchkeeper.monitoring.measurements import baseline_of
from watchkeeper.monitoring.report_cache import Asked
from watchkeeper.monitoring.timelines import ModelTimeline
from watchkeeper.timelines import Timeline

__all__ = ["ModelSummary", "PromotionEffect", "VersionFigures", "summary_of", "unhealthy_spans"]

_POINTS = 100  # of a time line as a page draws it
_PERIODS = 14  # of a summary: a year in months
_FRESH = timedelta(seconds=60)  # beyond, a time line is brought up to date first
_COMPARED = timedelta(days=90)  # before and after a promotion, at most
_Registered = Callable[[str | None], Mapping[str, float]]
_FIGURES = ("accuracy", "auc", "brier", "mae", "rmse")


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """Figures of a version over some time.

    Attributes
    ----------
    version : str
    start, end : datetime
    predictions, labelled : int
    figures : dict of str to (float, float, float)
        Value and interval, by name.
    """

    version: str
    start: datetime
    end: datetime
    predictions: int
    labelled: int
    figures: dict[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class PromotionEffect:
    """Figures of a model before and after a promotion.

    Attributes
    ----------
    promotion : Promotion
    before, after : VersionFigures
        Of the former version until then and of the new one since: other data, so that the season
        may be the reason as well.
    rows : int
        Later rows that both were judged by before; 0 where no retraining led to it.
    gate : dict of str to (float, float)
        Figures of the former and of the new version on these same rows, by name.
    """

    promotion: Promotion
    before: VersionFigures
    after: VersionFigures
    rows: int
    gate: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """Summary of a model.

    Attributes
    ----------
    model : str
    production : str or None
        The version in production; None of a model that is served elsewhere.
    since : datetime or None
    health : ModelHealth
    line : ModelTimeline or None
        None where nothing is recorded.
    baseline : mapping of str to float
        Of the version in production.
    registered_metrics : mapping of str to list of (float or None)
        What the version in production was registered with, by metric and point of the time line.
    periods : tuple of Period
    unhealthy_periods : tuple of UnhealthyPeriod
    activity : Activity
    promotion_effects : tuple of PromotionEffect
        The newest promotion first.
    """

    model: str
    production: str | None
    since: datetime | None
    health: ModelHealth
    line: ModelTimeline | None
    baseline: Mapping[str, float]
    registered_metrics: Mapping[str, list[float | None]]
    periods: tuple[Period, ...]
    unhealthy_periods: tuple[UnhealthyPeriod, ...]
    activity: Activity
    promotion_effects: tuple[PromotionEffect, ...]

    @property
    def unhealthy_period(self) -> UnhealthyPeriod | None:
        """The unhealthy period that has not ended, if there is one."""
        return next((period for period in self.unhealthy_periods if period.ongoing), None)

    @property
    def condition(self) -> Condition:
        """Condition of the model: unhealthy as well while an unhealthy period has not ended."""
        if self.unhealthy_period is not None:
            return Condition.UNHEALTHY
        return self.health.status.condition

    @property
    def highlights(self) -> list[tuple[str, UnhealthyPeriod | PromotionEffect]]:
        """Unhealthy periods and promotions by time, the oldest first."""
        items: list[tuple[datetime, str, UnhealthyPeriod | PromotionEffect]] = [
            *((period.first.end, "unhealthy", period) for period in self.unhealthy_periods),
            *((effect.promotion.at, "promotion", effect) for effect in self.promotion_effects),
        ]
        return [(kind, item) for _, kind, item in sorted(items, key=lambda entry: entry[0])]


def summary_of(
    app: App, model: str, span: TimeRange, at: datetime, zone: tzinfo
) -> Asked[ModelSummary]:
    """Return the query for the summary of a model over a span, with times in a zone.

    Parameters
    ----------
    app : App
    model : str
    span : TimeRange
    at : datetime
        When it is asked.
    zone : tzinfo
        Time zone of the labels.

    Returns
    -------
    Asked[ModelSummary]
    """
    key = f"{model} {span.query} {zone}"
    return Asked("summary", key, of=None, at=at, make=lambda: _summary(app, model, span, at, zone))


def _terms(app: App, model: str) -> PeriodLimits:
    """Return what makes a period of a model unhealthy, by its policy."""
    policy = app.settings.policy(model)
    return PeriodLimits(
        allowed=policy.quality.max_relative_drop,
        min_samples=policy.quality.min_samples,
        error_rate=policy.health.error_rate,
    )


def _summary(app: App, model: str, span: TimeRange, at: datetime, zone: tzinfo) -> ModelSummary:
    health = app.health(model, at)
    activity = activity_of(app, model)
    registered = cache(lambda version: baseline_of(app.registry, model, version))
    production = app.registry.get_production_model(model)
    version = None if production is None else app.registry.get(production)
    line: ModelTimeline | None = None
    periods: tuple[Period, ...] = ()
    with suppress(NotFoundError):  # nothing is recorded of it
        line = app.timelines.timeline(model, span.start, span.end, points=_POINTS, fresh=_FRESH)
        periods = _periods(app, model, span, activity, zone, registered)
    return ModelSummary(
        model=model,
        production=None if version is None else version.version,
        since=None if version is None else version.promoted_at,
        health=health,
        line=line,
        baseline={} if version is None else version.metrics,
        registered_metrics={}
        if line is None
        else _registered_metrics(line.timeline, activity, registered),
        periods=periods,
        unhealthy_periods=unhealthy_periods(periods),
        activity=activity,
        promotion_effects=tuple(_promotion_effects(app, model, activity, span.end)),
    )


def _periods(
    app: App, model: str, span: TimeRange, activity: Activity, zone: tzinfo, registered: _Registered
) -> tuple[Period, ...]:
    timeline = app.timelines.timeline(model, span.start, span.end, points=_PERIODS)
    checks = app.drift_history.checks(model).within(span.start, span.end)
    periods = periods_of(
        timeline.timeline,
        activity.in_production,
        registered,
        zone=zone,
        terms=_terms(app, model),
        drifted=list(_drifted(checks)),
        events=[event for event in activity.events if span.start is None or event.at >= span.start],
    )
    filled = [index for index, period in enumerate(periods) if period.predictions]
    return periods[filled[0] :] if filled else ()  # from the first period that has predictions


def _registered_metrics(
    line: Timeline, activity: Activity, registered: _Registered
) -> dict[str, list[float | None]]:
    versions = [activity.in_production(start) for start in line.starts]
    return {name: [registered(version).get(name) for version in versions] for name in _FIGURES}


def _drifted(checks: Checks) -> Iterator[DriftedFeatures]:
    """Yield the drifted features of each check, the highest drift score first."""
    names = np.array(checks.features, dtype=object)
    for row, seconds in enumerate(checks.times.tolist()):
        at = datetime.fromtimestamp(seconds, UTC)
        drifted = checks.states[row] == DRIFTED
        far = np.argsort(-np.nan_to_num(checks.effects[row][drifted]))
        yield DriftedFeatures(at, tuple(names[drifted][far]))


def _promotion_effects(
    app: App, model: str, activity: Activity, until: datetime
) -> Iterator[PromotionEffect]:
    """Yield the effect of each promotion except the first, the newest first."""
    entered = [promotion for promotion in activity.promotions if promotion.at < until]
    for index in range(len(entered) - 1, 0, -1):
        former, promotion = entered[index - 1], entered[index]
        later = entered[index + 1].at if index + 1 < len(entered) else until
        before = _side(
            app, model, former.version, max(former.at, promotion.at - _COMPARED), promotion.at
        )
        after = _side(
            app, model, promotion.version, promotion.at, min(later, promotion.at + _COMPARED)
        )
        if before is None or after is None:
            continue
        run = next(
            (run for run in activity.runs if run.version == promotion.version and run.gate), None
        )
        gate: dict[str, tuple[float, float]] = {}
        rows = 0
        if run is not None and run.gate is not None:
            rows = run.gate.rows
            gate = {
                name: (run.gate.champion[name], run.gate.candidate[name])
                for name in _FIGURES
                if name in run.gate.champion and name in run.gate.candidate
            }
        yield PromotionEffect(promotion, before, after, rows, gate)


def _side(
    app: App, model: str, version: str, start: datetime, end: datetime
) -> VersionFigures | None:
    if end <= start:
        return None
    try:
        timeline = app.timelines.timeline(model, start, end, points=1, version=version).timeline
    except NotFoundError:
        return None
    return VersionFigures(
        version,
        start,
        end,
        int(timeline.predictions.sum()),
        int(timeline.labelled.sum()),
        dict(_figures(timeline)),
    )


def _figures(timeline: Timeline) -> Iterator[tuple[str, tuple[float, float, float]]]:
    for name in _FIGURES:
        band = timeline[name]
        if band is not None and len(band.value) and not np.isnan(band.value[0]):
            yield name, (float(band.value[0]), float(band.low[0]), float(band.high[0]))


def unhealthy_spans(periods: Sequence[Period]) -> list[tuple[datetime, datetime]]:
    """Return the time ranges in which the model was unhealthy; adjacent periods are one range.

    Parameters
    ----------
    periods : sequence of Period
        The oldest first.

    Returns
    -------
    list of (datetime, datetime)
    """
    spans: list[tuple[datetime, datetime]] = []
    for period in periods:
        if period.condition == "unhealthy":
            if spans and spans[-1][1] == period.start:
                spans[-1] = (spans[-1][0], period.end)
            else:
                spans.append((period.start, period.end))
    return spans
