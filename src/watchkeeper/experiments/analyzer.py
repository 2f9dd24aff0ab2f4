"""`ABTestAnalyzer`: one look at two proportions, and how many units it takes."""

from dataclasses import dataclass

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats.power import sample_size_calculator
from watchkeeper.stats.proportions import newcombe, pooled_test

__all__ = ["ABTestAnalyzer", "ProportionTest"]


@dataclass(frozen=True, slots=True)
class ProportionTest(Result):
    """Two proportions compared, once.

    Attributes
    ----------
    control_rate, treatment_rate, absolute_difference : float
    relative_improvement_pct : float or None
        Percent of the control's rate; None where that is 0.
    z_statistic, p_value : float
        Pooled, two-sided.
    is_significant : bool
    confidence_interval : tuple of float
        Of the difference, Newcombe's.
    confidence_level : float
        Percent.
    """

    control_rate: float
    treatment_rate: float
    absolute_difference: float
    relative_improvement_pct: float | None
    z_statistic: float
    p_value: float
    is_significant: bool
    confidence_interval: tuple[float, float]
    confidence_level: float


class ABTestAnalyzer:
    """Compares two groups when all data are there.

    It holds its error rate for one look. An `Experiment` may be looked at as often as one likes.

    Examples
    --------
    >>> test = ABTestAnalyzer().proportion_test(2_000, 10_000, 220, 1_000)
    >>> round(test.p_value, 4), test.is_significant
    (0.133, False)
    >>> ABTestAnalyzer.sample_size_calculator(0.2, 0.1)
    6511
    """

    sample_size_calculator = staticmethod(sample_size_calculator)

    def proportion_test(
        self,
        control_successes: int,
        control_total: int,
        treatment_successes: int,
        treatment_total: int,
        alpha: float = 0.05,
    ) -> ProportionTest:
        """Return whether two proportions differ, and by how much.

        Raises
        ------
        InvalidValueError
            If a total is 0, a count is negative or above its total, or alpha is not between 0
            and 1.
        """
        if not 0.0 < alpha < 1.0:
            raise InvalidValueError("alpha", alpha, "a number strictly between 0 and 1")
        counts = (control_successes, control_total, treatment_successes, treatment_total)
        test = pooled_test(*counts)
        control, treatment = (
            control_successes / control_total,
            treatment_successes / treatment_total,
        )
        return ProportionTest(
            control_rate=control,
            treatment_rate=treatment,
            absolute_difference=treatment - control,
            relative_improvement_pct=100 * (treatment - control) / control if control else None,
            z_statistic=test.z,
            p_value=test.p_value,
            is_significant=test.p_value < alpha,
            confidence_interval=newcombe(*counts, confidence=1 - alpha),
            confidence_level=100 * (1 - alpha),
        )
