from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.group_sequential import (
    Spending,
    alpha_spent,
    group_sequential_bounds,
    group_sequential_test,
    repeated_interval,
    repeated_p_value,
)
from watchkeeper.stats.group_sequential_power import (
    group_sequential_inflation,
    group_sequential_power,
)

FIVE = [0.2, 0.4, 0.6, 0.8, 1.0]

spendings = st.sampled_from(["obrien_fleming", "pocock"])
plans = st.lists(st.integers(1, 100), min_size=1, max_size=8, unique=True).map(
    lambda shares: [share / 100 for share in sorted(shares)]
)
alphas = st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.3])


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        ("obrien_fleming", [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]),
        ("pocock", [2.4380, 2.4268, 2.4102, 2.3966, 2.3860]),
    ],
)
def test_given_five_equal_looks_when_bounded_then_bounds_are_the_published_ones(
    spending: Spending, published: list[float]
) -> None:
    assert group_sequential_bounds(FIVE, 0.05, spending) == pytest.approx(published, abs=1e-4)


@given(plan=plans, alpha=alphas, spending=spendings)
def test_given_any_looks_when_followed_then_each_has_crossed_as_often_as_it_may(
    plan: list[float], alpha: float, spending: Spending
) -> None:
    bounds = group_sequential_bounds(plan, alpha, spending)

    null = group_sequential_power(0.0, plan, bounds)

    assert null.upper == pytest.approx(null.lower, abs=1e-12)
    crossed = np.cumsum(null.upper) + np.cumsum(null.lower)
    may = [alpha_spent(fraction, alpha, spending) for fraction in plan]
    assert crossed == pytest.approx(may, abs=1e-9)


@given(plan=plans, more=plans, alpha=alphas, spending=spendings)
def test_given_more_looks_to_come_when_bounded_then_the_first_bounds_stay(
    plan: list[float], more: list[float], alpha: float, spending: Spending
) -> None:
    longer = plan + [1 + fraction for fraction in more]

    found = group_sequential_bounds(longer, alpha, spending)[: len(plan)]

    assert found == pytest.approx(group_sequential_bounds(plan, alpha, spending), abs=1e-7)


@given(alpha=alphas, spending=spendings)
def test_given_one_look_at_the_end_when_bounded_then_it_is_the_fixed_test(
    alpha: float, spending: Spending
) -> None:
    (bound,) = group_sequential_bounds([1.0], alpha, spending)

    assert bound == pytest.approx(norm.isf(alpha / 2))
    assert group_sequential_inflation([1.0], alpha, 0.8, spending) == pytest.approx(1.0)
    assert repeated_p_value([bound], [1.0], spending) == pytest.approx(alpha)


def test_given_more_than_planned_when_bounded_then_the_first_look_beyond_spends_the_rest() -> None:
    bounds = group_sequential_bounds([0.5, 0.9, 1.2, 1.4])

    null = group_sequential_power(0.0, [0.5, 0.9, 1.2, 1.4], bounds)
    assert sum(null.upper) == pytest.approx(0.025, abs=1e-9)
    assert bounds[3] == inf
    test = group_sequential_test([0.0, 0.0, 1.0, 9.0], [0.5, 0.9, 1.2, 1.4])
    assert not test.crossed
    assert repeated_interval(1.0, 1.0, test.bound) == (-inf, inf)


def test_given_looks_close_together_when_bounded_then_they_are_resolved() -> None:
    fractions = [0.5, 0.50001, 0.500021, 0.9, 1.0]
    bounds = group_sequential_bounds(fractions)
    alone = group_sequential_bounds([0.500021, 0.9, 1.0])

    null = group_sequential_power(0.0, fractions, bounds)
    assert sum(null.upper) + sum(null.lower) == pytest.approx(0.05, abs=1e-9)
    assert bounds[3:] == pytest.approx(alone[1:], abs=1e-3)


def test_given_hardly_any_information_when_bounded_then_only_a_catastrophe_crosses() -> None:
    first, second = group_sequential_bounds([0.002, 0.05])

    assert first == inf
    assert 9.5 < second < 11.5


@given(z=st.lists(st.floats(-6, 6), min_size=3, max_size=3), spending=spendings)
def test_given_any_statistics_when_tested_then_the_p_value_tells_the_same(
    z: list[float], spending: Spending
) -> None:
    p_value = repeated_p_value(z, [0.3, 0.7, 1.0], spending)

    for alpha in (0.01, 0.05, 0.2):
        crossed = group_sequential_test(z, [0.3, 0.7, 1.0], alpha, spending).crossed
        if abs(p_value - alpha) > 1e-6:
            assert crossed == (p_value <= alpha)


def test_given_looks_when_tested_then_each_says_what_it_was_held_against() -> None:
    test = group_sequential_test([-1.0, -3.4, -2.0], [0.2, 0.4, 0.6])

    assert (test.crossed, test.crossed_at) == (True, 2)
    assert [each.look for each in test.looks] == [1, 2, 3]
    assert [each.crossed for each in test.looks] == [False, True, False]
    assert test.bound == test.looks[-1].bound == pytest.approx(2.6803, abs=1e-4)
    assert test.looks[2].alpha_spent == pytest.approx(0.00762, abs=1e-5)
    assert test.to_dict()["looks"][1]["z"] == -3.4


@pytest.mark.parametrize(
    "call",
    [
        lambda: group_sequential_bounds([]),
        lambda: group_sequential_bounds([0.0, 1.0]),
        lambda: group_sequential_bounds([0.5, float("nan")]),
        lambda: group_sequential_bounds([0.5, 0.5]),
        lambda: group_sequential_bounds([0.5, 0.4]),
        lambda: group_sequential_bounds([0.5, 1.0], 0.0),
        lambda: group_sequential_bounds([0.5, 1.0], 1.0),
        lambda: group_sequential_bounds([0.5, 1.0], 0.05, "haybittle"),  # type: ignore[arg-type]
        lambda: group_sequential_test([1.0], [0.5, 1.0]),
        lambda: group_sequential_test([1.0, inf], [0.5, 1.0]),
        lambda: repeated_interval(inf, 1.0, 2.0),
        lambda: repeated_interval(0.0, -1.0, 2.0),
        lambda: repeated_interval(0.0, 1.0, 0.0),
        lambda: alpha_spent(0.0),
    ],
)
def test_given_bad_arguments_when_called_then_it_is_a_clear_error(call: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        call()
