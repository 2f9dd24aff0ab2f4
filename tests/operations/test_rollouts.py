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
from watchkeeper.config import ModelPolicy, Settings
from watchkeeper.errors import ConflictError, InvalidValueError, NotFoundError, UnavailableError
from watchkeeper.events import Outcome, Prediction
from watchkeeper.experiments import Mode
from watchkeeper.experiments.drafting import draft
from watchkeeper.identity import By
from watchkeeper.monitoring.rollouts import RolloutStatus
from watchkeeper.rollouts import Event, Hold, Limit, Plan, Rollout, RolloutState
from watchkeeper.testing import FixedClock

START = datetime(2026, 3, 1, tzinfo=UTC)
PLAN = Plan(steps=(50.0, 100.0), window=600.0, min_samples=20)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with App(Settings(data_dir=tmp_path), clock=FixedClock(START)) as app:
        for version in ("1", "2"):
            model = DummyClassifier(strategy="constant", constant=1).fit([[0.0]], [1])
            model_id = app.registry.register_model(model, "late", version, {})
            if version == "1":
                app.registry.promote_to_production(model_id)
        yield app


BY = By("ada", "better in June")


def at_time(app: App, at: datetime) -> None:
    clock: Any = app.clock
    clock.set(at)


def begin(app: App, name: str = "june", version: str = "2", plan: Plan = PLAN) -> Rollout:
    return app.rollouts.start(name, model="late", version=version, plan=plan, by=BY)


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


def look(app: App, at: datetime) -> RolloutStatus:
    at_time(app, at)
    return app.rollouts.advance("june")


WRITES = [
    ("rollouts.repository", "save"),
    ("rollouts.repository", "renew"),
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
    way = [RolloutState.RUNNING, RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK]
    if not failing:
        way = [
            RolloutState.RUNNING,
            RolloutState.RUNNING,
            RolloutState.PROMOTING,
            RolloutState.COMPLETED,
        ]
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
    writes = [("rollouts.repository", "add"), ("rollouts.repository", "renew")]
    kill_at(monkeypatch, app, writes, number, when)
    with pytest.raises(Killed):
        begin(app)

    if (number, when) == (0, "before"):
        assert app.rollouts.find() == []
        assert app.rollouts.repository.splits(START) == {}
        begin(app)
    lease = timedelta(seconds=2 * PLAN.window)
    assert (
        app.rollouts.repository.splits(START)["late"].until == START + lease
    )  # nobody need ever look
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
        due(app)
    begun = app.rollouts.get("june")
    assert begun.state is (
        RolloutState.SCHEDULED if (number, when) == (0, "before") else RolloutState.RUNNING
    )

    due(app)
    assert app.rollouts.get("june").state is RolloutState.RUNNING
    assert app.rollouts.repository.splits(START)["late"].until is not None
    assert len(app.rollouts.history("june")) == 2  # nothing is done twice


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("when", ["before", "after"])
def test_given_a_kill_while_one_is_replaced_when_looked_again_then_one_at_most_is_under_way(
    app: App, monkeypatch: pytest.MonkeyPatch, number: int, when: str
) -> None:
    model = DummyClassifier(strategy="constant", constant=0).fit([[0.0]], [0])
    app.registry.register_model(model, "late", "3", {})
    begin(app)
    kill_at(monkeypatch, app, [*WRITES, ("rollouts.repository", "add")], number, when)
    with suppress(Killed):
        app.rollouts.start("july", model="late", version="3", plan=PLAN, replace=True, by=BY)

    look(app, START)
    former = app.rollouts.get("june").state
    begun = [each for each in app.rollouts.find() if each.name == "july"]
    assert former is (
        RolloutState.RUNNING if (number, when) == (0, "before") else RolloutState.ROLLED_BACK
    )
    assert not begun or (begun[0].state, former) == (RolloutState.RUNNING, RolloutState.ROLLED_BACK)
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
    assert app.rollouts.promote("june", by=BY).state is RolloutState.COMPLETED
    model = DummyClassifier(strategy="constant", constant=0).fit([[0.0]], [0])
    app.registry.register_model(model, "late", "3", {})
    begin(app, "july", "3")

    at_time(app, START + timedelta(hours=1))
    with pytest.raises(ConflictError, match="july of late is under way"):
        app.rollouts.abort("june", by=BY)
    assert [each.name for each in app.rollouts.repository.latest(START)] == ["july"]
    assert app.rollouts.repository.splits(START)["late"].stable == "2"


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
    assert app.rollouts.repository.splits(START)["late"].percent == 50.0
    holder.rollback()
    holder.close()

    assert look(app, START + timedelta(minutes=12)).rollout.step == 1


@pytest.mark.parametrize(
    ("error_tolerance", "then"), [(2.0, RolloutState.ROLLING_BACK), (10.0, RolloutState.RUNNING)]
)
def test_given_a_regression_when_the_canary_is_further_off_then_it_is_taken_back(
    app: App, error_tolerance: float, then: RolloutState
) -> None:
    wrong = Limit(
        name="wrong", share=None, wrong=True, error_tolerance=error_tolerance, margin=0.05
    )
    plan = replace(PLAN, limits=(*PLAN.limits, wrong))
    begin(app, plan=plan)
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
    app.settings.models["late"] = ModelPolicy(task="regression")
    assert look(app, START + timedelta(minutes=7)).rollout.state is then


def later(app: App, name: str, version: str = "2", hours: int = 2, **changes: Any) -> Rollout:
    begins_at = START + timedelta(hours=hours)
    return app.rollouts.start(
        name, model="late", version=version, plan=PLAN, begins_at=begins_at, by=BY, **changes
    )


def due(app: App, hours: int = 2) -> list[Rollout]:
    at_time(app, START + timedelta(hours=hours))
    return app.rollouts.begin_due()


def test_given_a_rollout_for_later_when_its_time_comes_then_it_begins_and_not_before(
    app: App,
) -> None:
    planned = later(app, "june")
    assert (planned.state, planned.stable) == (RolloutState.SCHEDULED, "1")
    assert app.rollouts.repository.due(START + timedelta(minutes=119)) == []
    assert due(app, hours=1) == []
    assert app.rollouts.repository.splits(START) == {}

    assert [each.name for each in app.rollouts.repository.due(START + timedelta(hours=2))] == [
        "june"
    ]
    (begun,) = due(app)
    assert (begun.state, begun.started_at) == (RolloutState.RUNNING, START + timedelta(hours=2))
    assert app.rollouts.repository.splits(START)["late"].percent == 50.0
    assert due(app) == []
    with pytest.raises(InvalidValueError, match="planned for later"):
        later(app, "july", hours=3, replace=True)


def test_given_a_rollout_for_later_when_it_cannot_begin_then_it_is_cancelled_with_the_reason(
    app: App,
) -> None:
    later(app, "june")
    later(app, "july", hours=3)
    due(app)
    assert [rollout.state for rollout in due(app, hours=3)] == [RolloutState.CANCELLED]
    assert "june of late is under way" in app.rollouts.history("july")[-1]["reason"]
    assert app.rollouts.settle("june").state is RolloutState.RUNNING


def test_given_a_rollout_under_way_when_replaced_then_it_is_taken_back_before_the_new_one_begins(
    app: App,
) -> None:
    model = DummyClassifier(strategy="constant", constant=0).fit([[0.0]], [0])
    app.registry.register_model(model, "late", "3", {})
    begin(app)

    def replaced(name: str, version: str) -> Any:
        return app.rollouts.start(
            name, model="late", version=version, plan=PLAN, replace=True, by=BY
        )

    with pytest.raises(ConflictError, match="june"):
        replaced("june", "3")  # no name is used twice
    with pytest.raises(ConflictError, match="late:2 is under way"):
        replaced("july", "2")
    with pytest.raises(NotFoundError, match="late:9"):
        replaced("july", "9")
    assert app.rollouts.get("june").state is RolloutState.RUNNING

    begun = replaced("july", "3")
    assert (begun.state, begun.stable) == (RolloutState.RUNNING, "1")
    assert app.rollouts.get("june").state is RolloutState.ROLLED_BACK
    aborted, rolled_back = app.rollouts.history("june")[-2:]
    assert (aborted.verb, aborted.cause) == ("abort", "rollout:july")
    assert rolled_back.verb == "rolled_back"
    assert app.rollouts.repository.splits(START)["late"].canary == "3"


def required(app: App) -> None:
    """Require the checklist, of which the model passes hardly anything."""
    app.settings.models["late"] = ModelPolicy(promotion_requires_checklist=True)


def test_given_a_required_checklist_when_started_then_refused_now_and_for_later(app: App) -> None:
    required(app)

    with pytest.raises(ConflictError, match="late is not ready"):
        begin(app)
    with pytest.raises(ConflictError, match="late is not ready"):
        later(app, "june")
    assert app.rollouts.find() == []


def test_given_a_required_checklist_when_the_time_of_one_comes_then_it_is_cancelled(
    app: App,
) -> None:
    later(app, "june")
    required(app)

    (cancelled,) = due(app)

    assert cancelled.state is RolloutState.CANCELLED
    assert "cannot begin: late is not ready" in app.rollouts.history("june")[-1].reason


def test_given_a_required_checklist_when_a_person_promotes_then_nothing_changes(app: App) -> None:
    begun = begin(app)
    required(app)

    with pytest.raises(ConflictError, match="late is not ready"):
        app.rollouts.promote("june", by=BY)

    assert app.rollouts.get("june") == begun
    assert app.registry.get_production_model("late") == "late:1"
    assert (
        app.rollouts.abort("june", by=BY).state is RolloutState.ROLLED_BACK
    )  # that is no promotion


def test_given_a_required_checklist_when_the_last_step_passes_then_held_until_it_passes(
    app: App,
) -> None:
    begin(app)
    answered(app, 1, START)
    answered(app, 2, START + timedelta(minutes=13))
    look(app, START + timedelta(minutes=13))
    required(app)
    at = START + timedelta(minutes=26)

    held = look(app, at)

    assert (held.rollout.state, held.rollout.hold) == (RolloutState.HOLDING, Hold.READINESS)
    assert "late is not ready" in app.rollouts.history("june")[-1].reason
    assert app.registry.get_production_model("late") == "late:1"
    assert not look(app, at).changed
    viewed = app.rollout_monitor.status("june").decision
    assert viewed is not None
    assert (viewed.event, viewed.hold) == (None, Hold.READINESS)
    del app.settings.models["late"]
    assert look(app, at).rollout.state is RolloutState.PROMOTING
    assert look(app, at).rollout.state is RolloutState.COMPLETED


@pytest.mark.parametrize("change", ["step", "promote"])
def test_given_no_reason_when_a_step_or_the_promotion_is_asked_for_then_refused(
    app: App, change: str
) -> None:
    begun = begin(app)

    with pytest.raises(InvalidValueError, match="reason"):
        getattr(app.rollouts, change)("june", by=By("ada", " "))

    assert app.rollouts.get("june") == begun


def test_given_a_rollout_when_it_promotes_and_rolls_back_then_it_is_the_cause_of_both(
    app: App,
) -> None:
    begin(app)
    app.rollouts.promote("june", by=BY)
    app.rollouts.abort("june", by=BY)

    promoted = app.audit.entries(subject="late:2", action="promote")
    rolled_back = app.audit.entries("late", action="rollback")
    assert [str(entry.cause) for entry in (*promoted, *rolled_back)] == ["rollout:june"] * 2
    assert app.registry.get_production_model("late") == "late:1"


def test_given_a_canary_that_fails_when_rolled_back_then_its_incident_names_the_rollout(
    app: App,
) -> None:
    begin(app)
    answered(app, 1, START, failing=True)

    assert look(app, START + timedelta(minutes=13)).rollout.state is RolloutState.ROLLING_BACK

    (incident,) = app.incidents.find("late")
    assert app.incidents.history(incident.name)[0].cause == "rollout:june"


def test_given_each_change_when_committed_then_it_is_published(app: App) -> None:
    published: list[RolloutState] = []
    app.changes.subscribe(lambda _: published.append(app.rollouts.get("june").state))

    begin(app)
    app.rollouts.pause("june", by=BY)
    app.rollouts.resume("june", by=BY)
    app.rollouts.promote("june", by=BY)

    assert published == [
        RolloutState.RUNNING,
        RolloutState.PAUSED,
        RolloutState.RUNNING,
        RolloutState.PROMOTING,
        RolloutState.COMPLETED,
    ]


def test_given_a_version_archived_as_its_rollout_starts_when_started_then_nothing_begins(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.registry, "verify", lambda _: app.models.archive("late:2", by=BY))

    with pytest.raises(NotFoundError, match="late:2"):
        begin(app)

    assert app.rollouts.find() == []
    assert app.models.get("late:2").status == "archived"


def test_given_an_experiment_that_begins_as_a_rollout_starts_when_started_then_one_has_the_traffic(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = {"control": "1", "new": "2"}
    app.experiments.create(draft("may", "late", arms, mode=Mode.ANYTIME), by=BY)
    monkeypatch.setattr(app.registry, "verify", lambda _: app.experiments.start("may", by=BY))

    with pytest.raises(ConflictError, match="experiment may"):
        begin(app)

    assert app.rollouts.find() == []


def test_given_a_rollback_by_an_operator_as_a_rollout_promotes_when_done_then_the_rollback_stays(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote = app.registry.promote_to_production

    def rolled_back_first(model_id: str, **more: Any) -> None:
        app.models.roll_back("late", by=BY)
        promote(model_id, **more)

    in_production_twice(app)
    begin(app)
    monkeypatch.setattr(app.registry, "promote_to_production", rolled_back_first)

    assert app.rollouts.promote("june", by=BY).state is RolloutState.ROLLED_BACK
    assert app.registry.get_production_model("late") == "late:1"


def test_given_a_rollback_by_an_operator_as_a_rollout_goes_back_when_done_then_it_is_done_once(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll_back = app.registry.rollback

    def rolled_back_first(model: str, **more: Any) -> str:
        monkeypatch.undo()
        roll_back(model, reason="too many errors")
        return roll_back(model, **more)

    in_production_twice(app)
    begin(app)
    app.rollouts.promote("june", by=BY)
    monkeypatch.setattr(app.registry, "rollback", rolled_back_first)

    assert app.rollouts.abort("june", by=BY).state is RolloutState.ROLLED_BACK
    assert app.registry.get_production_model("late") == "late:3"


def in_production_twice(app: App) -> None:
    """Put a third version in production, so that there is an earlier one to return to."""
    model = DummyClassifier(strategy="constant", constant=1).fit([[0.0]], [1])
    app.registry.promote_to_production(app.registry.register_model(model, "late", "3", {}))
