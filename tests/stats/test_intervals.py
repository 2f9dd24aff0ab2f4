import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import clopper_pearson, wilson
from watchkeeper.stats.intervals import wilson_of_many


@given(total=st.integers(1, 5_000), share=st.floats(0, 1), confidence=st.floats(0.5, 0.999))
def test_given_any_proportion_when_asked_then_the_interval_is_scipys(
    total: int, share: float, confidence: float
) -> None:
    successes = round(total * share)
    expected = binomtest(successes, total).proportion_ci(confidence, method="wilson")

    assert wilson(successes, total, confidence) == pytest.approx(tuple(expected), abs=1e-9)

    exact = binomtest(successes, total).proportion_ci(confidence, method="exact")
    assert clopper_pearson(successes, total, confidence) == pytest.approx(tuple(exact), abs=1e-9)


def test_given_the_reference_figures_when_asked_then_the_digits_agree() -> None:
    assert wilson(2000, 10_000) == pytest.approx((0.192276002471, 0.207954396551), abs=1e-12)
    assert wilson(220, 1000) == pytest.approx((0.195423493389, 0.246719491363), abs=1e-12)


@pytest.mark.parametrize(("successes", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_given_impossible_counts_when_asked_then_it_is_an_error(successes: int, total: int) -> None:
    for interval in (wilson, clopper_pearson):
        with pytest.raises(InvalidValueError):
            interval(successes, total)
        with pytest.raises(InvalidValueError, match="confidence is 1"):
            interval(1, 2, confidence=1.0)


@given(counts=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=20))
def test_given_many_proportions_when_asked_at_once_then_each_interval_is_its_own(
    counts: list[tuple[int, int]],
) -> None:
    successes = [part for part, _ in counts]
    totals = [part + rest for part, rest in counts]

    low, high = wilson_of_many(successes, totals)

    for n, (part, total) in enumerate(zip(successes, totals, strict=True)):
        if total:
            assert (low[n], high[n]) == pytest.approx(wilson(part, total), abs=1e-12)
        else:
            assert np.isnan([low[n], high[n]]).all()


def test_given_impossible_counts_among_many_when_asked_then_it_is_an_error() -> None:
    with pytest.raises(InvalidValueError, match="successes"):
        wilson_of_many([1, 3], [2, 2])
