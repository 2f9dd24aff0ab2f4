"""Wasserstein distance: how far values have to be moved, in standard deviations."""

from math import sqrt

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.ks import distance_of_sorted, sorted_sample
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["wasserstein_distance", "wasserstein_test"]

_MOST = 2_000  # values of each sample that permutations take

Floats = npt.NDArray[np.float64]


def wasserstein_distance(reference: Floats, current: Floats) -> float:
    """Return how far the values of one sample have to be moved to become the other.

    Parameters
    ----------
    reference, current : array_like of float, shape (m,) and (n,)
        Finite.

    Returns
    -------
    float
        `scipy.stats.wasserstein_distance` in units of the reference's standard deviation. A
        constant reference has none: there the unit is the standard deviation of both samples, each
        of equal weight, and the distance at most 2, which it is for two different constants. It is
        0 where both are the same constant. By the convention of drift tools, above 0.1 has drifted.

    Raises
    ------
    InvalidValueError
        If a sample is empty, or holds NaN or infinities.

    References
    ----------
    Vallender (1974), Theory Probab. Appl. 18(4), 784-786.
    """
    first, second = _finite("reference", reference), _finite("current", current)
    first, second = _scaled(first, second)
    # By its ends and not by its deviation, which rounding makes 1e-17 for a column of 0.1.
    unit = float(first.std()) if first[0] < first[-1] else 0.0
    moved = _moved(first, second)
    if not moved:
        return 0.0
    if not unit:
        between = float(first.mean() - second.mean())
        unit = sqrt(float(first.var() + second.var()) / 2.0 + between * between / 4.0)
    return moved / unit


def wasserstein_test(
    reference: Floats, current: Floats, *, permutations: int = 999, seed: int = 0
) -> TwoSampleTest:
    """Test whether a distance is more than chance, by permutation.

    Parameters
    ----------
    reference, current : array_like of float
    permutations : int
        The p-value is at least 1 in one more.
    seed : int
        For the permutations, and for the 2,000 values of each sample that they take of larger ones.

    Returns
    -------
    TwoSampleTest
        The statistic is the distance of the whole samples in standard deviations; the effect size
        is the Kolmogorov-Smirnov distance.

    Raises
    ------
    InvalidValueError
        If a sample is empty, or has values that are not finite.
    """
    first, second = _scaled(_finite("reference", reference), _finite("current", current))
    rng = np.random.default_rng(seed)
    ours, theirs = (
        rng.choice(sample, _MOST, replace=False) if len(sample) > _MOST else sample
        for sample in (first, second)
    )
    pooled = np.concatenate((ours, theirs))
    order = np.argsort(pooled, kind="stable")
    gaps = np.diff(pooled[order])
    steps = np.zeros(len(pooled))
    steps[: len(ours)] = 1.0 / len(ours)
    steps[len(ours) :] = -1.0 / len(theirs)
    distance = float(np.abs(np.cumsum(steps[order])[:-1]) @ gaps)
    drawn = [
        float(np.abs(np.cumsum(rng.permutation(steps))[:-1]) @ gaps) for _ in range(permutations)
    ]
    reached = int(np.sum(np.array(drawn) >= distance * (1.0 - 1e-9)))
    return TwoSampleTest(
        wasserstein_distance(first, second),
        (reached + 1) / (permutations + 1),
        distance_of_sorted(first, second),
    )


def _scaled(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Return both divided by a power of two, so that no square is too large or too small."""
    largest = max(abs(float(sample[end])) for sample in (first, second) for end in (0, -1))
    exponent = int(np.frexp(largest)[1])
    return np.ldexp(first, -exponent), np.ldexp(second, -exponent)


def _moved(first: Floats, second: Floats) -> float:
    both = np.sort(np.concatenate((first, second)))
    places = both[:-1]
    upto_first = np.searchsorted(first, places, side="right") / len(first)
    upto_second = np.searchsorted(second, places, side="right") / len(second)
    return float(np.abs(upto_first - upto_second) @ np.diff(both))


def _finite(name: str, values: Floats) -> Floats:
    sample = sorted_sample(name, values)
    if not (np.isfinite(sample[0]) and np.isfinite(sample[-1])):
        raise InvalidValueError(name, "a sample with infinities", "finite values")
    return sample
