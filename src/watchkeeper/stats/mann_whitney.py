"""Mann-Whitney's test, and the probability that a unit of one arm exceeds one of the other."""

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
import numpy.typing as npt

from watchkeeper.results import Result
from watchkeeper.stats.auc import roc_auc
from watchkeeper.stats.difference import arm_values, check_alpha
from watchkeeper.stats.intervals import normal_quantile, wilson

__all__ = ["MannWhitneyTest", "mann_whitney_test"]


@dataclass(frozen=True, slots=True)
class MannWhitneyTest(Result):
    """Two arms compared by rank, once.

    Attributes
    ----------
    u_statistic : float
        Pairs in which the treatment's value is the larger one; equal ones count half.
    p_value : float
        Two-sided.
    is_significant : bool
    superiority : float
        Probability that a unit of the treatment has a larger value than one of the control, with
        half of that of equal values; 0.5 if neither tends to be larger.
    confidence_interval : tuple of float
        Of the superiority.
    confidence_level : float
        Percent.
    """

    u_statistic: float
    p_value: float
    is_significant: bool
    superiority: float
    confidence_interval: tuple[float, float]
    confidence_level: float


def mann_whitney_test(
    control: npt.ArrayLike, treatment: npt.ArrayLike, alpha: float = 0.05
) -> MannWhitneyTest:
    """Test whether the values of two arms have one distribution, by rank.

    It is a test of "one distribution", not of equal medians or means: arms of equal medians may
    differ by it, and arms of different means may not.

    Parameters
    ----------
    control, treatment : array_like of float, shape (m,) and (n,)
        A value a unit. Infinities are extreme values.
    alpha : float

    Returns
    -------
    MannWhitneyTest
        The p-value is that of `scipy.stats.mannwhitneyu`: exact where an arm has at most 8 units
        and no two values are equal. The interval does not assume what the test assumes, so that the
        two may differ by a hair: it is normal on the scale of log-odds, by DeLong's variance.
        Where no pair contradicts the others that is 0; the interval is then Wilson's, of as many
        independent pairs as there are. With one unit in an arm it is all from 0 to 1.

    Raises
    ------
    InvalidValueError
        If an arm is empty or has NaN, or alpha is not between 0 and 1.

    References
    ----------
    Mann and Whitney (1947), Ann. Math. Statist. 18(1), 50-60; DeLong, DeLong and Clarke-Pearson
    (1988), Biometrics 44(3), 837-845; Qin and Hotilovac (2008), Stat. Methods Med. Res. 17(2),
    207-221, for the log-odds.

    Examples
    --------
    >>> test = mann_whitney_test([1, 2, 3, 4, 5], [3.5, 4.5, 5.5, 6.5])
    >>> round(test.superiority, 3), round(test.p_value, 4)
    (0.85, 0.1111)
    """
    from scipy.stats import mannwhitneyu

    check_alpha(alpha)
    control_values = arm_values("control", control, finite=False)
    other = arm_values("treatment", treatment, finite=False)
    both = np.concatenate([control_values, other])
    if both.min() == both.max():
        u, p_value = len(control_values) * len(other) / 2, 1.0
    else:
        test = mannwhitneyu(other, control_values, alternative="two-sided")
        u, p_value = float(test.statistic), float(test.pvalue)
    return MannWhitneyTest(
        u_statistic=u,
        p_value=p_value,
        is_significant=p_value < alpha,
        superiority=u / len(control_values) / len(other),
        confidence_interval=_interval(both, len(control_values), len(other), 1 - alpha),
        confidence_level=100 * (1 - alpha),
    )


def _interval(
    values: npt.NDArray[np.float64], controls: int, treated: int, confidence: float
) -> tuple[float, float]:
    """Return an interval of the superiority of the last values over the first `controls`."""
    pairs = min(controls, treated)
    auc = roc_auc(values, np.arange(controls + treated) >= controls)
    if auc is None or pairs < 2:
        return 0.0, 1.0
    area = auc.area
    if 0.0 < area < 1.0 and values.min() < values.max():
        middle = log(area / (1 - area))
        half = normal_quantile(confidence) * sqrt(auc.variance) / (area * (1 - area))
        return 1 / (1 + exp(half - middle)), 1 / (1 + exp(-half - middle))
    least, _ = wilson(pairs, pairs, confidence)  # share of pairs that come out as all of these did
    return area * least, 1 - (1 - area) * least
