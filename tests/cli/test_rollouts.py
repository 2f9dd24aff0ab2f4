import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from watchkeeper.cli import main
from watchkeeper.control.rollouts import requests_an_hour
from watchkeeper.errors import ConflictError
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
        ((), "either --model or --requests-per-hour"),
        (("--model", "late", "--requests-per-hour", "4"), "either --model or --requests-per-hour"),
        (("--requests-per-hour", "0"), "above 0"),
        (("--model", "late", "--over-hours", "0"), "--over-hours"),
        (("--model", "unknown"), "unknown"),
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
    assert planned(data_dir, "--model", "flights") == 2
    assert "asked nothing in the last 24 hours" in capsys.readouterr().err


def test_given_recorded_predictions_when_reckoned_then_those_of_the_last_hours_count() -> None:
    events = InMemoryEvents()
    times = [NOON - timedelta(minutes=minutes) for minutes in (1, 30, 119, 121)]
    events.record([a_prediction(f"p{i}", timestamp=at) for i, at in enumerate(times)])

    assert requests_an_hour(events, "flights", NOON, timedelta(hours=2)) == 1.5
    with pytest.raises(ConflictError, match="--requests-per-hour"):
        requests_an_hour(events, "flights", NOON + timedelta(days=9), timedelta(hours=2))
