"""Rollouts in a real database and registry: killed between writes, two at once, read-only."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sklearn.dummy import DummyClassifier
from tests.operations.killed import Killed, kill_at

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.errors import ConflictError, InvalidValueError, NotFoundError, UnavailableError
from watchkeeper.events import Outcome, Prediction
from watchkeeper.operations import rollouts
from watchkeeper.rollouts import Event, Limit, Plan, State

START = datetime(2026, 3, 1, tzinfo=UTC)
PLAN = Plan(steps=(50.0, 100.0), window=600.0, min_samples=20)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with App(Settings(data_dir=tmp_path)) as app:
        for version in ("1", "2"):
            model = DummyClassifier(strategy="constant", constant=1).fit([[0.0]], [1])
            model_id = app.registry.register_model(model, "late", version, {})
            if version == "1":
                app.registry.promote_to_production(model_id)
        yield app


def begin(app: App, name: str = "june") -> Any:
    return rollouts.start(
        app.rollouts, app.registry, app.experiments, name, "late", "2", PLAN, at=START
    )


def answered(app: App, step: int, since: datetime, *, failing: bool = False) -> None:
    """Record 30 answers of each side in 12 minutes."""
    events = []
    for number in range(60):
        at = since + timedelta(seconds=12 * number)
        side = "production" if number % 2 and step == 1 else "canary"
        failed = failing and side == "canary"
        events.append(
            Prediction(
                prediction_id=f"{step}-{number}", model="late", model_version="2", variant=side,
                experiment=f"rollout:june/{step}", timestamp=at, arrived_at=at, features={},
                prediction=1, status="error" if failed else "success", unit_id=f"{step}-{number}",
                latency_ms=3.0,
            )
        )  # fmt: skip
    app.recorder.record(events)


def look(app: App, at: datetime) -> rollouts.Looked:
    return rollouts.look(app.rollouts, app.events, app.registry, "june", at=at)


WRITES = [
    ("rollouts", "save"),
    ("rollouts", "renew"),
    ("registry", "promote_to_production"),
    ("registry", "rollback"),
]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("failing", [False, True])
def test_given_a_kill_between_two_writes_when_looked_again_then_the_state_is_the_same_or_next(
    app: App, monkeypatch: pytest.MonkeyPatch, number: int, when: str, failing: bool
) -> None:
    begin(app)
    answered(app, 1, START, failing=failing)
    answered(app, 2, START + timedelta(minutes=13))
    way = [State.RUNNING, State.ROLLING_BACK, State.ROLLED_BACK]
    if not failing:
        way = [State.RUNNING, State.RUNNING, State.PROMOTING, State.COMPLETED]
    kill_at(monkeypatch, app, WRITES, number, when)
    seen = [(app.rollouts.get("june").state, app.rollouts.get("june").step)]
    at = START + timedelta(minutes=13)
    for _ in range(12):
        with suppress(Killed):
            look(app, at)
        now = app.rollouts.get("june")
        if (now.state, now.step) != seen[-1]:
            seen.append((now.state, now.step))
            at += timedelta(minutes=13)

    assert [state for state, _ in seen] == way
    expected = "late:1" if failing else "late:2"
    assert app.registry.get_production_model("late") == expected
    promotions = [each for each in app.registry.history("late") if each["action"] == "promote"]
    assert len(promotions) == (1 if failing else 2)  # nothing is done twice


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("when", ["before", "after"])
def test_given_a_kill_while_one_begins_when_looked_at_then_it_runs_or_was_never_there(
    app: App, monkeypatch: pytest.MonkeyPatch, number: int, when: str
) -> None:
    kill_at(monkeypatch, app, [("rollouts", "add"), ("rollouts", "renew")], number, when)
    with pytest.raises(Killed):
        begin(app)

    if (number, when) == (0, "before"):
        assert app.rollouts.find() == []
        assert app.rollouts.splits(START) == {}
        begin(app)
    lease = timedelta(seconds=2 * PLAN.window)
    assert app.rollouts.splits(START)["late"].until == START + lease  # nobody need ever look
    answered(app, 1, START)
    assert look(app, START + timedelta(minutes=12)).rollout.step == 1


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("when", ["before", "after"])
def test_given_a_kill_while_one_for_later_begins_when_tried_again_then_it_runs(
    app: App, monkeypatch: pytest.MonkeyPatch, number: int, when: str
) -> None:
    later(app, "june")
    kill_at(monkeypatch, app, WRITES, number, when)
    with pytest.raises(Killed):
        due(app, "june")
    begun = app.rollouts.get("june")
    assert begun.state is (State.SCHEDULED if (number, when) == (0, "before") else State.RUNNING)

    assert due(app, "june").state is State.RUNNING
    assert app.rollouts.splits(START)["late"].until is not None
    assert len(app.rollouts.history("june")) == 2  # nothing is done twice


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("when", ["before", "after"])
def test_given_a_kill_while_one_is_replaced_when_looked_again_then_one_at_most_is_under_way(
    app: App, monkeypatch: pytest.MonkeyPatch, number: int, when: str
) -> None:
    model = DummyClassifier(strategy="constant", constant=0).fit([[0.0]], [0])
    app.registry.register_model(model, "late", "3", {})
    begin(app)
    kill_at(monkeypatch, app, [*WRITES, ("rollouts", "add")], number, when)
    with suppress(Killed):
        rollouts.start(
            app.rollouts, app.registry, app.experiments, "july", "late", "3", PLAN,
            at=START, replace=True,
        )  # fmt: skip

    look(app, START)
    former = app.rollouts.get("june").state
    begun = [each for each in app.rollouts.find() if each.name == "july"]
    assert former is (State.RUNNING if (number, when) == (0, "before") else State.ROLLED_BACK)
    assert not begun or (begun[0].state, former) == (State.RUNNING, State.ROLLED_BACK)
    assert app.registry.get_production_model("late") == "late:1"


def test_given_two_who_look_at_once_when_a_step_is_due_then_it_is_taken_once(app: App) -> None:
    begin(app)
    answered(app, 1, START)
    at = START + timedelta(minutes=12)

    def try_it(_: int) -> str:
        try:
            return "changed" if look(app, at).changed else "same"
        except ConflictError:
            return "refused"

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(try_it, range(4)))

    assert found.count("changed") == 1
    assert app.rollouts.get("june").step == 1
    assert [each["action"] for each in app.rollouts.history("june")][1:] == ["rollout step"]


def test_given_two_who_begin_at_once_when_both_found_nothing_under_way_then_one_is_refused(
    app: App,
) -> None:
    def try_it(number: int) -> str:
        try:
            begin(app, f"r{number}")
        except ConflictError as error:
            return str(error)
        return "begun"

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(try_it, range(4)))

    assert found.count("begun") == 1
    assert sum("is under way" in each for each in found) == 3


def test_given_a_database_that_takes_no_writes_when_looked_at_then_nothing_is_half_done(
    app: App, tmp_path: Path
) -> None:
    begin(app)
    answered(app, 1, START)
    before = app.rollouts.get("june")
    engine = app.control_database._engine

    def read_only(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA query_only = ON")

    engine.dispose()
    sa.event.listen(engine, "checkout", read_only)
    with pytest.raises(UnavailableError, match="readonly"):
        look(app, START + timedelta(minutes=12))
    sa.event.remove(engine, "checkout", read_only)
    engine.dispose()

    assert app.rollouts.get("june") == before
    assert look(app, START + timedelta(minutes=12)).rollout.step == 1


def test_given_a_clock_that_jumps_when_looked_at_then_no_window_is_passed_by_it(app: App) -> None:
    begin(app)
    answered(app, 1, START)

    back = look(app, START - timedelta(days=1))
    assert not back.changed
    ahead = look(app, START + timedelta(hours=3))  # most of it without traffic
    assert ahead.decision is not None
    assert (ahead.rollout.step, ahead.decision.event) == (1, Event.STEP)  # twelve minutes had some
    far = look(app, START + timedelta(hours=6))
    assert far.rollout.hold == "no_data"


def test_given_a_rollout_that_is_taken_back_when_watched_then_a_newer_one_is_not_disturbed(
    app: App,
) -> None:
    begin(app)
    rollouts.act(app.rollouts, "june", Event.PROMOTE, at=START)
    assert rollouts.settle(app.rollouts, app.registry, "june", at=START).state is State.COMPLETED
    model = DummyClassifier(strategy="constant", constant=0).fit([[0.0]], [0])
    app.registry.register_model(model, "late", "3", {})
    rollouts.start(app.rollouts, app.registry, app.experiments, "july", "late", "3", PLAN, at=START)

    with pytest.raises(ConflictError, match="july of late is under way"):
        rollouts.act(app.rollouts, "june", Event.ABORT, at=START + timedelta(hours=1))
    assert [each.name for each in app.rollouts.latest(START)] == ["july"]
    assert app.rollouts.splits(START)["late"].stable == "2"


def test_given_a_database_that_another_process_locks_when_looked_at_then_nothing_is_half_done(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(app)
    answered(app, 1, START)
    before = app.rollouts.get("june")
    monkeypatch.setattr("watchkeeper.store.database._BUSY", 0.05)  # seconds that a writer waits
    app.control_database._engine.dispose()  # the next connection waits no longer than that
    holder = sqlite3.connect(tmp_path / "registry" / "control.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="locked"):
        look(app, START + timedelta(minutes=12))
    assert app.rollouts.get("june") == before  # it can be read all the while
    assert app.rollouts.splits(START)["late"].percent == 50.0
    holder.rollback()
    holder.close()

    assert look(app, START + timedelta(minutes=12)).rollout.step == 1


@pytest.mark.parametrize(("off_by", "then"), [(2.0, State.ROLLING_BACK), (10.0, State.RUNNING)])
def test_given_a_regression_when_the_canary_is_further_off_then_it_is_taken_back(
    app: App, off_by: float, then: State
) -> None:
    wrong = Limit(name="wrong", share=None, wrong=True, off_by=off_by, margin=0.05)
    plan = replace(PLAN, limits=(*PLAN.limits, wrong))
    rollouts.start(app.rollouts, app.registry, app.experiments, "june", "late", "2", plan, at=START)
    events: list[Prediction | Outcome] = []
    for number in range(400):
        side = "production" if number % 2 else "canary"
        off = 5.0 if side == "canary" and number % 4 else 1.0
        if number % 10 == 1:
            off = 3.0
        at = START + timedelta(seconds=number)
        events += [
            Prediction(
                prediction_id=f"p{number}", model="late", model_version="2", variant=side,
                experiment="rollout:june/1", timestamp=at, arrived_at=at, features={},
                prediction=10.0, status="success", unit_id=f"{number}", latency_ms=3.0,
            ),
            Outcome(prediction_id=f"p{number}", model="late", actual=10.0 + off, timestamp=at,
                    arrived_at=at),
        ]  # fmt: skip
    app.recorder.record(events)
    found = rollouts.look(
        app.rollouts, app.events, app.registry, "june", at=START + timedelta(minutes=7),
        task="regression",
    )  # fmt: skip
    assert found.rollout.state is then


def later(app: App, name: str, version: str = "2", hours: int = 2, **changes: Any) -> Any:
    return rollouts.start(
        app.rollouts, app.registry, app.experiments, name, "late", version, PLAN,
        at=START, begins_at=START + timedelta(hours=hours), **changes,
    )  # fmt: skip


def due(app: App, name: str, hours: int = 2) -> Any:
    at = START + timedelta(hours=hours)
    return rollouts.begin(app.rollouts, app.registry, app.experiments, name, at=at)


def test_given_a_rollout_for_later_when_its_time_comes_then_it_begins_and_not_before(
    app: App,
) -> None:
    planned = later(app, "june")
    assert (planned.state, planned.stable) == (State.SCHEDULED, "1")
    assert app.rollouts.due(START + timedelta(minutes=119)) == []
    assert due(app, "june", hours=1) == planned
    assert app.rollouts.splits(START) == {}

    assert [each.name for each in app.rollouts.due(START + timedelta(hours=2))] == ["june"]
    begun = due(app, "june")
    assert (begun.state, begun.started_at) == (State.RUNNING, START + timedelta(hours=2))
    assert app.rollouts.splits(START)["late"].percent == 50.0
    assert due(app, "june") == begun
    with pytest.raises(InvalidValueError, match="planned for later"):
        later(app, "july", replace=True)


def test_given_a_rollout_for_later_when_it_cannot_begin_then_it_is_cancelled_with_the_reason(
    app: App,
) -> None:
    later(app, "june")
    later(app, "july", hours=3)
    due(app, "june")
    assert due(app, "july", hours=3).state is State.CANCELLED
    assert "june of late is under way" in app.rollouts.history("july")[-1]["reason"]
    assert rollouts.settle(app.rollouts, app.registry, "june", at=START).state is State.RUNNING


def test_given_a_rollout_under_way_when_replaced_then_it_is_taken_back_before_the_new_one_begins(
    app: App,
) -> None:
    model = DummyClassifier(strategy="constant", constant=0).fit([[0.0]], [0])
    app.registry.register_model(model, "late", "3", {})
    begin(app)

    def replaced(name: str, version: str) -> Any:
        return rollouts.start(
            app.rollouts, app.registry, app.experiments, name, "late", version, PLAN,
            at=START, replace=True,
        )  # fmt: skip

    with pytest.raises(ConflictError, match="june"):
        replaced("june", "3")  # no name is used twice
    with pytest.raises(ConflictError, match="late:2 is under way"):
        replaced("july", "2")
    with pytest.raises(NotFoundError, match="late:9"):
        replaced("july", "9")
    assert app.rollouts.get("june").state is State.RUNNING

    begun = replaced("july", "3")
    assert (begun.state, begun.stable) == (State.RUNNING, "1")
    assert app.rollouts.get("june").state is State.ROLLED_BACK
    assert [each["action"] for each in app.rollouts.history("june")][-2:] == [
        "rollout abort", "rollout rolled_back",
    ]  # fmt: skip
    assert app.rollouts.splits(START)["late"].canary == "3"
