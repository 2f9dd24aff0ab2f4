"""What an experiment says so far: every figure a pure function of its count cells."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from math import inf
from operator import attrgetter
from typing import Annotated

import numpy as np

from watchkeeper.experiments.cells import Cell, Observations, Sums
from watchkeeper.experiments.contrast import Contrast, contrast
from watchkeeper.experiments.design import Design, Mode
from watchkeeper.experiments.metrics import Guardrail, Metric
from watchkeeper.results import Result, Stored
from watchkeeper.stats import (
    confidence_sequence,
    exact_group_sequential_test,
    exact_repeated_p_value,
    group_sequential_test,
    rate_sequence,
    repeated_p_value,
    sequence_p_value,
)

__all__ = [
    "ArmResult",
    "Comparison",
    "DifferencePoint",
    "GoalStanding",
    "GuardrailResult",
    "InterimAnalysis",
    "Safety",
    "by_metric",
    "guarded",
    "standing",
]

_HORIZON = 2_500.0  # information of 5,000 units an arm: where one without a plan is narrowest


class GoalStanding(StrEnum):
    """Where a treatment stands by the metric that decides."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "open"
    NO_DIFFERENCE = "no_difference"


class Safety(StrEnum):
    """Where a treatment stands by a guardrail.

    Shown to be within the margin, shown to be beyond it, or neither.
    """

    ACCEPTABLE = "acceptable"
    HARMFUL = "harmful"
    UNDECIDED = "undecided"


Low = Annotated[float, Stored(lambda low: -inf if low is None else low)]
High = Annotated[float, Stored(lambda high: inf if high is None else high)]


@dataclass(frozen=True, slots=True)
class InterimAnalysis(Result):
    """A look that could have decided.

    Attributes
    ----------
    at : datetime
        Begin of the stretch of exposures with which it became due.
    fraction : float
        Information over planned information.
    difference : float
        Treatment minus control.
    p_value : float
        The smallest error rate at which this look, or one before it, would have decided.
    crossed : bool
    """

    at: datetime
    fraction: float
    difference: float
    p_value: float
    crossed: bool


@dataclass(frozen=True, slots=True)
class DifferencePoint(Result):
    """The difference as it was known after one stretch of exposures, for a chart over time."""

    at: datetime
    difference: float
    low: Low
    high: High


@dataclass(frozen=True, slots=True)
class Comparison(Result):
    """A treatment against the control by one metric.

    Attributes
    ----------
    metric, arm : str
    contrast : Contrast
    low, high : float
        Interval of the difference that holds however often one looks.
    relative : float or None
        The difference over the control's value.
    p_value : float
        May be read at any time, as often as one likes.
    adjusted_p_value : float or None
        Of secondary metrics, for their number (Benjamini-Hochberg).
    """

    metric: str
    arm: str
    contrast: Contrast
    low: Low
    high: High
    relative: float | None
    p_value: float
    adjusted_p_value: float | None = None


@dataclass(frozen=True, slots=True)
class GuardrailResult(Result):
    """Whether a treatment is worse than the control by more than a margin."""

    comparison: Comparison
    margin: float
    safety: Safety


@dataclass(frozen=True, slots=True)
class ArmResult(Result):
    """A treatment by the metric that decides.

    Attributes
    ----------
    arm : str
    standing : GoalStanding
    comparison : Comparison
        Of all there is now.
    looks : tuple of InterimAnalysis
        Those that could decide, the first that did being the last.
    fraction : float or None
        Share of the planned information there is now.
    moments : tuple of DifferencePoint
    """

    arm: str
    standing: GoalStanding
    comparison: Comparison
    looks: tuple[InterimAnalysis, ...]
    fraction: float | None
    moments: tuple[DifferencePoint, ...]


def standing(experiment: Design, seen: Observations, arm: str) -> ArmResult:
    """Return where a treatment stands by the metric that decides.

    The error rate is shared by the treatments (Bonferroni).

    Parameters
    ----------
    experiment : Design
    seen : Observations
    arm : str

    Returns
    -------
    ArmResult
    """
    alpha = experiment.alpha / (len(experiment.arms) - 1)
    planned = _planned_information(experiment, arm)
    course = list(_course(seen.cells, experiment.metric, experiment.control, arm))
    scale = planned or _HORIZON
    if experiment.mode is Mode.ANYTIME or planned is None:
        looks = _at_any_time(course, scale, alpha)
    else:
        steps = 1 if experiment.mode is Mode.FIXED else experiment.looks
        looks = _at_planned_looks(course, planned, steps, alpha)
    now = course[-1].contrast if course else contrast([])
    return ArmResult(
        arm=arm,
        standing=_verdict(experiment, looks),
        comparison=_comparison(experiment.metric, arm, now, scale, alpha),
        looks=looks,
        fraction=None if planned is None else now.information / planned,
        moments=tuple(
            DifferencePoint(
                moment.at, moment.contrast.difference, *_interval(moment.contrast, scale, alpha)
            )
            for moment in course
            if moment.contrast.enough
        ),
    )


def by_metric(
    experiment: Design, seen: Observations, metric: Metric, arm: str, alpha: float
) -> Comparison:
    """Return how a treatment compares now, by any metric, with an interval that always holds.

    Parameters
    ----------
    experiment : Design
    seen : Observations
    metric : Metric
    arm : str
    alpha : float
        Error rate of the interval, two-sided.

    Returns
    -------
    Comparison
    """
    scale = _planned_information(experiment, arm) or _HORIZON
    strata: dict[int, dict[str, Sums]] = defaultdict(lambda: defaultdict(Sums))
    for cell in seen.cells:
        if cell.metric == metric.name:
            strata[cell.phase][cell.arm] += cell.sums
    pairs = [(of[experiment.control], of[arm]) for of in strata.values()]
    now = contrast(pairs, events=metric.counts_events)
    return _comparison(metric, arm, now, scale, alpha)


def guarded(
    experiment: Design, seen: Observations, guardrail: Guardrail, arm: str
) -> GuardrailResult:
    """Return whether a treatment is worse by more than the margin.

    To be acceptable each guardrail has to be shown at the full error rate, since all have to be:
    an intersection-union test.

    Parameters
    ----------
    experiment : Design
    seen : Observations
    guardrail : Guardrail
    arm : str

    Returns
    -------
    GuardrailResult
    """
    # One-sided at alpha: the side of a two-sided interval at twice that.
    alpha = min(0.5, 2 * experiment.alpha)
    comparisons = by_metric(experiment, seen, guardrail.metric, arm, alpha)
    sign = 1.0 if guardrail.metric.higher_is_better else -1.0
    worst, best = sorted((sign * comparisons.low, sign * comparisons.high))
    safety = Safety.UNDECIDED
    if worst > -guardrail.margin:
        safety = Safety.ACCEPTABLE
    elif best < -guardrail.margin:
        safety = Safety.HARMFUL
    return GuardrailResult(comparisons, guardrail.margin, safety)


def _verdict(experiment: Design, looks: Sequence[InterimAnalysis]) -> GoalStanding:
    if not looks:
        return GoalStanding.OPEN
    last = looks[-1]
    if last.crossed:
        better = (last.difference > 0) == experiment.metric.higher_is_better
        return GoalStanding.BETTER if better else GoalStanding.WORSE
    over = experiment.mode is not Mode.ANYTIME and last.fraction >= 1.0
    return GoalStanding.NO_DIFFERENCE if over else GoalStanding.OPEN


def _planned_information(experiment: Design, arm: str) -> float | None:
    """Return the information of the planned sample, by the weights it began with."""
    if experiment.planned_units is None:
        return None
    weights = experiment.phases[0].weights if experiment.phases else experiment.allocation.weights
    weight, total = weights[arm], sum(weights.values())
    other = weights[experiment.control]
    return experiment.planned_units / total * weight * other / (weight + other)


@dataclass(frozen=True, slots=True)
class _SumsSoFar:
    """What was known after a stretch of exposures: control and treatment by phase."""

    at: datetime
    strata: dict[int, tuple[Sums, Sums]]
    contrast: Contrast


def _course(cells: Iterable[Cell], metric: Metric, control: str, arm: str) -> Iterator[_SumsSoFar]:
    """Yield what was known after each stretch of exposures."""
    so_far: dict[int, dict[str, Sums]] = defaultdict(lambda: {control: Sums(), arm: Sums()})
    ours = [cell for cell in cells if cell.metric == metric.name and cell.arm in {control, arm}]
    ours.sort(key=attrgetter("start"))
    for start, added in groupby(ours, key=attrgetter("start")):
        for cell in added:
            so_far[cell.phase][cell.arm] += cell.sums
        strata = {phase: (of[control], of[arm]) for phase, of in so_far.items()}
        yield _SumsSoFar(start, strata, contrast([*strata.values()], events=metric.counts_events))


def _at_planned_looks(
    course: Sequence[_SumsSoFar], planned: float, steps: int, alpha: float
) -> tuple[InterimAnalysis, ...]:
    """Return the looks that have come due, up to the first that decides."""
    due, taken, looks = 1, list[_SumsSoFar](), list[InterimAnalysis]()
    for moment in course:
        fraction = moment.contrast.information / planned
        if fraction < due / steps or due > steps:
            continue
        due = int(fraction * steps) + 1
        taken.append(moment)
        p_value, crossed = _tested(taken, planned, alpha)
        looks.append(
            InterimAnalysis(moment.at, fraction, moment.contrast.difference, p_value, crossed)
        )
        if crossed:
            break
    return tuple(looks)


def _tested(taken: Sequence[_SumsSoFar], planned: float, alpha: float) -> tuple[float, bool]:
    """Return the p-value that holds at all looks, and whether the last of them decides.

    Shares are tested exactly: where events are rare or arms unequal, or the base rate changes from
    phase to phase, a normal distribution does not hold the error rate.
    """
    fractions = [moment.contrast.information / planned for moment in taken]
    if not taken[-1].contrast.shares:
        z = [moment.contrast.z for moment in taken]
        crossed = group_sequential_test(z, fractions, alpha).looks[-1].crossed
        return repeated_p_value(z, fractions), crossed
    phases = [*taken[-1].strata]
    nothing = (Sums(), Sums())
    upto = (
        np.array(
            [
                [
                    [of.y for of in moment.strata.get(phase, nothing)]
                    + [of.n for of in moment.strata.get(phase, nothing)]
                    for phase in phases
                ]
                for moment in taken
            ]
        )
        .round()
        .astype(np.int64)
    )
    since = np.diff(upto, axis=0, prepend=np.zeros_like(upto[:1]))
    events, treated, total, total_treated = (since[:, :, at] for at in range(4))
    counts = (events, total, treated, total_treated)
    crossed = exact_group_sequential_test(*counts, fractions, alpha).looks[-1].crossed
    return exact_repeated_p_value(*counts, fractions), crossed


def _at_any_time(
    course: Sequence[_SumsSoFar], scale: float, alpha: float
) -> tuple[InterimAnalysis, ...]:
    """Return the look at which it was decided, or the last one."""
    look: InterimAnalysis | None = None
    least = 1.0
    for moment in course:
        difference = moment.contrast
        if not difference.information:
            continue
        fraction = difference.information / scale
        least = min(least, sequence_p_value(difference.z, fraction, alpha))
        look = InterimAnalysis(moment.at, fraction, difference.difference, least, least <= alpha)
        if look.crossed:
            break
    return () if look is None else (look,)


def _comparison(metric: Metric, arm: str, now: Contrast, scale: float, alpha: float) -> Comparison:
    low, high = _interval(now, scale, alpha)
    fraction = now.information / scale
    return Comparison(
        metric=metric.name,
        arm=arm,
        contrast=now,
        low=low,
        high=high,
        relative=now.difference / now.control if now.control else None,
        p_value=sequence_p_value(now.z, fraction, alpha) if now.enough else 1.0,
    )


def _interval(measured: Contrast, scale: float, alpha: float) -> tuple[float, float]:
    """Return an interval of the difference that holds at all times at once."""
    if measured.enough:
        fraction = measured.information / scale
        return confidence_sequence(measured.difference, measured.standard_error, fraction, alpha)
    few = min(measured.units_control, measured.units_treatment)
    events = max(measured.events_control, measured.events_treatment)
    if not few or not (measured.shares or (measured.events and events <= few)):
        return -inf, inf
    # Too few events for a normal distribution: what each arm's rate can be, the two together.
    low, high = rate_sequence(measured.events_control, measured.units_control, alpha / 2)
    own_low, own_high = rate_sequence(
        measured.events_treatment, measured.units_treatment, alpha / 2
    )
    if measured.shares:
        return own_low - high, own_high - low
    return -high, own_high  # events of one unit count once at least
