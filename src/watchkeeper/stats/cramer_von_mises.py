"""Cramér-von Mises test of two samples: the mean squared distance of two distribution functions."""

from math import erfc, pi, sqrt

import numpy as np
import numpy.typing as npt

from watchkeeper.stats.ks import distance_of_sorted, sorted_sample
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["cramer_von_mises"]

_FAR = 3.0  # of the statistic, where the p-value is 7.5e-8 and SciPy's sum begins to lose it


def cramer_von_mises(
    reference: npt.NDArray[np.float64], current: npt.NDArray[np.float64]
) -> TwoSampleTest:
    """Test whether two samples come from one distribution, over the whole of it.

    Parameters
    ----------
    reference, current : array_like of float, shape (m,) and (n,)
        Without NaN.

    Returns
    -------
    TwoSampleTest
        Those of `scipy.stats.cramervonmises_2samp`: exact for at most 20 values without ties,
        asymptotic beyond. Its sum leaves an error of about 1e-9 that grows with the statistic, so
        that p-values below 1e-7 are those of Zolotarev's tail instead. One value tells nothing: its
        statistic is 0 and its p-value 1. The effect size is the Kolmogorov-Smirnov distance.

    Raises
    ------
    InvalidValueError
        If a sample is empty or holds NaN.

    References
    ----------
    Anderson (1962), Ann. Math. Statist. 33(3), 1148-1159; Zolotarev (1961), Theory Probab. Appl.
    6(2), 201-204, for the tail of a sum of weighted squares of normal variables.
    """
    from scipy.stats import cramervonmises_2samp

    first, second = sorted_sample("reference", reference), sorted_sample("current", current)
    if first[0] == first[-1] == second[0] == second[-1]:  # one value: nothing could differ
        return TwoSampleTest(0.0, 1.0, 0.0)
    if min(len(first), len(second)) < 2:  # SciPy asks for two
        return TwoSampleTest(0.0, 1.0, distance_of_sorted(first, second))
    pooled = np.concatenate((first, second))
    tied = len(np.unique(pooled)) < len(pooled)
    result = cramervonmises_2samp(first, second, method="asymptotic" if tied else "auto")
    statistic, p_value = float(result.statistic), float(np.clip(result.pvalue, 0.0, 1.0))
    limit = _of_the_limit(statistic, len(first), len(second))
    if limit > _FAR:
        p_value = sqrt(2.0) * erfc(pi * sqrt(limit / 2.0))
    return TwoSampleTest(statistic, p_value, distance_of_sorted(first, second))


def _of_the_limit(statistic: float, m: int, n: int) -> float:
    """Return a statistic moved to the mean and variance that it has in endless samples."""
    total = m + n
    mean = (1.0 + 1.0 / total) / 6.0
    spread = (total + 1.0) / total * (1.0 - 0.75 * (m / n + n / m) / total - 0.5 / total)
    return 1.0 / 6.0 + (statistic - mean) / sqrt(spread)
