"""Statistics: arrays in, numbers out. Whether a number deserves an alert is decided elsewhere.

>>> import numpy as np
>>> from watchkeeper.stats import ks_two_sample
>>> test = ks_two_sample(np.arange(5.0), np.arange(5.0) + 10)
>>> test.statistic, round(test.p_value, 4)
(1.0, 0.0079)
"""

from watchkeeper.stats.anderson_darling import anderson_darling
from watchkeeper.stats.anytime import (
    AnytimeTest,
    anytime_means,
    anytime_proportions,
    comparison_information,
)
from watchkeeper.stats.auc import RocAuc, roc_auc
from watchkeeper.stats.bayesian import ArmBelief, BayesianReport, bayesian_report
from watchkeeper.stats.chi_squared import chi_squared
from watchkeeper.stats.conditional import (
    ConditionalTest,
    ExactSequentialTest,
    conditional_test,
    exact_group_sequential_test,
    exact_repeated_p_value,
)
from watchkeeper.stats.confidence_sequences import (
    confidence_sequence,
    mixture_e_value,
    rate_sequence,
    sequence_p_value,
)
from watchkeeper.stats.counts import total_variation
from watchkeeper.stats.cramer_von_mises import cramer_von_mises
from watchkeeper.stats.cuped import CovariateSums, CupedTest, cuped_test
from watchkeeper.stats.difference import DifferenceTest
from watchkeeper.stats.g_test import g_test
from watchkeeper.stats.group_sequential import (
    GroupSequentialTest,
    group_sequential_bounds,
    group_sequential_test,
    repeated_interval,
    repeated_p_value,
)
from watchkeeper.stats.group_sequential_power import (
    group_sequential_inflation,
    group_sequential_power,
)
from watchkeeper.stats.hellinger import hellinger_distance, hellinger_test
from watchkeeper.stats.intervals import clopper_pearson, wilson
from watchkeeper.stats.jensen_shannon import jensen_shannon_distance, jensen_shannon_test
from watchkeeper.stats.ks import ks_two_sample
from watchkeeper.stats.mann_whitney import MannWhitneyTest, mann_whitney_test
from watchkeeper.stats.means import MeanSummary, MeanTest, mean_test
from watchkeeper.stats.multiplicity import adjusted
from watchkeeper.stats.non_inferiority import NonInferiorityTest, non_inferiority_test
from watchkeeper.stats.permutation import fisher_exact, total_variation_test
from watchkeeper.stats.power import (
    days_needed,
    exact_power_of_proportions,
    minimum_detectable_effect,
    power_of_proportions,
    sample_size_calculator,
    sample_size_of_means,
    total_sample_size,
)
from watchkeeper.stats.proportion_intervals import (
    agresti_caffo,
    miettinen_nurminen,
    newcombe,
    relative_interval,
    risk_ratio_interval,
    wald,
)
from watchkeeper.stats.proportions import PooledTest, pooled_test
from watchkeeper.stats.psi import population_stability_index, psi_test
from watchkeeper.stats.quantiles import QuantileTest, quantile_test
from watchkeeper.stats.resampling import BootstrapTest, bootstrap_test
from watchkeeper.stats.sample_ratio import (
    SampleRatioTest,
    SequentialSampleRatio,
    sample_ratio_test,
    sequential_sample_ratio,
)
from watchkeeper.stats.sequential import RateDropDetector
from watchkeeper.stats.two_sample import TwoSampleTest
from watchkeeper.stats.wasserstein import wasserstein_distance, wasserstein_test

__all__ = [
    "AnytimeTest",
    "ArmBelief",
    "BayesianReport",
    "BootstrapTest",
    "ConditionalTest",
    "CovariateSums",
    "CupedTest",
    "DifferenceTest",
    "ExactSequentialTest",
    "GroupSequentialTest",
    "MannWhitneyTest",
    "MeanSummary",
    "MeanTest",
    "NonInferiorityTest",
    "PooledTest",
    "QuantileTest",
    "RateDropDetector",
    "RocAuc",
    "SampleRatioTest",
    "SequentialSampleRatio",
    "TwoSampleTest",
    "adjusted",
    "agresti_caffo",
    "anderson_darling",
    "anytime_means",
    "anytime_proportions",
    "bayesian_report",
    "bootstrap_test",
    "chi_squared",
    "clopper_pearson",
    "comparison_information",
    "conditional_test",
    "confidence_sequence",
    "cramer_von_mises",
    "cuped_test",
    "days_needed",
    "exact_group_sequential_test",
    "exact_power_of_proportions",
    "exact_repeated_p_value",
    "fisher_exact",
    "g_test",
    "group_sequential_bounds",
    "group_sequential_inflation",
    "group_sequential_power",
    "group_sequential_test",
    "hellinger_distance",
    "hellinger_test",
    "jensen_shannon_distance",
    "jensen_shannon_test",
    "ks_two_sample",
    "mann_whitney_test",
    "mean_test",
    "miettinen_nurminen",
    "minimum_detectable_effect",
    "mixture_e_value",
    "newcombe",
    "non_inferiority_test",
    "pooled_test",
    "population_stability_index",
    "power_of_proportions",
    "psi_test",
    "quantile_test",
    "rate_sequence",
    "relative_interval",
    "repeated_interval",
    "repeated_p_value",
    "risk_ratio_interval",
    "roc_auc",
    "sample_ratio_test",
    "sample_size_calculator",
    "sample_size_of_means",
    "sequence_p_value",
    "sequential_sample_ratio",
    "total_sample_size",
    "total_variation",
    "total_variation_test",
    "wald",
    "wasserstein_distance",
    "wasserstein_test",
    "wilson",
]
