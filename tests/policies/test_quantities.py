from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.policies.health import HealthPolicy, SloPolicy, Thresholds
from watchkeeper.policies.online import OnlinePolicy
from watchkeeper.policies.retraining import Policy
from watchkeeper.policies.rollouts import RolloutPolicy

POLICIES = [HealthPolicy(), SloPolicy(), Thresholds(), OnlinePolicy(), Policy(), RolloutPolicy()]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
@pytest.mark.parametrize("wrong", [-1.0, nan, inf])
def test_given_any_policy_when_a_number_is_out_of_its_range_then_it_is_refused_by_name(
    policy: Any, wrong: float
) -> None:
    unbounded = {"initial", "increment", "maximum"}  # of which a plan says what they may be
    numbers = [
        name
        for name, value in policy.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in unbounded
    ]

    for name in numbers:
        with pytest.raises(InvalidValueError, match=rf"^{name} is {wrong}; expected a number "):
            replace(policy, **{name: wrong})
    assert len(numbers) >= 3


@given(share=st.floats(allow_nan=False))
def test_given_a_share_when_a_policy_is_made_then_it_is_refused_unless_it_is_between_0_and_1(
    share: float,
) -> None:
    if 0.0 < share < 1.0:
        assert SloPolicy(errors=share).errors == share
    else:
        with pytest.raises(InvalidValueError, match="errors is"):
            SloPolicy(errors=share)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"on_success": "never"}, "expected one of direct, canary, shadow"),
        ({"triggers": ("weather",)}, "expected one of quality, drift, schedule, outcomes"),
        ({"schedule": "daily"}, "expected five fields of cron"),
        ({"data": "a.csv", "query": "select"}, "expected none, where data is set"),
    ],
)
def test_given_a_value_that_is_none_of_those_allowed_when_a_policy_is_made_then_they_are_named(
    change: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InvalidValueError, match=expected):
        Policy(**change)
