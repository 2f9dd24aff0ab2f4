"""Jensen-Shannon distance: how well one can tell from which of two samples a row comes."""

from math import sqrt

import numpy as np
import numpy.typing as npt

from watchkeeper.stats.counts import count_table, shares_of
from watchkeeper.stats.g_test import g_test
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["jensen_shannon_distance", "jensen_shannon_test"]


def jensen_shannon_distance(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the distance of two histograms: 0 when equal, 1 when they have nothing in common.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)

    Returns
    -------
    float
        The root of the divergence in bits; that of `scipy.spatial.distance.jensenshannon` with base
        2.

    References
    ----------
    Lin (1991), IEEE Trans. Inf. Theory 37(1), 145-151; Endres and Schindelin (2003), IEEE Trans.
    Inf. Theory 49(7), 1858-1860, for the root being a metric.
    """
    before, now = shares_of(count_table(reference, current))
    middle = (before + now) / 2
    parts = [
        float(np.sum(shares[shares > 0] * np.log2(shares[shares > 0] / middle[shares > 0])))
        for shares in (before, now)
    ]
    return sqrt(min(1.0, max(0.0, sum(parts) / 2)))


def jensen_shannon_test(reference: npt.ArrayLike, current: npt.ArrayLike) -> TwoSampleTest:
    """Test whether a distance is more than chance.

    Parameters
    ----------
    reference, current : array_like

    Returns
    -------
    TwoSampleTest
        The statistic, which is also the effect size, is the distance. The p-value is the G-test's:
        with the samples weighted by their sizes, ``2 (m + n)`` times the divergence in nats is the
        likelihood ratio of that test.

    Raises
    ------
    InvalidValueError
        If the counts differ in length, are negative, or a sample is empty; if they are not whole
        where categories are rare.
    """
    distance = jensen_shannon_distance(reference, current)
    return TwoSampleTest(distance, g_test(reference, current).p_value, distance)
