"""What there is to know of a model at a glance: how it is, how it fared, what was done."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache

import numpy as np

from watchkeeper.app import App
from watchkeeper.dashboard.activity import Deeds, Promotion, deeds_of
from watchkeeper.dashboard.episodes import Chapter, Illness, Moved, Terms, chapters, illnesses
from watchkeeper.dashboard.time_range import Span
from watchkeeper.drift.checks import DRIFTED, Checks
from watchkeeper.errors import NotFoundError
from watchkeeper.health import Condition
from watchkeeper.monitoring.health import ModelHealth
from watchkeeper.monitoring.measurements import baseline_of
from watchkeeper.monitoring.report_cache import Asked
from watchkeeper.monitoring.timelines import ModelTimeline
from watchkeeper.timelines import Timeline

__all__ = ["Brief", "Helped", "Side", "brief_of", "spells"]

_POINTS = 100  # of a time line as a page draws it
_CHAPTERS = 14  # of a story: a year in months
_FRESH = timedelta(seconds=60)  # beyond, a time line is brought up to date first
_COMPARED = timedelta(days=90)  # before and after a promotion, at most
_Registered = Callable[[str | None], Mapping[str, float]]
_FIGURES = ("accuracy", "auc", "brier", "mae", "rmse")


@dataclass(frozen=True, slots=True)
class Side:
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
class Helped:
    """What a promotion has brought.

    Attributes
    ----------
    promotion : Promotion
    before, after : Side
        Of the former version until then and of the new one since: other data, so that the season
        may be the reason as well.
    rows : int
        Later rows that both were judged by before; 0 where no retraining led to it.
    gate : dict of str to (float, float)
        Figures of the former and of the new version on these same rows, by name.
    """

    promotion: Promotion
    before: Side
    after: Side
    rows: int
    gate: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Brief:
    """What there is to know of a model.

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
    promised : mapping of str to list of (float or None)
        What the version in production was registered with, by metric and point of the time line.
    story : tuple of Chapter
    illnesses : tuple of Illness
    deeds : Deeds
    helped : tuple of Helped
        The newest promotion first.
    """

    model: str
    production: str | None
    since: datetime | None
    health: ModelHealth
    line: ModelTimeline | None
    baseline: Mapping[str, float]
    promised: Mapping[str, list[float | None]]
    story: tuple[Chapter, ...]
    illnesses: tuple[Illness, ...]
    deeds: Deeds
    helped: tuple[Helped, ...]

    @property
    def illness(self) -> Illness | None:
        """The one that lasts, if one does."""
        return next((each for each in self.illnesses if each.lasts), None)

    @property
    def condition(self) -> Condition:
        """How it is: not well either while its quality is not what was registered."""
        if self.illness is not None:
            return Condition.UNHEALTHY
        return self.health.status.condition

    @property
    def told(self) -> list[tuple[str, Illness | Helped]]:
        """Illnesses and promotions, the oldest first; a promotion within a chapter before it."""
        found: list[tuple[datetime, str, Illness | Helped]] = [
            *((each.first.end, "illness", each) for each in self.illnesses),
            *((each.promotion.at, "promotion", each) for each in self.helped),
        ]
        return [(kind, each) for _, kind, each in sorted(found, key=lambda item: item[0])]


def brief_of(app: App, model: str, span: Span, at: datetime, zone: tzinfo) -> Asked[Brief]:
    """Ask for what there is to know of a model over a span, told in a zone."""
    key = f"{model} {span.query} {zone}"
    return Asked("brief", key, of=None, at=at, make=lambda: _made(app, model, span, at, zone))


def _terms(app: App, model: str) -> Terms:
    """Return what makes a chapter of a model's story an ill one, by its policy."""
    policy = app.settings.policy(model)
    return Terms(
        allowed=policy.quality.max_relative_drop,
        min_samples=policy.quality.min_samples,
        error_rate=policy.health.error_rate,
    )


def _made(app: App, model: str, span: Span, at: datetime, zone: tzinfo) -> Brief:
    health = app.health(model, at)
    deeds = deeds_of(app, model)
    registered = cache(lambda version: baseline_of(app.registry, model, version))
    production = app.registry.get_production_model(model)
    version = None if production is None else app.registry.get(production)
    line: ModelTimeline | None = None
    story: tuple[Chapter, ...] = ()
    with suppress(NotFoundError):  # nothing is recorded of it
        line = app.timelines.timeline(model, span.start, span.end, points=_POINTS, fresh=_FRESH)
        story = _story(app, model, span, deeds, zone, registered)
    return Brief(
        model=model,
        production=None if version is None else version.version,
        since=None if version is None else version.promoted_at,
        health=health,
        line=line,
        baseline={} if version is None else version.metrics,
        promised={} if line is None else _promised(line.timeline, deeds, registered),
        story=story,
        illnesses=illnesses(story),
        deeds=deeds,
        helped=tuple(_helped(app, model, deeds, span.end)),
    )


def _story(
    app: App, model: str, span: Span, deeds: Deeds, zone: tzinfo, registered: _Registered
) -> tuple[Chapter, ...]:
    found = app.timelines.timeline(model, span.start, span.end, points=_CHAPTERS)
    checks = app.drift_history.checks(model).within(span.start, span.end)
    told = chapters(
        found.timeline,
        deeds.in_production,
        registered,
        zone=zone,
        terms=_terms(app, model),
        moved=list(_moved(checks)),
        deeds=[each for each in deeds.told if span.start is None or each.at >= span.start],
    )
    known = [place for place, each in enumerate(told) if each.predictions]
    return told[known[0] :] if known else ()  # nothing is told of before it began


def _promised(
    line: Timeline, deeds: Deeds, registered: _Registered
) -> dict[str, list[float | None]]:
    versions = [deeds.in_production(each) for each in line.starts]
    return {name: [registered(each).get(name) for each in versions] for name in _FIGURES}


def _moved(checks: Checks) -> Iterator[Moved]:
    """Yield what each check found, the features that moved furthest first."""
    names = np.array(checks.features, dtype=object)
    for row, seconds in enumerate(checks.times.tolist()):
        at = datetime.fromtimestamp(seconds, UTC)
        drifted = checks.states[row] == DRIFTED
        far = np.argsort(-np.nan_to_num(checks.effects[row][drifted]))
        yield Moved(at, tuple(names[drifted][far]))


def _helped(app: App, model: str, deeds: Deeds, until: datetime) -> Iterator[Helped]:
    """Yield what promotions have brought, the newest first; nothing is told of the first one."""
    entered = [each for each in deeds.promotions if each.at < until]
    for place in range(len(entered) - 1, 0, -1):
        former, own = entered[place - 1], entered[place]
        later = entered[place + 1].at if place + 1 < len(entered) else until
        before = _side(app, model, former.version, max(former.at, own.at - _COMPARED), own.at)
        after = _side(app, model, own.version, own.at, min(later, own.at + _COMPARED))
        if before is None or after is None:
            continue
        run = next((each for each in deeds.runs if each.version == own.version and each.gate), None)
        gate: dict[str, tuple[float, float]] = {}
        rows = 0
        if run is not None and run.gate is not None:
            rows = run.gate.rows
            gate = {
                name: (run.gate.champion[name], run.gate.candidate[name])
                for name in _FIGURES
                if name in run.gate.champion and name in run.gate.candidate
            }
        yield Helped(own, before, after, rows, gate)


def _side(app: App, model: str, version: str, start: datetime, end: datetime) -> Side | None:
    if end <= start:
        return None
    try:
        found = app.timelines.timeline(model, start, end, points=1, version=version).timeline
    except NotFoundError:
        return None
    return Side(
        version,
        start,
        end,
        int(found.predictions.sum()),
        int(found.labelled.sum()),
        dict(_figures(found)),
    )


def _figures(found: Timeline) -> Iterator[tuple[str, tuple[float, float, float]]]:
    for name in _FIGURES:
        band = found[name]
        if band is not None and len(band.value) and not np.isnan(band.value[0]):
            yield name, (float(band.value[0]), float(band.low[0]), float(band.high[0]))


def spells(story: Sequence[Chapter]) -> list[tuple[datetime, datetime]]:
    """Return the stretches of a story in which it was ill, those that touch as one."""
    found: list[tuple[datetime, datetime]] = []
    for each in story:
        if each.condition == "ill":
            if found and found[-1][1] == each.start:
                found[-1] = (found[-1][0], each.end)
            else:
                found.append((each.start, each.end))
    return found
