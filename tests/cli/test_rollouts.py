import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sklearn.dummy import DummyClassifier

from watchkeeper.app import App
from watchkeeper.cli import main
from watchkeeper.config import Settings
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.identity import By
from watchkeeper.monitoring.rollouts import requests_an_hour
from watchkeeper.rollouts import Event, RolloutState
from watchkeeper.testing import InMemoryEvents, a_prediction

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def planned(data_dir: Path, *arguments: str) -> int:
    return main(["rollouts", "plan", *arguments, "--data-dir", str(data_dir)])


def test_given_four_hundred_requests_an_hour_when_planned_then_each_step_waits_for_its_hundred(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert planned(data_dir, "--requests-per-hour", "400", "--json") == 0

    found = json.loads(capsys.readouterr().out)
    # At 200 requests a window 5 % takes ten windows for a hundred, then four, thrice two, and one.
    assert found["windows"] == 10 + 4 + 2 + 2 + 2 + 6
    assert found["seconds"] == 26 * 1800
    assert found["plan"]["steps"] == [5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 100]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "either MODEL or --requests-per-hour"),
        (("late", "--requests-per-hour", "4"), "either MODEL or --requests-per-hour"),
        (("--requests-per-hour", "0"), "above 0"),
        (("late", "--over-hours", "0"), "--over-hours"),
        (("unknown",), "unknown"),
        (("--requests-per-hour", "400", "--initial", "120"), "120"),
    ],
)
def test_given_bad_input_when_planned_then_it_is_said_and_the_exit_code_is_2(
    data_dir: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert planned(data_dir, *arguments) == 2
    assert said in capsys.readouterr().err


def test_given_a_model_that_nobody_asks_any_more_when_planned_then_its_traffic_has_to_be_given(
    data_dir: Path, record: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    record(3)
    assert planned(data_dir, "flights") == 2
    assert "had no requests in the last 24 hours" in capsys.readouterr().err


def test_given_recorded_predictions_when_reckoned_then_those_of_the_last_hours_count() -> None:
    events = InMemoryEvents()
    times = [NOON - timedelta(minutes=minutes) for minutes in (1, 30, 119, 121)]
    events.record([a_prediction(f"p{i}", timestamp=at) for i, at in enumerate(times)])

    assert requests_an_hour(events, "flights", NOON, timedelta(hours=2)) == 1.5
    with pytest.raises(ConflictError, match="--requests-per-hour"):
        requests_an_hour(events, "flights", NOON + timedelta(days=9), timedelta(hours=2))


@pytest.fixture
def app(data_dir: Path) -> Iterator[App]:
    """Return an app with version 1 of a model in production, and a version 2."""
    with App(Settings(data_dir=data_dir)) as app:
        for version in ("1", "2"):
            model = DummyClassifier(strategy="constant", constant=1).fit([[0.0]], [1])
            model_id = app.registry.register_model(model, "late", version, {})
            if version == "1":
                app.registry.promote_to_production(model_id)
        yield app


# How each state is come to, what `abort` then says, and its exit code.
STATES: dict[RolloutState, tuple[tuple[str, ...], str, int]] = {
    RolloutState.SCHEDULED: (("later",), "cancelled", 0),
    RolloutState.RUNNING: ((), "rolled back", 0),
    RolloutState.HOLDING: (("blind",), "rolled back", 0),
    RolloutState.PAUSED: (("pause",), "rolled back", 0),
    RolloutState.PROMOTING: (("promote",), "rolled back", 0),
    RolloutState.COMPLETED: (("promote", "settle"), "rolled back", 0),
    RolloutState.ROLLING_BACK: (("breach",), "cannot abort", 2),
    RolloutState.ROLLED_BACK: (("abort", "settle"), "cannot abort", 2),
    RolloutState.CANCELLED: (("later", "abort"), "cannot abort", 2),
}


@pytest.mark.parametrize("state", STATES)
def test_given_each_state_when_aborted_by_command_then_production_is_what_it_was(
    app: App, data_dir: Path, capsys: pytest.CaptureFixture[str], state: RolloutState
) -> None:
    acts, told, code = STATES[state]
    now = app.clock()
    later = now + timedelta(hours=1) if "later" in acts else None
    by = By("ada", "the test")
    app.rollouts.start("june", model="late", version="2", begins_at=later, by=by)
    for act in acts:
        if act == "blind":
            app.rollouts.hold_unreadable("june", "the disk is gone")
        elif act == "settle":
            app.rollouts.settle("june")
        elif act != "later":
            before, event = app.rollouts.get("june"), Event(act)
            after = before.moved(event, now)
            app.rollouts.repository.save(before, after, action=act, at=now, by=by, evidence=after)
    assert app.rollouts.get("june").state is state

    abort = ["rollouts", "abort", "june", "--reason", "no", "--data-dir", str(data_dir)]
    assert main(abort) == code

    said = capsys.readouterr()
    assert told in (said.out if code == 0 else said.err)
    assert app.rollouts.get("june").weight == 0.0
    app.rollouts.settle("june")
    assert app.registry.get_production_model("late") == "late:1"


def test_given_a_success_rate_when_planned_then_it_is_the_same_limit_as_errors() -> None:
    policy = Settings().policy("late")

    def limit(**given: float) -> float | None:
        return policy.rollout_plan(**given).limits[0].share

    assert limit() == limit(min_success_rate=0.95) == 0.05
    assert limit(min_success_rate=0.97) == 0.03
    assert limit(min_success_rate=0.97, max_error_rate=0.02) == 0.02  # the stricter of the two
    with pytest.raises(InvalidValueError, match="min_success_rate"):
        policy.rollout_plan(min_success_rate=95)


def test_given_a_required_checklist_when_a_person_ends_a_rollout_then_it_is_not_promoted(
    app: App, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app.rollouts.start("june", model="late", version="2", by=By("ada", "free"))
    strict = tmp_path / "strict.toml"
    strict.write_text("[models.late]\npromotion_requires_checklist = true\n")
    options = ["--config", str(strict), "--data-dir", str(data_dir)]

    assert main(["rollouts", "promote", "june", "--reason", "now", *options]) == 2

    assert "late is not ready" in capsys.readouterr().err
    assert app.rollouts.get("june").state is RolloutState.RUNNING
    assert app.registry.get_production_model("late") == "late:1"
