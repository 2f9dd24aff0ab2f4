"""Each method of counts and of numbers against somebody else's."""

import warnings
from itertools import product

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.spatial.distance import jensenshannon

from watchkeeper import stats
from watchkeeper.errors import InvalidValueError

RNG = np.random.default_rng(7)
BEFORE, NOW = (
    RNG.multinomial(500, [0.1, 0.2, 0.3, 0.4]),
    RNG.multinomial(700, [0.15, 0.2, 0.3, 0.35]),
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
    totals = table.sum(axis=0)
    rows = [row for row in product(*(range(each + 1) for each in totals)) if sum(row) == 5]
    chances = np.asarray(scipy_stats.multivariate_hypergeom.pmf(rows, totals, 5))
    observed = scipy_stats.multivariate_hypergeom.pmf(table[0], totals, 5)
    expected = float(chances[chances <= observed * (1 + 1e-9)].sum())

    found = stats.fisher_exact(*table, permutations=20_000)

    assert chances.sum() == pytest.approx(1.0)
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


def test_given_a_constant_reference_when_moved_then_the_unit_is_that_of_both_samples() -> None:
    ones = np.ones(50)
    spread = np.array([0.0, 2.0] * 25)

    assert stats.wasserstein_distance(ones, ones) == 0.0
    assert stats.wasserstein_distance(ones, spread) == pytest.approx(1.0 / np.sqrt(0.5))
    assert stats.wasserstein_distance(np.full(50, 0.1), np.full(9, 0.2)) == pytest.approx(2.0)
    with pytest.raises(InvalidValueError, match="infinities"):
        stats.wasserstein_distance(ones, np.array([1.0, np.inf]))


@pytest.mark.parametrize("unit", [1e-310, 1e-200, 1.0, 1e200, 1e307])
def test_given_extreme_units_when_moved_then_the_distance_is_the_same(unit: float) -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=200), rng.normal(0.3, 1, 200)
    expected = scipy_stats.wasserstein_distance(first, second) / first.std()

    found = stats.wasserstein_distance(first * unit, second * unit)

    assert found == pytest.approx(expected, rel=1e-9 if unit > 1e-300 else 1e-2)


@pytest.mark.parametrize("size", [3_000, 100_000])
def test_given_samples_far_apart_when_compared_then_the_p_value_falls_on(size: int) -> None:
    rng = np.random.default_rng(6)
    reference = rng.normal(size=size)
    tests = [
        stats.cramer_von_mises(reference, rng.normal(shift, 1, size))
        for shift in (0.0, 0.1, 0.2, 0.5, 1.0, 5.0)
    ]

    assert [test.statistic for test in tests] == sorted(test.statistic for test in tests)
    assert [test.p_value for test in tests] == sorted((t.p_value for t in tests), reverse=True)
    assert tests[-1].p_value < 1e-100


def test_given_the_tail_of_the_limit_when_scipy_still_has_digits_then_it_is_scipys() -> None:
    rng = np.random.default_rng(8)
    reference = rng.normal(size=2_000)
    found = 0
    for shift in np.linspace(0.15, 0.25, 60):
        current = rng.normal(shift, 1, 2_000)
        expected = scipy_stats.cramervonmises_2samp(reference, current).pvalue
        if 1e-8 < expected < 7e-8:
            found += 1
            ours = stats.cramer_von_mises(reference, current).p_value
            assert ours == pytest.approx(expected, rel=0.02, abs=2e-9)
    assert found


def test_given_a_rare_category_when_tested_then_a_large_shift_keeps_its_small_p_value() -> None:
    before, now = np.array([5000, 4990, 3]), np.array([4000, 5990, 2])

    for method in (stats.g_test, stats.psi_test, stats.jensen_shannon_test, stats.hellinger_test):
        assert method(before, now).p_value < 1e-20


@pytest.mark.parametrize("size", [4, 6, 9])
def test_given_two_small_disjoint_samples_when_tested_then_no_p_value_is_below_the_exact(
    size: int,
) -> None:
    exact = scipy_stats.fisher_exact(np.array([[size, 0], [0, size]])).pvalue

    for method in (stats.g_test, stats.psi_test, stats.jensen_shannon_test, stats.hellinger_test):
        assert exact / 2.001 <= method([size, 0], [0, size]).p_value <= max(3 * exact, 1 / 500)


def test_given_a_sparse_table_when_tested_then_the_p_value_is_that_of_all_its_tables() -> None:
    table = np.array([[5, 0, 2], [1, 4, 3]])
    sizes, pooled = table.sum(axis=1), table.sum(axis=0)
    hypergeometric = scipy_stats.multivariate_hypergeom(pooled, sizes[0])
    expected = np.outer(sizes, pooled) / pooled.sum()
    observed = stats.g_test(*table)
    exact = 0.0
    for a in range(pooled[0] + 1):
        for b in range(pooled[1] + 1):
            first = np.array([a, b, sizes[0] - a - b])
            if 0 <= first[2] <= pooled[2]:
                both = np.array([first, pooled - first])
                ratio = 2 * np.sum(both * np.log(np.where(both, both, 1) / expected))
                exact += hypergeometric.pmf(first) * (ratio >= observed.statistic - 1e-9)

    assert observed.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact / 1_000))


@pytest.mark.parametrize("rows", [10**9, 10**12])
def test_given_billions_of_rows_when_tested_by_drawing_then_the_limit_is_used(rows: int) -> None:
    table = np.array([[rows] * 3, [rows, rows + int(2.5 * rows**0.5), rows]])
    limit = scipy_stats.chi2_contingency(table).pvalue

    assert stats.fisher_exact(*table).p_value == pytest.approx(limit)
    assert 0.0 < stats.total_variation_test(*table).p_value < 1.0
    assert stats.total_variation_test(*table).p_value == pytest.approx(limit, abs=0.2)


def test_given_counts_that_are_not_whole_when_tested_exactly_then_the_error_says_so() -> None:
    with pytest.raises(InvalidValueError, match="whole numbers"):
        stats.fisher_exact([1.5, 2], [1, 2])
