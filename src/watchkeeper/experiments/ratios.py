"""Two ratios of sums, such as clicks per page seen, where users were drawn and not pages."""

from dataclasses import dataclass
from math import sqrt

import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments.cells import Sums
from watchkeeper.experiments.contrast import contrast
from watchkeeper.stats.difference import DifferenceTest, arm_values, check_alpha, relative_pct
from watchkeeper.stats.intervals import normal_quantile

__all__ = ["RatioTest", "ratio_sums", "ratio_test"]

_NO_SPREAD = 1e-7  # of a ratio: less than that is the rounding of sums of squares
_NO_DIFFERENCE = 1e-12


@dataclass(frozen=True, slots=True)
class RatioTest(DifferenceTest):
    """Two ratios of sums compared, once.

    Attributes
    ----------
    z_statistic, standard_error : float
        Of the difference, by the delta method.
    """

    z_statistic: float
    standard_error: float


def ratio_sums(numerators: npt.ArrayLike, denominators: npt.ArrayLike, name: str = "arm") -> Sums:
    """Return the sums of an arm.

    Parameters
    ----------
    numerators, denominators : array_like of float, shape (n,)
        Of each unit: its clicks and its pages, say.
    name : str
        What to call the arm in an error.

    Returns
    -------
    Sums

    Raises
    ------
    InvalidValueError
        If they differ in length, not all are finite, or a denominator is negative.
    """
    y = arm_values(f"numerators of {name}", numerators)
    d = arm_values(f"denominators of {name}", denominators)
    if len(y) != len(d):
        raise InvalidValueError(
            f"denominators of {name}", f"of {len(d)} units", f"one for each of the {len(y)} units"
        )
    if d.min() < 0:
        raise InvalidValueError(f"denominators of {name}", float(d.min()), "none below 0")
    parts = (y.sum(), y @ y, d.sum(), d @ d, y @ d)
    return Sums(len(y), *(float(part) for part in parts))


def ratio_test(control: Sums, treatment: Sums, alpha: float = 0.05) -> RatioTest:
    """Test whether two ratios of sums are equal, where units were drawn and not what they did.

    Parameters
    ----------
    control, treatment : Sums
        By `ratio_sums`, or of any cells, which add up.
    alpha : float

    Returns
    -------
    RatioTest
        Test and interval are normal: for at least some 30 units an arm, or more where a few of them
        have most of the sum.

    Raises
    ------
    InvalidValueError
        If an arm has fewer than two units or nothing in its denominator, no unit differs from the
        ratio of its arm and the arms differ, or alpha is not between 0 and 1.

    References
    ----------
    Deng, Knoblich and Lu (2018), KDD, 233-242.

    Examples
    --------
    >>> own = ratio_sums([1, 0, 2, 1], [2, 1, 3, 3])
    >>> other = ratio_sums([2, 1, 2, 2], [2, 2, 3, 2])
    >>> round(ratio_test(own, other).absolute_difference, 4)
    0.3333
    """
    from scipy.special import ndtr

    check_alpha(alpha)
    for name, arm in (("control", control), ("treatment", treatment)):
        if arm.n < 2:
            raise InvalidValueError(name, f"of {arm.n} units", "at least 2")
        if arm.d <= 0:
            raise InvalidValueError(f"denominators of {name}", arm.d, "a sum above 0")
    difference = contrast([(control, treatment)])
    scale = max(abs(difference.control), abs(difference.treatment))
    spread = difference.standard_error * sqrt(min(control.n, treatment.n))
    certain, apart = (
        spread <= _NO_SPREAD * scale,
        abs(difference.difference) > _NO_DIFFERENCE * scale,
    )
    if certain and apart:
        raise InvalidValueError(
            "units",
            "each of the ratio of its variant",
            "some that differ, to tell how far chance goes",
        )
    z = 0.0 if certain else difference.difference / difference.standard_error
    half = normal_quantile(1 - alpha) * difference.standard_error
    p_value = min(1.0, 2 * float(ndtr(-abs(z))))
    return RatioTest(
        control=difference.control,
        treatment=difference.treatment,
        absolute_difference=difference.difference,
        relative_improvement_pct=relative_pct(difference.control, difference.difference),
        p_value=p_value,
        is_significant=p_value < alpha,
        confidence_interval=(difference.difference - half, difference.difference + half),
        confidence_level=100 * (1 - alpha),
        z_statistic=z,
        standard_error=difference.standard_error,
    )
