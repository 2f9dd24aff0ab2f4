"""Group-sequential tests: a few or many planned looks that share one error rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from math import e, inf, isfinite, sqrt
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result

__all__ = [
    "CrossingProbabilities",
    "GroupSequentialLook",
    "GroupSequentialTest",
    "Spending",
    "alpha_spent",
    "group_sequential_bounds",
    "group_sequential_inflation",
    "group_sequential_power",
    "group_sequential_test",
    "increasing_fractions",
    "repeated_interval",
    "repeated_p_value",
]

Spending = Literal["obrien_fleming", "pocock"]

_Array = npt.NDArray[np.float64]
_SMALLEST_GAP = 1e-5  # of the information at a look: what the grid below resolves
_REACH = 8.5  # standard deviations beyond which the density is nil
_PANEL = 2.5  # widest panel, in standard deviations of the steps that meet in it
_TRACEABLE = 1e-14  # alpha below this is spent without following the paths that cross


@dataclass(frozen=True, slots=True)
class GroupSequentialLook(Result):
    """One look at a group-sequential test.

    Attributes
    ----------
    look : int
        Its number, from 1.
    fraction : float
        Share of the planned information there was; above 1 when it over-ran.
    z : float
    bound : float
        What the absolute value of `z` has to reach; infinite where there is nothing to spend.
    crossed : bool
    alpha_spent : float
        Error rate spent up to this look, this one included.
    """

    look: int
    fraction: float
    z: float
    bound: float
    crossed: bool
    alpha_spent: float


@dataclass(frozen=True, slots=True)
class GroupSequentialTest(Result):
    """All looks of a group-sequential test up to now.

    Attributes
    ----------
    looks : tuple of GroupSequentialLook
    crossed : bool
        Whether any look crossed its bound: then the null hypothesis is rejected, and stays so.
    crossed_at : int or None
        Number of the first look that crossed.
    bound : float
        Of the last look: a repeated confidence interval is the estimate plus and minus this many
        standard errors.
    """

    looks: tuple[GroupSequentialLook, ...]
    crossed: bool
    crossed_at: int | None
    bound: float


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


def alpha_spent(
    fraction: float, alpha: float = 0.05, spending: Spending = "obrien_fleming"
) -> float:
    """Return the error rate that may be spent until a fraction of the planned information.

    Parameters
    ----------
    fraction : float
        Information over planned information; all of `alpha` is spent from 1 on.
    alpha : float
        Two-sided error rate.
    spending : {"obrien_fleming", "pocock"}
        Hardly anything early on, or about the same at each of equal steps.

    Raises
    ------
    InvalidValueError
        If the fraction is not positive, `alpha` is not between 0 and 1, or the spending is unknown.

    References
    ----------
    Lan and DeMets (1983), Biometrika 70(3), 659-663; each of two sides spends half of `alpha`.

    Examples
    --------
    >>> [round(alpha_spent(fraction), 5) for fraction in (0.2, 0.6, 1.0)]
    [0.0, 0.00762, 0.05]
    """
    _require_level("alpha", alpha)
    if not (isfinite(fraction) and fraction > 0):
        raise InvalidValueError("fraction", fraction, "a share of the planned information above 0")
    if spending not in get_args(Spending):
        raise InvalidValueError("spending", spending, f"one of {', '.join(get_args(Spending))}")
    if fraction >= 1:
        return alpha
    if spending == "pocock":
        return float(alpha * np.log1p((e - 1) * fraction))
    from scipy.special import ndtr, ndtri

    return float(4 * ndtr(ndtri(alpha / 4) / sqrt(fraction)))


def group_sequential_bounds(
    fractions: Sequence[float], alpha: float = 0.05, spending: Spending = "obrien_fleming"
) -> tuple[float, ...]:
    """Return what the absolute z-statistic has to reach at each look.

    Parameters
    ----------
    fractions : sequence of float
        Information at each look over the planned information, increasing; as it came, equally
        spaced or not. Beyond 1 the design over-ran: the first look at 1 or later spends what is
        left, and later ones have nothing to spend, so that their bound is infinite.
        A test that ends with less, on a day that did not depend on what was seen, may pass 1 for
        its last look: the bound is then a little high.
    alpha : float
        Two-sided error rate over all looks. Each side has half of it.
    spending : {"obrien_fleming", "pocock"}

    Returns
    -------
    tuple of float
        Infinite where there is nothing to spend, as at less than 0.4 % of the information with
        O'Brien-Fleming spending.

    Raises
    ------
    InvalidValueError
        If the fractions do not increase (by a hundred-thousandth at least), are not positive, or
        `alpha` or the spending is not one.

    Notes
    -----
    The score process is followed from look to look: the density of the paths that have not crossed
    is carried on panels of Gauss-Legendre nodes as narrow as the steps ask for, and each bound is
    where the probability to cross for the first time is what may be spent. Bounds do not depend on
    looks that have not been taken, and looks may be planned or not as long as their times do not
    depend on what was seen.

    References
    ----------
    Armitage, McPherson and Rowe (1969), J. R. Statist. Soc. A 132(2), 235-244; Jennison and
    Turnbull (2000), Group Sequential Methods, chapters 7 and 19.

    Examples
    --------
    >>> [round(bound, 3) for bound in group_sequential_bounds([0.2, 0.4, 0.6, 0.8, 1.0])]
    [4.877, 3.357, 2.68, 2.29, 2.031]
    """
    times = increasing_fractions(fractions)
    spent = [alpha_spent(fraction, alpha, spending) for fraction in times]
    return _bounds(times, tuple(spent))


def group_sequential_test(
    z: Sequence[float],
    fractions: Sequence[float],
    alpha: float = 0.05,
    spending: Spending = "obrien_fleming",
) -> GroupSequentialTest:
    """Hold the z-statistics of the looks so far against their bounds.

    Parameters
    ----------
    z : sequence of float
        The statistic of all data up to each look, pooled and stratified as the data ask for.
    fractions : sequence of float
        Information at each look over the planned information; for two arms it is proportional to
        the sum over strata of ``n1 * n2 / (n1 + n2)``.
    alpha, spending
        As for `group_sequential_bounds`.

    Raises
    ------
    InvalidValueError
        If there is no look, a statistic is not finite, or there is not one for each fraction; and
        as for `group_sequential_bounds`.

    Examples
    --------
    >>> test = group_sequential_test([1.1, 2.3, 2.9], [0.2, 0.4, 0.6])
    >>> test.crossed_at, test.looks[2].crossed, round(test.bound, 3)
    (3, True, 2.68)
    """
    statistics = _statistics(z, fractions)
    bounds = group_sequential_bounds(fractions, alpha, spending)
    looks = tuple(
        GroupSequentialLook(
            look=look,
            fraction=float(fraction),
            z=statistic,
            bound=bound,
            crossed=abs(statistic) >= bound,
            alpha_spent=alpha_spent(fraction, alpha, spending),
        )
        for look, (fraction, statistic, bound) in enumerate(
            zip(fractions, statistics, bounds, strict=True), start=1
        )
    )
    crossed_at = next((each.look for each in looks if each.crossed), None)
    return GroupSequentialTest(looks, crossed_at is not None, crossed_at, bounds[-1])


def repeated_interval(estimate: float, standard_error: float, bound: float) -> tuple[float, float]:
    """Return a confidence interval that holds at all looks at once.

    Parameters
    ----------
    estimate, standard_error : float
        At this look; the standard error is not the one of the null hypothesis.
    bound : float
        At this look, from `group_sequential_bounds`.

    Raises
    ------
    InvalidValueError
        If the estimate is not finite, or the standard error or the bound is negative or missing.

    References
    ----------
    Jennison and Turnbull (1989), J. R. Statist. Soc. B 51(3), 305-361.

    Examples
    --------
    >>> low, high = repeated_interval(0.02, 0.01, 2.5)
    >>> round(low, 12), round(high, 12)
    (-0.005, 0.045)
    """
    if not isfinite(estimate):
        raise InvalidValueError("estimate", estimate, "a finite number")
    if not (isfinite(standard_error) and standard_error >= 0):
        raise InvalidValueError("standard_error", standard_error, "a number not below 0")
    if not bound > 0:
        raise InvalidValueError("bound", bound, "a number above 0")
    half = inf if bound == inf else bound * standard_error
    return estimate - half, estimate + half


def repeated_p_value(
    z: Sequence[float], fractions: Sequence[float], spending: Spending = "obrien_fleming"
) -> float:
    """Return the smallest error rate at which one of the looks so far would have crossed.

    Parameters
    ----------
    z, fractions, spending
        As for `group_sequential_test`.

    Returns
    -------
    float
        At or below `alpha` exactly when `group_sequential_test` with that `alpha` crosses, so it
        may be read at each look. Between 1e-12 and 1.

    Raises
    ------
    InvalidValueError
        As for `group_sequential_test`.

    References
    ----------
    Jennison and Turnbull (2000), Group Sequential Methods, section 9.5.

    Examples
    --------
    >>> round(repeated_p_value([1.1, 2.3, 2.9], [0.2, 0.4, 0.6]), 4)
    0.0325
    """
    statistics = np.abs(_statistics(z, fractions))
    times = increasing_fractions(fractions)

    def margin(log_alpha: float) -> float:
        alpha = float(np.exp(log_alpha))
        spent = tuple(alpha_spent(fraction, alpha, spending) for fraction in times)
        return float(np.max(statistics - np.array(_bounds(times, spent))))

    from scipy.optimize import brentq

    least, most = np.log(1e-12), np.log(0.999)
    if margin(most) < 0:
        return 1.0
    if margin(least) >= 0:
        return 1e-12
    return float(np.exp(brentq(margin, least, most, xtol=1e-9)))


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
    paths = _Paths.at_start(drift)
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
    _require_level("alpha", alpha)
    if times[-1] != 1:
        raise InvalidValueError("fractions", times[-1], "a plan whose last look is at 1")
    if not alpha / 2 < power < 1:
        raise InvalidValueError("power", power, f"above {alpha / 2} and below 1")
    return _inflation(times, alpha, power, spending)


def increasing_fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    """Return the information at each look, once it is known to be above 0 and to increase.

    Raises
    ------
    InvalidValueError
        If it is not, or there is no look.
    """
    times = tuple(float(fraction) for fraction in fractions)
    if not times or not all(isfinite(time) and time > 0 for time in times):
        raise InvalidValueError(
            "fractions", list(fractions), "at least one share of the planned information above 0"
        )
    if any(later - time < _SMALLEST_GAP * later for time, later in pairwise(times)):
        raise InvalidValueError(
            "fractions",
            list(fractions),
            "increasing shares of the planned information",
            "Where nothing has come since the last look, keep that look.",
        )
    return times


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


@dataclass(frozen=True, slots=True)
class _Paths:
    """Where the score process is, at the last look, on paths that have not crossed.

    The process starts at 0, and over a step of information ``d`` it moves by a normal variable of
    mean ``drift * d`` and variance ``d``.
    """

    drift: float
    time: float
    nodes: _Array
    masses: _Array  # probability at each node

    @classmethod
    def at_start(cls, drift: float) -> "_Paths":
        return cls(drift, 0.0, np.zeros(1), np.ones(1))

    def above(self, level: float, time: float) -> float:
        """Return the probability to be above a level at the next look."""
        step = time - self.time
        return _crossing(self.nodes + self.drift * step - level, self.masses, step)

    def below(self, level: float, time: float) -> float:
        step = time - self.time
        return _crossing(level - self.nodes - self.drift * step, self.masses, step)

    def within(self, level: float, time: float, following: float) -> "_Paths":
        """Return the paths that are within plus and minus `level` at the next look."""
        step = time - self.time
        centre, reach = self.drift * time, _REACH * sqrt(time)
        low, high = max(-level, centre - reach), min(level, centre + reach)
        width = _PANEL * sqrt(min(step, following - time))
        nodes, weights = _panels(low, high, width)
        offsets = (nodes[:, None] - (self.nodes + self.drift * step)) / sqrt(step)
        kernel = np.exp(-0.5 * offsets * offsets)
        density = kernel @ self.masses / sqrt(2 * np.pi * step)
        return _Paths(self.drift, time, nodes, weights * density)


def _crossing(distances: _Array, masses: _Array, step: float) -> float:
    from scipy.special import ndtr

    return float(masses @ ndtr(distances / sqrt(step)))


@cache
def _rule() -> tuple[_Array, _Array]:
    return np.polynomial.legendre.leggauss(8)


def _panels(low: float, high: float, width: float) -> tuple[_Array, _Array]:
    """Return nodes and weights of an integral from `low` to `high`."""
    if low >= high:  # no path is left
        return np.zeros(0), np.zeros(0)
    edges = np.linspace(low, high, max(1, int(np.ceil((high - low) / width))) + 1)
    half = (edges[1] - edges[0]) / 2
    nodes, weights = _rule()
    centres = (edges[:-1] + edges[1:]) / 2
    return (centres[:, None] + half * nodes).ravel(), np.tile(half * weights, len(centres))


@lru_cache(maxsize=256)
def _bounds(times: tuple[float, ...], spent: tuple[float, ...]) -> tuple[float, ...]:
    """Return the bounds at which `spent` is the probability to have crossed, without an effect."""
    bounds: list[float] = []
    paths, before = _Paths.at_start(0.0), 0.0
    for look, (time, now) in enumerate(zip(times, spent, strict=True)):
        bound = _bound(paths, time, now - before)
        bounds.append(bound)
        if look + 1 < len(times):
            paths = paths.within(bound * sqrt(time), time, times[look + 1])
        before = now
    return tuple(bounds)


def _bound(paths: _Paths, time: float, spends: float) -> float:
    from scipy.optimize import brentq
    from scipy.special import ndtri

    if spends <= 0:
        return inf
    # Without regard to earlier looks; it crosses at most as often as it may.
    widest = float(-ndtri(spends / 2))

    def left(bound: float) -> float:
        return 2 * paths.above(bound * sqrt(time), time) - spends

    if spends < _TRACEABLE or left(widest) >= 0:
        return widest
    return float(brentq(left, 0.0, widest, xtol=1e-10))


def _statistics(z: Sequence[float], fractions: Sequence[float]) -> list[float]:
    statistics = [float(each) for each in z]
    if len(statistics) != len(fractions) or not all(map(isfinite, statistics)):
        raise InvalidValueError("z", statistics, f"{len(fractions)} finite numbers, one a fraction")
    return statistics


def _require_level(name: str, level: float) -> None:
    if not 0.0 < level < 1.0:
        raise InvalidValueError(name, level, "a number strictly between 0 and 1")
