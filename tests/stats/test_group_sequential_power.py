from math import inf, sqrt
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.group_sequential import Spending, group_sequential_bounds
from watchkeeper.stats.group_sequential_power import (
    group_sequential_inflation,
    group_sequential_power,
)

FIVE = [0.2, 0.4, 0.6, 0.8, 1.0]
HUNDRED = [look / 100 for look in range(1, 101)]
DRIFT = float(norm.ppf(0.975) + norm.ppf(0.8))  # a fixed test at 5 % has power 80 %


@pytest.mark.parametrize(
    ("constant", "exponent", "inflation"),
    [(2.413, 0.0, {0.8: 1.228, 0.9: 1.206}), (2.040, 0.5, {0.8: 1.028, 0.9: 1.026})],
)
def test_given_classical_designs_when_followed_then_level_and_power_are_the_published_ones(
    constant: float, exponent: float, inflation: dict[float, float]
) -> None:
    # Pocock (1977), O'Brien and Fleming (1979), in the tables of Jennison and Turnbull, chapter 2.
    bounds = [constant / fraction**exponent for fraction in FIVE]

    null = group_sequential_power(0.0, FIVE, bounds)

    assert sum(null.upper) + sum(null.lower) == pytest.approx(0.05, abs=1e-4)
    for power, factor in inflation.items():
        drift = sqrt(factor) * float(norm.ppf(0.975) + norm.ppf(power))
        reached = group_sequential_power(drift, FIVE, bounds)
        assert sum(reached.upper) == pytest.approx(power, abs=1e-3)


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_given_a_hundred_looks_when_simulated_then_level_and_power_are_as_computed(
    spending: Spending,
) -> None:
    runs = 20_000
    rng = np.random.default_rng(5)
    steps = rng.normal(0.0, 0.1, (runs, 100))
    bounds = np.array(group_sequential_bounds(HUNDRED, 0.05, spending))
    for drift in (0.0, DRIFT):
        z = np.cumsum(steps + drift / 100, axis=1) / np.sqrt(HUNDRED)
        over = np.abs(z) >= bounds
        crossed = over.any(axis=1)
        stopped = np.where(crossed, over.argmax(axis=1), 99)

        computed = group_sequential_power(drift, HUNDRED, bounds.tolist())

        expected = sum(computed.upper) + sum(computed.lower)
        error = sqrt(expected * (1 - expected) / runs)
        assert crossed.mean() == pytest.approx(expected, abs=4 * error)
        assert np.mean(stopped + 1) / 100 == pytest.approx(computed.expected_fraction, abs=0.01)


@pytest.mark.parametrize("fractions", [FIVE, HUNDRED, [0.31, 0.8, 1.0]])
@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_given_an_inflated_sample_when_there_is_the_effect_then_power_is_the_wanted_one(
    fractions: list[float], spending: Spending
) -> None:
    factor = group_sequential_inflation(fractions, 0.05, 0.9, spending)

    drift = sqrt(factor) * float(norm.ppf(0.975) + norm.ppf(0.9))
    ends = group_sequential_power(
        drift, fractions, group_sequential_bounds(fractions, 0.05, spending)
    )

    assert factor > 1
    assert sum(ends.upper) == pytest.approx(0.9, abs=1e-6)
    assert ends.expected_fraction * factor < 1  # smaller than the fixed test, on average


def test_given_the_planned_size_of_a_fixed_test_when_looked_at_then_power_is_hardly_lower() -> None:
    for fractions, cost in ((FIVE, 0.012), (HUNDRED, 0.03)):
        ends = group_sequential_power(DRIFT, fractions, group_sequential_bounds(fractions))

        assert 0.8 - cost <= sum(ends.upper) < 0.8


@pytest.mark.parametrize(
    "call",
    [
        lambda: group_sequential_power(inf, [1.0], [2.0]),
        lambda: group_sequential_power(0.0, [1.0], [2.0, 2.0]),
        lambda: group_sequential_power(0.0, [1.0], [0.0]),
        lambda: group_sequential_inflation([0.5, 0.9]),
        lambda: group_sequential_inflation(FIVE, 0.0),
        lambda: group_sequential_inflation(FIVE, 0.05, 0.02),
    ],
)
def test_given_bad_arguments_when_called_then_it_is_a_clear_error(call: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        call()
