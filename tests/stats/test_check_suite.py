"""What every two-sample method must do, whichever it is."""

from collections.abc import Callable
from functools import partial
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper import stats
from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import TwoSampleTest

Method = Callable[..., TwoSampleTest]
Distance = Callable[..., float]
Sampler = Callable[[np.random.Generator, int], np.ndarray]

OF_NUMBERS: dict[str, Method] = {
    "KS-test": stats.ks_two_sample,
    "Anderson-Darling": stats.anderson_darling,
    "Cramér-von Mises": stats.cramer_von_mises,
    "Wasserstein": partial(stats.wasserstein_test, permutations=199),
}
OF_COUNTS: dict[str, Method] = {
    "Chi-squared": stats.chi_squared,
    "G-test": stats.g_test,
    "PSI": stats.psi_test,
    "Jensen-Shannon": stats.jensen_shannon_test,
    "Hellinger": stats.hellinger_test,
    "Total variation": partial(stats.total_variation_test, permutations=499),
    "Fisher exact": partial(stats.fisher_exact, permutations=499),
}
DISTANCES: dict[str, Distance] = {
    "PSI": stats.population_stability_index,
    "Jensen-Shannon": stats.jensen_shannon_distance,
    "Hellinger": stats.hellinger_distance,
    "Total variation": stats.total_variation,
}
SYMMETRIC = {name: method for name, method in OF_NUMBERS.items() if name != "Wasserstein"}

numbers = pytest.mark.parametrize("method", OF_NUMBERS.values(), ids=OF_NUMBERS)
counts = pytest.mark.parametrize("method", OF_COUNTS.values(), ids=OF_COUNTS)
distances = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)

values = st.integers(-3, 3) | st.floats(-1e6, 1e6)
samples = st.lists(values, min_size=1, max_size=40).map(lambda found: np.array(found, dtype=float))
columns = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12
).filter(lambda found: all(sum(side) for side in zip(*found, strict=True)))


def nearly_constant(rng: np.random.Generator, size: int) -> np.ndarray:
    return (rng.random(size) < 0.05) * 1.0


often = pytest.mark.parametrize("runs", [100, pytest.param(400, marks=pytest.mark.nightly)])


def most(runs: int) -> float:
    """Return how many of `runs` tests may be called at a level of 5 %: three sigma more."""
    return runs * 0.05 + 3 * sqrt(runs * 0.05 * 0.95)


def require_sensible(test: TwoSampleTest) -> None:
    assert all(type(each) is float for each in (test.statistic, test.p_value, test.effect_size))
    assert np.isfinite(test.statistic)
    assert 0.0 <= test.p_value <= 1.0
    assert 0.0 <= test.effect_size <= 1.0


# Samples of numbers.


@numbers
@settings(max_examples=40)
@given(first=samples, second=samples)
@pytest.mark.filterwarnings("ignore:ks_2samp")
def test_given_any_numbers_when_compared_then_order_is_nothing_and_inputs_are_left_alone(
    method: Method, first: np.ndarray, second: np.ndarray
) -> None:
    before, now = first.copy(), second.copy()

    test = method(first, second)

    require_sensible(test)
    assert method(first[::-1], np.sort(second)) == test
    assert np.array_equal(first, before)
    assert np.array_equal(second, now)


@pytest.mark.parametrize("method", SYMMETRIC.values(), ids=SYMMETRIC)
@settings(max_examples=40)
@given(first=samples, second=samples)
@pytest.mark.filterwarnings("ignore:ks_2samp")
def test_given_numbers_when_sides_are_swapped_then_the_answer_is_the_same(
    method: Method, first: np.ndarray, second: np.ndarray
) -> None:
    test, swapped = method(first, second), method(second, first)

    assert swapped.statistic == pytest.approx(test.statistic, rel=1e-9, abs=1e-9)
    assert swapped.p_value == pytest.approx(test.p_value, rel=1e-9)
    assert swapped.effect_size == pytest.approx(test.effect_size, rel=1e-12)


def test_given_numbers_when_sides_are_swapped_then_wasserstein_changes_its_unit_alone() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=100), rng.normal(1, 3, 100)

    there = stats.wasserstein_distance(first, second) * first.std()

    assert stats.wasserstein_distance(second, first) * second.std() == pytest.approx(there)


@numbers
@pytest.mark.parametrize(
    "sample",
    [
        np.random.default_rng(1).normal(size=200),
        np.random.default_rng(1).poisson(2, 200) * 1.0,
        np.full(30, 0.1),
        np.array([5.0]),
        np.array([1.0, 2.0]),
        np.array([0.0, -0.0]),
    ],
    ids=["distinct", "ties", "constant", "one", "two", "zeros"],
)
def test_given_identical_numbers_when_compared_then_nothing_differs(
    method: Method, sample: np.ndarray
) -> None:
    test = method(sample, sample[::-1])

    require_sensible(test)
    # Above 0.25 the p-value of Anderson-Darling is not known.
    assert test.p_value == pytest.approx(1.0) or (
        method is stats.anderson_darling and test.p_value >= 0.25
    )
    assert test.effect_size == 0.0


@numbers
@pytest.mark.parametrize("sizes", [(1, 1), (1, 2), (2, 1), (2, 2), (1, 500), (500, 1), (2, 500)])
@pytest.mark.parametrize("apart", [0.0, 1.0, 1e6])
def test_given_tiny_samples_when_compared_then_there_is_an_answer(
    method: Method, sizes: tuple[int, int], apart: float
) -> None:
    first, second = np.arange(sizes[0], dtype=float), np.arange(sizes[1], dtype=float) + apart

    require_sensible(method(first, second))


@numbers
@pytest.mark.parametrize("ends", [(0.1, 0.2), (0.0, 1e-300), (1e300, -1e300), (7.0, 8.0)])
def test_given_two_constants_when_they_differ_then_it_is_found(
    method: Method, ends: tuple[float, float]
) -> None:
    test = method(np.full(60, ends[0]), np.full(40, ends[1]))

    require_sensible(test)
    assert test.p_value <= 0.005
    assert test.effect_size == 1.0


@numbers
@pytest.mark.parametrize("constant", ["reference", "current"])
def test_given_one_constant_side_when_compared_then_it_is_found(
    method: Method, constant: str
) -> None:
    sides = {"reference": np.random.default_rng(3).normal(size=90), "current": np.full(80, 0.1)}
    if constant == "reference":
        sides = {"reference": sides["current"], "current": sides["reference"]}

    test = method(**sides)

    require_sensible(test)
    assert test.p_value <= 0.005


@numbers
@pytest.mark.parametrize("scale", [2.0**-60, 0.5, 1024.0])
def test_given_another_unit_when_compared_then_the_answer_is_the_same(
    method: Method, scale: float
) -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=150).round(2), rng.normal(0.2, 1, 120).round(2)

    test, scaled = method(first, second), method(first * scale, second * scale)

    assert scaled.p_value == pytest.approx(test.p_value, rel=1e-9)
    assert scaled.statistic == pytest.approx(test.statistic, rel=1e-9)
    assert scaled.effect_size == test.effect_size


@pytest.mark.parametrize("method", SYMMETRIC.values(), ids=SYMMETRIC)
def test_given_infinities_when_ranks_are_compared_then_they_are_extreme_values(
    method: Method,
) -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=100), rng.normal(size=90)
    first[:3], second[:2] = [np.inf, -np.inf, np.inf], [np.inf, -np.inf]

    test = method(first, second)

    require_sensible(test)
    assert test == method(np.clip(first, -1e9, 1e9), np.clip(second, -1e9, 1e9))


@numbers
def test_given_a_large_shift_when_compared_then_it_is_found(method: Method) -> None:
    rng = np.random.default_rng(2)

    test = method(rng.normal(size=300), rng.normal(3, 1, 300))

    assert test.p_value <= 0.005
    assert test.effect_size > 0.5


@numbers
@pytest.mark.parametrize("bad", [[], [np.nan, 1.0]], ids=["empty", "NaN"])
@pytest.mark.parametrize("side", ["reference", "current"])
def test_given_no_numbers_when_compared_then_the_error_says_so(
    method: Method, side: str, bad: list[float]
) -> None:
    sides = {"reference": np.ones(5), "current": np.ones(5), side: np.array(bad)}

    with pytest.raises(InvalidValueError, match=side):
        method(**sides)


@numbers
@pytest.mark.parametrize(
    "sampler",
    [
        lambda rng, size: rng.normal(size=size),
        lambda rng, size: rng.standard_cauchy(size),
        lambda rng, size: rng.poisson(2, size) * 1.0,
        nearly_constant,
    ],
    ids=["normal", "heavy", "ties", "nearly constant"],
)
@often
def test_given_no_shift_when_tested_often_then_a_twentieth_is_called(
    method: Method, sampler: Sampler, runs: int
) -> None:
    rng = np.random.default_rng(11)

    called = sum(method(sampler(rng, 300), sampler(rng, 300)).p_value <= 0.05 for _ in range(runs))

    if method is stats.anderson_darling and sampler is nearly_constant:
        assert 0.05 * runs < called <= 0.15 * runs  # as its docstring owns
    else:
        assert called <= most(runs)


# Counts of categories.


@counts
@settings(max_examples=40)
@given(table=columns)
def test_given_any_counts_when_compared_then_order_and_sides_are_nothing(
    method: Method, table: list[tuple[int, int]]
) -> None:
    before, now = np.array(table).T
    kept = before.copy(), now.copy()

    test = method(before, now)

    require_sensible(test)
    for other in (method(before[::-1], now[::-1]), method(now, before)):
        require_sensible(other)
        assert (other.statistic, other.effect_size) == pytest.approx(
            (test.statistic, test.effect_size), rel=1e-9, abs=1e-7
        )
        # Other tables are drawn: six sigma of a share of 499.
        assert other.p_value == pytest.approx(test.p_value, abs=0.19)
    assert np.array_equal((before, now), kept)


@counts
@pytest.mark.parametrize(
    "same",
    [[7], [1], [1, 0], [1, 0, 2], [500, 300, 20, 1], [5] * 200, [1] * 200, [10**10, 3 * 10**10]],
    ids=str,
)
def test_given_identical_counts_when_compared_then_nothing_differs(
    method: Method, same: list[int]
) -> None:
    test = method(same, same)

    require_sensible(test)
    assert test.p_value == pytest.approx(1.0, abs=1e-9)
    assert test.effect_size == pytest.approx(0.0, abs=1e-7)


@counts
@pytest.mark.parametrize("tiny", [([1, 0], [0, 1]), ([1], [1]), ([1, 1], [0, 1]), ([2, 0], [0, 2])])
def test_given_tiny_counts_when_compared_then_little_is_concluded(
    method: Method, tiny: tuple[list[int], list[int]]
) -> None:
    test = method(*tiny)

    require_sensible(test)
    assert test.p_value > 0.05


@counts
def test_given_categories_on_one_side_only_when_compared_then_it_is_found(method: Method) -> None:
    test = method([60, 40, 0, 0], [0, 40, 60, 0])

    require_sensible(test)
    assert test.p_value <= 0.005
    assert test.effect_size > 0.5


@counts
def test_given_a_category_of_neither_side_when_compared_then_it_is_ignored(method: Method) -> None:
    assert method([30, 0, 20], [20, 0, 40]) == method([30, 20], [20, 40])


@counts
def test_given_two_hundred_categories_when_half_are_replaced_then_it_is_found(
    method: Method,
) -> None:
    before, now = np.full(200, 10), np.full(200, 10)
    before[:50], now[50:100] = 0, 0

    test = method(before, now)

    require_sensible(test)
    assert test.p_value <= 0.005


@counts
@pytest.mark.parametrize(
    "bad",
    [
        ([1, 2], [1]),
        ([1, -2], [1, 2]),
        ([[1]], [[1]]),
        ([1, np.nan], [1, 2]),
        ([1, 2], [1, np.inf]),
    ],
)
def test_given_counts_that_do_not_pair_when_compared_then_the_error_says_so(
    method: Method, bad: tuple[list[float], list[float]]
) -> None:
    with pytest.raises(InvalidValueError, match="counts of the same categories"):
        method(*bad)


@counts
@pytest.mark.parametrize("empty", [([0, 0], [1, 2]), ([1, 2], [0, 0]), ([], [])])
def test_given_no_rows_when_compared_then_the_error_says_so(
    method: Method, empty: tuple[list[int], list[int]]
) -> None:
    with pytest.raises(InvalidValueError, match="empty sample"):
        method(*empty)


SHARES = {
    "two": np.array([0.9, 0.1]),
    "five": np.array([0.3, 0.25, 0.2, 0.15, 0.1]),
    "rare": np.array([0.6, 0.3, 0.09, 0.009, 0.001]),
    "50 categories": np.full(50, 1 / 50),
}


@counts
@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
@often
def test_given_no_shift_in_counts_when_tested_often_then_a_twentieth_is_called(
    method: Method, shares: np.ndarray, runs: int
) -> None:
    rng = np.random.default_rng(12)

    called = sum(
        method(rng.multinomial(300, shares), rng.multinomial(300, shares)).p_value <= 0.05
        for _ in range(runs)
    )

    assert called <= most(runs)


@pytest.mark.parametrize("method", [stats.g_test, stats.hellinger_test])
def test_given_two_hundred_rare_categories_when_nothing_shifts_then_few_are_called(
    method: Method,
) -> None:
    # By their limit distributions they would call 84 % and all of them.
    rng = np.random.default_rng(13)
    shares = np.full(200, 1 / 200)

    called = sum(
        method(rng.multinomial(300, shares), rng.multinomial(300, shares)).p_value <= 0.05
        for _ in range(100)
    )

    assert called <= most(100)


def test_given_two_hundred_categories_in_few_rows_when_chi_squared_then_it_calls_too_few() -> None:
    rng = np.random.default_rng(14)
    even = np.full(200, 1 / 200)
    tilted = np.repeat([4.0, 1.0], [50, 150]) / 350.0
    same, moved = (
        [(rng.multinomial(100, even), rng.multinomial(100, shares)) for _ in range(40)]
        for shares in (even, tilted)
    )

    def called(method: Method, pairs: list[tuple[np.ndarray, np.ndarray]]) -> int:
        return sum(method(*pair).p_value <= 0.05 for pair in pairs)

    assert called(stats.chi_squared, same) <= 1
    assert 2 * called(stats.chi_squared, moved) < called(stats.g_test, moved)


@distances
@settings(max_examples=40)
@given(table=columns, factor=st.integers(1, 1_000))
def test_given_any_counts_when_measured_then_a_distance_is_a_distance(
    distance: Distance, table: list[tuple[int, int]], factor: int
) -> None:
    before, now = np.array(table).T

    assert distance(before, before) == pytest.approx(0.0, abs=1e-7)
    assert 0.0 <= distance(before, now) == pytest.approx(distance(now, before), abs=1e-9)
    if distance is not stats.population_stability_index:  # smoothing is of rows, not of shares
        assert distance(before, now) <= 1.0
        assert distance(before * factor, now) == pytest.approx(distance(before, now), abs=1e-7)


@pytest.fixture(
    scope="module",
    params=[400_000, pytest.param(10_000_000, marks=pytest.mark.nightly)],
    ids=["400 thousand", "10 million"],
)
def large(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted samples whose shift is as many of its own standard errors at any size."""
    rows: int = request.param
    rng = np.random.default_rng(10)
    first, second = rng.normal(size=rows), rng.normal(sqrt(1_000 / rows), 1.0, size=rows)
    return np.sort(first), np.sort(second)


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_given_many_rows_when_numbers_are_compared_then_a_small_shift_is_seen(
    name: str, large: tuple[np.ndarray, np.ndarray]
) -> None:
    test = OF_NUMBERS[name](*large)

    if name == "Wasserstein":  # its p-value is that of 2,000 rows, its statistic that of all
        shift = sqrt(1_000 / len(large[0]))
        assert test.statistic == pytest.approx(shift, rel=0.1)
    else:
        assert test.p_value <= 0.01
    assert 0.0 < test.effect_size < 0.05


@pytest.mark.parametrize("name", OF_COUNTS)
def test_given_many_rows_when_counts_are_compared_then_the_same_is_seen(
    name: str, large: tuple[np.ndarray, np.ndarray]
) -> None:
    edges = np.linspace(-3.0, 3.0, 21)
    counts = [np.diff(np.searchsorted(sample, edges)) for sample in large]

    test = OF_COUNTS[name](*counts)

    assert test.p_value <= 0.01
    assert 0.0 < test.effect_size < 0.05
