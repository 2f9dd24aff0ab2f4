"""Two-sample Kolmogorov-Smirnov test: the largest distance between two distribution functions."""

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.sample import Sample
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = [
    "asymptotic_p_value",
    "asymptotic_p_values",
    "distance_of_sorted",
    "distance_to_sample",
    "ks_of_sample",
    "ks_of_sorted",
    "ks_two_sample",
    "sorted_sample",
]

_MANY = 2_000  # values from which the tail of the distribution is added up in steps
_FAR, _ZERO = 2.2, 370.0  # of size x distance²: where SciPy uses the one-sided tail, and where 0
_EDGES = 4096  # quantiles at which two samples are compared first
_SIDES: tuple[Literal["right"], Literal["left"]] = ("right", "left")
_EXACT_UP_TO = 10_000  # rows of the larger sample: where SciPy's "auto" is exact


def ks_two_sample(
    reference: npt.NDArray[np.float64], current: npt.NDArray[np.float64]
) -> TwoSampleTest:
    """Test whether two samples come from one continuous distribution.

    Parameters
    ----------
    reference, current : array_like of float, shape (m,) and (n,)
        Without NaN. Infinities are extreme values. A reference that is sorted already is used as it
        is, which makes repeated tests against it cheap.

    Returns
    -------
    TwoSampleTest
        The statistic is the distance, which is also the effect size. The p-value is two-sided and
        that of `scipy.stats.ks_2samp` with its default method: exact up to 10,000 values,
        asymptotic beyond.

    Raises
    ------
    InvalidValueError
        If a sample is empty or holds NaN.

    References
    ----------
    Hodges (1958), Arkiv för Matematik 3(43), 469-486; Simard and L'Ecuyer (2011), J. Stat. Softw.
    39(11), whose distribution SciPy's ``kstwo`` computes.
    """
    return ks_of_sorted(sorted_sample("reference", reference), sorted_sample("current", current))


def ks_of_sorted(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> TwoSampleTest:
    """Return `ks_two_sample` of samples that are known to be sorted, not empty and without NaN.

    Parameters
    ----------
    first, second : numpy.ndarray of float

    Returns
    -------
    TwoSampleTest
    """
    if max(len(first), len(second)) <= _EXACT_UP_TO:
        from scipy.stats import ks_2samp

        with warnings.catch_warnings():  # where exact fails it says so and is asymptotic
            warnings.simplefilter("ignore", RuntimeWarning)
            test = ks_2samp(first, second)
        return TwoSampleTest(float(test.statistic), float(test.pvalue), float(test.statistic))
    return _by_counting(first, Sample.of_sorted(second))


def ks_of_sample(first: npt.NDArray[np.float64], second: Sample) -> TwoSampleTest:
    """Return `ks_two_sample` of a sorted sample and another one, both without NaN.

    Of a sample that is not at hand no more is asked than its ranks at the values of the first: the
    distribution function of the first changes there only, so the distance lies at one of them.

    Parameters
    ----------
    first : numpy.ndarray of float
    second : Sample

    Returns
    -------
    TwoSampleTest
    """
    if max(len(first), len(second)) <= _EXACT_UP_TO:
        return ks_of_sorted(first, second.values)
    if second.at_hand:
        return _by_counting(first, second)
    points, starts = np.unique(first, return_index=True)
    below = starts / len(first)
    upto = np.append(below[1:], 1.0)
    their_below, their_upto = (ranks / len(second) for ranks in second.ranks(points))
    distance = max(float(np.abs(upto - their_upto).max()), float(np.abs(below - their_below).max()))
    return TwoSampleTest(distance, asymptotic_p_value(distance, len(first), len(second)), distance)


def _by_counting(first: npt.NDArray[np.float64], second: Sample) -> TwoSampleTest:
    distance = distance_to_sample(first, second)
    return TwoSampleTest(distance, asymptotic_p_value(distance, len(first), len(second)), distance)


def asymptotic_p_value(distance: float, m: int, n: int) -> float:
    """Return how likely two large samples of one distribution lie so far apart or further.

    Parameters
    ----------
    distance : float
        Between 0 and 1.
    m, n : int
        Sizes of the samples.

    Returns
    -------
    float
    """
    return asymptotic_p_values([distance], [(m, n)])[0]


def asymptotic_p_values(
    distances: Sequence[float], sizes: Sequence[tuple[int, int]]
) -> list[float]:
    """Return `asymptotic_p_value` of many tests, each with the sizes of its two samples.

    Parameters
    ----------
    distances : sequence of float
    sizes : sequence of tuple of (int, int)

    Returns
    -------
    list of float
    """
    from scipy.stats import kstwo

    if not distances:
        return []
    smaller, larger = np.sort(np.array(sizes, dtype=np.float64), axis=1).T
    effective = np.maximum(1.0, np.round(larger * smaller / (larger + smaller)))
    apart = np.array(distances, dtype=np.float64)
    squared = effective * apart * apart
    stepped = (effective > _MANY) & (squared >= _FAR) & (squared < _ZERO)
    p_values = np.empty(len(apart))
    if not stepped.all():
        p_values[~stepped] = kstwo.sf(apart[~stepped], effective[~stepped])
    for k in np.flatnonzero(stepped):
        p_values[k] = 2.0 * _one_sided(float(apart[k]), float(effective[k]))
    clipped: list[float] = np.clip(p_values, 0.0, 1.0).tolist()
    return clipped


def _one_sided(distance: float, size: float) -> float:
    """Return the probability that Smirnov's one-sided distance of `size` values exceeds `distance`.

    Its exact form (Birnbaum and Tingey 1951) has a term a value, and SciPy adds up half a million
    in most of a second. The terms change slowly, so every so many-th is enough: with 20,000 of them
    the trapezoidal rule is right to twelve digits. Each is a binomial probability, by its deviance
    (Loader 2000) lest digits cancel.
    """
    step = max(1, int(size) // 20_000)
    j = np.arange(1.0, size * (1.0 - distance), step)
    share, rest = j / size, 1.0 - j / size
    deviance = size * (share * np.log1p(distance / share) + rest * np.log1p(-distance / rest))
    correction = _stirling(np.array(size)) - _stirling(j) - _stirling(size - j)
    binomial = np.exp(deviance + correction) * np.sqrt(size / (2.0 * np.pi * j * (size - j)))
    return float(step * np.sum(binomial * distance / (distance + share)))


def _stirling(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return by how much Stirling's formula is short of the logarithm of x!."""
    return 1.0 / (12.0 * x) - 1.0 / (360.0 * x**3)


def distance_of_sorted(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Return the largest distance between the distribution functions of two sorted samples.

    Parameters
    ----------
    first, second : numpy.ndarray of float

    Returns
    -------
    float
    """
    return distance_to_sample(first, Sample.of_sorted(second))


def distance_to_sample(first: npt.NDArray[np.float64], second: Sample) -> float:
    """Return the largest distance between the distribution functions of two samples, one sorted.

    It lies at a value of one of them. The functions are compared at quantiles of the first; between
    two of these each can only grow, which bounds their distance there, and the few stretches whose
    bound is above what was found are compared value by value. So it is exact, and the second sample
    is counted at the quantiles and sorted in these stretches only.

    Parameters
    ----------
    first : numpy.ndarray of float
    second : Sample

    Returns
    -------
    float
    """
    m, n = len(first), len(second)
    places = np.linspace(0, m - 1, min(m, _EDGES)).astype(np.intp)
    edges = np.unique(first[places])
    upto_m, below_m = (np.searchsorted(first, edges, side=side) for side in _SIDES)
    below_n, upto_n = second.ranks(edges)
    largest = max(float(np.abs(upto_m / m - upto_n / n).max()), float(below_n[0] / n))
    bounds = np.maximum(below_m[1:] / m - upto_n[:-1] / n, below_n[1:] / n - upto_m[:-1] / m)
    open_ones = np.flatnonzero(bounds > largest)
    if not len(open_ones):
        return largest
    inside = second.covering(edges[open_ones], edges[open_ones + 1])
    for k in open_ones[np.argsort(-bounds[open_ones])]:
        if bounds[k] <= largest:
            break
        ours = first[upto_m[k] : below_m[k + 1]]
        start = np.searchsorted(inside, edges[k], side="right")
        theirs = inside[start : np.searchsorted(inside, edges[k + 1], side="left")]
        values = np.concatenate((ours, theirs))
        if values.size:
            of_m = (upto_m[k] + np.searchsorted(ours, values, side="right")) / m
            of_n = (upto_n[k] + np.searchsorted(theirs, values, side="right")) / n
            largest = max(largest, float(np.abs(of_m - of_n).max()))
    return largest


def sorted_sample(name: str, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a sample sorted.

    Parameters
    ----------
    name : str
        For the error.
    values : numpy.ndarray of float

    Returns
    -------
    numpy.ndarray of float

    Raises
    ------
    InvalidValueError
        If it is empty or holds NaN.
    """
    values = np.asarray(values, dtype=np.float64)
    if not values.size:
        raise InvalidValueError(name, "an empty sample", "at least one value")
    if np.any(values[1:] < values[:-1]) or np.isnan(values).any():
        values = np.sort(values)
        if np.isnan(values[-1]):
            raise InvalidValueError(name, "a sample with NaN", "values that compare")
    return values
