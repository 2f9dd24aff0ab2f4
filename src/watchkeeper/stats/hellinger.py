"""Hellinger distance: the distance of the roots of two distributions."""

from math import sqrt

import numpy as np
import numpy.typing as npt

from watchkeeper.stats.counts import count_table, shares_of
from watchkeeper.stats.permutation import chi_squared_or_drawn
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["hellinger_distance", "hellinger_test"]

Floats = npt.NDArray[np.float64]


def hellinger_distance(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the distance of two histograms: 0 when equal, 1 when they have nothing in common.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)

    Returns
    -------
    float

    References
    ----------
    Hellinger (1909), J. reine angew. Math. 136, 210-271.
    """
    before, now = shares_of(count_table(reference, current))
    return sqrt(min(1.0, float(np.sum((np.sqrt(before) - np.sqrt(now)) ** 2)) / 2))


def hellinger_test(reference: npt.ArrayLike, current: npt.ArrayLike) -> TwoSampleTest:
    """Test whether a distance is more than chance.

    Parameters
    ----------
    reference, current : array_like

    Returns
    -------
    TwoSampleTest
        The statistic, which is also the effect size, is the distance h. With no shift,
        ``8 h^2 mn / (m + n)`` is asymptotically chi-squared with k - 1 degrees of freedom. Where
        categories are too rare for that, the p-value is by permutation (see
        `watchkeeper.stats.permutation.chi_squared_or_drawn`).

    Raises
    ------
    InvalidValueError
        If the counts differ in length, are negative, or a sample is empty; if they are not whole
        where categories are rare.

    References
    ----------
    Matusita (1955), Ann. Math. Statist. 26(4), 631-640.
    """
    table = count_table(reference, current)
    distance = hellinger_distance(*table)
    m, n = table.sum(axis=1)

    def matusita(first: Floats, second: Floats) -> Floats:
        squared = ((np.sqrt(first / m) - np.sqrt(second / n)) ** 2).sum(axis=-1)
        statistic: Floats = 4.0 * m * (n / (m + n)) * squared
        return statistic

    return TwoSampleTest(distance, chi_squared_or_drawn(table, matusita), distance)
