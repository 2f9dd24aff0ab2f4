"""Chi-squared test of homogeneity: whether two samples have the same shares of categories."""

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["chi_squared"]


def chi_squared(reference: npt.ArrayLike, current: npt.ArrayLike) -> TwoSampleTest:
    """Test whether two samples have the same shares of categories.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)
        Counts of the same categories in the same order; a category may be absent from either.

    Returns
    -------
    TwoSampleTest
        Statistic and p-value are those of `scipy.stats.chi2_contingency` (with Yates' correction
        for two categories, its default). The effect size is the total variation distance: the share
        of rows that would have to change their category.

    Raises
    ------
    InvalidValueError
        If the counts differ in length, are negative, or a sample is empty.

    References
    ----------
    Pearson (1900), Philosophical Magazine 50(302), 157-175.
    """
    table = np.array([np.asarray(reference), np.asarray(current)], dtype=np.float64)
    if table.ndim != 2 or (table < 0).any():
        raise InvalidValueError("counts", table.tolist(), "counts of the same categories")
    for name, counts in zip(("reference", "current"), table, strict=True):
        if not counts.sum():
            raise InvalidValueError(name, "an empty sample", "at least one value")
    table = table[:, table.sum(axis=0) > 0]
    shares = table / table.sum(axis=1, keepdims=True)
    effect = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if table.shape[1] == 1:  # one category, on both sides: nothing could differ
        return TwoSampleTest(0.0, 1.0, 0.0)
    from scipy.stats import chi2_contingency

    test = chi2_contingency(table)
    return TwoSampleTest(float(test.statistic), float(test.pvalue), effect)
