from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.anytime import anytime_means, anytime_proportions, comparison_information

TABLE = (2_000, 10_000, 220, 1_000)  # control and treatment: events, units
UNPOOLED = 0.013696714935
POOLED_Z = 1.502458873782


def planned(n_star: float) -> float:
    return n_star * 10 / 11 * 1 / 11


@pytest.mark.parametrize(
    ("n_star", "low", "high"),
    [
        (5_000, -0.022031733304, 0.062031733304),
        (11_000, -0.021572392308, 0.061572392308),
    ],
)
def test_given_reference_counts_when_compared_then_the_interval_is_the_reference_one(
    n_star: int, low: float, high: float
) -> None:
    test = anytime_proportions(*TABLE, planned(n_star))

    assert (test.low, test.high) == pytest.approx((low, high), abs=1e-11)
    assert test.standard_error == pytest.approx(UNPOOLED, abs=1e-12)
    assert test.z == pytest.approx(POOLED_Z, abs=1e-12)
    assert test.p_value == 1.0
    assert not test.rejected
    assert test.fraction == pytest.approx(11_000 / n_star)


def rejected(
    rates: tuple[float, float],
    units: tuple[int, int],
    *,
    runs: int,
    looks: int,
    planned_information: float,
    seed: int,
    min_events: int = 10,
) -> list[float]:
    """Return the estimates of runs that rejected at some look, each at its first."""
    rng, found = np.random.default_rng(seed), []
    totals = [np.arange(1, looks + 1) * each for each in units]
    for _ in range(runs):
        events = [
            np.cumsum(rng.binomial(each, rate, looks))
            for each, rate in zip(units, rates, strict=True)
        ]
        for look in range(looks):
            test = anytime_proportions(
                events[0][look],
                totals[0][look],
                events[1][look],
                totals[1][look],
                planned_information,
                min_events=min_events,
            )
            if test.rejected:
                found.append(test.estimate)
                break
    return found


@pytest.mark.parametrize(
    ("rate", "units"),
    [(0.05, (380, 20)), (0.002, (380, 20)), (0.2, (200, 200)), (0.002, (200, 200))],
)
def test_given_no_effect_and_twenty_five_looks_when_simulated_then_it_rejects_at_most_at_alpha(
    rate: float, units: tuple[int, int]
) -> None:
    units = (units[0] * 4, units[1] * 4)
    found = rejected(
        (rate, rate),
        units,
        runs=200,
        looks=25,
        planned_information=25 * units[0] * units[1] / sum(units),
        seed=3,
    )

    assert len(found) <= 0.05 * 200


def test_given_a_canary_that_is_worse_when_looked_at_then_it_is_found_soon() -> None:
    found = rejected((0.05, 0.25), (380, 20), runs=50, looks=30, planned_information=1_900, seed=4)

    assert len(found) == 50
    assert min(found) > 0


def test_given_no_error_in_a_small_canary_when_looked_at_then_it_is_not_called_better() -> None:
    test = anytime_proportions(60, 1_140, 0, 60, 57.0)

    assert (test.enough, test.rejected, test.p_value) == (False, False, 1.0)
    assert (test.low, test.high) == (-1.0, 1.0)
    assert test.estimate < 0
    # Its own variance alone would call it better.
    assert test.estimate + 3 * test.standard_error < 0


def test_given_strata_of_other_rates_when_shares_move_then_there_is_no_false_difference() -> None:
    # Base rate .10 with 5 % in the canary, then .20 with half of it: pooled, a lift of 42 %.
    pooled = anytime_proportions(950 + 1_000, 9_500 + 5_000, 50 + 1_000, 500 + 5_000, 3_000)
    stratified = anytime_proportions([950, 1_000], [9_500, 5_000], [50, 1_000], [500, 5_000], 3_000)

    assert pooled.estimate / (1_950 / 14_500) == pytest.approx(0.419580, abs=1e-6)
    assert pooled.rejected
    assert stratified.estimate == pytest.approx(0.0, abs=1e-12)
    assert stratified.p_value == 1.0
    assert stratified.fraction == pytest.approx((475 + 2_500) / 3_000)


def test_given_strata_without_both_arms_when_compared_then_they_do_not_count() -> None:
    with_them = anytime_proportions(
        [2_000, 5, 0, 0], [10_000, 50, 0, 0], [220, 0, 3, 0], [1_000, 0, 30, 0], 900.0
    )

    assert with_them == anytime_proportions(*TABLE, 900.0)


def test_given_no_events_or_only_events_when_compared_then_nothing_is_said() -> None:
    for table in ((0, 1_000, 0, 1_000), (1_000, 1_000, 1_000, 1_000)):
        test = anytime_proportions(*table, 500.0, min_events=0)
        assert (test.z, test.p_value, test.rejected) == (0.0, 1.0, False)


@given(
    n=st.tuples(st.integers(100, 10_000), st.integers(100, 10_000)),
    rates=st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8)),
)
def test_given_zeros_and_ones_when_compared_as_means_then_it_is_as_proportions(
    n: tuple[int, int], rates: tuple[float, float]
) -> None:
    events = [round(rate * units) for rate, units in zip(rates, n, strict=True)]
    means = [bad / units for bad, units in zip(events, n, strict=True)]
    variances = [mean * (1 - mean) * m / (m - 1) for mean, m in zip(means, n, strict=True)]

    as_rates = anytime_proportions(events[0], n[0], events[1], n[1], 1_000.0)
    as_means = anytime_means(means[0], variances[0], n[0], means[1], variances[1], n[1], 1_000.0)

    assert as_means.estimate == as_rates.estimate
    assert as_means.standard_error == pytest.approx(as_rates.standard_error, rel=0.006)
    assert abs(as_means.z) <= abs(as_rates.z) + 1e-9


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_given_skewed_values_when_looked_at_often_then_the_interval_holds_at_all_times(
    shift: float,
) -> None:
    rng, runs, looks, missed = np.random.default_rng(12), 200, 40, 0
    for _ in range(runs):
        control = rng.lognormal(0.0, 1.0, 950 * looks // 4)
        treated = rng.lognormal(0.0, 1.0, 50 * looks // 4) + shift
        for look in range(2, looks + 1):
            x, y = control[: look * 237], treated[: look * 12]
            test = anytime_means(
                x.mean(), x.var(ddof=1), len(x), y.mean(), y.var(ddof=1), len(y), 450.0
            )
            if not test.low <= shift <= test.high:
                missed += 1
                break

    assert missed / runs <= 0.05


def test_given_few_units_when_means_are_compared_then_the_interval_is_infinite() -> None:
    test = anytime_means(1.0, 0.0, 1_000, 2.0, 0.0, 99, 100.0)

    assert (test.low, test.high, test.p_value, test.rejected) == (-inf, inf, 1.0, False)


def test_given_counts_when_weighed_then_information_is_that_of_the_plan() -> None:
    assert comparison_information(9_500, 500) == pytest.approx(10_000 * 0.95 * 0.05)
    assert comparison_information([9_500, 0], [500, 10]) == comparison_information(9_500, 500)
    assert comparison_information(0, 0) == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: comparison_information([1, 2], [1]),
        lambda: comparison_information(-1, 1),
        lambda: anytime_proportions(11, 10, 1, 10, 5.0),
        lambda: anytime_proportions(1, 10, 11, 10, 5.0),
        lambda: anytime_proportions(-1, 10, 1, 10, 5.0),
        lambda: anytime_proportions(1, 10, 0, 0, 5.0),
        lambda: anytime_proportions(1, 10, 1, 10, 0.0),
        lambda: anytime_proportions(1, 10, 1, 10, 5.0, 1.0),
        lambda: anytime_means(1.0, -1.0, 10, 1.0, 1.0, 10, 5.0),
        lambda: anytime_means(float("nan"), 1.0, 10, 1.0, 1.0, 10, 5.0),
    ],
)
def test_given_bad_arguments_when_called_then_it_is_a_clear_error(call: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        call()
