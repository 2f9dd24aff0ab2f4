"""The story of a model over a stretch of time: when it was ill, what moved, what was done, and whether it helped.

A time line says how it fared, drift checks say which features moved, and deeds are what people and
the control loop did. Each bucket of the time line becomes a chapter; chapters in a row that are ill
are one illness. A bucket is ill where a figure is worse than that of the version in production by
more than is allowed, and chance does not explain it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from watchkeeper.timelines import Band, Timeline

__all__ = ["Chapter", "Deed", "Figure", "Illness", "Moved", "Terms", "chapters", "illnesses"]

Condition = Literal["ill", "well", "unknown"]
Kind = Literal["promotion", "rollback", "retraining", "rollout", "experiment", "incident"]

_LOWER_IS_WORSE = {"accuracy": True, "auc": True, "mae": False, "rmse": False}
_MOST_MOVED = 4


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
        surely = self.high < self.baseline if _LOWER_IS_WORSE[self.name] else self.low > self.baseline
        return bool(surely)


@dataclass(frozen=True, slots=True)
class Chapter:
    """One bucket of a time line, told.

    Attributes
    ----------
    start, end : datetime
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
    """Chapters in a row that were ill; those of which nobody could tell do not part them.

    Attributes
    ----------
    start, end : datetime
    lasts : bool
        Whether nothing after it was well.
    why : str
        Of its worst chapter.
    moved : tuple of str
    """

    start: datetime
    end: datetime
    lasts: bool
    why: str
    moved: tuple[str, ...]


def chapters(
    timeline: Timeline,
    baseline_at: Callable[[datetime], Mapping[str, float]],
    *,
    terms: Terms,
    moved: Sequence[Moved] = (),
    deeds: Sequence[Deed] = (),
) -> tuple[Chapter, ...]:
    """Return a time line as chapters.

    Parameters
    ----------
    timeline : Timeline
    baseline_at : callable
        A time to the metrics that the version in production then was registered with.
    terms : Terms
    moved : sequence of Moved
    deeds : sequence of Deed
    """
    told = []
    for place, (start, end) in enumerate(zip(timeline.starts, timeline.ends, strict=True)):
        figures = tuple(_figures(timeline, place, baseline_at(end)))
        condition, why = _verdict(timeline, place, figures, terms)
        told.append(
            Chapter(
                start=start,
                end=end,
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
            if not ill:
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
        start=own[0].start,
        end=own[-1].end,
        lasts=all(each.condition == "unknown" for each in later),
        why=worst.why,
        moved=tuple(sorted(counted, key=lambda name: -counted[name]))[:_MOST_MOVED],
    )


def _figures(
    timeline: Timeline, place: int, baseline: Mapping[str, float]
) -> Iterator[Figure]:
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
    return f"{name} {figure.value:.3g}, {abs(figure.loss):.0%} {side} than the {figure.baseline:.3g} it had"


def _most(found: Sequence[Moved]) -> tuple[str, ...]:
    """Return the features that drifted in most checks; of equals, the stronger first."""
    counted: dict[str, tuple[int, int]] = {}
    for check in found:
        for rank, name in enumerate(check.features):
            times, ranks = counted.get(name, (0, 0))
            counted[name] = times + 1, ranks + rank
    ordered = sorted(counted, key=lambda name: (-counted[name][0], counted[name][1]))
    return tuple(ordered)
