"""G-test of homogeneity: the chi-squared test by likelihood."""

import numpy.typing as npt

from watchkeeper.stats.counts import count_table, total_variation
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["g_test"]


def g_test(reference: npt.ArrayLike, current: npt.ArrayLike) -> TwoSampleTest:
    """Test whether two samples have the same shares of categories, by their likelihood ratio.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)

    Returns
    -------
    TwoSampleTest
        Those of `scipy.stats.chi2_contingency` with ``lambda_="log-likelihood"`` and without Yates'
        correction; the effect size is the total variation distance.

    References
    ----------
    Wilks (1935), Ann. Math. Statist. 6(4), 190-196.
    """
    from scipy.stats import chi2_contingency

    table = count_table(reference, current)
    if table.shape[1] == 1:
        return TwoSampleTest(0.0, 1.0, 0.0)
    found = chi2_contingency(table, correction=False, lambda_="log-likelihood")
    return TwoSampleTest(
        max(0.0, float(found.statistic)), float(found.pvalue), total_variation(*table)
    )
