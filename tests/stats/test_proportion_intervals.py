import warnings
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats import proportion as peer

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import relative_interval, risk_ratio_interval
from watchkeeper.stats.proportion_intervals import RelativeMethod

events = st.integers(1, 60)


@settings(deadline=None, max_examples=40)
@given(a=events, b=events, more=st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_given_any_counts_when_the_ratio_is_bounded_then_statsmodels_agrees(
    a: int, b: int, more: tuple[int, int]
) -> None:
    m, n = a + more[0], b + more[1]

    with warnings.catch_warnings():  # its search leaves the numbers it can take logarithms of
        warnings.simplefilter("ignore", RuntimeWarning)
        score = peer.confint_proportions_2indep(b, n, a, m, compare="ratio", method="score")
    log = peer.confint_proportions_2indep(b, n, a, m, compare="ratio", method="log")

    assert risk_ratio_interval(a, m, b, n) == pytest.approx(log, rel=1e-9)
    assert risk_ratio_interval(a, m, b, n, method="score") == pytest.approx(score, rel=1e-6)


@given(a=events, b=events, more=st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_given_arms_that_change_places_when_scored_then_the_ratio_is_turned_over(
    a: int, b: int, more: tuple[int, int]
) -> None:
    m, n = a + more[0], b + more[1]
    low, high = risk_ratio_interval(a, m, b, n, method="score")

    assert low < (b / n) / (a / m) < high
    assert risk_ratio_interval(b, n, a, m, method="score") == pytest.approx((1 / high, 1 / low))


def test_given_arms_without_events_when_the_ratio_is_scored_then_an_end_is_open() -> None:
    low, high = risk_ratio_interval(5, 50, 0, 50, method="score")
    assert low == 0.0
    assert 0.0 < high < 1.0

    low, high = risk_ratio_interval(0, 50, 5, 50, method="score")
    assert low > 1.0
    assert high == inf

    low, high = risk_ratio_interval(50, 50, 50, 50, method="score")
    assert 0.9 < low < 1.0 < high < 1.1


@pytest.mark.parametrize("method", ["fieller", "delta"])
def test_given_many_samples_when_the_lift_is_bounded_then_19_of_20_hold_it(
    method: RelativeMethod,
) -> None:
    rng = np.random.default_rng(5)
    samples = zip(rng.binomial(900, 0.2, 2_000), rng.binomial(300, 0.25, 2_000), strict=True)

    bounds = [relative_interval(int(a), 900, int(b), 300, method=method) for a, b in samples]

    held = np.mean([low <= 0.25 <= high for low, high in bounds])
    assert held == pytest.approx(0.95, abs=0.015)


def test_given_what_cannot_be_bounded_when_asked_then_the_error_says_why() -> None:
    with pytest.raises(InvalidValueError, match="control's rate differs from 0"):
        relative_interval(1, 100, 5, 100)
    with pytest.raises(InvalidValueError, match="control's rate differs from 0"):
        relative_interval(0, 100, 5, 100, method="delta")
    with pytest.raises(InvalidValueError, match="some in each arm"):
        risk_ratio_interval(0, 100, 5, 100)
    with pytest.raises(InvalidValueError, match="some in each arm"):
        risk_ratio_interval(0, 100, 0, 100, method="score")
    with pytest.raises(InvalidValueError, match="one of fieller, delta"):
        relative_interval(10, 100, 5, 100, method="log")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="one of log, score"):
        risk_ratio_interval(10, 100, 5, 100, method="wald")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="treatment_total is 0"):
        risk_ratio_interval(10, 100, 0, 0, method="score")
