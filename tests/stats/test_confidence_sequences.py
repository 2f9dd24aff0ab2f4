from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.confidence_sequences import (
    confidence_sequence,
    mixture_e_value,
    sequence_p_value,
    sequence_rho,
)

UNPOOLED = 0.013696714935  # 2,000 of 10,000 against 220 of 1,000

alphas = st.sampled_from([0.001, 0.01, 0.05, 0.2])


@pytest.mark.parametrize(
    ("n_star", "low", "high"),
    [
        (5_000, -0.022031733304, 0.062031733304),
        (11_000, -0.021572392308, 0.061572392308),
    ],
)
def test_given_reference_figures_when_computed_then_the_interval_is_the_reference_one(
    n_star: int, low: float, high: float
) -> None:
    found = confidence_sequence(0.02, UNPOOLED, 11_000 / n_star)

    assert found == pytest.approx((low, high), abs=1e-11)
    assert sequence_rho(5_000) == pytest.approx(0.039840066771, abs=1e-12)


def test_given_a_fixed_tau_when_averaged_over_then_it_is_the_mixture_ratio_test() -> None:
    evidence = mixture_e_value(0.02 / UNPOOLED, (0.02 / UNPOOLED) ** 2)

    assert evidence == pytest.approx(1.167498330, abs=1e-9)
    assert 1 / evidence == pytest.approx(0.856532274439, abs=1e-9)


@given(z=st.floats(-30, 30), fraction=st.floats(0.001, 20), alpha=alphas)
def test_given_any_statistic_when_held_then_p_value_and_interval_agree(
    z: float, fraction: float, alpha: float
) -> None:
    low, high = confidence_sequence(z, 1.0, fraction, alpha)
    p_value = sequence_p_value(z, fraction, alpha)

    assert high - z == pytest.approx(z - low)
    if abs(p_value - alpha) > 1e-9:
        assert (low > 0 or high < 0) == (p_value < alpha)


@given(alpha=alphas)
def test_given_a_planned_size_when_tuned_then_the_sequence_is_narrowest_there(alpha: float) -> None:
    tuned = confidence_sequence(0.0, 1.0, 1.0, alpha)[1]
    for other in (0.5, 0.8, 1.25, 2.0):
        wide = confidence_sequence(0.0, 1.0, other, alpha)[1]  # tuned for 1 / other, read at 1
        assert wide >= tuned * 0.9999


@pytest.mark.parametrize(
    "call",
    [
        lambda: sequence_rho(0),
        lambda: sequence_rho(100, 1.0),
        lambda: mixture_e_value(inf, 1.0),
        lambda: mixture_e_value(1.0, -1.0),
        lambda: confidence_sequence(inf, 1.0, 1.0),
        lambda: confidence_sequence(0.0, -1.0, 1.0),
        lambda: confidence_sequence(0.0, 1.0, 0.0),
        lambda: confidence_sequence(0.0, 1.0, 1.0, 0.0),
        lambda: sequence_p_value(1.0, inf),
    ],
)
def test_given_bad_arguments_when_called_then_it_is_a_clear_error(call: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        call()
