"""CUPED: a difference of means, less the noise that was known before the exposure."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats.difference import (
    DifferenceTest,
    arm_values,
    check_alpha,
    mean_of,
    relative_pct,
)
from watchkeeper.stats.means import MeanSummary, welch

__all__ = ["CovariateSums", "CupedTest", "cuped_test"]

_ROUNDING = 1e-12  # of a sum of squares: what is left of it below that is no variance


@dataclass(frozen=True, slots=True)
class CovariateSums(Result):
    """What is kept of a metric and a covariate of the same units; it adds up.

    Squares and products are those of deviations from the means, which stay exact where sums of raw
    squares lose their digits.

    Attributes
    ----------
    n : int
        Units.
    y, x : float
        Means of the metric and of the covariate.
    yy, xx, xy : float
        Sums of squared deviations, and of their products.

    References
    ----------
    Chan, Golub and LeVeque (1983), The American Statistician 37(3), 242-247, for the addition.

    Examples
    --------
    >>> monday = CovariateSums.of([3.0, 5.0], [1.0, 2.0])
    >>> week = monday + CovariateSums.of([4.0, 8.0], [1.0, 4.0])
    >>> week == CovariateSums.of([3.0, 5.0, 4.0, 8.0], [1.0, 2.0, 1.0, 4.0])
    True
    """

    n: int = 0
    y: float = 0.0
    x: float = 0.0
    yy: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    @classmethod
    def of(cls, values: npt.ArrayLike, covariate: npt.ArrayLike) -> Self:
        """Return the sums of some units.

        Parameters
        ----------
        values, covariate : array_like of float, shape (n,)
            The metric of each unit, and what was known of the same unit before its exposure.

        Returns
        -------
        CovariateSums

        Raises
        ------
        InvalidValueError
            If they differ in length, or not all are finite.
        """
        ys, xs = arm_values("values", values), arm_values("covariate", covariate)
        if len(ys) != len(xs):
            raise InvalidValueError(
                "covariate",
                f"of {len(xs)} units",
                f"one value for each of the {len(ys)} units of the metric, in the same order",
            )
        y, x = mean_of(ys), mean_of(xs)
        dy, dx = ys - y, xs - x
        return cls(len(ys), y, x, float(dy @ dy), float(dx @ dx), float(dx @ dy))

    @classmethod
    def of_raw(cls, n: int, y: float, x: float, yy: float, xx: float, xy: float) -> Self:
        """Return them from raw sums, as a database adds them up: ``sum(y)``, ``sum(y * y)`` ...

        Parameters
        ----------
        n : int
        y, x, yy, xx, xy : float

        Returns
        -------
        CovariateSums

        Raises
        ------
        InvalidValueError
            If there is no unit, or the sums cannot be those of any values.
        """
        if n < 1:
            raise InvalidValueError("n", n, "at least 1")
        squares, noise = (yy - y * y / n, xx - x * x / n), (_ROUNDING * yy, _ROUNDING * xx)
        if (
            not np.isfinite([y, x, xy, *squares]).all()
            or squares[0] < -noise[0]
            or squares[1] < -noise[1]
        ):
            raise InvalidValueError(
                "sums",
                (n, y, x, yy, xx, xy),
                "those of n finite values: n times a sum of squares is at least the squared sum",
            )
        own_yy, own_xx = (
            square if square > least else 0.0 for square, least in zip(squares, noise, strict=True)
        )
        return cls(n, y / n, x / n, own_yy, own_xx, xy - x * y / n)

    def __add__(self, other: Self) -> Self:
        n = self.n + other.n
        if not n:
            return self
        dy, dx = other.y - self.y, other.x - self.x
        share = other.n / n
        between = self.n * share
        return type(self)(
            n,
            self.y + share * dy,
            self.x + share * dx,
            self.yy + other.yy + between * dy * dy,
            self.xx + other.xx + between * dx * dx,
            self.xy + other.xy + between * dx * dy,
        )


@dataclass(frozen=True, slots=True)
class CupedTest(DifferenceTest):
    """Two means compared once, adjusted by a covariate.

    Attributes
    ----------
    control, treatment : float
        Adjusted: what the means were if the covariate had the same mean in both arms.
    t_statistic, degrees_of_freedom : float
    theta : float
        By how much the metric changes with the covariate, within arms.
    unadjusted_difference : float
    variance_removed : float
        Share of the variance of the difference that is gone. Below 0 by a hair where the covariate
        tells nothing.
    """

    t_statistic: float
    degrees_of_freedom: float
    theta: float
    unadjusted_difference: float
    variance_removed: float


def cuped_test(control: CovariateSums, treatment: CovariateSums, alpha: float = 0.05) -> CupedTest:
    """Test whether two means are equal, after a covariate has explained what it can.

    The covariate has to be known before the exposure (the same metric of last month, say): one that
    the treatment changes takes part of the effect away.

    Parameters
    ----------
    control, treatment : CovariateSums
        Sums of units; those of many cells add up.
    alpha : float

    Returns
    -------
    CupedTest
        The difference is the coefficient of the treatment in a regression of the metric on the arm
        and the covariate; test and interval are Welch's of ``y - theta x``. A constant covariate
        changes nothing.

    Raises
    ------
    InvalidValueError
        As `mean_test`.

    References
    ----------
    Deng, Xu, Kohavi and Walker (2013), WSDM, 123-132, with theta pooled within arms, as in the
    analysis of covariance.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> before = rng.normal(size=2_000)
    >>> after = before + rng.normal(0, 0.5, size=2_000) + np.repeat([0.0, 0.1], 1_000)
    >>> test = cuped_test(CovariateSums.of(after[:1_000], before[:1_000]),
    ...                   CovariateSums.of(after[1_000:], before[1_000:]))
    >>> round(test.variance_removed, 2), test.is_significant
    (0.8, True)
    """
    check_alpha(alpha)
    for name, arm in (("control", control), ("treatment", treatment)):
        if arm.n < 2:
            raise InvalidValueError(name, f"of {arm.n} units", "at least 2")
    spread = control.xx + treatment.xx
    theta = (control.xy + treatment.xy) / spread if spread else 0.0
    middle = control.x + treatment.n / (control.n + treatment.n) * (treatment.x - control.x)
    adjusted_control, other = _adjusted(control, theta, middle), _adjusted(treatment, theta, middle)
    test = welch(adjusted_control, other, alpha)
    before = (
        control.yy / (control.n - 1) / control.n + treatment.yy / (treatment.n - 1) / treatment.n
    )
    variance = adjusted_control.variance / adjusted_control.n + other.variance / other.n
    difference = other.mean - adjusted_control.mean
    return CupedTest(
        control=adjusted_control.mean,
        treatment=other.mean,
        absolute_difference=difference,
        relative_improvement_pct=relative_pct(adjusted_control.mean, difference),
        p_value=test.p_value,
        is_significant=test.p_value < alpha,
        confidence_interval=(test.low, test.high),
        confidence_level=100 * (1 - alpha),
        t_statistic=test.t,
        degrees_of_freedom=test.degrees_of_freedom,
        theta=theta,
        unadjusted_difference=treatment.y - control.y,
        variance_removed=1.0 - variance / before if before else 0.0,
    )


def _adjusted(arm: CovariateSums, theta: float, middle: float) -> MeanSummary:
    """Return the mean and variance of ``y - theta (x - middle)``."""
    sum_of_squares = arm.yy - 2.0 * theta * arm.xy + theta**2 * arm.xx
    variance = sum_of_squares / (arm.n - 1) if sum_of_squares > _ROUNDING * arm.yy else 0.0
    return MeanSummary(arm.n, arm.y - theta * (arm.x - middle), variance)
