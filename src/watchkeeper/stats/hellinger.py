"""Hellinger distance: the distance of the roots of two distributions."""

from math import sqrt

import numpy as np
import numpy.typing as npt

from watchkeeper.stats.counts import count_table, shares_of
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["hellinger_distance", "hellinger_test"]


def hellinger_distance(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the distance of two histograms: 0 when equal, 1 when they have nothing in common.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)

    References
    ----------
    Hellinger (1909), J. reine angew. Math. 136, 210-271.
    """
    before, now = shares_of(count_table(reference, current))
    return sqrt(min(1.0, float(np.sum((np.sqrt(before) - np.sqrt(now)) ** 2)) / 2))


def hellinger_test(reference: npt.ArrayLike, current: npt.ArrayLike) -> TwoSampleTest:
    """Test whether a distance is more than chance.

    Returns
    -------
    TwoSampleTest
        The statistic, which is also the effect size, is the distance h. With no shift,
        ``8 h^2 mn / (m + n)`` is asymptotically chi-squared with k - 1 degrees of freedom.

    References
    ----------
    Matusita (1955), Ann. Math. Statist. 26(4), 631-640.
    """
    from scipy.stats import chi2

    table = count_table(reference, current)
    distance = hellinger_distance(*table)
    m, n = table.sum(axis=1)
    freedom = table.shape[1] - 1
    p_value = float(chi2.sf(8 * distance**2 * m * n / (m + n), freedom)) if freedom else 1.0
    return TwoSampleTest(distance, p_value, distance)
