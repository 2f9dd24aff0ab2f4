"""The story of a model over a stretch of time: when it was ill, what moved, and what was done.

A time line says how it fared, drift checks say which features moved, and deeds are what people and
the control loop did. Each bucket of the time line becomes a chapter; chapters in a row that are ill
are one illness. A bucket is ill where a figure is worse than that of the version in production by
more than is allowed, and chance does not explain it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

import numpy as np

from watchkeeper.timelines import Band, Timeline

__all__ = ["Chapter", "Deed", "Figure", "Illness", "Moved", "Terms", "chapters", "illnesses"]

Condition = Literal["ill", "well", "unknown"]
Kind = Literal["promotion", "rollback", "retraining", "rollout", "experiment", "incident"]

_LOWER_IS_WORSE = {"accuracy": True, "auc": True, "mae": False, "rmse": False}
_MOST_MOVED = 4
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that was done, or that happened.

    Attributes
    ----------
    at : datetime
    kind : str
    told : str
    href : str
        Where it is told in full.
    """

    at: datetime
    kind: Kind
    told: str
    href: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What a drift check found: the features that had drifted, the strongest first."""

    at: datetime
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What makes a chapter an ill one.

    Attributes
    ----------
    allowed : float
        Relative loss of a figure, against the version in production, that is no illness.
    min_samples : int
        Outcomes below which nobody can tell.
    error_rate : float
        Share of failed predictions that is no illness.
    """

    allowed: float = 0.05
    min_samples: int = 100
    error_rate: float = 0.01


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a chapter, with its interval, and what was promised.

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

    def is_ill(self, allowed: float) -> bool:
        """Return whether it is worse than allowed, and surely worse than the baseline."""
        if self.loss is None or self.baseline is None or self.loss <= allowed:
            return False
        if _LOWER_IS_WORSE[self.name]:
            return self.high < self.baseline
        return self.low > self.baseline


@dataclass(frozen=True, slots=True)
class Chapter:
    """One bucket of a time line, told.

    Attributes
    ----------
    start, end : datetime
    named : str
        How the stretch is called, such as ``Jul 2013``.
    version : str or None
        In production at its end.
    predictions, failed, labelled : int
    figures : tuple of Figure
        Those that are known.
    condition : {"ill", "well", "unknown"}
    why : str
        A sentence with the figures.
    moved : tuple of str
        Features that drifted in it, those that did most often first.
    deeds : tuple of Deed
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
    moved: tuple[str, ...]
    deeds: tuple[Deed, ...]


@dataclass(frozen=True, slots=True)
class Illness:
    """Chapters in a row in which one version was ill.

    Those of which nobody could tell do not part them.

    Attributes
    ----------
    first, last : Chapter
    version : str or None
    lasts : bool
        Whether nothing after it was well.
    why : str
        Of its worst chapter.
    moved : tuple of str
    """

    first: Chapter
    last: Chapter
    version: str | None
    lasts: bool
    why: str
    moved: tuple[str, ...]


def chapters(
    timeline: Timeline,
    version_at: Callable[[datetime], str | None],
    baseline_of: Callable[[str | None], Mapping[str, float]],
    *,
    zone: tzinfo = UTC,
    terms: Terms,
    moved: Sequence[Moved] = (),
    deeds: Sequence[Deed] = (),
) -> tuple[Chapter, ...]:
    """Return a time line as chapters.

    Parameters
    ----------
    timeline : Timeline
    version_at : callable
        A time to the version that was in production then.
    baseline_of : callable
        A version to the metrics that it was registered with.
    zone : tzinfo
        In which stretches are named.
    terms : Terms
    moved : sequence of Moved
    deeds : sequence of Deed
    """
    told = []
    for place, (start, end) in enumerate(zip(timeline.starts, timeline.ends, strict=True)):
        version = version_at(end - _MOMENT)
        figures = tuple(_figures(timeline, place, baseline_of(version)))
        condition, why = _verdict(timeline, place, figures, terms)
        told.append(
            Chapter(
                start=start,
                end=end,
                named=_named(start, timeline.bucket, zone),
                version=version,
                predictions=int(timeline.predictions[place]),
                failed=int(timeline.failed[place]),
                labelled=int(timeline.labelled[place]),
                figures=figures,
                condition=condition,
                why=why,
                moved=_most([each for each in moved if start <= each.at < end]),
                deeds=tuple(each for each in deeds if start <= each.at < end),
            )
        )
    return tuple(told)


def illnesses(told: Sequence[Chapter]) -> tuple[Illness, ...]:
    """Return the illnesses in a story, the oldest first."""
    found: list[list[Chapter]] = []
    ill = False
    for each in told:
        if each.condition == "ill":
            if not ill or found[-1][-1].version != each.version:
                found.append([])
            found[-1].append(each)
        if each.condition != "unknown":
            ill = each.condition == "ill"
    return tuple(_illness(own, told) for own in found)


def _illness(own: Sequence[Chapter], told: Sequence[Chapter]) -> Illness:
    worst = max(own, key=lambda each: max((f.loss or 0.0 for f in each.figures), default=0.0))
    later = [each for each in told if each.start >= own[-1].end]
    counted: dict[str, int] = {}
    for each in own:
        for name in each.moved:
            counted[name] = counted.get(name, 0) + 1
    return Illness(
        first=own[0],
        last=own[-1],
        version=own[0].version,
        lasts=all(each.condition == "unknown" for each in later),
        why=worst.why,
        moved=tuple(sorted(counted, key=lambda name: -counted[name]))[:_MOST_MOVED],
    )


def _figures(timeline: Timeline, place: int, baseline: Mapping[str, float]) -> Iterator[Figure]:
    bands: dict[str, Band | None] = {
        "accuracy": timeline.accuracy, "auc": timeline.auc, "mae": timeline.mae,
        "rmse": timeline.rmse,
    }  # fmt: skip
    for name, band in bands.items():
        if band is None or np.isnan(band.value[place]):
            continue
        value = float(band.value[place])
        promised = baseline.get(name)
        loss = None
        if promised:
            loss = (promised - value) / promised
            loss = loss if _LOWER_IS_WORSE[name] else -loss
        yield Figure(name, value, float(band.low[place]), float(band.high[place]), promised, loss)


def _verdict(
    timeline: Timeline, place: int, figures: Sequence[Figure], terms: Terms
) -> tuple[Condition, str]:
    predictions, labelled = int(timeline.predictions[place]), int(timeline.labelled[place])
    if not predictions:
        return "unknown", "nothing was predicted"
    wrong = []
    share, surely = timeline.error_share.value[place], timeline.error_share.low[place]
    if surely > terms.error_rate:
        wrong.append(f"{share:.1%} of the predictions failed")
    enough = labelled >= terms.min_samples
    if enough:
        wrong += [_told(each) for each in figures if each.is_ill(terms.allowed)]
    if wrong:
        return "ill", ", ".join(wrong)
    if not enough:
        return "unknown", f"{labelled:,} outcomes are known, and {terms.min_samples:,} are needed"
    held = [_told(each) for each in figures if each.loss is not None]
    if not held:
        return "unknown", "no figure was registered to hold it against"
    return "well", ", ".join(held)


def _told(figure: Figure) -> str:
    name = "AUC" if figure.name == "auc" else figure.name
    if figure.loss is None:
        return f"{name} {figure.value:.3g}"
    side = "worse" if figure.loss > 0 else "better"
    registered = f"{figure.baseline:.3g} that was registered"
    return f"{name} {figure.value:.3g}, {abs(figure.loss):.0%} {side} than the {registered}"


def _named(start: datetime, bucket: str, zone: tzinfo) -> str:
    """Return how people call a stretch of time."""
    if bucket in {"month", "quarter"}:
        return f"{start:%b %Y}"  # which begin in UTC
    local = start.astimezone(zone)
    if bucket == "year":
        return f"{start:%Y}"
    if bucket.endswith(("day", "days", "week", "weeks")):
        return f"{local.day} {local:%b %Y}"
    return f"{local.day} {local:%b, %H:%M}"


def _most(found: Sequence[Moved]) -> tuple[str, ...]:
    """Return the features that drifted in most checks; of equals, the stronger first."""
    counted: dict[str, tuple[int, int]] = {}
    for check in found:
        for rank, name in enumerate(check.features):
            times, ranks = counted.get(name, (0, 0))
            counted[name] = times + 1, ranks + rank
    ordered = sorted(counted, key=lambda name: (-counted[name][0], counted[name][1]))
    return tuple(ordered)
