from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as peer

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import quantile_test

samples = st.lists(st.integers(-20, 20), min_size=1, max_size=60)


@settings(deadline=None)
@given(control=samples, treatment=samples, q=st.sampled_from([0.1, 0.5, 0.9]))
def test_given_any_values_when_tested_then_p_and_the_interval_agree(
    control: list[int], treatment: list[int], q: float
) -> None:
    test = quantile_test(control, treatment, q)

    low, high = test.confidence_interval
    assert (test.control, test.treatment) == pytest.approx(
        (np.quantile(control, q), np.quantile(treatment, q))
    )
    assert low <= test.absolute_difference <= high
    assert test.is_significant == (low > 0 or high < 0)
    if 1e-9 < test.p_value < 0.99:  # nearer to 1 the quantiles differ by rounding only
        beside = quantile_test(control, treatment, q, alpha=test.p_value * 0.999)
        assert beside.confidence_interval[0] <= 0 <= beside.confidence_interval[1]
        beyond = quantile_test(control, treatment, q, alpha=test.p_value * 1.001)
        assert beyond.is_significant
    other = quantile_test(treatment, control, q)
    assert other.p_value == pytest.approx(test.p_value)
    assert other.confidence_interval == pytest.approx((-high, -low))


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_given_a_constant_control_when_tested_then_the_interval_is_that_of_one_quantile(
    q: float,
) -> None:
    values = np.random.default_rng(1).lognormal(size=1_001)

    low, high = quantile_test(np.zeros(1_000), values, q).confidence_interval

    theirs: Any = peer.quantile_test(values, q=1.0, p=q).confidence_interval(0.95)
    near = np.sort(values)
    # SciPy's is exact and ends at a value: ours, between two, is at most two of them away.
    assert abs(np.searchsorted(near, low) - np.searchsorted(near, theirs.low)) <= 2
    assert abs(np.searchsorted(near, high) - np.searchsorted(near, theirs.high)) <= 2


@pytest.mark.parametrize(("q", "m", "n"), [(0.5, 40, 60), (0.95, 400, 200)])
def test_given_skewed_values_when_simulated_then_the_interval_holds_the_truth(
    q: float, m: int, n: int
) -> None:
    rng = np.random.default_rng(3)
    held = wrong = 0
    for _ in range(1_000):
        control, treatment = rng.lognormal(size=m), rng.lognormal(size=n)
        low, high = quantile_test(control, treatment + 0.5, q).confidence_interval
        held += low <= 0.5 <= high
        wrong += quantile_test(control, treatment, q).is_significant

    assert 0.94 < held / 1_000 < 0.985
    assert wrong / 1_000 < 0.06


def test_given_too_few_units_when_tested_then_the_interval_is_infinite_and_not_significant() -> (
    None
):
    test = quantile_test([1.0, 2.0], [11.0, 12.0], q=0.99)

    assert test.confidence_interval == (-np.inf, np.inf)
    assert not test.is_significant
    one = quantile_test([5.0], [5.0])
    assert (one.p_value, one.absolute_difference) == (1.0, 0.0)


@pytest.mark.parametrize("q", [0.0, 1.0, 50.0, np.nan])
def test_given_a_quantile_that_is_none_when_tested_then_it_is_refused(q: float) -> None:
    with pytest.raises(InvalidValueError, match="strictly between 0 and 1"):
        quantile_test([1.0, 2.0], [1.0, 2.0], q)


def test_given_nothing_when_tested_then_it_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="treatment is 'of 0 units'"):
        quantile_test([1.0], [])
