import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import non_inferiority_test

tables = st.tuples(st.integers(1, 300), st.integers(1, 300)).flatmap(
    lambda totals: st.tuples(
        st.integers(0, totals[0]), st.just(totals[0]), st.integers(0, totals[1]), st.just(totals[1])
    )
)


@settings(deadline=None)
@given(table=tables, margin=st.floats(0.001, 0.3))
def test_given_any_counts_when_tested_then_the_bound_says_the_same(
    table: tuple[int, int, int, int], margin: float
) -> None:
    test = non_inferiority_test(*table, margin=margin)

    assert -1.0 <= test.bound <= test.difference
    assume(abs(test.bound + margin) > 1e-7)
    assert test.shown == (test.bound > -margin)


@settings(deadline=None)
@given(table=tables, margin=st.floats(0.001, 0.3))
def test_given_errors_when_tested_then_it_is_the_test_of_successes(
    table: tuple[int, int, int, int], margin: float
) -> None:
    a, m, b, n = table
    of_errors = non_inferiority_test(*table, margin=margin, higher_is_better=False)
    of_successes = non_inferiority_test(m - a, m, n - b, n, margin=margin)

    assert of_errors.z == pytest.approx(of_successes.z, abs=1e-6)
    assert of_errors.bound == pytest.approx(-of_successes.bound, abs=1e-6)


def test_given_a_treatment_worse_by_the_margin_when_tested_often_then_it_passes_in_1_of_20() -> (
    None
):
    rng = np.random.default_rng(8)
    control, treatment = rng.binomial(600, 0.9, 2_000), rng.binomial(200, 0.85, 2_000)
    found = {
        (a, b): non_inferiority_test(a, 600, b, 200, margin=0.05).shown
        for a, b in set(zip(control.tolist(), treatment.tolist(), strict=True))
    }

    shown = [found[pair] for pair in zip(control.tolist(), treatment.tolist(), strict=True)]

    assert np.mean(shown) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("margin", "alpha", "told"),
    [
        (0.0, 0.05, "margin is 0.0"),
        (1.0, 0.05, "margin is 1.0"),
        (0.1, 0.5, "alpha is 0.5"),
        (0.1, 0.0, "alpha is 0.0"),
    ],
)
def test_given_a_wrong_margin_when_tested_then_the_error_says_so(
    margin: float, alpha: float, told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        non_inferiority_test(90, 100, 90, 100, margin, alpha=alpha)
