from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import stats as peer

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import bootstrap_test, mean_test, resampling

RNG = np.random.default_rng(5)
CONTROL, TREATMENT = RNG.exponential(size=200), RNG.exponential(1.3, size=150)


def test_given_two_samples_when_resampled_then_it_is_scipys_percentile_interval() -> None:
    trimmed = partial(peer.trim_mean, proportiontocut=0.1)

    test = bootstrap_test(CONTROL, TREATMENT, trimmed, 0.1, resamples=499, seed=7)

    def difference(control: Any, treatment: Any, axis: int) -> Any:
        return trimmed(treatment, axis=axis) - trimmed(control, axis=axis)

    theirs = peer.bootstrap(
        (CONTROL, TREATMENT),
        difference,
        n_resamples=499,
        confidence_level=0.9,
        method="percentile",
        rng=np.random.default_rng(7),
    )
    assert test.confidence_interval == pytest.approx(tuple(theirs.confidence_interval))
    assert test.standard_error == pytest.approx(theirs.standard_error)
    assert test.control == pytest.approx(trimmed(CONTROL))
    assert test.is_significant == (theirs.confidence_interval.low > 0)


def test_given_means_when_resampled_then_it_is_near_welch() -> None:
    test, theirs = (
        bootstrap_test(CONTROL, TREATMENT, resamples=4_999),
        mean_test(CONTROL, TREATMENT),
    )

    assert test.absolute_difference == pytest.approx(theirs.absolute_difference)
    assert test.confidence_interval == pytest.approx(theirs.confidence_interval, abs=0.03)
    assert test.p_value == pytest.approx(theirs.p_value, abs=0.01)


def test_given_a_seed_when_resampled_again_then_the_figures_are_the_same() -> None:
    first, again, other = (
        bootstrap_test(CONTROL, TREATMENT, np.median, resamples=199, seed=seed)
        for seed in (1, 1, 2)
    )

    assert first == again
    assert first.standard_error != other.standard_error


def test_given_large_arms_when_resampled_then_few_are_held_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resampling, "_CELLS", 1_000)
    largest = 0

    def watched(values: Any, axis: int) -> Any:
        nonlocal largest
        largest = max(largest, values.size)
        return np.mean(values, axis=axis)

    bootstrap_test(CONTROL, TREATMENT, watched, resamples=99)

    assert largest <= 1_000


def test_given_constant_arms_when_resampled_then_p_is_1_or_least() -> None:
    equal = bootstrap_test([2.0] * 5, [2.0] * 6, resamples=99)
    apart = bootstrap_test([2.0] * 5, [3.0] * 6, resamples=99)

    assert (equal.p_value, equal.confidence_interval) == (1.0, (0.0, 0.0))
    assert (apart.p_value, apart.confidence_interval) == (0.02, (1.0, 1.0))


def test_given_no_difference_when_simulated_then_it_is_seldom_called_one() -> None:
    rng = np.random.default_rng(11)
    wrong = sum(
        bootstrap_test(
            rng.normal(size=80), rng.normal(size=60), np.median, resamples=199, seed=at
        ).is_significant
        for at in range(300)
    )

    assert wrong / 300 < 0.09


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"control": [1.0]}, "control is 'of 1 units'"),
        ({"treatment": [1.0, np.nan]}, "NaN for 1 of 2"),
        ({"resamples": 10}, "resamples is 10; expected at least 99"),
        ({"statistic": lambda values, axis: values}, "one number a row"),
        ({"statistic": lambda values, axis: np.mean(values)}, "one number a row"),
        ({"statistic": lambda values, axis: np.mean(values, axis) * np.inf}, "not finite"),
    ],
)
def test_given_wrong_arguments_when_resampled_then_the_error_says_what_is_wrong(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        bootstrap_test(**{"control": CONTROL, "treatment": TREATMENT, **changes})
