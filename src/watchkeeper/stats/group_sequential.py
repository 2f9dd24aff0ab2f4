"""Group-sequential tests: a few or many planned looks that share one error rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import e, inf, isfinite, sqrt
from typing import Literal, get_args

import numpy as np

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats.score_paths import ScorePaths

__all__ = [
    "GroupSequentialLook",
    "GroupSequentialTest",
    "Spending",
    "alpha_spent",
    "group_sequential_bounds",
    "group_sequential_test",
    "increasing_fractions",
    "repeated_interval",
    "repeated_p_value",
]

Spending = Literal["obrien_fleming", "pocock"]

_SMALLEST_GAP = 1e-5  # of the information at a look: what the grid below resolves
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

    Returns
    -------
    float

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

    Returns
    -------
    GroupSequentialTest

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
    crossed_at = next((step.look for step in looks if step.crossed), None)
    return GroupSequentialTest(looks, crossed_at is not None, crossed_at, bounds[-1])


def repeated_interval(estimate: float, standard_error: float, bound: float) -> tuple[float, float]:
    """Return a confidence interval that holds at all looks at once.

    Parameters
    ----------
    estimate, standard_error : float
        At this look; the standard error is not the one of the null hypothesis.
    bound : float
        At this look, from `group_sequential_bounds`.

    Returns
    -------
    tuple of (float, float)

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


def increasing_fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    """Return the information at each look, once it is known to be above 0 and to increase.

    Parameters
    ----------
    fractions : sequence of float

    Returns
    -------
    tuple of float

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
def _bounds(times: tuple[float, ...], spent: tuple[float, ...]) -> tuple[float, ...]:
    """Return the bounds at which `spent` is the probability to have crossed, without an effect."""
    bounds: list[float] = []
    paths, before = ScorePaths.at_start(0.0), 0.0
    for look, (time, now) in enumerate(zip(times, spent, strict=True)):
        bound = _bound(paths, time, now - before)
        bounds.append(bound)
        if look + 1 < len(times):
            paths = paths.within(bound * sqrt(time), time, times[look + 1])
        before = now
    return tuple(bounds)


def _bound(paths: ScorePaths, time: float, spends: float) -> float:
    from scipy.optimize import brentq
    from scipy.special import ndtri

    if spends <= 0:
        return inf
    # Without regard to earlier looks; it crosses at most as often as it may.
    widest = float(-ndtri(spends / 2))

    def remaining(bound: float) -> float:
        return 2 * paths.above(bound * sqrt(time), time) - spends

    if spends < _TRACEABLE or remaining(widest) >= 0:
        return widest
    return float(brentq(remaining, 0.0, widest, xtol=1e-10))


def _statistics(z: Sequence[float], fractions: Sequence[float]) -> list[float]:
    statistics = [float(value) for value in z]
    if len(statistics) != len(fractions) or not all(map(isfinite, statistics)):
        raise InvalidValueError("z", statistics, f"{len(fractions)} finite numbers, one a fraction")
    return statistics


def _require_level(name: str, level: float) -> None:
    if not 0.0 < level < 1.0:
        raise InvalidValueError(name, level, "a number strictly between 0 and 1")
