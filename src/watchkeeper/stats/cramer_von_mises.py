"""Cramér-von Mises test of two samples: the mean squared distance of two distribution functions."""

import numpy as np
import numpy.typing as npt

from watchkeeper.stats.ks import distance_of_sorted, sorted_sample
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["cramer_von_mises"]


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
        asymptotic beyond. The effect size is the Kolmogorov-Smirnov distance.

    Raises
    ------
    InvalidValueError
        If a sample is empty or holds NaN.

    References
    ----------
    Anderson (1962), Ann. Math. Statist. 33(3), 1148-1159.
    """
    from scipy.stats import cramervonmises_2samp

    first, second = sorted_sample("reference", reference), sorted_sample("current", current)
    if first[0] == first[-1] == second[0] == second[-1]:  # one value: nothing could differ
        return TwoSampleTest(0.0, 1.0, 0.0)
    if min(len(first), len(second)) < 2:  # SciPy asks for two: the smallest p-value there could be
        return TwoSampleTest(0.0, 1.0, distance_of_sorted(first, second))
    pooled = np.concatenate((first, second))
    tied = len(np.unique(pooled)) < len(pooled)
    found = cramervonmises_2samp(first, second, method="asymptotic" if tied else "auto")
    return TwoSampleTest(
        float(found.statistic),
        float(np.clip(found.pvalue, 0.0, 1.0)),
        distance_of_sorted(first, second),
    )
