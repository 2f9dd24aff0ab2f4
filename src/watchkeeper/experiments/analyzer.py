"""`ABTestAnalyzer`: one look at two arms, and how many units it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments.ratios import RatioTest, ratio_sums, ratio_test
from watchkeeper.results import Result
from watchkeeper.stats.bayesian import BayesianReport, bayesian_report
from watchkeeper.stats.cuped import CovariateSums, CupedTest, cuped_test
from watchkeeper.stats.mann_whitney import MannWhitneyTest, mann_whitney_test
from watchkeeper.stats.means import MeanSummary, MeanTest, mean_test
from watchkeeper.stats.multiplicity import Correction, adjusted
from watchkeeper.stats.non_inferiority import NonInferiorityTest, non_inferiority_test
from watchkeeper.stats.power import sample_size_calculator
from watchkeeper.stats.proportion_intervals import (
    agresti_caffo,
    miettinen_nurminen,
    newcombe,
    wald,
)
from watchkeeper.stats.proportions import counted, pooled_test
from watchkeeper.stats.quantiles import QuantileTest, quantile_test
from watchkeeper.stats.resampling import BootstrapTest, Statistic, bootstrap_test

__all__ = ["ABTestAnalyzer", "AdjustedProportionTest", "Interval", "ProportionTest"]

Interval = Literal["newcombe", "miettinen-nurminen", "agresti-caffo", "wald"]
"""Of the difference of two proportions; none of them assumes that there is no difference."""

_INTERVALS = {
    "newcombe": newcombe,
    "miettinen-nurminen": miettinen_nurminen,
    "agresti-caffo": agresti_caffo,
    "wald": wald,
}


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
        Of the difference.
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


@dataclass(frozen=True, slots=True)
class AdjustedProportionTest(ProportionTest):
    """One of several treatments against the control; `is_significant` is by `adjusted_p_value`."""

    adjusted_p_value: float


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
        *,
        interval: Interval = "newcombe",
    ) -> ProportionTest:
        """Return whether two proportions differ, and by how much.

        Parameters
        ----------
        control_successes, control_total, treatment_successes, treatment_total : int
        alpha : float
        interval : {"newcombe", "miettinen-nurminen", "agresti-caffo", "wald"}
            Newcombe's holds its confidence for any counts. That of Miettinen and Nurminen is the
            score test turned round; Wald's, the textbook's, is for large counts only.

        Returns
        -------
        ProportionTest

        Raises
        ------
        InvalidValueError
            If a total is 0, a count is negative or above its total, alpha is not between 0 and 1,
            or the interval is unknown.
        """
        if not 0.0 < alpha < 1.0:
            raise InvalidValueError("alpha", alpha, "a number strictly between 0 and 1")
        if interval not in _INTERVALS:
            raise InvalidValueError("interval", interval, f"one of {', '.join(get_args(Interval))}")
        counts = (control_successes, control_total, treatment_successes, treatment_total)
        counted(*counts, called="successes")
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
            confidence_interval=_INTERVALS[interval](*counts, confidence=1 - alpha),
            confidence_level=100 * (1 - alpha),
        )

    def proportion_tests(
        self,
        control: tuple[int, int],
        treatments: Mapping[str, tuple[int, int]],
        alpha: float = 0.05,
        *,
        correction: Correction = "holm",
        interval: Interval = "newcombe",
    ) -> dict[str, AdjustedProportionTest]:
        """Compare several treatments with one control.

        Parameters
        ----------
        control : tuple of int
            Successes and total.
        treatments : mapping of str to tuple of int
            The same by treatment.
        alpha : float
        correction : {"holm", "fdr_bh", "fdr_by", "bonferroni", "none"}
            Of the p-values for the number of treatments. Holm's keeps the chance of any false
            finding at alpha, "fdr_bh" the share of false ones among the findings.
        interval : {"newcombe", "miettinen-nurminen", "agresti-caffo", "wald"}
            As for `proportion_test`; each treatment's own, not corrected.

        Returns
        -------
        dict of str to AdjustedProportionTest

        Raises
        ------
        InvalidValueError
            As `proportion_test`, if there is no treatment, or if the correction is unknown.

        Examples
        --------
        >>> tests = ABTestAnalyzer().proportion_tests(
        ...     (200, 1_000), {"a": (245, 1_000), "b": (236, 1_000), "c": (210, 1_000)})
        >>> {name: round(test.adjusted_p_value, 4) for name, test in tests.items()}
        {'a': 0.0467, 'b': 0.1024, 'c': 0.5797}
        """
        if not treatments:
            raise InvalidValueError(
                "treatments", {}, "at least one variant with successes and total"
            )
        tests = {
            name: self.proportion_test(*control, *counts, alpha, interval=interval)
            for name, counts in treatments.items()
        }
        p_values = adjusted([test.p_value for test in tests.values()], correction)
        return {
            name: AdjustedProportionTest(
                **{**test, "is_significant": p_value < alpha}, adjusted_p_value=p_value
            )
            for (name, test), p_value in zip(tests.items(), p_values, strict=True)
            if p_value is not None
        }

    def non_inferiority_test(
        self,
        control_successes: int,
        control_total: int,
        treatment_successes: int,
        treatment_total: int,
        margin: float,
        alpha: float = 0.05,
        *,
        higher_is_better: bool = True,
    ) -> NonInferiorityTest:
        """Return whether a treatment is shown to be worse by less than `margin`, one-sided.

        See `watchkeeper.stats.non_inferiority_test`.

        Parameters
        ----------
        control_successes, control_total, treatment_successes, treatment_total : int
        margin : float
            Difference of the proportions that would be too much.
        alpha : float
        higher_is_better : bool
            Whether a success is good.

        Returns
        -------
        NonInferiorityTest
        """
        return non_inferiority_test(
            control_successes,
            control_total,
            treatment_successes,
            treatment_total,
            margin,
            higher_is_better=higher_is_better,
            alpha=alpha,
        )

    def mean_test(
        self,
        control: npt.ArrayLike | MeanSummary,
        treatment: npt.ArrayLike | MeanSummary,
        alpha: float = 0.05,
    ) -> MeanTest:
        """Return whether two means differ; see `watchkeeper.stats.mean_test`.

        Parameters
        ----------
        control : array_like of float, shape (n,), or MeanSummary
        treatment : array_like of float, shape (m,), or MeanSummary
        alpha : float

        Returns
        -------
        MeanTest
        """
        return mean_test(control, treatment, alpha)

    def mann_whitney_test(
        self, control: npt.ArrayLike, treatment: npt.ArrayLike, alpha: float = 0.05
    ) -> MannWhitneyTest:
        """Return whether one arm has larger values; see `watchkeeper.stats.mann_whitney_test`.

        Parameters
        ----------
        control : array_like of float, shape (n,)
        treatment : array_like of float, shape (m,)
        alpha : float

        Returns
        -------
        MannWhitneyTest
        """
        return mann_whitney_test(control, treatment, alpha)

    def ratio_test(
        self,
        control_numerators: npt.ArrayLike,
        control_denominators: npt.ArrayLike,
        treatment_numerators: npt.ArrayLike,
        treatment_denominators: npt.ArrayLike,
        alpha: float = 0.05,
    ) -> RatioTest:
        """Return whether two ratios of sums differ, from what each unit has of both sums.

        Parameters
        ----------
        control_numerators, control_denominators : array_like of float, shape (n,)
        treatment_numerators, treatment_denominators : array_like of float, shape (m,)
        alpha : float

        Returns
        -------
        RatioTest

        Raises
        ------
        InvalidValueError
            As `watchkeeper.experiments.ratio_sums` and `ratio_test`.
        """
        return ratio_test(
            ratio_sums(control_numerators, control_denominators, "control"),
            ratio_sums(treatment_numerators, treatment_denominators, "treatment"),
            alpha,
        )

    def quantile_test(
        self, control: npt.ArrayLike, treatment: npt.ArrayLike, q: float = 0.5, alpha: float = 0.05
    ) -> QuantileTest:
        """Return whether a quantile differs; see `watchkeeper.stats.quantile_test`.

        Parameters
        ----------
        control : array_like of float, shape (n,)
        treatment : array_like of float, shape (m,)
        q : float
            Which quantile, between 0 and 1.
        alpha : float

        Returns
        -------
        QuantileTest
        """
        return quantile_test(control, treatment, q, alpha)

    def bootstrap_test(
        self,
        control: npt.ArrayLike,
        treatment: npt.ArrayLike,
        statistic: Statistic = np.mean,
        alpha: float = 0.05,
        *,
        resamples: int = 9_999,
        seed: int = 0,
    ) -> BootstrapTest:
        """Return whether any statistic differs; see `watchkeeper.stats.bootstrap_test`.

        Parameters
        ----------
        control : array_like of float, shape (n,)
        treatment : array_like of float, shape (m,)
        statistic : callable
            Of an array and its ``axis``, as `numpy.mean` is.
        alpha : float
        resamples, seed : int

        Returns
        -------
        BootstrapTest
        """
        return bootstrap_test(control, treatment, statistic, alpha, resamples=resamples, seed=seed)

    def cuped_test(
        self,
        control: npt.ArrayLike,
        control_covariate: npt.ArrayLike,
        treatment: npt.ArrayLike,
        treatment_covariate: npt.ArrayLike,
        alpha: float = 0.05,
    ) -> CupedTest:
        """Return whether two means differ, adjusted by what was known before the exposure.

        Parameters
        ----------
        control : array_like of float, shape (n,)
        control_covariate : array_like of float, shape (n,)
            Of the same units, from before the exposure.
        treatment, treatment_covariate : array_like of float, shape (m,)
        alpha : float

        Returns
        -------
        CupedTest

        Raises
        ------
        InvalidValueError
            As `watchkeeper.stats.CovariateSums.of` and `cuped_test`.
        """
        return cuped_test(
            CovariateSums.of(control, control_covariate),
            CovariateSums.of(treatment, treatment_covariate),
            alpha,
        )

    def bayesian_report(
        self,
        arms: Mapping[str, tuple[int, int]],
        *,
        prior: tuple[float, float] = (1.0, 1.0),
        credibility: float = 0.95,
        higher_is_better: bool = True,
    ) -> BayesianReport:
        """Return which arm is likely best and what choosing each costs.

        No test: see `watchkeeper.stats.bayesian_report` for what a probability of 95 % is worth.

        Parameters
        ----------
        arms : mapping of str to (int, int)
            Successes and total by arm.
        prior : tuple of float and float
            Successes and failures of the Beta prior.
        credibility : float
            Of the intervals, between 0 and 1.
        higher_is_better : bool
            Whether a success is good.

        Returns
        -------
        BayesianReport
        """
        return bayesian_report(
            arms, prior=prior, credibility=credibility, higher_is_better=higher_is_better
        )
