"""The analyzer hands on; what the analyses give is tested with each of them."""

import numpy as np
import pytest

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import ABTestAnalyzer, ratio_sums, ratio_test
from watchkeeper.stats import (
    CovariateSums,
    bayesian_report,
    bootstrap_test,
    cuped_test,
    mann_whitney_test,
    mean_test,
    quantile_test,
)

RNG = np.random.default_rng(1)
CONTROL, TREATMENT = RNG.lognormal(size=120), RNG.lognormal(0.4, size=90)
BEFORE, OTHER_BEFORE = CONTROL + RNG.normal(size=120), TREATMENT + RNG.normal(size=90)
PAGES, OTHER_PAGES = RNG.integers(1, 9, size=120), RNG.integers(1, 9, size=90)


def test_given_the_analyzer_when_asked_then_each_analysis_is_that_of_its_function() -> None:
    own, arms, alpha = ABTestAnalyzer(), (CONTROL, TREATMENT), 0.1

    assert own.mean_test(*arms, alpha) == mean_test(*arms, alpha)
    assert own.mann_whitney_test(*arms, alpha) == mann_whitney_test(*arms, alpha)
    assert own.quantile_test(*arms, 0.9, alpha) == quantile_test(*arms, 0.9, alpha)
    assert own.bootstrap_test(*arms, np.median, alpha, resamples=99, seed=3) == bootstrap_test(
        *arms, np.median, alpha, resamples=99, seed=3
    )
    assert own.ratio_test(CONTROL, PAGES, TREATMENT, OTHER_PAGES, alpha) == ratio_test(
        ratio_sums(CONTROL, PAGES), ratio_sums(TREATMENT, OTHER_PAGES), alpha
    )
    assert own.cuped_test(CONTROL, BEFORE, TREATMENT, OTHER_BEFORE, alpha) == cuped_test(
        CovariateSums.of(CONTROL, BEFORE), CovariateSums.of(TREATMENT, OTHER_BEFORE), alpha
    )
    counts, told = {"a": (3, 9), "b": (5, 9)}, {"prior": (2.0, 1.0), "credibility": 0.8}
    assert own.bayesian_report(counts, higher_is_better=False, **told) == bayesian_report(  # type: ignore[arg-type]
        counts,
        higher_is_better=False,
        **told,  # type: ignore[arg-type]
    )


def test_given_an_effect_when_asked_in_every_way_then_all_find_it() -> None:
    own = ABTestAnalyzer()
    tests = [
        own.mean_test(CONTROL, TREATMENT + 1),
        own.mann_whitney_test(CONTROL, TREATMENT + 1),
        own.quantile_test(CONTROL, TREATMENT + 1),
        own.bootstrap_test(CONTROL, TREATMENT + 1, resamples=199),
        own.cuped_test(CONTROL, BEFORE, TREATMENT + 1, OTHER_BEFORE),
        own.ratio_test(CONTROL, np.ones(120), TREATMENT + 1, np.ones(90)),
    ]

    for test in tests:
        assert test["is_significant"]
        assert test["p_value"] < 0.05
        assert test["confidence_level"] == pytest.approx(95.0)


def test_given_several_arms_without_effect_when_compared_often_then_1_of_20_finds_any() -> None:
    rng, own = np.random.default_rng(3), ABTestAnalyzer()
    runs = rng.binomial(400, 0.3, (1_000, 4)).tolist()

    found = [
        any(
            test.is_significant
            for test in own.proportion_tests(
                (control, 400), {str(n): (each, 400) for n, each in enumerate(arms)}
            ).values()
        )
        for control, *arms in runs
    ]

    assert 0.02 < np.mean(found) < 0.065


def test_given_no_treatment_when_compared_then_the_error_says_so() -> None:
    with pytest.raises(InvalidValueError, match="at least one variant with successes and total"):
        ABTestAnalyzer().proportion_tests((200, 1_000), {})
