"""Two means whose variances may differ: Welch's test and its interval."""

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Self

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

__all__ = ["MeanSummary", "MeanTest", "Welch", "mean_test", "welch"]


@dataclass(frozen=True, slots=True)
class MeanSummary(Result):
    """All that a comparison of means needs to know of an arm.

    Attributes
    ----------
    n : int
        Units, at least 2.
    mean : float
    variance : float
        Of a unit, over n - 1.

    Raises
    ------
    InvalidValueError
        If there are fewer than two units, the mean is not finite or the variance is negative.
    """

    n: int
    mean: float
    variance: float

    def __post_init__(self) -> None:
        if not isfinite(self.n) or self.n != int(self.n) or self.n < 2:
            raise InvalidValueError("n", self.n, "a whole number of at least 2")
        if not isfinite(self.mean):
            raise InvalidValueError("mean", self.mean, "a finite number")
        if not (isfinite(self.variance) and self.variance >= 0):
            raise InvalidValueError("variance", self.variance, "a finite number of at least 0")

    @classmethod
    def of(cls, values: npt.ArrayLike, name: str = "values") -> Self:
        """Return the summary of an arm's values, shape (n,).

        Parameters
        ----------
        values : array_like
        name : str

        Returns
        -------
        MeanSummary

        Raises
        ------
        InvalidValueError
            If there are fewer than two, or not all are finite.
        """
        sample = arm_values(name, values, least=2)
        mean = mean_of(sample)
        away = sample - mean
        return cls(len(sample), mean, float(away @ away) / (len(sample) - 1))


@dataclass(frozen=True, slots=True)
class MeanTest(DifferenceTest):
    """Two means compared, once.

    Attributes
    ----------
    t_statistic : float
    degrees_of_freedom : float
        Welch and Satterthwaite's.
    """

    t_statistic: float
    degrees_of_freedom: float


@dataclass(frozen=True, slots=True)
class Welch(Result):
    """A difference over its standard error, by Student's distribution.

    Attributes
    ----------
    t, degrees_of_freedom, p_value : float
    low, high : float
        Interval of the difference.
    """

    t: float
    degrees_of_freedom: float
    p_value: float
    low: float
    high: float


def mean_test(
    control: npt.ArrayLike | MeanSummary,
    treatment: npt.ArrayLike | MeanSummary,
    alpha: float = 0.05,
) -> MeanTest:
    """Test whether two means are equal, where variances may differ.

    Parameters
    ----------
    control, treatment : array_like of float, shape (m,) and (n,), or MeanSummary
        A value a unit, or what is needed of them.
    alpha : float

    Returns
    -------
    MeanTest
        The p-value is that of SciPy's ``ttest_ind(treatment, control, equal_var=False)``. Arms that
        are both constant, and equal, have a p-value of 1.

    Raises
    ------
    InvalidValueError
        If an arm has fewer than two units or values that are not finite, both arms are constant and
        differ, so that nothing tells how certain that is, or alpha is not between 0 and 1.

    References
    ----------
    Welch (1947), Biometrika 34(1-2), 28-35.

    Examples
    --------
    >>> test = mean_test([1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0, 10.0])
    >>> round(test.t_statistic, 3), round(test.p_value, 3)
    (2.251, 0.069)
    """
    check_alpha(alpha)
    control_summary = (
        control if isinstance(control, MeanSummary) else MeanSummary.of(control, "control")
    )
    other = (
        treatment if isinstance(treatment, MeanSummary) else MeanSummary.of(treatment, "treatment")
    )
    test = welch(control_summary, other, alpha)
    difference = other.mean - control_summary.mean
    return MeanTest(
        control=control_summary.mean,
        treatment=other.mean,
        absolute_difference=difference,
        relative_improvement_pct=relative_pct(control_summary.mean, difference),
        p_value=test.p_value,
        is_significant=test.p_value < alpha,
        confidence_interval=(test.low, test.high),
        confidence_level=100 * (1 - alpha),
        t_statistic=test.t,
        degrees_of_freedom=test.degrees_of_freedom,
    )


def welch(control: MeanSummary, treatment: MeanSummary, alpha: float) -> Welch:
    """Return Welch's test of two means, and the interval that belongs to it.

    Parameters
    ----------
    control, treatment : MeanSummary
    alpha : float

    Returns
    -------
    Welch

    Raises
    ------
    InvalidValueError
        If both arms are constant and differ.
    """
    from scipy.special import stdtr, stdtrit

    of_control, of_treatment = control.variance / control.n, treatment.variance / treatment.n
    squared = of_control + of_treatment
    difference = treatment.mean - control.mean
    if not squared:
        if difference:
            raise InvalidValueError(
                "values",
                f"{control.mean:g} in all of control and {treatment.mean:g} in all of treatment",
                "some that differ within an arm, to tell how far chance goes",
                "`mann_whitney_test` compares such arms by rank.",
            )
        return Welch(0.0, float(control.n + treatment.n - 2), 1.0, 0.0, 0.0)
    # By their shares of the variance, whose squares do not underflow.
    degrees = 1.0 / (
        (of_control / squared) ** 2 / (control.n - 1)
        + (of_treatment / squared) ** 2 / (treatment.n - 1)
    )
    error = sqrt(squared)
    t = difference / error
    half = float(stdtrit(degrees, 1 - alpha / 2)) * error
    p_value = min(1.0, 2 * float(stdtr(degrees, -abs(t))))
    return Welch(t, degrees, p_value, difference - half, difference + half)
