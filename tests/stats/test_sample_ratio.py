from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import chi2, chisquare

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.sample_ratio import sample_ratio_test, sequential_sample_ratio

counts = st.lists(st.integers(1, 10_000), min_size=2, max_size=5)


@pytest.mark.parametrize(
    ("units", "weights", "statistic", "p_value"),
    [
        ((10_000, 1_000), (10, 1), 0.0, 1.0),
        ((10_000, 1_000), (9, 1), 10.101010101, 0.001481880775),
        ((5_200, 4_800), (1, 1), 16.0, 6.334248e-05),
        ((50_500, 49_500), (1, 1), 10.0, 0.001565402258),
    ],
)
def test_given_reference_counts_when_tested_then_figures_are_the_reference_ones(
    units: tuple[int, int], weights: tuple[int, int], statistic: float, p_value: float
) -> None:
    test = sample_ratio_test(units, weights)

    assert test.statistic == pytest.approx(statistic, abs=1e-9)
    assert test.p_value == pytest.approx(p_value, abs=1e-11)
    assert test.observed == units


@given(units=counts, data=st.data())
def test_given_any_counts_when_tested_then_it_is_pearsons_test(
    units: list[int], data: st.DataObject
) -> None:
    weights = data.draw(
        st.lists(st.integers(1, 100), min_size=len(units), max_size=len(units)), "weights"
    )
    expected = np.array(weights) / sum(weights) * sum(units)

    test = sample_ratio_test(units, weights)

    oracle = chisquare(units, expected)
    assert test.statistic == pytest.approx(oracle.statistic, rel=1e-9, abs=1e-9)
    assert test.p_value == pytest.approx(oracle.pvalue, rel=1e-6, abs=1e-12)
    assert test.expected == pytest.approx(expected)


@given(order=st.lists(st.integers(0, 2), min_size=1, max_size=60))
def test_given_units_one_by_one_when_weighed_then_evidence_is_the_product_of_predictions(
    order: list[int],
) -> None:
    shares, prior = np.array([0.5, 0.3, 0.2]), np.array([500.0, 300.0, 200.0])
    seen, evidence = np.zeros(3), 1.0
    for arm in order:
        predicted = (prior + seen) / (prior + seen).sum()
        evidence *= predicted[arm] / shares[arm]
        seen[arm] += 1

    assert sequential_sample_ratio(seen, [5, 3, 2]).e_value == pytest.approx(evidence, rel=1e-9)


@given(first=counts, data=st.data())
def test_given_two_phases_when_weighed_then_evidence_multiplies_and_statistics_add(
    first: list[int], data: st.DataObject
) -> None:
    second = data.draw(
        st.lists(st.integers(0, 500), min_size=len(first), max_size=len(first)), "second"
    )
    even, steep = [1] * len(first), list(range(1, len(first) + 1))

    both = sequential_sample_ratio([first, second], [even, steep])
    alone = sequential_sample_ratio(first, even), sequential_sample_ratio(second, steep)
    if both.e_value < inf:
        product = alone[0].e_value * alone[1].e_value
        assert both.e_value == pytest.approx(product, rel=1e-6)
    fixed = sample_ratio_test([first, second], [even, steep])
    parts = sample_ratio_test(first, even), sample_ratio_test(second, steep)
    assert fixed.statistic == pytest.approx(parts[0].statistic + parts[1].statistic)
    assert both.observed == fixed.observed == tuple(np.add(first, second).tolist())


def evidence(units: Any, shares: Any) -> Any:
    """Return the log evidence of many runs at once, as the formula of the paper has it."""
    prior = 1_000 * shares
    return (
        gammaln(1_000)
        - gammaln(1_000 + units.sum(axis=-1))
        + np.sum(gammaln(prior + units) - gammaln(prior) - units * np.log(shares), axis=-1)
    )


def test_given_the_right_shares_when_looked_at_a_hundred_times_then_it_hardly_ever_alarms() -> None:
    rng, shares = np.random.default_rng(100), np.array([0.5, 0.5])
    units = np.cumsum(rng.multinomial(400, shares, (20_000, 100)), axis=1)

    logs = evidence(units, shares)

    for look in (0, 40, 99):
        own = sequential_sample_ratio(units[7, look], [1, 1]).e_value
        assert np.log(own) == pytest.approx(logs[7, look], abs=1e-6)
    alarms = float((logs >= np.log(100)).any(axis=1).mean())
    assert alarms == pytest.approx(0.0043, abs=0.002)  # 1 in 100 is what it promises
    expected = units.sum(axis=-1, keepdims=True) * shares
    peeked = ((units - expected) ** 2 / expected).sum(axis=-1) >= 6.634897  # p < .01
    assert float(peeked.any(axis=1).mean()) == pytest.approx(0.11, abs=0.02)


def test_given_a_small_mismatch_when_there_is_much_then_it_is_found() -> None:
    rng, shares = np.random.default_rng(51), np.array([0.5, 0.5])
    units = np.cumsum(rng.multinomial(400, [0.51, 0.49], (10_000, 100)), axis=1)

    found = float((evidence(units, shares) >= np.log(100)).any(axis=1).mean())

    assert found == pytest.approx(0.738, abs=0.02)
    assert sequential_sample_ratio([1_020_000, 980_000], [1, 1]).mismatch


def test_given_units_where_there_should_be_none_when_weighed_then_it_is_certain() -> None:
    for units, weights in (([10, 1, 1], [1, 1, 0]), ([[5, 5], [9, 1]], [[1, 1], [1, 0]])):
        assert sequential_sample_ratio(units, weights).e_value == inf
        assert sequential_sample_ratio(units, weights).p_value == 0.0
        assert sample_ratio_test(units, weights).p_value == 0.0


def test_given_an_arm_that_joins_later_when_weighed_then_it_counts_from_then_on() -> None:
    units, weights = [[500, 500, 0], [300, 310, 290]], [[1, 1, 0], [1, 1, 1]]

    test = sample_ratio_test(units, weights)
    assert test.statistic == pytest.approx(chisquare([300, 310, 290]).statistic)
    assert test.p_value == pytest.approx(chi2(3).sf(test.statistic))  # 1 + 2 degrees of freedom
    assert not sequential_sample_ratio(units, weights).mismatch


def test_given_nothing_yet_when_weighed_then_there_is_no_evidence() -> None:
    assert sequential_sample_ratio([0, 0], [1, 1]).e_value == pytest.approx(1.0)
    assert sample_ratio_test([0, 0], [1, 1]).p_value == 1.0


def test_given_gross_mismatches_when_weighed_then_no_number_overflows() -> None:
    check = sequential_sample_ratio([10_000_000, 10], [1, 1])

    assert (check.e_value, check.p_value, check.mismatch) == (inf, 0.0, True)


@pytest.mark.parametrize(
    "call",
    [
        lambda: sample_ratio_test([1, 2], [1]),
        lambda: sample_ratio_test([1], [1]),
        lambda: sample_ratio_test([-1, 2], [1, 1]),
        lambda: sample_ratio_test([1, 2], [1, -1]),
        lambda: sample_ratio_test([1, 2], [0, 0]),
        lambda: sample_ratio_test([1, float("nan")], [1, 1]),
        lambda: sequential_sample_ratio([1, 2], [1, inf]),
        lambda: sequential_sample_ratio([1, 2], [1, 1], concentration=0),
        lambda: sequential_sample_ratio([1, 2], [1, 1], limit=1),
        lambda: sequential_sample_ratio([[[1, 2]]], [[[1, 1]]]),
    ],
)
def test_given_bad_arguments_when_called_then_it_is_a_clear_error(call: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        call()
