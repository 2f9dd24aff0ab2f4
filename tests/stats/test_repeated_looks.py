"""The sequential tests on counts: the simulations of benchmarks/experiments.py, smaller."""

from math import sqrt
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from watchkeeper.stats import (
    anytime_proportions,
    confidence_sequence,
    exact_group_sequential_test,
    group_sequential_bounds,
    group_sequential_inflation,
)

RUNS, LOOKS = 5_000, 100
FRACTIONS = [(look + 1) / LOOKS for look in range(LOOKS)]
EVEN, SKEWED = (200, 200), (380, 20)


class Looks:
    """Statistics of many experiments at every look; strata are what came between two looks."""

    def __init__(
        self, seed: int, units: Any, rates: Any, *, runs: int = RUNS, stratified: bool = False
    ) -> None:
        rng = np.random.default_rng(seed)
        control, treated = (np.broadcast_to(each, (runs, np.shape(each)[-1])) for each in units)
        bad, worse = rng.binomial(control, rates[0]), rng.binomial(treated, rates[1])
        self.came = bad, control, worse, treated
        self.so_far = [np.cumsum(each, axis=1) for each in (bad, control, worse, treated)]
        if not stratified:
            bad, control, worse, treated = self.so_far
        weights, both = control * treated / (control + treated), bad + worse
        rate = both / (control + treated)
        difference = weights * (worse / treated - bad / control)
        null = weights * rate * (1 - rate)
        if stratified:
            difference, null = np.cumsum(difference, axis=1), np.cumsum(null, axis=1)
            self.information = np.cumsum(weights, axis=1)
        else:
            self.information = weights
        self.z = difference / np.sqrt(np.where(null > 0, null, np.inf))
        own = rate_variance(bad, control) + rate_variance(worse, treated)
        self.unpooled = (worse / treated - bad / control) / np.sqrt(np.where(own > 0, own, np.inf))
        bad, control, worse, treated = self.so_far
        self.fewest = np.minimum.reduce([bad, control - bad, worse, treated - worse])

    def anytime(self, planned: float) -> Any:
        """Return the half widths of the confidence sequence in standard errors."""
        fractions, where = np.unique(self.information / planned, return_inverse=True)
        widths = np.array([confidence_sequence(0.0, 1.0, float(each))[1] for each in fractions])
        return widths[where].reshape(self.information.shape)


def rate_variance(events: Any, units: Any) -> Any:
    return events / units * (1 - events / units) / units


def even(units: tuple[int, int]) -> tuple[Any, Any]:
    return np.full(LOOKS, units[0]), np.full(LOOKS, units[1])


def share(over: Any) -> float:
    return float(np.any(over, axis=1).mean())


def allowed(runs: int = RUNS, level: float = 0.05) -> float:
    return level + 3 * sqrt(level * (1 - level) / runs)


@pytest.mark.parametrize("units", [EVEN, SKEWED])
@pytest.mark.parametrize("rate", [0.2, 0.05, 0.002])
def test_given_no_effect_and_a_hundred_looks_then_at_most_alpha_are_called(
    rate: float, units: tuple[int, int]
) -> None:
    looks = Looks(7, even(units), (rate, rate))
    planned = float(looks.information[0, -1])

    sequential = np.abs(looks.z) >= np.array(group_sequential_bounds(FRACTIONS))
    anytime = (np.abs(looks.z) >= looks.anytime(planned)) & (looks.fewest >= 10)

    assert share(sequential) <= allowed()
    assert share(anytime) <= 0.03
    assert share(np.abs(looks.z) >= 1.96) > 0.2  # what a test for one look does
    for run in range(3):
        bad, control, worse, treated = (each[run, -1] for each in looks.so_far)
        test = anytime_proportions(bad, control, worse, treated, planned)
        assert test.z == pytest.approx(looks.z[run, -1])
        assert test.rejected == anytime[run, -1]


def test_given_a_small_canary_when_looked_at_often_then_rules_fare_as_the_reference_says() -> None:
    looks = Looks(19, even(SKEWED), (0.05, 0.05), runs=20_000)
    near, planned = (looks.anytime(n_star * 0.95 * 0.05) for n_star in (5_000, 40_000))
    enough = looks.fewest >= 10

    # Two simulations of 20,000 runs each: a standard error of at most .005.
    assert share(np.abs(looks.unpooled) >= near) == pytest.approx(0.3439, abs=0.015)
    assert share(np.abs(looks.unpooled) >= planned) == pytest.approx(0.0906, abs=0.009)
    assert share((np.abs(looks.unpooled) >= planned) & enough) == pytest.approx(0.0257, abs=0.005)
    assert share(np.abs(looks.z) >= planned) == pytest.approx(0.0146, abs=0.004)
    assert share((np.abs(looks.z) >= near) & enough) <= 0.03


@pytest.mark.parametrize("rate", [0.05, 0.002])
def test_given_a_small_canary_when_tested_exactly_then_its_own_level_is_at_most_alpha(
    rate: float,
) -> None:
    rng, levels = np.random.default_rng(2), []
    for _ in range(10):
        test = exact_group_sequential_test(
            rng.binomial(380, rate, LOOKS),
            np.full(LOOKS, 380),
            rng.binomial(20, rate, LOOKS),
            np.full(LOOKS, 20),
            FRACTIONS,
        )
        levels.append(test.looks[-1].alpha_spent)

    assert 0.02 < np.mean(levels) <= np.max(levels) <= 0.05


@pytest.mark.parametrize("count", [5, 10, 100])
def test_given_the_size_of_a_fixed_test_when_there_is_an_effect_then_looks_cost_at_most_3_points(
    count: int,
) -> None:
    fractions = [(look + 1) / count for look in range(count)]
    found = []
    for size in (1.0, group_sequential_inflation(fractions)):
        ends = np.round(np.array(fractions) * 6_510 * size).astype(int)
        units = np.diff(ends, prepend=0)
        looks = Looks(11, (units, units), (0.20, 0.22), runs=20_000)
        found.append(share(np.abs(looks.z) >= np.array(group_sequential_bounds(fractions))))
        if size == 1.0:
            fixed = float(np.mean(np.abs(looks.z[:, -1]) >= norm.isf(0.025)))

    assert fixed == pytest.approx(0.8, abs=0.01)
    assert fixed - 0.03 <= found[0] < fixed
    assert found[1] == pytest.approx(0.8, abs=0.012)


def test_given_a_ramp_while_the_base_rate_drifts_then_only_strata_keep_the_error_rate() -> None:
    weights, units, runs = np.arange(0.05, 0.96, 0.1), 2_000, 10_000
    rates = np.linspace(0.04, 0.06, len(weights))
    treated = np.random.default_rng(5).binomial(units, weights, (runs, len(weights)))
    planned = units * float(np.sum(weights * (1 - weights)))
    fractions = (np.cumsum(weights * (1 - weights)) * units / planned).tolist()
    bounds = np.array(group_sequential_bounds(fractions))

    pooled, split = (
        Looks(6, (units - treated, treated), (rates, rates), runs=runs, stratified=stratified)
        for stratified in (False, True)
    )

    assert np.mean(np.abs(pooled.z[:, -1]) >= 1.96) == pytest.approx(0.665, abs=0.02)
    assert np.mean(np.abs(split.z[:, -1]) >= 1.96) <= allowed(runs)
    assert share(np.abs(split.z) >= bounds) <= allowed(runs)
    assert share((np.abs(split.z) >= split.anytime(planned)) & (split.fewest >= 10)) <= 0.03
    exact = [
        exact_group_sequential_test(bad, control, worse, treated, fractions)
        for bad, control, worse, treated in zip(*(each[:500] for each in split.came), strict=True)
    ]
    assert max(test.looks[-1].alpha_spent for test in exact) <= 0.05
    assert np.mean([test.crossed for test in exact]) <= allowed(500)
