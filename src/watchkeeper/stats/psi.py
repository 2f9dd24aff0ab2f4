"""Population stability index: how far apart two samples lie, over the same bins."""

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.counts import count_table, shares_of, total_variation
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["population_stability_index", "psi_test"]


def population_stability_index(
    reference: npt.ArrayLike, current: npt.ArrayLike, *, smoothing: float = 0.5
) -> float:
    """Return the index of two histograms over the same bins.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)
        Counts of the same bins.
    smoothing : float
        Added to each count where a bin of either is empty, since the index would be infinite.

    Returns
    -------
    float
        In nats, never negative; 0 when the shares agree. By the convention of credit scoring, below
        0.1 is stable and above 0.25 has shifted, whatever the sample sizes.

    Raises
    ------
    InvalidValueError
        If a bin is empty and `smoothing` is 0, or the counts are not of the same bins.

    References
    ----------
    Kullback and Leibler (1951), Ann. Math. Statist. 22(1), 79-86: divergence J. Siddiqi (2006),
    Credit Risk Scorecards, for the convention.

    Examples
    --------
    >>> round(population_stability_index([50, 50], [40, 60]), 4)
    0.0405
    """
    table = count_table(reference, current)
    if not table.all():
        if smoothing <= 0:
            raise InvalidValueError(
                "smoothing", smoothing, "a number above 0, because a bin is empty"
            )
        table = table + smoothing
    before, now = shares_of(table)
    return float(np.sum((now - before) * np.log(now / before)))


def psi_test(reference: npt.ArrayLike, current: npt.ArrayLike) -> TwoSampleTest:
    """Test whether an index is more than chance.

    Returns
    -------
    TwoSampleTest
        The statistic is the index; the effect size is the total variation distance. With no
        shift, the index times ``mn / (m + n)`` is asymptotically chi-squared with k - 1 degrees of
        freedom.

    References
    ----------
    Yurdakul and Naranjo (2020), J. Risk Model Validation 14(4), 89-100.
    """
    from scipy.stats import chi2

    table = count_table(reference, current)
    index = population_stability_index(*table)
    m, n = table.sum(axis=1)
    freedom = table.shape[1] - 1
    p_value = float(chi2.sf(index * m * n / (m + n), freedom)) if freedom else 1.0
    return TwoSampleTest(index, p_value, total_variation(*table))
