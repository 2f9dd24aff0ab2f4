"""Two-sample Kolmogorov-Smirnov test: the largest distance between two distribution functions."""

import warnings

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["ks_two_sample"]

_EXACT_UP_TO = 10_000  # rows of the larger sample: where SciPy's "auto" is exact


def ks_two_sample(
    reference: npt.NDArray[np.float64], current: npt.NDArray[np.float64]
) -> TwoSampleTest:
    """Test whether two samples come from one continuous distribution.

    Parameters
    ----------
    reference, current : array_like of float, shape (m,) and (n,)
        Without NaN. Infinities are extreme values. A reference that is sorted already is used as it
        is, which makes repeated tests against it cheap.

    Returns
    -------
    TwoSampleTest
        The statistic is the distance, which is also the effect size. The p-value is two-sided and
        that of `scipy.stats.ks_2samp` with its default method: exact up to 10,000 values,
        asymptotic beyond.

    Raises
    ------
    InvalidValueError
        If a sample is empty or holds NaN.

    References
    ----------
    Hodges (1958), Arkiv för Matematik 3(43), 469-486; Simard and L'Ecuyer (2011), J. Stat. Softw.
    39(11), whose distribution SciPy's ``kstwo`` computes.
    """
    first, second = _sorted("reference", reference), _sorted("current", current)
    if max(len(first), len(second)) <= _EXACT_UP_TO:
        from scipy.stats import ks_2samp

        with warnings.catch_warnings():  # where exact fails it says so and is asymptotic
            warnings.simplefilter("ignore", RuntimeWarning)
            test = ks_2samp(first, second)
        return TwoSampleTest(float(test.statistic), float(test.pvalue), float(test.statistic))
    from scipy.stats import kstwo

    distance = _distance(first, second)
    larger, smaller = float(max(len(first), len(second))), float(min(len(first), len(second)))
    effective = np.round(larger * smaller / (larger + smaller))
    p_value = float(np.clip(kstwo.sf(distance, effective), 0.0, 1.0))
    return TwoSampleTest(distance, p_value, distance)


def _distance(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Return the largest distance between the distribution functions of two sorted samples.

    Between two neighbouring values of the second sample its own function is constant and that of
    the first only grows, so the distance is largest at one of the ends: after the one value, or
    before the other.
    """
    largest = 0.0
    for side in ("left", "right"):
        below_first = np.searchsorted(first, second, side=side) / len(first)
        below_second = np.searchsorted(second, second, side=side) / len(second)
        largest = max(largest, float(np.abs(below_first - below_second).max()))
    return largest


def _sorted(name: str, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if not values.size:
        raise InvalidValueError(name, "an empty sample", "at least one value")
    if np.any(values[1:] < values[:-1]) or np.isnan(values).any():
        values = np.sort(values)
        if np.isnan(values[-1]):
            raise InvalidValueError(name, "a sample with NaN", "values that compare")
    return values
