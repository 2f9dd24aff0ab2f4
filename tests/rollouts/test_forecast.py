"""What becomes of a rollout next: of every state and hold, in words and with its times."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from watchkeeper.rollouts import Event, Hold, Plan, Rollout, RolloutDecision, RolloutState
from watchkeeper.rollouts.forecast import Outlook, outlook

START = datetime(2026, 3, 1, tzinfo=UTC)
PLAN = Plan(steps=(10.0, 50.0, 100.0), window=600.0, deadline=3_600.0, bake_time=7_200.0)
WINDOW = timedelta(minutes=10)


def rollout(**changes: object) -> Rollout:
    made = Rollout(name="june", model="late", version="2", plan=PLAN, stable="1")
    return replace(made.moved(Event.START, START), **changes)  # type: ignore[arg-type]


def after(minutes: int, decision: RolloutDecision | None = None, **changes: object) -> Outlook:
    return outlook(rollout(**changes), decision, START + timedelta(minutes=minutes))


def test_given_a_window_that_is_not_over_when_asked_then_it_is_waited_for() -> None:
    found = after(4)

    assert found.told == "it gets 50 % of the traffic, if it is within its limits then"
    assert found.earliest == START + WINDOW
    assert found.done == START + 3 * WINDOW
    assert not found.waits


def test_given_the_last_step_when_asked_then_production_is_next_or_a_person() -> None:
    assert after(1, step=2).told.startswith("it is put in production")
    waiting = replace(PLAN, steps=(10.0, 50.0))
    assert after(1, step=1, plan=waiting).told.startswith("it waits for manual approval")


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (Event.STEP, "at the next analysis it gets 50 % of the traffic"),
        (Event.BREACH, "at the next analysis it is rolled back"),
        (Event.EXPIRE, "at the next analysis it is rolled back"),
    ],
)
def test_given_what_the_next_look_decides_when_asked_then_that_is_told(
    event: Event, told: str
) -> None:
    found = after(12, RolloutDecision(event, None, "why"))

    assert (found.told, found.earliest) == (told, START + timedelta(minutes=12))


def test_given_too_few_requests_when_asked_then_the_deadline_is_told() -> None:
    found = after(15, state=RolloutState.HOLDING, hold=Hold.NO_DATA)

    assert found.earliest == START + timedelta(minutes=15)  # as soon as there are enough
    assert found.deadline == START + timedelta(hours=1)
    assert not found.waits


@pytest.mark.parametrize("hold", [Hold.SRM, Hold.SIGNAL, Hold.APPROVAL])
def test_given_a_hold_for_a_person_when_asked_then_nothing_happens_by_itself(hold: Hold) -> None:
    found = after(15, state=RolloutState.HOLDING, hold=hold)

    assert found.told.startswith("it stays on hold")
    assert (found.earliest, found.done, found.waits) == (None, None, True)


def test_given_the_last_extension_when_asked_then_that_is_told() -> None:
    held: Any = {"state": RolloutState.HOLDING, "hold": Hold.INCONCLUSIVE}

    assert "no further window" not in after(3, extensions=1, **held).told
    assert after(3, extensions=2, **held).told.endswith("no further window is left")
    unread: Any = {**held, "hold": Hold.ANALYSIS_ERROR}
    assert "can be read again" in after(3, **unread).told


def test_given_a_time_to_begin_when_asked_then_begin_and_end_are_told() -> None:
    at = START + timedelta(hours=1)
    found = outlook(replace(rollout(), state=RolloutState.SCHEDULED, begins_at=at), None, START)

    assert (found.earliest, found.done) == (at, at + 3 * WINDOW)


def test_given_an_end_when_asked_then_only_the_watch_is_left() -> None:
    done: Any = {"state": RolloutState.COMPLETED, "ended_at": START}

    assert after(60, **done).watched_until == START + timedelta(hours=2)
    assert after(180, **done).told == "nothing: it is in production, and its bake time is over"
    for state in (
        RolloutState.PAUSED,
        RolloutState.PROMOTING,
        RolloutState.ROLLING_BACK,
        RolloutState.ROLLED_BACK,
        RolloutState.CANCELLED,
        RolloutState.DRAFT,
    ):
        assert after(1, state=state).waits is (state in {RolloutState.DRAFT, RolloutState.PAUSED})
