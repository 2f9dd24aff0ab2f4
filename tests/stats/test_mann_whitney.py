from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as peer
from scipy.special import logit

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import mann_whitney_test, wilson

samples = st.lists(st.integers(0, 12), min_size=1, max_size=30)


@settings(deadline=None)
@given(control=samples, treatment=samples)
def test_given_any_values_when_tested_then_scipy_and_the_pairs_agree(
    control: list[int], treatment: list[int]
) -> None:
    test = mann_whitney_test(control, treatment)

    pairs = np.subtract.outer(treatment, control)
    assert test.superiority == pytest.approx(np.mean((pairs > 0) + (pairs == 0) / 2))
    low, high = test.confidence_interval
    assert 0.0 <= low <= test.superiority <= high <= 1.0
    if len({*control, *treatment}) > 1:
        theirs = peer.mannwhitneyu(treatment, control)
        assert (test.u_statistic, test.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    else:
        assert (test.p_value, test.superiority) == (1.0, 0.5)
    other = mann_whitney_test(treatment, control)
    assert other.confidence_interval == pytest.approx((1 - high, 1 - low))
    assert other.p_value == pytest.approx(test.p_value)


def test_given_two_samples_when_compared_then_the_error_is_brunner_and_munzels() -> None:
    rng = np.random.default_rng(1)
    control, treatment = rng.normal(size=60), rng.normal(0.4, 2, size=45)

    test = mann_whitney_test(control, treatment, alpha=0.1)

    statistic = peer.brunnermunzel(control, treatment).statistic
    share = test.superiority
    half = peer.norm.isf(0.05) * (share - 0.5) / statistic / (share * (1 - share))
    assert logit(test.confidence_interval) == pytest.approx(
        [logit(share) - half, logit(share) + half]
    )


def test_given_arms_of_other_spread_when_simulated_then_the_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(2)
    truth, held = peer.norm.cdf(1 / sqrt(5)), 0
    for _ in range(600):
        low, high = mann_whitney_test(
            rng.normal(size=80), rng.normal(1, 2, size=30)
        ).confidence_interval
        held += low <= truth <= high

    assert 0.925 < held / 600 < 0.975


def test_given_arms_that_do_not_overlap_when_tested_then_the_interval_is_not_a_point() -> None:
    least, _ = wilson(5, 5)

    above = mann_whitney_test(range(5), range(10, 17))
    equal = mann_whitney_test([3] * 5, [3] * 9)

    assert above.superiority == 1.0
    assert above.confidence_interval == pytest.approx((least, 1.0))
    assert equal.confidence_interval == pytest.approx((least / 2, 1 - least / 2))


def test_given_one_unit_or_infinities_when_tested_then_there_is_an_answer() -> None:
    assert mann_whitney_test([1.0], [2.0, 3.0]).confidence_interval == (0.0, 1.0)
    assert mann_whitney_test([1.0, 2.0, 3.0], [2.5, np.inf, np.inf]).superiority == 8 / 9


@pytest.mark.parametrize(
    ("control", "treatment", "told"),
    [([], [1], "control is 'of 0 units'"), ([1], [np.nan], "NaN for 1 of 1")],
)
def test_given_wrong_values_when_tested_then_the_error_says_what_is_wrong(
    control: list[float], treatment: list[float], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        mann_whitney_test(control, treatment)
