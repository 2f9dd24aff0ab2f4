"""Two quantiles compared, such as the 95th percentile of latency: no density, no resampling."""

from dataclasses import dataclass
from math import hypot, inf, sqrt

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.difference import DifferenceTest, arm_values, check_alpha, relative_pct
from watchkeeper.stats.intervals import normal_quantile

__all__ = ["QuantileTest", "quantile_test"]

_STEPS = 60  # of halving, which is as fine as floats are


@dataclass(frozen=True, slots=True)
class QuantileTest(DifferenceTest):
    """Two quantiles compared, once.

    Attributes
    ----------
    q : float
        Which quantile: 0.5 for the median.
    """

    q: float


def quantile_test(
    control: npt.ArrayLike, treatment: npt.ArrayLike, q: float = 0.5, alpha: float = 0.05
) -> QuantileTest:
    """Test whether a quantile of two arms differs, whatever their distributions are.

    Parameters
    ----------
    control, treatment : array_like of float, shape (m,) and (n,)
        A value a unit, where units are independent of each other.
    q : float
        Between 0 and 1.
    alpha : float

    Returns
    -------
    QuantileTest
        Each quantile has the interval of order statistics that the sign test does not reject:
        those at ``q ± z sqrt(q (1 - q) / n)``. The interval of the difference is made of both as
        Newcombe makes his of two proportions, and the p-value is the error rate at which it ends at
        0. An arm too small for an interval of that quantile makes it infinite on that side.

    Raises
    ------
    InvalidValueError
        If an arm is empty or has values that are not finite, or q or alpha is not between 0 and 1.

    References
    ----------
    Conover (1999), Practical Nonparametric Statistics, section 3.2, for the order statistics; Zou
    and Donner (2008), Statistics in Medicine 27(10), 1693-1702, for the difference.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> test = quantile_test(rng.lognormal(size=2_000), rng.lognormal(0.2, size=2_000), q=0.95)
    >>> low, high = test.confidence_interval
    >>> low < 5.18 * 0.2214 < high  # exp(1.645) grows by 22 %
    True
    """
    check_alpha(alpha)
    if not 0.0 < q < 1.0:
        raise InvalidValueError("q", q, "a number strictly between 0 and 1")
    control_quantile, other = _Quantile(control, "control", q), _Quantile(treatment, "treatment", q)
    difference = other.value - control_quantile.value
    p_value = _p_value(control_quantile, other)
    return QuantileTest(
        control=control_quantile.value,
        treatment=other.value,
        absolute_difference=difference,
        relative_improvement_pct=relative_pct(control_quantile.value, difference),
        p_value=p_value,
        is_significant=p_value < alpha,
        confidence_interval=_interval(control_quantile, other, normal_quantile(1 - alpha)),
        confidence_level=100 * (1 - alpha),
        q=q,
    )


class _Quantile:
    """A quantile of an arm, and its interval at any number of standard errors."""

    def __init__(self, observed: npt.ArrayLike, name: str, q: float) -> None:
        self.values = np.sort(arm_values(name, observed))
        self.q, self.error = q, sqrt(q * (1 - q) / len(self.values))
        self.value = self.at(q)

    def at(self, q: float) -> float:
        """Return the value below which a share of `q` lies, between order statistics."""
        position = q * (len(self.values) - 1)
        below = int(position)
        above = min(below + 1, len(self.values) - 1)
        low, high = float(self.values[below]), float(self.values[above])
        return low + (position - below) * (high - low)

    def interval(self, z: float) -> tuple[float, float]:
        low, high = self.q - z * self.error, self.q + z * self.error
        return self.at(low) if low > 0 else -inf, self.at(high) if high < 1 else inf


def _interval(control: _Quantile, treatment: _Quantile, z: float) -> tuple[float, float]:
    (low, high), (own_low, own_high) = control.interval(z), treatment.interval(z)
    difference = treatment.value - control.value
    return (
        difference - hypot(treatment.value - own_low, high - control.value),
        difference + hypot(own_high - treatment.value, control.value - low),
    )


def _p_value(control: _Quantile, treatment: _Quantile) -> float:
    """Return the error rate at which the interval of the difference ends at 0."""
    from scipy.special import ndtr

    if treatment.value == control.value:
        return 1.0
    # Beyond the last of these all intervals are infinite.
    holds, most = 0.0, max(max(arm.q, 1 - arm.q) / arm.error for arm in (control, treatment))
    for _ in range(_STEPS):
        z = (holds + most) / 2
        low, high = _interval(control, treatment, z)
        if low > 0 or high < 0:
            holds = z
        else:
            most = z
    return min(1.0, 2 * float(ndtr(-holds)))
