from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, hypergeom, norm

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.conditional import (
    conditional_test,
    exact_group_sequential_test,
    exact_repeated_p_value,
)
from watchkeeper.stats.group_sequential import alpha_spent, group_sequential_bounds


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, int, int, int]:
    control, treatment = draw(st.integers(1, 200)), draw(st.integers(0, 40))
    return draw(st.integers(0, control)), control, draw(st.integers(0, treatment)), treatment


@given(table=tables())
def test_given_one_table_when_tested_then_the_tails_are_those_of_fishers_test(
    table: tuple[int, int, int, int],
) -> None:
    bad_control, control, bad, treatment = table
    test = conditional_test(*table)

    rows = np.array([[bad, treatment - bad], [bad_control, control - bad_control]])
    assert test.greater == pytest.approx(fisher_exact(rows, alternative="greater")[1], rel=1e-9)
    assert test.less == pytest.approx(fisher_exact(rows, alternative="less")[1], rel=1e-9)
    assert test.p_value == pytest.approx(min(1.0, 2 * min(test.greater, test.less)))
    if test.z:
        assert norm.sf(abs(test.z)) == pytest.approx(min(test.greater, test.less), rel=1e-9)
        assert (test.z > 0) == (test.events > test.expected)


@given(one=tables(), two=tables())
@settings(max_examples=50)
def test_given_two_strata_when_tested_then_their_events_add_up(
    one: tuple[int, int, int, int], two: tuple[int, int, int, int]
) -> None:
    test = conditional_test(*zip(one, two, strict=True))

    counts = np.arange(0, 41)
    chances = [
        hypergeom(control + treated, bad_control + bad, treated).pmf(counts)
        for bad_control, control, bad, treated in (one, two)
    ]
    both = np.convolve(chances[0], chances[1])
    assert test.events == one[2] + two[2]
    assert test.greater == pytest.approx(both[test.events :].sum(), rel=1e-7)
    assert test.less == pytest.approx(both[: test.events + 1].sum(), rel=1e-7)
    assert test.expected == pytest.approx(float(both @ np.arange(len(both))))


def test_given_strata_of_other_rates_when_one_arm_moves_then_there_is_no_false_difference() -> None:
    pooled = conditional_test(950 + 1_000, 9_500 + 5_000, 50 + 1_000, 500 + 5_000)
    stratified = conditional_test([950, 1_000], [9_500, 5_000], [50, 1_000], [500, 5_000])

    assert pooled.z > 8
    assert stratified.p_value == 1.0
    assert stratified.z == 0.0


def test_given_no_events_or_an_empty_arm_when_tested_then_it_says_nothing() -> None:
    for table in ((0, 100, 0, 10), (3, 100, 0, 0), (0, 0, 0, 0), (100, 100, 10, 10)):
        test = conditional_test(*table)
        assert (test.greater, test.less, test.p_value, test.z) == (1.0, 1.0, 1.0, 0.0)


def test_given_a_catastrophe_when_tested_then_no_number_overflows() -> None:
    test = conditional_test(0, 1_000_000, 100_000, 100_000)

    assert 0 <= test.p_value <= 1e-300
    assert 30 < test.z < 40


def crossing(margins: list[tuple[int, int, int]], fractions: list[float], alpha: float) -> Any:
    """Return the probability to cross low or high, over all that could have come."""
    ways = [
        [
            (bad, float(hypergeom(control + treated, events, treated).pmf(bad)))
            for bad in range(max(0, events - control), min(events, treated) + 1)
        ]
        for events, control, treated in margins
    ]
    low = high = 0.0
    for path in product(*ways):
        bad = np.array([count for count, _ in path])
        chance = float(np.prod([chance for _, chance in path]))
        events, controls, treated = np.array(margins).T
        test = exact_group_sequential_test(events - bad, controls, bad, treated, fractions, alpha)
        if test.crossed_at is not None:
            look = test.looks[test.crossed_at - 1]
            low += chance * (look.events <= look.low)
            high += chance * (look.events >= look.high)
    return low, high, test


@pytest.mark.parametrize(
    ("margins", "alpha"),
    [
        ([(4, 190, 10), (5, 190, 10), (7, 150, 50)], 0.05),
        ([(9, 20, 20), (3, 5, 40), (8, 30, 10)], 0.2),
        ([(30, 40, 3), (6, 40, 40)], 0.4),
    ],
)
def test_given_all_that_could_come_when_tested_then_it_crosses_as_often_as_it_says(
    margins: list[tuple[int, int, int]], alpha: float
) -> None:
    fractions = [(look + 1) / len(margins) for look in range(len(margins))]

    low, high, test = crossing(margins, fractions, alpha)

    assert low <= alpha / 2
    assert high <= alpha / 2
    assert low + high == pytest.approx(test.looks[-1].alpha_spent, abs=1e-9)
    assert low + high > 0
    for look in test.looks:
        assert look.alpha_spent <= alpha_spent(look.fraction, alpha) + 1e-12


def test_given_many_events_when_tested_then_bounds_are_those_of_the_normal_limit() -> None:
    fractions = [0.2, 0.4, 0.6, 0.8, 1.0]
    units, events = np.full(5, 1_000_000), np.full(5, 200_000)

    test = exact_group_sequential_test(events, units, events, units, fractions)

    deviation = np.sqrt(np.cumsum(units) * 2 * 0.2 * 0.8 / 4)
    high = (np.array([look.high for look in test.looks]) - np.cumsum(events)) / deviation
    assert high == pytest.approx(group_sequential_bounds(fractions), abs=0.01)
    assert test.looks[-1].alpha_spent == pytest.approx(0.05, abs=2e-4)


def test_given_strata_within_looks_when_tested_then_all_of_them_count() -> None:
    split = exact_group_sequential_test(
        [[20, 5], [9, 8]], [[900, 90], [500, 50]], [[2, 9], [3, 9]], [[50, 60], [50, 60]], [0.5, 1]
    )

    assert [look.events for look in split.looks] == [11, 23]
    whole = conditional_test([20, 5, 9, 8], [900, 90, 500, 50], [2, 9, 3, 9], [50, 60, 50, 60])
    assert split.looks[-1].expected == pytest.approx(whole.expected)
    assert split.looks[-1].crossed == (whole.p_value < 0.05)


def test_given_a_rare_event_and_a_small_arm_when_simulated_then_each_side_holds_its_half() -> None:
    rng, runs, looks = np.random.default_rng(19), 400, 100
    fractions = [(look + 1) / looks for look in range(looks)]
    units = np.full((looks,), 380), np.full((looks,), 20)
    above = below = 0
    for _ in range(runs):
        control, treated = rng.binomial(380, 0.002, looks), rng.binomial(20, 0.002, looks)
        test = exact_group_sequential_test(control, units[0], treated, units[1], fractions)
        if test.crossed_at is not None:
            look = test.looks[test.crossed_at - 1]
            above += look.events > look.expected
            below += look.events < look.expected

    allowed = 0.025 + 3 * np.sqrt(0.025 * 0.975 / runs)
    assert above / runs <= allowed
    assert below / runs <= allowed


@given(
    bad=st.lists(st.integers(0, 20), min_size=3, max_size=3),
    worse=st.lists(st.integers(0, 12), min_size=3, max_size=3),
)
@settings(max_examples=30)
def test_given_any_counts_when_tested_then_the_p_value_tells_the_same(
    bad: list[int], worse: list[int]
) -> None:
    units, small, fractions = [100] * 3, [20] * 3, [0.3, 0.7, 1.0]

    p_value = exact_repeated_p_value(bad, units, worse, small, fractions)

    for alpha in (0.001, 0.01, 0.05, 0.3):
        test = exact_group_sequential_test(bad, units, worse, small, fractions, alpha)
        if abs(p_value - alpha) > 1e-5 * alpha:
            assert test.crossed == (p_value < alpha)


def test_given_one_look_when_tested_then_the_p_value_is_the_two_sided_one() -> None:
    p_value = exact_repeated_p_value([76], [38_000], [9], [2_000], [1.0])

    assert p_value == pytest.approx(conditional_test(76, 38_000, 9, 2_000).p_value, rel=1e-5)
    assert exact_repeated_p_value([0], [100], [0], [10], [1.0]) == 1.0


def test_given_a_tenfold_rate_when_tested_then_it_crosses_soon() -> None:
    test = exact_group_sequential_test(
        [8] * 5, [4_000] * 5, [4] * 5, [200] * 5, [0.2, 0.4, 0.6, 0.8, 1]
    )

    assert test.crossed_at is not None
    assert test.crossed_at <= 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: conditional_test(1, 10, 1, [10, 10]),
        lambda: conditional_test(-1, 10, 1, 10),
        lambda: conditional_test(1.5, 10, 1, 10),
        lambda: conditional_test(float("nan"), 10, 1, 10),
        lambda: conditional_test("1", 10, 1, 10),
        lambda: conditional_test(11, 10, 1, 10),
        lambda: conditional_test(1, 10, 11, 10),
        lambda: exact_group_sequential_test(1, 10, 1, 10, [1.0]),
        lambda: exact_group_sequential_test([1, 1], [9, 9], [1, 1], [9, 9], [1.0]),
        lambda: exact_group_sequential_test([1, 1], [9, 9], [1, 1], [9, 9], [1.0, 0.5]),
        lambda: exact_group_sequential_test([1], [9], [1], [9], [1.0], 1.5),
        lambda: exact_group_sequential_test([[]], [[]], [[]], [[]], [1.0]),
    ],
)
def test_given_bad_arguments_when_called_then_it_is_a_clear_error(call: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        call()
