from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import watchkeeper as wk
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.rollouts import CanaryDeployment
from watchkeeper.testing import FixedClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = {"error_rate": 0.01, "latency_p95": 180.0, "success_rate": 0.99}
WINDOW = timedelta(minutes=30)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def canary(clock: FixedClock) -> CanaryDeployment:
    made = CanaryDeployment(clock=clock)
    made.start_deployment()
    return made


def test_given_a_healthy_canary_when_each_window_ends_then_it_goes_from_5_to_100(
    canary: CanaryDeployment, clock: FixedClock
) -> None:
    traffic = [canary.current_traffic]
    while True:
        clock.advance(WINDOW)
        passed, reason = canary.should_proceed_to_next_stage(GOOD)
        assert passed, reason
        if not canary.proceed_to_next_stage():
            break
        traffic.append(canary.current_traffic)

    assert traffic == [5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0, 75.0, 85.0, 95.0, 100.0]
    assert [stage.traffic for stage in canary.stages_completed] == traffic[:-1]
    first = canary.stages_completed[0]
    assert (first.start, first.end, first.metrics) == (NOON, NOON + WINDOW, GOOD)
    assert canary.current_traffic == 100.0
    assert not canary.proceed_to_next_stage()


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"error_rate": 0.06}, "error_rate 0.06 is above 0.05"),
     ({"latency_p95": 2_100.0}, "latency_p95 2100 is above 2000"),
     ({"success_rate": 0.94}, "success_rate 0.94 is below 0.95")],
)  # fmt: skip
def test_given_a_limit_that_is_broken_when_asked_then_the_reason_has_value_and_limit(
    canary: CanaryDeployment, clock: FixedClock, changes: dict[str, float], told: str
) -> None:
    clock.advance(WINDOW)

    assert canary.should_proceed_to_next_stage(GOOD | changes) == (False, told)


def test_given_values_that_equal_their_limits_when_asked_then_they_pass(
    canary: CanaryDeployment, clock: FixedClock
) -> None:
    clock.advance(WINDOW)
    at_limits = {"error_rate": 0.05, "latency_p95": 2_000, "success_rate": 0.95}

    passed, reason = canary.should_proceed_to_next_stage(at_limits)

    assert passed
    assert "error_rate 0.05 (at most 0.05)" in reason


def test_given_a_window_that_is_not_over_when_asked_then_the_reason_says_what_is_left(
    canary: CanaryDeployment, clock: FixedClock
) -> None:
    clock.advance(timedelta(minutes=20))

    told = "10.0 of 30 minutes of the monitoring window are left"
    assert canary.should_proceed_to_next_stage(GOOD) == (False, told)


def test_given_a_rollback_when_done_then_there_is_no_traffic_until_it_starts_anew(
    canary: CanaryDeployment, clock: FixedClock
) -> None:
    clock.advance(WINDOW)
    canary.proceed_to_next_stage()
    canary.rollback("error_rate 0.2 is above 0.05")
    canary.rollback("again")

    assert canary.current_traffic == 0.0
    assert canary.rollback_reason == "error_rate 0.2 is above 0.05"
    with pytest.raises(ConflictError, match="was rolled back"):
        canary.proceed_to_next_stage()
    canary.start_deployment()
    assert (canary.current_traffic, canary.stages_completed) == (5.0, [])
    assert canary.rollback_reason is None


def test_given_a_canary_that_was_not_started_when_used_then_the_error_says_so() -> None:
    canary = wk.CanaryDeployment()

    assert canary.current_traffic == 0.0
    with pytest.raises(ConflictError, match="has not been started"):
        canary.should_proceed_to_next_stage(GOOD)
    canary.start_deployment()
    with pytest.raises(ConflictError, match="5 % of the traffic already"):
        canary.start_deployment()
    with pytest.raises(InvalidValueError, match="reason"):
        canary.rollback(" ")


@pytest.mark.parametrize("wrong", [None, float("nan"), "low", True])
def test_given_a_metric_that_is_missing_or_no_number_when_asked_then_it_never_passes(
    canary: CanaryDeployment, wrong: object
) -> None:
    with pytest.raises(InvalidValueError, match="latency_p95"):
        canary.should_proceed_to_next_stage(GOOD | {"latency_p95": wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"initial_traffic": 0.0}, "initial is 0"), ({"max_traffic": 101.0}, "most is 101"),
     ({"increment_step": 0.0}, "step is 0"), ({"initial_traffic": 60.0, "max_traffic": 50.0}, "60"),
     ({"monitoring_window_minutes": -1}, "monitoring_window_minutes is -1"),
     ({"max_error_rate": 1.5}, "max_error_rate is 1.5"),
     ({"max_latency_p95": 0.0}, "max_latency_p95 is 0")],
)  # fmt: skip
def test_given_wrong_settings_when_made_then_the_error_names_them(
    wrong: dict[str, float], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        CanaryDeployment(**wrong)  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    initial=st.floats(0.01, 100.0),
    more=st.floats(0.0, 100.0),
    step=st.floats(0.1, 100.0),
)
def test_given_any_increments_when_played_then_they_rise_and_land_on_the_maximum(
    initial: float, more: float, step: float
) -> None:
    most = min(100.0, initial + more)
    clock = FixedClock(NOON)
    canary = CanaryDeployment(initial, most, step, 0, clock=clock)
    canary.start_deployment()
    traffic = [canary.current_traffic]
    while canary.proceed_to_next_stage():
        traffic.append(canary.current_traffic)

    assert traffic == sorted(set(traffic))
    assert traffic[0] == pytest.approx(initial)
    assert traffic[-1] == most
