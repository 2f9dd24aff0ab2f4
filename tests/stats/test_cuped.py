from functools import reduce
from operator import add

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as peer

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import CovariateSums, cuped_test, mean_test

units = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=12)


def drawn(seed: int, m: int, n: int, effect: float = 0.0) -> list[np.ndarray]:
    """Return a metric and its covariate of each arm."""
    rng = np.random.default_rng(seed)
    before = rng.gamma(2, size=m + n)
    after = 100 + 0.8 * before + rng.normal(0, 0.6, size=m + n)
    after[m:] += effect
    return [after[:m], before[:m], after[m:], before[m:]]


def test_given_a_covariate_when_adjusted_then_it_is_the_coefficient_of_a_regression() -> None:
    y, x, other_y, other_x = drawn(1, 400, 500, 0.1)

    test = cuped_test(CovariateSums.of(y, x), CovariateSums.of(other_y, other_x))

    design = np.column_stack(
        [np.ones(900), np.repeat([0.0, 1.0], [400, 500]), np.append(x, other_x)]
    )
    ols = sm.OLS(np.append(y, other_y), design).fit()
    assert test.absolute_difference == pytest.approx(ols.params[1])
    assert test.theta == pytest.approx(ols.params[2])
    # The regression also counts the error of theta, and one variance for both arms.
    assert test.confidence_interval == pytest.approx(ols.conf_int()[1], abs=2e-3)
    assert test.p_value == pytest.approx(ols.pvalues[1], abs=5e-3)


def test_given_a_covariate_when_adjusted_then_the_test_is_welchs_of_what_is_left() -> None:
    y, x, other_y, other_x = drawn(2, 60, 90)

    test = cuped_test(CovariateSums.of(y, x), CovariateSums.of(other_y, other_x), alpha=0.1)

    theirs = peer.ttest_ind(other_y - test.theta * other_x, y - test.theta * x, equal_var=False)
    assert (test.t_statistic, test.degrees_of_freedom, test.p_value) == pytest.approx(
        (theirs.statistic, theirs.df, theirs.pvalue)
    )
    assert test.confidence_interval == pytest.approx(tuple(theirs.confidence_interval(0.9)))
    overall = np.append(x, other_x).mean()
    assert test.control == pytest.approx(y.mean() - test.theta * (x.mean() - overall))
    assert test.treatment - test.control == pytest.approx(test.absolute_difference)
    assert test.unadjusted_difference == pytest.approx(other_y.mean() - y.mean())


def test_given_a_correlation_when_adjusted_then_its_square_is_the_variance_removed() -> None:
    # Deng et al. (2013), equation 4.
    y, x, other_y, other_x = drawn(3, 50_000, 50_000)

    test = cuped_test(CovariateSums.of(y, x), CovariateSums.of(other_y, other_x))

    correlation = np.corrcoef(np.append(y, other_y), np.append(x, other_x))[0, 1]
    assert test.variance_removed == pytest.approx(correlation**2, abs=1e-3)


def test_given_no_effect_when_simulated_then_the_level_holds_and_the_interval_the_truth() -> None:
    wrong = held = 0
    for seed in range(1_000):
        y, x, other_y, other_x = drawn(seed, 40, 25, 0.3)
        test = cuped_test(CovariateSums.of(y, x), CovariateSums.of(other_y, other_x))
        held += test.confidence_interval[0] <= 0.3 <= test.confidence_interval[1]
        null = cuped_test(CovariateSums.of(y, x), CovariateSums.of(other_y - 0.3, other_x))
        wrong += null.is_significant

    assert 0.93 < held / 1_000 < 0.97
    assert wrong == 1_000 - held


@settings(deadline=None)
@given(cells=st.lists(units, min_size=1, max_size=6))
def test_given_cells_when_added_up_then_they_are_as_one(cells: list[list[tuple[int, int]]]) -> None:
    y, x = np.array([each for cell in cells for each in cell], dtype=float).T

    added = reduce(
        add, (CovariateSums.of(*zip(*cell, strict=True)) for cell in cells), CovariateSums()
    )
    raw = CovariateSums.of_raw(len(y), y.sum(), x.sum(), y @ y, x @ x, x @ y)

    whole = CovariateSums.of(y, x)
    assert tuple(added.values()) == pytest.approx(tuple(whole.values()), rel=1e-9, abs=1e-6)
    assert tuple(raw.values()) == pytest.approx(tuple(whole.values()), rel=1e-9, abs=1e-6)
    assert CovariateSums() + CovariateSums() == CovariateSums()


def test_given_values_far_from_0_when_added_up_then_no_digit_is_lost() -> None:
    y, x, other_y, other_x = drawn(4, 300, 300)

    near = cuped_test(CovariateSums.of(y, x), CovariateSums.of(other_y, other_x))
    far = cuped_test(
        CovariateSums.of(y[:99] + 1e8, x[:99] - 1e8) + CovariateSums.of(y[99:] + 1e8, x[99:] - 1e8),
        CovariateSums.of(other_y + 1e8, other_x - 1e8),
    )

    assert far.p_value == pytest.approx(near.p_value, rel=1e-5)


def test_given_a_constant_covariate_when_adjusted_then_nothing_changes() -> None:
    y, _, other_y, _ = drawn(5, 30, 40)

    test = cuped_test(
        CovariateSums.of(y, np.full(30, 0.1)), CovariateSums.of(other_y, np.full(40, 0.1))
    )

    assert (test.theta, test.variance_removed) == (0.0, 0.0)
    plain = mean_test(y, other_y)
    assert test.p_value == pytest.approx(plain.p_value)
    assert test.confidence_interval == pytest.approx(plain.confidence_interval)


def test_given_a_metric_that_the_covariate_tells_whole_when_adjusted_then_p_is_1() -> None:
    x = np.array([0.1, 0.7, 1.3, 2.9])

    test = cuped_test(CovariateSums.of(2 * x, x), CovariateSums.of(2 * x + 2, x + 1))

    assert (test.p_value, test.variance_removed) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "covariate", "told"),
    [
        ([1.0, 2.0], [1.0], "covariate is 'of 1 units'; expected one value for each of the 2"),
        ([1.0, np.nan], [1.0, 2.0], "values is 'NaN for 1 of 2 units'"),
        ([1.0, 2.0], [np.nan, 2.0], "covariate is 'NaN for 1 of 2 units'"),
        ([], [], "values is 'of 0 units'"),
    ],
)
def test_given_wrong_values_when_summed_then_the_error_says_what_is_wrong(
    values: list[float], covariate: list[float], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        CovariateSums.of(values, covariate)


@pytest.mark.parametrize("sums", [(0, 0, 0, 0, 0, 0), (2, 4, 1, 7, 1, 1), (2, 1, np.nan, 2, 2, 1)])
def test_given_raw_sums_of_no_values_when_read_then_they_are_refused(
    sums: tuple[int, float, float, float, float, float],
) -> None:
    with pytest.raises(InvalidValueError):
        CovariateSums.of_raw(*sums)


def test_given_one_unit_when_tested_then_it_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="treatment is 'of 1 units'; expected at least 2"):
        cuped_test(CovariateSums.of([1, 2], [1, 2]), CovariateSums.of([1], [1]))
