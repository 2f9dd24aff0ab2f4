"""Power and sample size of group-sequential tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, sqrt

import numpy as np

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats.group_sequential import (
    Spending,
    group_sequential_bounds,
    increasing_fractions,
)
from watchkeeper.stats.score_paths import ScorePaths

__all__ = ["CrossingProbabilities", "group_sequential_inflation", "group_sequential_power"]


@dataclass(frozen=True, slots=True)
class CrossingProbabilities(Result):
    """How a group-sequential test ends when there is an effect.

    Attributes
    ----------
    upper, lower : tuple of float, one a look
        Probability to cross the upper or the lower bound first at that look.
    expected_fraction : float
        Information at which it stops, on average; it stops at the last look at the latest.
    """

    upper: tuple[float, ...]
    lower: tuple[float, ...]
    expected_fraction: float


def group_sequential_power(
    drift: float, fractions: Sequence[float], bounds: Sequence[float]
) -> CrossingProbabilities:
    """Return how likely each bound is crossed first, at a given effect.

    Parameters
    ----------
    drift : float
        Expected z-statistic at the planned information: the effect over its standard error there.
        0 is the null hypothesis.
    fractions : sequence of float
        As for `group_sequential_bounds`.
    bounds : sequence of float
        One a look, from `group_sequential_bounds` or any other design.

    Returns
    -------
    CrossingProbabilities

    Raises
    ------
    InvalidValueError
        If the drift is not finite, or the bounds are not as many positive numbers as the fractions.

    Examples
    --------
    >>> fractions = [0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ends = group_sequential_power(2.8016, fractions, group_sequential_bounds(fractions))
    >>> round(sum(ends.upper), 3), round(ends.expected_fraction, 3)
    (0.79, 0.809)
    """
    times = increasing_fractions(fractions)
    if not isfinite(drift):
        raise InvalidValueError("drift", drift, "a finite number")
    if len(bounds) != len(times) or not all(bound > 0 for bound in bounds):
        raise InvalidValueError("bounds", list(bounds), f"{len(times)} numbers above 0")
    paths = ScorePaths.at_start(drift)
    upper, lower = [], []
    for look, (time, bound) in enumerate(zip(times, bounds, strict=True)):
        upper.append(paths.above(bound * sqrt(time), time))
        lower.append(paths.below(-bound * sqrt(time), time))
        if look + 1 < len(times):
            paths = paths.within(bound * sqrt(time), time, times[look + 1])
    stopped = np.add(upper[:-1], lower[:-1])
    expected = float(times[-1] - np.sum(stopped * (times[-1] - np.array(times[:-1]))))
    return CrossingProbabilities(tuple(upper), tuple(lower), expected)


def group_sequential_inflation(
    fractions: Sequence[float],
    alpha: float = 0.05,
    power: float = 0.8,
    spending: Spending = "obrien_fleming",
) -> float:
    """Return by how much the looks raise the sample size that a fixed test would need.

    Parameters
    ----------
    fractions : sequence of float
        Planned looks, the last at 1.
    alpha, power : float
        Two-sided error rate, and power in the right direction.
    spending : {"obrien_fleming", "pocock"}

    Returns
    -------
    float
        The largest sample size, that of the last look, over the one of a fixed test of the same
        `alpha` and `power`. On average it stops long before when there is an effect:
        `group_sequential_power` says when.

    Raises
    ------
    InvalidValueError
        If the last look is not at 1, or `power` is not above ``alpha / 2`` and below 1.

    Examples
    --------
    >>> round(group_sequential_inflation([0.2, 0.4, 0.6, 0.8, 1.0]), 4)
    1.0247
    """
    times = increasing_fractions(fractions)
    if times[-1] != 1:
        raise InvalidValueError("fractions", times[-1], "a plan whose last look is at 1")
    if not alpha / 2 < power < 1:
        raise InvalidValueError("power", power, f"above {alpha / 2} and below 1")
    return _inflation(times, alpha, power, spending)


@lru_cache(maxsize=256)
def _inflation(times: tuple[float, ...], alpha: float, power: float, spending: Spending) -> float:
    from scipy.optimize import brentq
    from scipy.special import ndtri

    bounds = group_sequential_bounds(times, alpha, spending)

    def short_of_power(drift: float) -> float:
        return sum(group_sequential_power(drift, times, bounds).upper) - power

    fixed = float(ndtri(power) - ndtri(alpha / 2))
    drift = float(brentq(short_of_power, 0.0, 4 * fixed + 4, xtol=1e-9))
    return (drift / fixed) ** 2
