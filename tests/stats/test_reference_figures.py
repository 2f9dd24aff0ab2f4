"""The figures of reference of an A/B test, each digit of them, and whose they are.

Control 2,000 of 10,000, treatment 220 of 1,000. What Watchkeeper offers is compared with the
figure; what it does not offer is computed here by its formula, so that the difference between right
and wrong stays visible.
"""

from math import ceil, exp, log, sqrt

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import power as peer_power
from statsmodels.stats import proportion as peer

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import ABTestAnalyzer
from watchkeeper.experiments.cells import Sums
from watchkeeper.experiments.contrast import contrast
from watchkeeper.stats import (
    adjusted,
    agresti_caffo,
    clopper_pearson,
    confidence_sequence,
    exact_power_of_proportions,
    miettinen_nurminen,
    non_inferiority_test,
    pooled_test,
    power_of_proportions,
    relative_interval,
    risk_ratio_interval,
    sample_ratio_test,
    sample_size_calculator,
    sequence_p_value,
    total_sample_size,
    wald,
)
from watchkeeper.stats.power import units_needed

CASE = (2_000, 10_000, 220, 1_000)
A, M, B, N = CASE
P, Q = A / M, B / N
OF_P, OF_Q = P * (1 - P) / M, Q * (1 - Q) / N
UNPOOLED = sqrt(OF_P + OF_Q)
POOLED = sqrt((A + B) / (M + N) * (1 - (A + B) / (M + N)) * (1 / M + 1 / N))
Z = stats.norm.isf(0.025)


def test_given_the_case_when_tested_then_each_test_has_its_p_value() -> None:
    errors = (POOLED, UNPOOLED)
    assert errors == pytest.approx((0.013311512447, 0.013696714935), abs=1e-12)
    test = pooled_test(*CASE)
    assert test.z**2 == pytest.approx(2.257382667405, abs=1e-11)
    # Unpooled: not offered as a test, since under no difference the pooled error is the right one.
    unpooled = 0.02 / UNPOOLED
    assert unpooled == pytest.approx(1.460204150811, abs=1e-12)
    assert 2 * stats.norm.sf(unpooled) == pytest.approx(0.144233974897, abs=1e-12)
    score = peer.test_proportions_2indep(B, N, A, M, method="score")
    assert score.statistic == pytest.approx(1.502390578644, abs=1e-12)
    assert score.pvalue == pytest.approx(0.132996268067, abs=1e-12)
    # Ours is that of the interval: beyond 0 is where the interval of this confidence ends.
    end = miettinen_nurminen(*CASE, confidence=1 - 0.132996268067)[0]
    assert end == pytest.approx(0.0, abs=1e-9)


def test_given_the_case_as_tables_when_tested_then_yates_g_and_fisher_have_theirs() -> None:
    table = np.array([[A, M - A], [B, N - B]])

    yates, g = stats.chi2_contingency(table), stats.chi2_contingency(table, False, "log-likelihood")

    assert (yates.statistic, yates.pvalue) == pytest.approx((2.134933766340, 0.143976680608))
    assert (g.statistic, g.pvalue) == pytest.approx((2.213939930073, 0.136768978821))
    assert stats.fisher_exact(table).pvalue == pytest.approx(0.136872995087)


def test_given_the_case_as_zeros_and_ones_when_tested_by_welch_then_the_figures_are_scipys() -> (
    None
):
    control, treatment = np.repeat([1.0, 0.0], [A, M - A]), np.repeat([1.0, 0.0], [B, N - B])

    test = stats.ttest_ind(treatment, control, equal_var=False)

    assert test.statistic == pytest.approx(1.459529888869, abs=1e-11)
    assert test.df == pytest.approx(1192.7612637820, abs=1e-8)
    assert test.pvalue == pytest.approx(0.144682627607, abs=1e-11)
    # Two of a peer's: t with each arm's variance over n, for the difference and for the lift.
    df = (OF_P + OF_Q) ** 2 / (OF_P**2 / (M - 1) + OF_Q**2 / (N - 1))
    assert 2 * stats.t.sf(0.02 / UNPOOLED, df) == pytest.approx(0.144497270172, abs=1e-12)
    lift = sqrt(OF_Q / P**2 + OF_P * Q**2 / P**4)
    assert 2 * stats.t.sf(0.1 / lift, df) == pytest.approx(0.148075427979, abs=1e-12)


def test_given_the_case_when_intervals_are_made_then_each_has_its_ends() -> None:
    assert wald(*CASE) == pytest.approx((-0.006845067978, 0.046845067978), abs=1e-12)
    assert agresti_caffo(*CASE) == pytest.approx((-0.006344021582, 0.047341810048), abs=1e-12)
    # Statsmodels' score interval; its likelihood is not at its largest under the restriction (see
    # the table of Newcombe in test_proportions.py, which ours agrees with).
    theirs = peer.confint_proportions_2indep(B, N, A, M, method="score")
    assert theirs == pytest.approx((-0.005857443155, 0.047726263178), abs=1e-12)
    assert miettinen_nurminen(*CASE) == pytest.approx(theirs, abs=1e-4)
    assert clopper_pearson(A, M) == pytest.approx((0.192198370222, 0.207976727782), abs=1e-12)
    assert clopper_pearson(B, N) == pytest.approx((0.194680039339, 0.246979792370), abs=1e-12)
    # Wrong: the pooled error assumes what the interval is there to question.
    wrong = (0.02 - Z * POOLED, 0.02 + Z * POOLED)
    assert wrong == pytest.approx((-0.006090084977, 0.046090084977), abs=1e-12)
    low, high = wald(*CASE)
    assert (wrong[1] - wrong[0]) / (high - low) == pytest.approx(1 - 0.028, abs=5e-4)


def test_given_the_case_when_the_lift_has_intervals_then_each_has_its_ends() -> None:
    low, high = relative_interval(*CASE, method="delta")
    assert (low, high) == pytest.approx((-0.035422023357, 0.235422023357), abs=1e-12)
    error = (high - low) / 2 / Z
    assert error == pytest.approx(0.069094138680, abs=1e-12)
    assert 2 * stats.norm.sf(0.1 / error) == pytest.approx(0.147812704037, abs=1e-12)
    # A peer's chance to win, the normal approximation of a belief. Ours is exact: test_bayesian.py.
    assert stats.norm.cdf(0.1 / error) == pytest.approx(0.926094, abs=1e-6)
    score = risk_ratio_interval(*CASE, method="score")
    assert score == pytest.approx((0.971062442284, 1.241826671104), abs=1e-9)
    # Wrong: the interval of the difference over the control's rate takes that rate for known.
    wrong = tuple(end / P for end in wald(*CASE))
    assert wrong == pytest.approx((-0.034225339892, 0.234225339892), abs=1e-12)


@pytest.mark.parametrize(
    ("planned", "rho", "ends"),
    [(5_000, 0.039840066771, (-0.022031733304, 0.062031733304)),
     (11_000, 0.026860167538, (-0.021572392308, 0.061572392308))],
)  # fmt: skip
def test_given_the_case_at_any_time_when_intervals_are_made_then_they_are_waudby_smiths(
    planned: int, rho: float, ends: tuple[float, float]
) -> None:
    tuned = sqrt((-2 * log(0.05) + log(-2 * log(0.05) + 1)) / planned)

    assert tuned == pytest.approx(rho, abs=1e-12)
    found = confidence_sequence(0.02, UNPOOLED, (M + N) / planned, 0.05)
    assert found == pytest.approx(ends, abs=1e-12)
    assert sequence_p_value(0.02 / UNPOOLED, (M + N) / planned, 0.05) == 1.0


def test_given_the_case_when_tested_by_a_mixture_then_the_evidence_is_that_of_the_formula() -> None:
    # The mixture test of other tools, with a normal prior of 0.02. It takes each arm's variance,
    # which fails where events are rare, and so it is not offered; ours take the pooled one.
    variance, spread = UNPOOLED**2, 0.02**2
    evidence = sqrt(variance / (variance + spread)) * exp(
        spread * 0.02**2 / (2 * variance * (variance + spread))
    )

    assert evidence == pytest.approx(1.167498330, abs=1e-9)
    assert 1 / evidence == pytest.approx(0.856532274439, abs=1e-12)


@pytest.mark.parametrize(
    ("units", "weights", "statistic", "p_value"),
    [((10_000, 1_000), (10, 1), 0.0, 1.0), ((10_000, 1_000), (9, 1), 10.101010101, 0.001481880775),
     ((5_200, 4_800), (1, 1), 16.0, 6.334248e-05),
     ((50_500, 49_500), (1, 1), 10.0, 0.001565402258)],
)  # fmt: skip
def test_given_shares_when_checked_then_the_figures_are_those_of_chi_squared(
    units: tuple[int, int], weights: tuple[int, int], statistic: float, p_value: float
) -> None:
    test = sample_ratio_test(units, weights)

    assert test.statistic == pytest.approx(statistic, abs=1e-8)
    assert test.p_value == pytest.approx(p_value, rel=1e-6)


def test_given_ten_p_values_when_adjusted_by_holm_then_they_are_rs() -> None:
    ten = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]

    assert adjusted(ten, "holm") == pytest.approx([0.01, 0.072, *[0.312] * 5, *[0.615] * 3])


def test_given_a_margin_when_non_inferiority_is_tested_then_it_is_not_shown() -> None:
    test = non_inferiority_test(9_500, 10_000, 940, 1_000, 0.01)

    assert test.z == pytest.approx(0.0, abs=1e-9)
    assert test.p_value == pytest.approx(0.5, abs=1e-9)
    assert not test.shown
    # The figure of reference is the bound by Wald; the score test's is a little wider.
    assert wald(9_500, 10_000, 940, 1_000, confidence=0.9)[0] == pytest.approx(-0.022862502953)
    assert test.bound == pytest.approx(-0.024, abs=5e-5)


def test_given_a_harmful_rate_when_non_inferiority_is_tested_then_its_mirror_says_the_same() -> (
    None
):
    good = non_inferiority_test(9_500, 10_000, 955, 1_000, 0.01)
    bad = non_inferiority_test(500, 10_000, 45, 1_000, 0.01, higher_is_better=False)

    assert good.shown
    assert bad.shown
    assert bad.z == pytest.approx(good.z)
    assert bad.bound == pytest.approx(-good.bound)
    # Shown exactly where the one-sided p-value is below alpha.
    assert good.shown == (good.p_value < 0.05)
    for margin in (0.0, 1.0, -0.1):
        with pytest.raises(InvalidValueError, match="margin"):
            non_inferiority_test(1, 10, 1, 10, margin)


def sizes(alpha: float = 0.05, power: float = 0.8) -> dict[str, float]:
    """Return what formulas ask for, per arm, for 20 % against 22 %; wrong ones are written out."""
    p, q, d = 0.2, 0.22, 0.02
    z_a, z_b = stats.norm.isf(alpha / 2), stats.norm.ppf(power)
    mean = (p + q) / 2
    effect = peer.proportion_effectsize(q, p)
    return {
        "pooled": units_needed(p, 0.1, alpha, power),
        "unpooled": units_needed(p, 0.1, alpha, power, "unpooled"),
        "Fleiss": units_needed(p, 0.1, alpha, power, "fleiss"),
        "Fleiss, continuity": units_needed(p, 0.1, alpha, power, "fleiss-corrected"),
        "Cohen's h": peer_power.NormalIndPower().solve_power(effect, alpha=alpha, power=power),
        "arcsine": units_needed(p, 0.1, alpha, power, "arcsine"),
        "t": peer_power.TTestIndPower().solve_power(
            d / sqrt(mean * (1 - mean)), alpha=alpha, power=power
        ),
        "wrong: control's variance": 2 * p * (1 - p) * (z_a + z_b) ** 2 / d**2,
        "wrong: 16 s2/d2": 16 * p * (1 - p) / d**2,
        "wrong: one-sided": 2 * mean * (1 - mean) * (stats.norm.isf(alpha) + z_b) ** 2 / d**2,
    }


@pytest.mark.parametrize(
    ("formula", "units"),
    [("pooled", 6510.645739642577), ("unpooled", 6506.721299775401), ("Fleiss", 6509.466678513718),
     ("Fleiss, continuity", 6609.088411520704), ("Cohen's h", 6507.330263176526),
     ("arcsine", 6507.346202251139), ("t", 6511.59029619), ("wrong: 16 s2/d2", 6400.0),
     ("wrong: control's variance", 6279.103787), ("wrong: one-sided", 5128.431224)],
)  # fmt: skip
def test_given_a_design_when_planned_then_right_formulas_agree_within_five_units_and_wrong_do_not(
    formula: str, units: float
) -> None:
    assert sizes()[formula] == pytest.approx(units, abs=2e-6)
    right = not formula.startswith("wrong") and "continuity" not in formula
    assert (abs(sample_size_calculator(0.2, 0.1) - ceil(units)) <= 5) == right


def test_given_a_design_when_planned_then_sizes_are_those_of_the_formulas() -> None:
    assert peer.proportion_effectsize(0.22, 0.2) == pytest.approx(0.049115308792, abs=1e-12)
    assert sample_size_calculator(0.2, 0.1) == ceil(sizes()["pooled"]) == 6511
    assert total_sample_size(0.2, 0.1) == ceil(2 * sizes()["Fleiss"])
    theirs = peer.samplesize_proportions_2indep_onetail(0.02, 0.2, 0.8, ratio=1, alpha=0.05)
    assert theirs == pytest.approx(sizes()["Fleiss"], rel=1e-6)
    for ratio, canary, total in ((9, 3574.42, 35_744), (19, 3381.11, 67_622)):
        units = units_needed(0.2, 0.1, method="fleiss", ratio=ratio)
        assert units == pytest.approx(canary, abs=0.005)
        assert round(units * (1 + ratio)) == total
    for share, canary in ((0.1, 3574.42), (0.05, 3381.11)):
        assert total_sample_size(0.2, 0.1, treatment_share=share) * share == pytest.approx(
            canary, abs=0.1
        )


@pytest.mark.parametrize(
    ("units", "effect", "power"),
    [(6507, 0.1, 0.8000242348), (6510, 0.1, 0.8001094775), (6510, 0.0, 0.0499975776)],
)
def test_given_the_planned_size_when_counted_exactly_then_the_power_is_the_promised_one(
    units: int, effect: float, power: float
) -> None:
    exact = exact_power_of_proportions(0.2, effect, units, units)

    assert exact == pytest.approx(power, abs=1e-10)
    if effect:
        assert power_of_proportions(0.2, 0.1, units, units) == pytest.approx(exact, abs=3e-4)


def test_given_a_ninth_of_the_units_when_planned_then_the_power_is_a_third() -> None:
    # Either direction counts in the figure of reference; ours is that of finding the right one.
    wrong_way = stats.norm.cdf((-0.02 - Z * POOLED) / UNPOOLED)

    found = power_of_proportions(0.2, 0.1, 10_000, 1_000) + wrong_way

    assert found == pytest.approx(0.3287, abs=1e-4)


def test_given_a_ramp_and_a_drifting_base_rate_when_pooled_then_there_is_a_lift_where_none_is() -> (
    None
):
    def arm(events: float, units: int) -> Sums:
        return Sums(units, events, events, units, units, events)

    periods = [(arm(950, 9_500), arm(50, 500)), (arm(1_000, 5_000), arm(1_000, 5_000))]
    pooled = contrast([(periods[0][0] + periods[1][0], periods[0][1] + periods[1][1])])

    assert 100 * (pooled.treatment / pooled.control - 1) == pytest.approx(41.9580, abs=1e-3)
    assert contrast(periods, events=True).difference == pytest.approx(0.0, abs=1e-12)
    # As it stands in the reference: 13.4483 % and 19.0909 %.
    assert (pooled.control, pooled.treatment) == pytest.approx((0.134483, 0.190909), abs=1e-6)


@pytest.mark.parametrize("interval", ["newcombe", "miettinen-nurminen", "agresti-caffo", "wald"])
def test_given_an_interval_when_the_analyzer_compares_then_it_is_that_one(interval: str) -> None:
    test = ABTestAnalyzer().proportion_test(*CASE, interval=interval)  # type: ignore[arg-type]

    low, high = test.confidence_interval
    assert low < 0.02 < high
    assert high - low == pytest.approx(0.0537, abs=1e-4)


def test_given_an_unknown_interval_when_the_analyzer_compares_then_it_lists_those_there_are() -> (
    None
):
    with pytest.raises(InvalidValueError, match="interval is 'exact'; expected one of newcombe, m"):
        ABTestAnalyzer().proportion_test(*CASE, interval="exact")  # type: ignore[arg-type]


def test_given_several_treatments_when_compared_then_significance_is_by_the_adjusted_p_value() -> (
    None
):
    arms = {"a": (245, 1_000), "b": (236, 1_000), "c": (210, 1_000)}

    by_holm = ABTestAnalyzer().proportion_tests((200, 1_000), arms)
    alone = ABTestAnalyzer().proportion_test(200, 1_000, *arms["b"], alpha=0.06)

    assert alone.is_significant
    assert {name: test.is_significant for name, test in by_holm.items()} == {
        "a": True, "b": False, "c": False,
    }  # fmt: skip
    p_values = [pooled_test(200, 1_000, *arm).p_value for arm in arms.values()]
    assert [t.adjusted_p_value for t in by_holm.values()] == pytest.approx(
        adjusted(p_values, "holm")
    )


@pytest.mark.parametrize(
    "counts", [(0, 20, 0, 20), (20, 20, 20, 20), (0, 20, 5, 20), (5, 20, 0, 20)]
)
def test_given_no_events_or_only_events_when_intervals_are_made_then_they_are_of_this_world(
    counts: tuple[int, int, int, int],
) -> None:
    a, m, b, n = counts
    difference = b / n - a / m
    for low, high in (wald(*counts), agresti_caffo(*counts)):
        assert -1.0 <= low <= high <= 1.0
    if a or b:
        low, high = risk_ratio_interval(*counts, method="score")
        assert 0.0 <= low <= high
        assert (low == 0.0) == (b == 0)
        assert np.isinf(high) == (a == 0)
        assert (difference > 0) == (low > 0 and high > 1 and b > a)
    low, high = clopper_pearson(a, m)
    assert low <= a / m <= high
