"""G-test of homogeneity: the chi-squared test by likelihood."""

import numpy as np
import numpy.typing as npt

from watchkeeper.stats.counts import count_table, total_variation
from watchkeeper.stats.permutation import chi_squared_or_drawn
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["g_test"]

Floats = npt.NDArray[np.float64]


def g_test(reference: npt.ArrayLike, current: npt.ArrayLike) -> TwoSampleTest:
    """Test whether two samples have the same shares of categories, by their likelihood ratio.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)

    Returns
    -------
    TwoSampleTest
        The statistic is that of `scipy.stats.chi2_contingency` with ``lambda_="log-likelihood"``
        and without Yates' correction. So is the p-value, except where categories are so rare that
        the test would call equal samples different: there it is by permutation (see
        `watchkeeper.stats.permutation.chi_squared_or_drawn`). The effect size is the total
        variation distance.

    Raises
    ------
    InvalidValueError
        If the counts differ in length, are negative, or a sample is empty; if they are not whole
        where categories are rare.

    References
    ----------
    Wilks (1935), Ann. Math. Statist. 6(4), 190-196.
    """
    from scipy.special import rel_entr

    table = count_table(reference, current)
    sizes, pooled = table.sum(axis=1), table.sum(axis=0)
    before, now = (pooled * (size / sizes.sum()) for size in sizes)

    def likelihood_ratio(first: Floats, second: Floats) -> Floats:
        statistic: Floats = 2.0 * (rel_entr(first, before) + rel_entr(second, now)).sum(axis=-1)
        return np.maximum(0.0, statistic)

    return TwoSampleTest(
        float(likelihood_ratio(*table)),
        chi_squared_or_drawn(table, likelihood_ratio),
        total_variation(*table),
    )
