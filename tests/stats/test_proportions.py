"""Figures of EXPERIMENTS are those of statsmodels and SciPy for 2000/10000 against 220/1000."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats import proportion as peer

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import ABTestAnalyzer
from watchkeeper.stats import (
    agresti_caffo,
    days_needed,
    exact_power_of_proportions,
    miettinen_nurminen,
    minimum_detectable_effect,
    newcombe,
    pooled_test,
    power_of_proportions,
    relative_interval,
    risk_ratio_interval,
    sample_size_calculator,
    sample_size_of_means,
    total_sample_size,
    wald,
    wilson,
)
from watchkeeper.stats.power import units_needed

CASE = (2_000, 10_000, 220, 1_000)

tables = st.tuples(st.integers(1, 400), st.integers(1, 400)).flatmap(
    lambda totals: st.tuples(
        st.integers(0, totals[0]), st.just(totals[0]), st.integers(0, totals[1]), st.just(totals[1])
    )
)


def test_given_the_reference_case_when_tested_then_the_figures_are_the_published_ones() -> None:
    test = pooled_test(*CASE)

    assert test.z == pytest.approx(1.502458873782, abs=1e-12)
    assert test.p_value == pytest.approx(0.132978641501, abs=1e-12)
    assert test.greater == pytest.approx(0.066489320751, abs=1e-12)
    assert newcombe(*CASE) == pytest.approx((-0.005831707293, 0.047813510324), abs=1e-12)
    assert relative_interval(*CASE) == pytest.approx((-0.033843916112, 0.237229602264), abs=1e-12)
    assert risk_ratio_interval(*CASE) == pytest.approx((0.972582133981, 1.244110865009), abs=1e-11)
    assert wilson(2_000, 10_000) == pytest.approx((0.192276002471, 0.207954396551), abs=1e-12)
    assert wilson(220, 1_000) == pytest.approx((0.195423493389, 0.246719491363), abs=1e-12)


@settings(deadline=None)
@given(table=tables)
def test_given_any_counts_when_compared_then_statsmodels_agrees(
    table: tuple[int, int, int, int],
) -> None:
    a, m, b, n = table
    test, low_high = pooled_test(*table), newcombe(*table)

    theirs = peer.confint_proportions_2indep(b, n, a, m, method="newcomb", compare="diff")
    assert low_high == pytest.approx(theirs, abs=1e-9)
    assert low_high[0] - 1e-12 <= b / n - a / m <= low_high[1] + 1e-12
    for ours, method in ((wald, "wald"), (agresti_caffo, "agresti-caffo")):
        theirs = peer.confint_proportions_2indep(b, n, a, m, method=method, compare="diff")
        assert ours(*table) == pytest.approx(np.clip(theirs, -1, 1), abs=1e-9)
    if 0 < a + b < m + n:
        statistic, p_value = peer.proportions_ztest([b, a], [n, m])
        assert test.z == pytest.approx(statistic, abs=1e-9)
        assert test.p_value == pytest.approx(p_value, abs=1e-9)
    else:
        assert (test.z, test.p_value) == (0.0, 1.0)
    assert pooled_test(b, n, a, m).z == pytest.approx(-test.z, abs=1e-12)


@pytest.mark.parametrize(
    ("counts", "score", "hybrid"),
    [
        ((48, 80, 56, 70), (0.0528, 0.3382), (0.0524, 0.3339)),
        ((3, 10, 9, 10), (0.1700, 0.8406), (0.1705, 0.8090)),
        ((0, 29, 5, 56), (-0.0326, 0.1933), (-0.0381, 0.1926)),
    ],
)
def test_given_newcombes_examples_when_intervals_are_made_then_they_are_those_of_his_table(
    counts: tuple[int, int, int, int], score: tuple[float, float], hybrid: tuple[float, float]
) -> None:
    # Newcombe (1998), table II, methods 6 and 10.
    assert miettinen_nurminen(*counts) == pytest.approx(score, abs=6e-5)
    assert newcombe(*counts) == pytest.approx(hybrid, abs=6e-5)


@settings(deadline=None)
@given(table=tables)
def test_given_any_counts_when_the_score_interval_is_made_then_the_score_test_agrees(
    table: tuple[int, int, int, int],
) -> None:
    low, high = miettinen_nurminen(*table)
    a, m, b, n = table

    assert -1.0 <= low <= b / n - a / m <= high <= 1.0
    if 0 < a + b < m + n and m + n > 20:
        pooled = pooled_test(*table)
        z = pooled.z * np.sqrt((m + n - 1) / (m + n))
        if abs(abs(z) - 1.959964) > 1e-3:
            assert (low > 0 or high < 0) == (abs(z) > 1.959964)


def test_given_the_analyzer_when_it_compares_then_all_that_is_promised_is_there() -> None:
    test = ABTestAnalyzer().proportion_test(*CASE, alpha=0.1)

    assert dict(test) == {
        "control_rate": 0.2,
        "treatment_rate": 0.22,
        "absolute_difference": pytest.approx(0.02),
        "relative_improvement_pct": pytest.approx(10.0),
        "z_statistic": pytest.approx(1.502458873782),
        "p_value": pytest.approx(0.132978641501),
        "is_significant": False,
        "confidence_interval": pytest.approx(newcombe(*CASE, confidence=0.9)),
        "confidence_level": pytest.approx(90.0),
    }


@pytest.mark.parametrize("events", [0, 50])
def test_given_no_success_or_only_successes_when_compared_then_p_is_1_and_there_is_an_interval(
    events: int,
) -> None:
    test = ABTestAnalyzer().proportion_test(events, 50, events, 50)

    assert test.p_value == 1.0
    low, high = test.confidence_interval
    assert -0.1 < low < 0 < high < 0.1
    assert (test.relative_improvement_pct is None) == (events == 0)


@pytest.mark.parametrize(
    ("given_counts", "alpha", "told"),
    [
        ((0, 0, 1, 10), 0.05, "control_total is 0; expected a whole number of at least 1"),
        ((1, 10, -1, 10), 0.05, "treatment_successes is -1"),
        ((11, 10, 1, 10), 0.05, "control_successes is 11; expected at most the total, 10"),
        ((1.5, 10, 1, 10), 0.05, "control_successes is 1.5"),
        ((1, 10, float("nan"), 10), 0.05, "treatment_successes is nan"),
        ((1, 10, 1, 10), 0.0, "alpha is 0.0"),
    ],
)
def test_given_wrong_counts_when_compared_then_the_error_says_which(
    given_counts: tuple[int, int, int, int], alpha: float, told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        ABTestAnalyzer().proportion_test(*given_counts, alpha)


def test_given_the_reference_design_when_planned_then_sizes_are_the_published_ones() -> None:
    assert sample_size_calculator(0.2, 0.1) == 6511
    assert total_sample_size(0.2, 0.1) == 13_019  # 6509.47 an arm
    assert total_sample_size(0.2, 0.1, treatment_share=0.1) == 35_745  # 3574.42 canary units
    assert total_sample_size(0.2, 0.1, treatment_share=0.05) == 67_623  # 3381.11 canary units
    assert power_of_proportions(0.2, 0.1, 6_510, 6_510) == pytest.approx(0.8, abs=2e-4)
    assert minimum_detectable_effect(0.2, 6_510, 6_510) == pytest.approx(0.1, abs=1e-4)
    assert sample_size_of_means(0.5, 1.0) == 63
    assert days_needed(13_019, 1_000) == pytest.approx(13.019)


def test_given_equal_arms_when_planned_then_statsmodels_agrees() -> None:
    theirs = peer.samplesize_proportions_2indep_onetail(0.02, 0.2, 0.8, ratio=1, alpha=0.05)

    assert total_sample_size(0.2, 0.1) == np.ceil(2 * theirs)


def test_given_several_treatments_when_planned_then_each_costs_and_they_share_alpha() -> None:
    one = total_sample_size(0.2, 0.1, alpha=0.025)

    assert total_sample_size(0.2, 0.1, treatments=2) == pytest.approx(1.5 * one, abs=2)
    assert total_sample_size(0.2, 0.1, inflation=1.0247) == pytest.approx(1.0247 * 13_018.93, abs=1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((0.0, 0.1), "baseline_rate is 0.0"),
        ((0.2, 0.0), "minimum_detectable_effect is 0.0"),
        ((0.6, 0.9), "minimum_detectable_effect is 0.9"),
        ((0.2, 0.1, 1.0), "alpha is 1.0"),
        ((0.2, 0.1, 0.05, 1.0), "power is 1.0"),
    ],
)
def test_given_a_wrong_design_when_planned_then_the_error_says_what(
    arguments: tuple[float, ...], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        sample_size_calculator(*arguments)


@pytest.mark.parametrize(("rate", "effect", "m", "n"), [(0.3, 0.5, 12, 9), (0.05, 0.0, 30, 7)])
def test_given_small_arms_when_power_is_counted_then_it_is_the_sum_over_all_tables(
    rate: float, effect: float, m: int, n: int
) -> None:
    other = rate * (1 + effect)
    total = sum(
        binom.pmf(a, m, rate) * binom.pmf(b, n, other)
        for a in range(m + 1)
        for b in range(n + 1)
        if pooled_test(a, m, b, n).p_value < 0.05
    )

    assert exact_power_of_proportions(rate, effect, m, n) == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 4.0])
def test_given_a_planned_size_when_power_is_counted_then_it_is_the_planned_power(
    ratio: float,
) -> None:
    units = units_needed(0.1, 0.3, 0.05, 0.9, "fleiss", ratio)
    found = exact_power_of_proportions(0.1, 0.3, round(ratio * units), round(units))

    assert found == pytest.approx(0.9, abs=0.01)


def test_given_unknown_methods_when_asked_then_the_error_names_those_there_are() -> None:
    with pytest.raises(InvalidValueError, match="one of pooled, unpooled, fleiss"):
        sample_size_calculator(0.2, 0.1, method="exact")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="ratio is 0"):
        units_needed(0.2, 0.1, ratio=0)
    with pytest.raises(InvalidValueError, match="control_total is 0"):
        exact_power_of_proportions(0.2, 0.1, 0, 10)
