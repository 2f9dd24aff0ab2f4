"""The loop of retraining over a real database, registry and event store: every way it can go."""

import re
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.operations.killed import Killed, kill_at

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.config.models import ModelPolicy
from watchkeeper.errors import ConflictError, NotFoundError
from watchkeeper.events import Event, Outcome, Prediction
from watchkeeper.identity import By, RecordId
from watchkeeper.monitoring.retraining import RetrainingStatus
from watchkeeper.records import Finding
from watchkeeper.retraining import Policy, Run, RunState
from watchkeeper.retraining.job import LOG
from watchkeeper.retraining.training import Launch, TrainingProgress, launch
from watchkeeper.retraining.worker import work
from watchkeeper.rollouts import RolloutState
from watchkeeper.testing import FixedClock

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=20, hours=1)
RNG = np.random.default_rng(11)
COUNT = 800
FEATURES = RNG.normal(size=(COUNT, 2))
LATE = (FEATURES[:, 0] + 0.5 * RNG.normal(size=COUNT) > 0).astype(int)
POLICY = Policy(enabled=True, on_success="direct")


def here(folder: Path, job: Any, watch: Any) -> None:
    """Train in this process, which is quicker; what is done is the same."""
    with (folder / LOG).open("a") as log, redirect_stdout(log):
        work(folder)


@pytest.fixture(autouse=True)
def trainers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "retraining"))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """Return a model in production that says the opposite of what comes true, and its events."""
    with App(Settings(data_dir=tmp_path), clock=FixedClock(NOW)) as app:
        poor = LogisticRegression().fit(FEATURES[:100], 1 - LATE[:100])
        model_id = app.registry.register_model(
            poor, "late", "1.0.0", {"accuracy": 0.9}, training_data=FEATURES[:100]
        )
        app.registry.promote_to_production(model_id)
        app.recorder.record(list(events()))
        yield app


def events(first: int = 0, last: int = COUNT, since: datetime = START) -> Iterator[Event]:
    for number in range(first, last):
        at = since + timedelta(minutes=30 * number)
        row = {f"x{i}": float(FEATURES[number, i]) for i in range(2)}
        own = f"{since:%m%d}-{number}"
        yield Prediction(
            prediction_id=own, model="late", model_version="1.0.0", timestamp=at, arrived_at=at,
            features=row, prediction=int(1 - LATE[number]), score=0.5,
        )  # fmt: skip
        came = at + timedelta(hours=2)
        yield Outcome(
            prediction_id=own, model="late", timestamp=came, arrived_at=came,
            actual=int(LATE[number]),
        )  # fmt: skip


def found_worse(app: App, at: datetime = NOW, version: str = "1.0.0") -> Finding:
    return app.findings.add(
        Finding(
            model="late", kind="quality", bad=True, summary="accuracy 80 % worse", at=at,
            start=START, end=at, table_versions={"predictions": 1},
            evidence={"model_version": version, "drop": {"drops": {"accuracy": 0.8}}},
        )
    )  # fmt: skip


def use(app: App, policy: Policy, **settings: Any) -> None:
    """Let the settings of the model have a policy."""
    app.settings.models["late"] = ModelPolicy(retraining=policy, **settings)


def look(
    app: App, at: datetime = NOW, policy: Policy = POLICY, launch: Launch = here
) -> RetrainingStatus:
    use(app, policy)
    return app.retraining.advance("late", at, launch=launch)


def request(app: App, policy: Policy = POLICY, reason: str = "", data: str = "") -> Run:
    use(app, policy)
    return app.retraining.request("late", by=By("maria", reason), data=data, at=NOW)


def states(app: App, run: Run) -> list[str]:
    return [each["action"].removeprefix("retraining ") for each in app.retraining.history(run.name)]


def test_given_a_finding_when_looked_then_a_better_version_is_trained_and_promoted(
    app: App,
) -> None:
    finding = found_worse(app)

    found = look(app)

    run = found.run
    assert run is not None
    assert run.state is RunState.PROMOTED, run.reason
    assert app.registry.get_production_model("late") == "late:1.0.1" == run.model_id
    assert run.decision.triggers[0].finding == finding.number
    assert states(app, run) == ["decide", "training", "gating", "gating", "promoted"]
    assert run.gate is not None
    assert run.gate.candidate["accuracy"] > 0.7 > 0.4 > run.gate.champion["accuracy"]
    assert (run.rows, run.held_out) == (640, 160)
    assert run.boundary == START + timedelta(minutes=30 * 640)
    assert set(run.table_versions) == {"predictions", "outcomes"}
    version = app.registry.get("late:1.0.1")
    assert version.tags == {"retraining": run.name}
    assert version.lineage.parent == "late:1.0.0"
    assert (version.lineage.training_start, version.lineage.training_end) == (START, run.boundary)
    assert version.lineage.table_versions == run.table_versions
    assert (version.lineage.dataset, version.lineage.evaluated_on) == (
        "labelled events",
        "160 later rows",
    )
    assert version.aliases == ("challenger", "champion")
    assert version.metrics["accuracy"] == run.gate.candidate["accuracy"]
    former = app.registry.get("late:1.0.0").signature
    assert version.signature == former
    assert "training on 640 rows" in app.retraining_monitor.log(run.name)
    assert sorted(p.name for p in (app.retraining.repository.folder / run.name).iterdir()) == [
        "log.txt"
    ]
    promotions = [each for each in app.registry.history("late") if each["action"] == "promote"]
    assert promotions[-1]["reason"] == f"retraining {run.name}"

    again = look(app, NOW + timedelta(minutes=5))

    assert (again.changed, again.run) == (False, run)


def test_given_a_new_champion_when_nothing_new_came_then_it_is_not_trained_again(
    app: App,
) -> None:
    found_worse(app)
    look(app)
    later = NOW + timedelta(days=2)
    found_worse(app, later, "1.0.1")

    assert look(app, later).decision.reason == "no outcome has come since the last training"  # type: ignore[union-attr]

    app.recorder.record(list(events(0, 300, NOW)))
    found = look(app, later + timedelta(days=5))

    # The same data teach the same: what it is judged by is later than what both learned from.
    assert found.run is not None
    assert found.run.state is RunState.KEPT, found.run.reason
    assert found.run.boundary > NOW  # type: ignore[operator]
    assert app.registry.get_production_model("late") == "late:1.0.1"
    assert app.registry.get("late:1.0.2").status == "registered"


def test_given_the_policy_is_off_when_looked_then_nothing_is_trained(app: App) -> None:
    found_worse(app)

    assert look(app, policy=Policy()).run is None


def test_given_a_schedule_when_it_fires_then_it_is_taken_up_once_whoever_looks(
    app: App, tmp_path: Path
) -> None:
    policy = replace(POLICY, triggers=("schedule",))
    assert look(app, policy=policy).run is None  # from now on
    tomorrow = NOW + timedelta(days=1, hours=1)
    with App(Settings(data_dir=tmp_path), clock=FixedClock(tomorrow)) as other:
        assert not look(other, NOW + timedelta(minutes=10), policy).changed
        found = look(other, tomorrow, policy)
        assert found.run is not None
        assert found.run.decision.triggers[0].kind == "schedule"

        assert not look(app, tomorrow, policy).changed  # the first one, which saw nothing

    assert len(app.retraining.find("late")) == 1
    again = tomorrow + timedelta(days=1)
    look(app, again, policy)  # nothing new came: passed over, and told once
    look(app, again + timedelta(hours=1), policy)
    passed = app.audit.entries("late", action="retraining pass over")
    assert [each.reason for each in passed] == ["no outcome has come since the last training"]


def test_given_two_replicas_when_both_look_at_once_then_one_trains(
    app: App, tmp_path: Path
) -> None:
    found_worse(app)
    begun, go_on = threading.Event(), threading.Event()
    found: list[RetrainingStatus] = []

    def slow(folder: Path, job: Any, watch: Any) -> None:
        begun.set()
        go_on.wait(60)
        work(folder)

    def first() -> None:
        found.append(look(app, launch=slow))

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(60)
    with App(Settings(data_dir=tmp_path), clock=FixedClock(NOW)) as other:
        second = look(other)
        assert not second.changed
        assert second.run is not None
        assert second.run.state is RunState.TRAINING
        with pytest.raises(ConflictError, match="is under way"):
            request(other)
    go_on.set()
    thread.join(60)

    assert found[0].run is not None
    assert found[0].run.state is RunState.PROMOTED
    assert len(app.retraining.find("late")) == 1


WRITES = [
    ("retraining.repository", "begin"),
    ("retraining.repository", "save"),
    ("registry", "register_model"),
    ("registry", "promote_to_production"),
    ("rollouts.repository", "add"),
    ("shadows.repository", "add"),
]


KILLS = [
    *((then, number) for then in ("direct", "canary") for number in range(8)),
    *(("shadow", number) for number in (5, 6)),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("then", "number"), KILLS)
def test_given_a_kill_between_two_writes_when_looked_again_then_it_ends_as_without(
    app: App, monkeypatch: pytest.MonkeyPatch, number: int, when: str, then: str
) -> None:
    found_worse(app)
    kill_at(monkeypatch, app, WRITES, number, when)
    for _ in range(3):
        with suppress(Killed):
            look(app, policy=Policy.from_dict({**POLICY, "on_success": then}))

    (run,) = app.retraining.find("late")
    expected = {
        "direct": RunState.PROMOTED, "canary": RunState.ROLLING_OUT, "shadow": RunState.SHADOWING,
    }  # fmt: skip
    assert run.state is expected[then], run.reason
    assert [each.version for each in app.registry.list_models()] == ["1.0.1", "1.0.0"]
    production = "late:1.0.1" if then == "direct" else "late:1.0.0"
    assert app.registry.get_production_model("late") == production
    assert len(app.rollouts.find("late")) == (then == "canary")
    assert len(app.shadows.find("late")) == (then == "shadow")


def test_given_a_process_that_dies_in_each_training_when_looked_then_the_run_fails(
    app: App,
) -> None:
    found_worse(app)

    def dies(folder: Path, job: Any, watch: Any) -> None:
        raise Killed

    for _ in range(3):
        with suppress(Killed):
            look(app, launch=dies)

    (run,) = app.retraining.find("late")
    assert run.state is RunState.FAILED
    assert "2 trainings were begun" in run.reason
    assert app.registry.get_production_model("late") == "late:1.0.0"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({"trainer": "trainers:raises"}, "no such luck"),
        ({"trainer": "trainers:garbage"}, "which is no model"),
        ({"trainer": "trainers:untrusted"}, "not trusted"),
        ({"trainer": "trainers:unfitted"}, "NotFittedError"),
        ({"trainer": "trainers:missing"}, "package.module:name"),
        ({"data": "nowhere.csv"}, "no file 'nowhere.csv'"),
        ({"query": "SELECT x0, x1 FROM nothing"}, "SQL over the table events"),
        ({"min_rows": 5_000}, "at least 5,000"),
        ({"window_days": 0.01}, "rows whose outcome is known"),
    ],
)
def test_given_a_training_that_goes_wrong_when_looked_then_production_is_untouched(
    app: App, policy: dict[str, Any], told: str
) -> None:
    generation = app.registry.production()
    found_worse(app)
    chosen = replace(POLICY, **policy)
    if "window_days" in policy:
        request(app, chosen)

    run = look(app, policy=chosen).run

    assert run is not None
    assert run.state is RunState.FAILED
    assert told in run.reason
    assert app.registry.production() == generation
    assert len(app.registry.list_models()) == 1
    assert app.retraining.history(run.name)[-1]["evidence"]["kind"]


@pytest.mark.parametrize(
    ("trainer", "limits", "told"),
    [
        ("hangs", {"time_limit": 2.0}, "more than 2 seconds"),
        ("is_killed", {}, "SIGKILL"),
        ("eats_memory", {"memory_limit": 400 << 20}, "memory|bytes"),
    ],
)
def test_given_a_process_that_goes_wrong_when_looked_then_production_is_untouched(
    app: App,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trainer: str,
    limits: dict[str, Any],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    found_worse(app)
    policy = replace(POLICY, trainer=f"trainers:{trainer}", **limits)

    run = look(app, policy=policy, launch=launch).run

    assert run is not None
    assert run.state is RunState.FAILED
    assert re.search(told, run.reason)
    assert [each.version for each in app.registry.list_models()] == ["1.0.0"]
    assert app.registry.get_production_model("late") == "late:1.0.0"


def test_given_a_worse_model_when_judged_then_it_is_kept_and_the_champion_stays(
    app: App,
) -> None:
    good = LogisticRegression().fit(FEATURES[:100], LATE[:100])
    app.registry.promote_to_production(
        app.registry.register_model(good, "late", "1.1.0", {}, training_data=FEATURES[:100])
    )
    found_worse(app, version="1.1.0")

    run = look(app, policy=replace(POLICY, trainer="trainers:worse")).run

    assert run is not None
    assert run.state is RunState.KEPT
    assert "gain of accuracy: -" in run.reason
    assert app.registry.get_production_model("late") == "late:1.1.0"
    assert app.registry.get("late:1.1.1").status == "registered"


def test_given_a_canary_when_its_rollout_ends_then_the_run_says_so(app: App) -> None:
    found_worse(app)
    policy = replace(POLICY, on_success="canary")
    run = look(app, policy=policy).run
    assert run is not None
    assert run.state is RunState.ROLLING_OUT
    rollout = app.rollouts.get(run.follows)
    assert (rollout.version, rollout.state) == ("1.0.1", RolloutState.RUNNING)
    assert not look(app, NOW + timedelta(days=3), policy).changed

    app.rollouts.promote(run.follows, by=By("ada", "it is better"))
    found = look(app, NOW + timedelta(days=3, hours=1), policy)

    assert found.changed
    assert app.retraining.get(run.name).state is RunState.PROMOTED


def test_given_a_rollout_that_is_taken_back_when_looked_then_the_candidate_is_kept(
    app: App,
) -> None:
    found_worse(app)
    policy = replace(POLICY, on_success="canary")
    run = look(app, policy=policy).run
    assert run is not None
    app.rollouts.abort(run.follows, by=By("ada", "it is worse"))

    look(app, NOW + timedelta(hours=1), policy)

    assert app.retraining.get(run.name).state is RunState.KEPT
    assert "was rolled back" in app.retraining.get(run.name).reason


def test_given_a_person_who_promotes_meanwhile_when_it_is_trained_then_they_are_obeyed(
    app: App,
) -> None:
    found_worse(app)
    other = LogisticRegression().fit(FEATURES[:100], LATE[:100])
    model_id = app.registry.register_model(other, "late", "7.0.0", {}, training_data=FEATURES)

    def meanwhile(folder: Path, job: Any, watch: Any) -> None:
        work(folder)
        app.registry.promote_to_production(model_id)

    run = look(app, launch=meanwhile).run

    assert run is not None
    assert run.state is RunState.KEPT
    assert "late:7.0.0 is in production by now" in run.reason
    assert app.registry.get_production_model("late") == "late:7.0.0"


def test_given_a_run_when_it_is_cancelled_while_it_trains_then_it_ends(app: App) -> None:
    found_worse(app)

    def cancelled(folder: Path, job: Any, watch: Any) -> None:
        (run,) = app.retraining.find("late")
        app.retraining.abort(run.name, by=By("maria", "not now"))
        watch(TrainingProgress(5.0, 0, ""))

    run = look(app, launch=cancelled).run

    assert run is not None
    assert (run.state, run.reason) == (RunState.CANCELLED, "not now")
    assert states(app, run) == ["decide", "training", "cancelled"]
    with pytest.raises(ConflictError, match="is cancelled"):
        app.retraining.abort(run.name, by=By("maria"))


def test_given_a_training_in_its_own_process_when_asked_for_then_progress_is_shown(
    app: App,
) -> None:
    policy = replace(POLICY, trainer="trainers:good")
    seen: list[str] = []
    run = request(app, policy, "to see")
    assert run.decision.reason == "asked for by maria: to see"

    done = app.retraining.carry_on(
        run.name, at=NOW, watch=lambda progress: seen.append(progress.said)
    )

    assert done.state is RunState.PROMOTED, done.reason
    assert "learning from 640 rows" in app.retraining_monitor.log(run.name)
    assert seen


def test_given_a_tampered_champion_when_trained_then_the_run_fails(app: App) -> None:
    found_worse(app)
    path = Path(app.registry.get("late:1.0.0").file_path)
    path.write_bytes(path.read_bytes() + b"x")

    run = look(app).run

    assert run is not None
    assert run.state is RunState.FAILED
    assert "SHA-256" in run.reason


def test_given_nothing_in_production_when_asked_then_a_trainer_makes_the_first(
    tmp_path: Path,
) -> None:
    with App(Settings(data_dir=tmp_path), clock=FixedClock(NOW)) as app:
        app.recorder.record(list(events()))
        with pytest.raises(NotFoundError, match="model in production"):
            request(app)
        policy = replace(POLICY, trainer="trainers:good", on_success="canary")
        run = request(app, policy)

        done = app.retraining.carry_on(run.name, at=NOW, launch=here)

        assert done.state is RunState.PROMOTED, done.reason
        assert app.registry.get_production_model("late") == "late:1.0.0"


def test_given_a_file_when_asked_with_it_then_it_is_what_is_learned_from(
    app: App, tmp_path: Path
) -> None:
    lines = ["x0,x1,late"]
    lines += [f"{a},{b},{y}" for (a, b), y in zip(FEATURES, LATE, strict=True)]
    path = tmp_path / "data.csv"
    path.write_text("\n".join(lines))
    policy = replace(POLICY, target="late")
    run = request(app, policy, data=str(path))

    done = app.retraining.carry_on(run.name, at=NOW, launch=here)

    assert done.state is RunState.PROMOTED, done.reason
    assert (done.source, done.start, done.boundary) == (str(path), None, None)


def test_given_a_query_when_looked_then_its_rows_are_learned_from(app: App) -> None:
    found_worse(app)
    query = (
        'SELECT "feature.x0" AS x0, "feature.x1" AS x1, actual, timestamp FROM events '
        "WHERE actual IS NOT NULL AND timestamp > '2026-03-03'"
    )

    run = look(app, policy=replace(POLICY, query=query)).run

    assert run is not None
    assert run.state is RunState.PROMOTED, run.reason
    assert run.rows < 640


@pytest.mark.parametrize("then", ["direct", "canary"])
def test_given_a_required_checklist_when_a_candidate_is_better_then_it_is_kept_registered(
    app: App, then: Literal["direct", "canary"]
) -> None:
    found_worse(app)
    use(app, replace(POLICY, on_success=then), promotion_requires_checklist=True)

    run = app.retraining.advance("late", NOW, launch=here).run

    assert run is not None
    assert run.state is RunState.KEPT
    assert run.reason.startswith("late:1.0.1 stays registered: late is not ready: ")
    assert app.registry.get_production_model("late") == "late:1.0.0"
    assert app.registry.get("late:1.0.1").status == "registered"
    assert app.rollouts.find("late") == []


def test_given_a_finding_when_it_leads_to_a_promotion_then_each_audit_entry_names_its_cause(
    app: App,
) -> None:
    finding = found_worse(app)

    run = look(app).run

    assert run is not None
    (decided,) = app.audit.entries("late", action="retraining decide")
    promoted = app.audit.entries("late", action="promote", limit=1)[0]
    assert decided.cause == RecordId("finding", str(finding.number))
    assert promoted.cause == RecordId("retraining", run.name)
