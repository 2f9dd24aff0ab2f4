"""Periods of a model's time line: the condition, drifted features and activity of each.

A time line has the figures, drift checks have the drifted features, and activity is what operators
and controllers did. Each bucket of the time line is a period; unhealthy periods in a row are one
unhealthy period. A period is unhealthy where a figure is worse than the baseline of the version in
production by more than is allowed, and chance does not explain it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

import numpy as np

from watchkeeper.timelines import Band, Timeline

__all__ = [
    "ActivityEvent",
    "DriftedFeatures",
    "Figure",
    "Period",
    "PeriodLimits",
    "UnhealthyPeriod",
    "periods_of",
    "unhealthy_periods",
]

Condition = Literal["unhealthy", "healthy", "unknown"]
Kind = Literal["promotion", "rollback", "retraining", "rollout", "experiment", "incident"]

_LOWER_IS_WORSE = {"accuracy": True, "auc": True, "mae": False, "rmse": False}
_MOST_DRIFTED = 4
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ActivityEvent:
    """An event of the activity of a model: a promotion, a rollout, an incident, ….

    Attributes
    ----------
    at : datetime
    kind : str
    summary : str
    href : str
        Address of the page that has all of it.
    """

    at: datetime
    kind: Kind
    summary: str
    href: str


@dataclass(frozen=True, slots=True)
class DriftedFeatures:
    """Drifted features of a drift check, the highest drift score first."""

    at: datetime
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeriodLimits:
    """What makes a period unhealthy.

    Attributes
    ----------
    allowed : float
        Relative loss of a figure, against the version in production, that is no unhealthy_period.
    min_samples : int
        Outcomes below which the condition is unknown.
    error_rate : float
        Share of failed predictions that is no unhealthy_period.
    """

    allowed: float = 0.05
    min_samples: int = 100
    error_rate: float = 0.01


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a period, with its interval, and the baseline.

    Attributes
    ----------
    name : str
    value, low, high : float
    baseline : float or None
        Of the version in production then.
    loss : float or None
        By how much it is worse, relative to the baseline; negative where it is better.
    """

    name: str
    value: float
    low: float
    high: float
    baseline: float | None
    loss: float | None

    def is_degraded(self, allowed: float) -> bool:
        """Return whether it is worse than allowed, and surely worse than the baseline.

        Parameters
        ----------
        allowed : float
            Share of the baseline that may be lost.

        Returns
        -------
        bool
        """
        if self.loss is None or self.baseline is None or self.loss <= allowed:
            return False
        if _LOWER_IS_WORSE[self.name]:
            return self.high < self.baseline
        return self.low > self.baseline


@dataclass(frozen=True, slots=True)
class Period:
    """One bucket of a time line with its condition.

    Attributes
    ----------
    start, end : datetime
    named : str
        Label of the time window, such as ``Jul 2013``.
    version : str or None
        In production at its end.
    predictions, failed, labelled : int
    figures : tuple of Figure
        Those that are known.
    condition : {"unhealthy", "healthy", "unknown"}
    why : str
        A sentence with the figures.
    drifted : tuple of str
        Features that drifted in it, the most often drifted first.
    events : tuple of ActivityEvent
    """

    start: datetime
    end: datetime
    named: str
    version: str | None
    predictions: int
    failed: int
    labelled: int
    figures: tuple[Figure, ...]
    condition: Condition
    why: str
    drifted: tuple[str, ...]
    events: tuple[ActivityEvent, ...]


@dataclass(frozen=True, slots=True)
class UnhealthyPeriod:
    """Periods in a row in which one version was unhealthy.

    Periods of unknown condition do not separate them.

    Attributes
    ----------
    first, last : Period
    version : str or None
    ongoing : bool
        Whether no later period was healthy.
    why : str
        Of its worst period.
    drifted : tuple of str
    """

    first: Period
    last: Period
    version: str | None
    ongoing: bool
    why: str
    drifted: tuple[str, ...]


def periods_of(
    timeline: Timeline,
    version_at: Callable[[datetime], str | None],
    baseline_of: Callable[[str | None], Mapping[str, float]],
    *,
    zone: tzinfo = UTC,
    terms: PeriodLimits,
    drifted: Sequence[DriftedFeatures] = (),
    events: Sequence[ActivityEvent] = (),
) -> tuple[Period, ...]:
    """Return a time line as periods.

    Parameters
    ----------
    timeline : Timeline
    version_at : callable
        A time to the version that was in production then.
    baseline_of : callable
        A version to the metrics that it was registered with.
    zone : tzinfo
        Time zone of the labels.
    terms : PeriodLimits
    drifted : sequence of DriftedFeatures
    events : sequence of ActivityEvent

    Returns
    -------
    tuple of Period
    """
    periods = []
    for index, (start, end) in enumerate(zip(timeline.starts, timeline.ends, strict=True)):
        version = version_at(end - _MOMENT)
        figures = tuple(_figures(timeline, index, baseline_of(version)))
        condition, why = _verdict(timeline, index, figures, terms)
        periods.append(
            Period(
                start=start,
                end=end,
                named=_named(start, timeline.bucket, zone),
                version=version,
                predictions=int(timeline.predictions[index]),
                failed=int(timeline.failed[index]),
                labelled=int(timeline.labelled[index]),
                figures=figures,
                condition=condition,
                why=why,
                drifted=_most([check for check in drifted if start <= check.at < end]),
                events=tuple(event for event in events if start <= event.at < end),
            )
        )
    return tuple(periods)


def unhealthy_periods(periods: Sequence[Period]) -> tuple[UnhealthyPeriod, ...]:
    """Return the unhealthy periods among some periods, the oldest first.

    Parameters
    ----------
    periods : sequence of Period
        The oldest first.

    Returns
    -------
    tuple of UnhealthyPeriod
    """
    runs: list[list[Period]] = []
    unhealthy = False
    for period in periods:
        if period.condition == "unhealthy":
            if not unhealthy or runs[-1][-1].version != period.version:
                runs.append([])
            runs[-1].append(period)
        if period.condition != "unknown":
            unhealthy = period.condition == "unhealthy"
    return tuple(_unhealthy_period(run, periods) for run in runs)


def _unhealthy_period(run: Sequence[Period], periods: Sequence[Period]) -> UnhealthyPeriod:
    worst = max(run, key=lambda period: max((f.loss or 0.0 for f in period.figures), default=0.0))
    later = [period for period in periods if period.start >= run[-1].end]
    counted: dict[str, int] = {}
    for period in run:
        for name in period.drifted:
            counted[name] = counted.get(name, 0) + 1
    return UnhealthyPeriod(
        first=run[0],
        last=run[-1],
        version=run[0].version,
        ongoing=all(period.condition == "unknown" for period in later),
        why=worst.why,
        drifted=tuple(sorted(counted, key=lambda name: -counted[name]))[:_MOST_DRIFTED],
    )


def _figures(timeline: Timeline, index: int, baseline: Mapping[str, float]) -> Iterator[Figure]:
    bands: dict[str, Band | None] = {
        "accuracy": timeline.accuracy, "auc": timeline.auc, "mae": timeline.mae,
        "rmse": timeline.rmse,
    }  # fmt: skip
    for name, band in bands.items():
        if band is None or np.isnan(band.value[index]):
            continue
        value = float(band.value[index])
        registered = baseline.get(name)
        loss = None
        if registered:
            loss = (registered - value) / registered
            loss = loss if _LOWER_IS_WORSE[name] else -loss
        yield Figure(name, value, float(band.low[index]), float(band.high[index]), registered, loss)


def _verdict(
    timeline: Timeline, index: int, figures: Sequence[Figure], terms: PeriodLimits
) -> tuple[Condition, str]:
    predictions, labelled = int(timeline.predictions[index]), int(timeline.labelled[index])
    if not predictions:
        return "unknown", "nothing was predicted"
    wrong = []
    share, surely = timeline.error_share.value[index], timeline.error_share.low[index]
    if surely > terms.error_rate:
        wrong.append(f"{share:.1%} of the predictions failed")
    enough = labelled >= terms.min_samples
    if enough:
        wrong += [_figure_text(figure) for figure in figures if figure.is_degraded(terms.allowed)]
    if wrong:
        return "unhealthy", ", ".join(wrong)
    if not enough:
        return "unknown", f"{labelled:,} outcomes are known, and {terms.min_samples:,} are needed"
    held = [_figure_text(figure) for figure in figures if figure.loss is not None]
    if not held:
        return "unknown", "no figure was registered to hold it against"
    return "healthy", ", ".join(held)


def _figure_text(figure: Figure) -> str:
    name = "AUC" if figure.name == "auc" else figure.name
    if figure.loss is None:
        return f"{name} {figure.value:.3g}"
    side = "worse" if figure.loss > 0 else "better"
    registered = f"{figure.baseline:.3g} that was registered"
    return f"{name} {figure.value:.3g}, {abs(figure.loss):.0%} {side} than the {registered}"


def _named(start: datetime, bucket: str, zone: tzinfo) -> str:
    """Return the label of a time window."""
    if bucket in {"month", "quarter"}:
        return f"{start:%b %Y}"  # which begin in UTC
    local = start.astimezone(zone)
    if bucket == "year":
        return f"{start:%Y}"
    if bucket.endswith(("day", "days", "week", "weeks")):
        return f"{local.day} {local:%b %Y}"
    return f"{local.day} {local:%b, %H:%M}"


def _most(checks: Sequence[DriftedFeatures]) -> tuple[str, ...]:
    """Return the features that drifted in most checks; of equals, the stronger first."""
    counted: dict[str, tuple[int, int]] = {}
    for check in checks:
        for rank, name in enumerate(check.features):
            times, ranks = counted.get(name, (0, 0))
            counted[name] = times + 1, ranks + rank
    ordered = sorted(counted, key=lambda name: (-counted[name][0], counted[name][1]))
    return tuple(ordered)
