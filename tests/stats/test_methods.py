"""Each method of counts and of numbers against somebody else's, and what all must do."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.spatial.distance import jensenshannon

from watchkeeper import stats
from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import TwoSampleTest

Method = Callable[..., TwoSampleTest]

OF_NUMBERS: dict[str, Method] = {
    "KS-test": stats.ks_two_sample,
    "Anderson-Darling": stats.anderson_darling,
    "Cramér-von Mises": stats.cramer_von_mises,
    "Wasserstein": lambda a, b: stats.wasserstein_test(a, b, permutations=199),
}
OF_COUNTS: dict[str, Method] = {
    "Chi-squared": stats.chi_squared,
    "G-test": stats.g_test,
    "PSI": stats.psi_test,
    "Jensen-Shannon": stats.jensen_shannon_test,
    "Hellinger": stats.hellinger_test,
    "Total variation": lambda a, b: stats.total_variation_test(a, b, permutations=499),
    "Fisher exact": lambda a, b: stats.fisher_exact(a, b, permutations=499),
}
numbers = pytest.mark.parametrize("method", OF_NUMBERS.values(), ids=OF_NUMBERS)
counts = pytest.mark.parametrize("method", OF_COUNTS.values(), ids=OF_COUNTS)
RNG = np.random.default_rng(7)
BEFORE, NOW = (
    RNG.multinomial(500, [0.1, 0.2, 0.3, 0.4]),
    RNG.multinomial(700, [0.15, 0.2, 0.3, 0.35]),
)


def sensible(test: TwoSampleTest) -> bool:
    return bool(
        0.0 <= test.p_value <= 1.0
        and 0.0 <= test.effect_size <= 1.0 + 1e-12
        and np.isfinite(test.statistic)
    )


def test_given_counts_when_compared_then_the_figures_are_scipys() -> None:
    p, q = BEFORE / BEFORE.sum(), NOW / NOW.sum()
    table = np.array([BEFORE, NOW])
    g = scipy_stats.chi2_contingency(table, lambda_="log-likelihood", correction=False)

    assert stats.g_test(BEFORE, NOW).statistic == pytest.approx(g.statistic, rel=1e-12)
    assert stats.g_test(BEFORE, NOW).p_value == pytest.approx(g.pvalue, rel=1e-9)
    assert stats.jensen_shannon_distance(BEFORE, NOW) == pytest.approx(
        jensenshannon(p, q, base=2), rel=1e-12
    )
    divergence = scipy_stats.entropy(p, q) + scipy_stats.entropy(q, p)
    assert stats.population_stability_index(BEFORE, NOW) == pytest.approx(divergence, rel=1e-12)
    assert stats.hellinger_distance(BEFORE, NOW) == pytest.approx(
        np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2), rel=1e-12
    )
    assert stats.total_variation(BEFORE, NOW) == pytest.approx(np.abs(p - q).sum() / 2)


def test_given_two_categories_when_tested_exactly_then_it_is_fishers_tea_and_scipys() -> None:
    # The lady tasting tea, three of four right: one-sided 17/70, two-sided 34/70.
    assert stats.fisher_exact([3, 1], [1, 3]).p_value == pytest.approx(34 / 70)
    expected = scipy_stats.fisher_exact(np.array([[12, 5], [3, 9]])).pvalue
    assert stats.fisher_exact([12, 5], [3, 9]).p_value == pytest.approx(expected)


def test_given_three_categories_when_tested_exactly_then_it_agrees_with_all_tables() -> None:
    table = np.array([[3, 0, 2], [0, 4, 1]])
    expected = scipy_stats.fisher_exact(table).pvalue

    found = stats.fisher_exact(*table, permutations=20_000)

    assert found.p_value == pytest.approx(expected, abs=4 * np.sqrt(expected / 20_000))


def test_given_an_empty_bin_when_indexed_then_it_is_smoothed_or_refused() -> None:
    assert stats.population_stability_index([10, 0], [5, 5]) == pytest.approx(
        stats.population_stability_index([10.5, 0.5], [5.5, 5.5])
    )
    with pytest.raises(InvalidValueError, match="smoothing is 0"):
        stats.population_stability_index([10, 0], [5, 5], smoothing=0)


@pytest.mark.parametrize("kind", ["normal", "tied", "heavy"])
def test_given_numbers_when_compared_then_the_figures_are_scipys(kind: str) -> None:
    rng = np.random.default_rng(3)
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = {
        "normal": (rng.normal(size=300), rng.normal(0.3, 1, 200)),
        "tied": (rng.poisson(3, 300) * 1.0, rng.poisson(3.4, 200) * 1.0),
        "heavy": (rng.standard_cauchy(300), rng.standard_cauchy(200)),
    }
    first, second = pairs[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        darling = scipy_stats.anderson_ksamp([first, second])
    mises = scipy_stats.cramervonmises_2samp(first, second, method="asymptotic")
    moved = scipy_stats.wasserstein_distance(first, second) / first.std()

    ours = stats.anderson_darling(first, second)
    assert (ours.statistic, ours.p_value) == pytest.approx(
        (darling.statistic, darling.pvalue), rel=1e-9
    )
    found = stats.cramer_von_mises(first, second)
    assert (found.statistic, found.p_value) == pytest.approx(
        (mises.statistic, mises.pvalue), rel=1e-6
    )
    assert stats.wasserstein_distance(first, second) == pytest.approx(moved, rel=1e-9)


def test_given_a_constant_reference_when_moved_then_the_unit_is_the_other_sample() -> None:
    ones = np.ones(50)
    spread = np.array([0.0, 2.0] * 25)

    assert stats.wasserstein_distance(ones, ones) == 0.0
    assert stats.wasserstein_distance(ones, spread) == pytest.approx(1.0)
    with pytest.raises(InvalidValueError, match="infinities"):
        stats.wasserstein_distance(ones, np.array([1.0, np.inf]))


# What every method must do.


@numbers
@settings(max_examples=25)
@given(
    first=st.lists(st.integers(-3, 3) | st.floats(-1e6, 1e6), min_size=1, max_size=40),
    second=st.lists(st.integers(-3, 3) | st.floats(-1e6, 1e6), min_size=1, max_size=40),
)
@pytest.mark.filterwarnings("ignore:ks_2samp")
def test_given_any_numbers_when_compared_then_order_is_nothing_and_figures_are_sensible(
    method: Method, first: list[float], second: list[float]
) -> None:
    a, b = np.array(first, dtype=float), np.array(second, dtype=float)
    test = method(a, b)

    assert method(a[::-1], b[::-1]) == test
    if np.isfinite(test.statistic):  # a constant moved to another has no unit
        assert sensible(test)


@counts
@settings(max_examples=25)
@given(table=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12))
def test_given_any_counts_when_compared_then_the_order_of_categories_is_nothing(
    method: Method, table: list[tuple[int, int]]
) -> None:
    before, now = np.array(table).T
    if not before.sum() or not now.sum():
        with pytest.raises(InvalidValueError, match="empty sample"):
            method(before, now)
        return
    test = method(before, now)
    turned = method(before[::-1], now[::-1])

    assert sensible(test)
    assert (turned.statistic, turned.effect_size) == pytest.approx(
        (test.statistic, test.effect_size), abs=1e-9
    )
    assert turned.p_value == pytest.approx(test.p_value, abs=0.1)


@numbers
def test_given_identical_numbers_when_compared_then_nothing_differs(method: Method) -> None:
    sample = np.random.default_rng(1).normal(size=200)
    for same in (sample, np.ones(30), np.array([5.0])):
        test = method(same, same)
        assert test.p_value > 0.2
        assert test.effect_size == 0.0


@counts
def test_given_identical_counts_when_compared_then_nothing_differs(method: Method) -> None:
    for same in (BEFORE, np.array([7]), np.array([1, 0, 2]), np.full(200, 5)):
        test = method(same, same)
        assert test.p_value == pytest.approx(1.0, abs=1e-9)
        assert test.effect_size == pytest.approx(0.0, abs=1e-7)


@numbers
def test_given_another_unit_when_compared_then_the_answer_is_the_same(method: Method) -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=150), rng.normal(0.2, 1, 120)
    test, scaled = method(first, second), method(first * 1024 + 4, second * 1024 + 4)

    assert scaled.p_value == pytest.approx(test.p_value, rel=1e-9)
    assert scaled.statistic == pytest.approx(test.statistic, rel=1e-6)


@numbers
def test_given_a_large_shift_when_compared_then_it_is_found(method: Method) -> None:
    rng = np.random.default_rng(2)
    test = method(rng.normal(size=300), rng.normal(3, 1, 300))

    assert test.p_value <= 0.005
    assert test.effect_size > 0.5


@counts
def test_given_categories_on_one_side_only_when_compared_then_it_is_found(method: Method) -> None:
    test = method([60, 40, 0], [0, 40, 60])

    assert test.p_value <= 0.005
    assert test.effect_size > 0.5


@counts
@pytest.mark.parametrize("bad", [([1, 2], [1]), ([1, -2], [1, 2]), ([[1]], [[1]])])
def test_given_counts_that_do_not_pair_when_compared_then_the_error_says_so(
    method: Method, bad: tuple[list[int], list[int]]
) -> None:
    with pytest.raises(InvalidValueError, match="counts of the same categories"):
        method(*bad)


@numbers
@pytest.mark.parametrize("bad", [[], [np.nan, 1.0]])
def test_given_no_numbers_when_compared_then_the_error_says_so(
    method: Method, bad: list[float]
) -> None:
    with pytest.raises(InvalidValueError, match="current"):
        method(np.ones(5), np.array(bad))


@numbers
def test_given_no_shift_when_tested_often_then_a_twentieth_is_called(method: Method) -> None:
    rng = np.random.default_rng(11)
    called = sum(
        method(rng.normal(size=80), rng.normal(size=60)).p_value < 0.05 for _ in range(300)
    )

    assert scipy_stats.binomtest(called, 300, 0.05, alternative="greater").pvalue > 0.001


@counts
def test_given_no_shift_in_counts_when_tested_often_then_a_twentieth_is_called(
    method: Method,
) -> None:
    rng = np.random.default_rng(12)
    shares = [0.3, 0.25, 0.2, 0.15, 0.1]
    called = sum(
        method(rng.multinomial(400, shares), rng.multinomial(300, shares)).p_value < 0.05
        for _ in range(300)
    )

    assert scipy_stats.binomtest(called, 300, 0.05, alternative="greater").pvalue > 0.001
