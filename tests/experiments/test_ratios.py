import numpy as np
import pytest

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import RatioTest, Sums, ratio_sums, ratio_test


def drawn(rng: np.random.Generator, units: int, rate: float) -> Sums:
    """Return clicks and pages of users, who differ in how often they click."""
    pages = 1 + rng.geometric(0.3, size=units)
    return ratio_sums(rng.binomial(pages, rng.beta(8 * rate, 8 * (1 - rate), size=units)), pages)


def test_given_units_when_tested_then_the_error_is_that_of_the_residuals() -> None:
    # The delta method: the variance of (y - r d) / mean(d).
    rng = np.random.default_rng(1)
    arms = [(rng.poisson(3, size=n) * 1.0, rng.poisson(4, size=n) + 1.0) for n in (80, 120)]

    control, treatment = (ratio_sums(y, d) for y, d in arms)
    test = ratio_test(control, treatment)

    rates = [y.sum() / d.sum() for y, d in arms]
    errors = [
        np.var(y - rate * d, ddof=1) / len(y) / d.mean() ** 2
        for (y, d), rate in zip(arms, rates, strict=True)
    ]
    assert (test.control, test.treatment) == pytest.approx(rates)
    assert test.standard_error == pytest.approx(np.sqrt(sum(errors)), rel=1e-9)
    assert test.z_statistic == pytest.approx((rates[1] - rates[0]) / test.standard_error)
    low, high = test.confidence_interval
    assert (high - low) / 2 == pytest.approx(1.959963984540 * test.standard_error)


def test_given_shares_when_tested_then_it_is_the_unpooled_test_of_the_reference_case() -> None:
    test = ratio_test(
        ratio_sums(np.arange(10_000) < 2_000, np.ones(10_000)),
        ratio_sums(np.arange(1_000) < 220, np.ones(1_000)),
    )

    assert test.z_statistic == pytest.approx(1.460204150811, abs=1e-11)
    assert test.p_value == pytest.approx(0.144233974897, abs=1e-11)
    assert test.confidence_interval == pytest.approx((-0.006845067978, 0.046845067978), abs=1e-11)
    assert test.relative_improvement_pct == pytest.approx(10.0)


def test_given_users_who_differ_when_simulated_then_the_level_holds() -> None:
    rng = np.random.default_rng(2)
    tests: list[RatioTest] = [
        ratio_test(drawn(rng, 300, 0.2), drawn(rng, 100, 0.2)) for _ in range(1_000)
    ]

    assert 0.03 < np.mean([test.is_significant for test in tests]) < 0.07


def test_given_equal_ratios_of_every_unit_when_tested_then_p_is_1() -> None:
    arm = ratio_sums([0.1, 0.2, 0.3], [1, 2, 3])

    assert ratio_test(arm, ratio_sums([0.7, 0.1], [7, 1])).p_value == 1.0
    with pytest.raises(InvalidValueError, match="some that differ"):
        ratio_test(arm, ratio_sums([0.2, 0.4], [1, 2]))


@pytest.mark.parametrize(
    ("numerators", "denominators", "told"),
    [
        ([1, 2], [1], "denominators of arm is 'of 1 units'; expected one for each of the 2"),
        ([1, 2], [1, -1], "denominators of arm is -1.0; expected none below 0"),
        ([1, np.nan], [1, 1], "numerators of arm is 'NaN for 1 of 2 units'"),
        ([], [], "numerators of arm is 'of 0 units'"),
    ],
)
def test_given_wrong_values_when_summed_then_the_error_says_what_is_wrong(
    numerators: list[float], denominators: list[float], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        ratio_sums(numerators, denominators)


def test_given_an_arm_of_nothing_when_tested_then_it_is_refused() -> None:
    arm = ratio_sums([1, 2], [2, 3])

    with pytest.raises(InvalidValueError, match="denominators of treatment"):
        ratio_test(arm, ratio_sums([0, 0], [0, 0]))
    with pytest.raises(InvalidValueError, match="control is 'of 0 units'"):
        ratio_test(Sums(), arm)
