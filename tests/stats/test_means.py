import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as peer

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import MeanSummary, mean_test

# Two values that differ: SciPy warns of arms without variance.
samples = st.lists(st.integers(-1_000, 1_000), min_size=1, max_size=40).map(
    lambda values: [values[0] + 0.5, *values]
)


def test_given_the_reference_case_when_tested_then_the_figures_are_the_published_ones() -> None:
    control, treatment = np.repeat([1.0, 0.0], [2_000, 8_000]), np.repeat([1.0, 0.0], [220, 780])

    test = mean_test(control, treatment)

    assert test.t_statistic == pytest.approx(1.459529888869, abs=1e-12)
    assert test.degrees_of_freedom == pytest.approx(1192.7612637820, abs=1e-9)
    # As SciPy has it, and an integral of the density; 0.144682626607 was a slip of a digit.
    assert test.p_value == pytest.approx(0.144682627607, abs=1e-12)
    assert (test.control, test.treatment) == pytest.approx((0.2, 0.22))
    assert test.relative_improvement_pct == pytest.approx(10.0)
    assert not test.is_significant


@settings(deadline=None)
@given(control=samples, treatment=samples, alpha=st.sampled_from([0.01, 0.05, 0.2]))
def test_given_any_values_when_tested_then_scipy_agrees(
    control: list[float], treatment: list[float], alpha: float
) -> None:
    theirs = peer.ttest_ind(treatment, control, equal_var=False)
    between = theirs.confidence_interval(1 - alpha)

    test = mean_test(control, treatment, alpha)

    assert test.t_statistic == pytest.approx(theirs.statistic, rel=1e-6, abs=1e-9)
    assert test.degrees_of_freedom == pytest.approx(theirs.df, rel=1e-6)
    assert test.p_value == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    assert test.confidence_interval == pytest.approx(tuple(between), rel=1e-6, abs=1e-9)
    low, high = test.confidence_interval
    if abs(test.p_value - alpha) > 1e-9:
        assert test.is_significant == (low > 0 or high < 0)


def test_given_summaries_when_tested_then_it_is_as_from_the_values() -> None:
    control, treatment = [1.0, 2.0, 4.0], [2.0, 3.5, 7.0, 9.0]

    of_values = mean_test(control, treatment)
    of_summaries = mean_test(
        MeanSummary(3, 7 / 3, float(np.var(control, ddof=1))), MeanSummary.of(treatment)
    )

    assert of_summaries.t_statistic == pytest.approx(of_values.t_statistic)
    assert of_summaries.confidence_interval == pytest.approx(of_values.confidence_interval)


def test_given_equal_constants_when_tested_then_p_is_1() -> None:
    # The mean of ten times 0.1 lies beside 0.1.
    test = mean_test([0.1] * 10, [0.1] * 21)

    assert (test.p_value, test.absolute_difference, test.is_significant) == (1.0, 0.0, False)
    assert test.confidence_interval == (0.0, 0.0)


def test_given_a_control_of_nothing_when_tested_then_there_is_no_relative_improvement() -> None:
    assert mean_test([0, 0, 0], [1, 2, 3]).relative_improvement_pct is None


@pytest.mark.parametrize(
    ("control", "treatment", "told"),
    [
        ([], [1, 2], "control is 'of 0 units'; expected at least 2"),
        ([1, 2], [1], "treatment is 'of 1 units'; expected at least 2"),
        ([1, 2], [1, np.nan], "NaN for 1 of 2 units"),
        ([1, np.inf], [1, 2], "infinite for 1 of 2 units"),
        ([[1, 2]], [1, 2], r"of shape \(1, 2\)"),
        (["a", "b"], [1, 2], "numbers, one a unit"),
        ([1, 1], [2, 2], "some that differ within an arm"),
    ],
)
def test_given_wrong_values_when_tested_then_the_error_says_what_is_wrong(
    control: list[float], treatment: list[float], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        mean_test(control, treatment)


@pytest.mark.parametrize(
    ("summary", "field"),
    [((1, 0.0, 1.0), "n"), ((2, np.nan, 1.0), "mean"), ((2, 0.0, -1.0), "variance")],
)
def test_given_a_wrong_summary_when_made_then_the_error_says_what_is_wrong(
    summary: tuple[int, float, float], field: str
) -> None:
    with pytest.raises(InvalidValueError, match=f"^{field} is"):
        MeanSummary(*summary)


@pytest.mark.parametrize("alpha", [0.0, 1.0, np.nan])
def test_given_an_alpha_that_is_none_when_tested_then_it_is_refused(alpha: float) -> None:
    with pytest.raises(InvalidValueError, match="alpha"):
        mean_test([1, 2], [2, 4], alpha)
