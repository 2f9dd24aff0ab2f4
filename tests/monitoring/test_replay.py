"""Decisions made again after what they rest on was changed, and the commands that show them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.operations.test_retraining import FEATURES, LATE, NOW, START, events, here, use

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.events import Outcome, Prediction, Window
from watchkeeper.identity import By
from watchkeeper.monitoring.findings import keep_drift, keep_quality
from watchkeeper.monitoring.history import Record
from watchkeeper.monitoring.measurements import drift_of_window, quality_of_window
from watchkeeper.policies.rollouts import RolloutPolicy
from watchkeeper.retraining import Policy, RunState
from watchkeeper.testing import FixedClock

ROLLOUT = RolloutPolicy(steps=(50.0, 100.0), window_minutes=10.0, min_samples=20)
RETRAINING = Policy(enabled=True, on_success="canary")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """Return a model that went through the whole loop, up to the promotion of another version."""
    clock = FixedClock(NOW)
    with App(Settings(data_dir=tmp_path), clock=clock) as app:
        rng = np.random.default_rng(1)
        learned = rng.normal(3.0, 1.0, (400, 2))  # far from what comes
        poor = LogisticRegression().fit(FEATURES[:100], 1 - LATE[:100])
        model_id = app.registry.register_model(
            poor, "late", "1.0.0", {"accuracy": 0.9}, training_data=learned
        )
        app.registry.promote_to_production(model_id)
        app.recorder.record(list(events()))
        window = Window(START, NOW)
        keep_drift(
            app.findings, drift_of_window(app.events, app.registry, "late", window, checks=9),
            at=NOW,
        )  # fmt: skip
        keep_quality(
            app.findings,
            quality_of_window(app.events, app.registry, "late", window, version="1.0.0"),
            at=NOW,
        )
        use(app, RETRAINING, rollout=ROLLOUT)
        run = app.retraining.advance("late", NOW, launch=here).run
        assert run is not None
        assert run.state is RunState.ROLLING_OUT, run.reason
        for step in (1, 2):
            answered(app, run.name, step)
            at = NOW + timedelta(minutes=13 * step)
            clock.set(at)
            app.rollouts.advance(run.follows)
        app.rollouts.settle(run.follows)
        clock.set(NOW)
        later = NOW + timedelta(hours=1)
        assert app.retraining.advance("late", later, launch=here).changed
        yield app


def answered(app: App, rollout: str, step: int) -> None:
    """Record answers of both sides in a step."""
    for number in range(60):
        at = NOW + timedelta(minutes=13 * (step - 1), seconds=12 * number)
        side = "production" if number % 2 and step == 1 else "canary"
        app.recorder.record(
            [
                Prediction(
                    prediction_id=f"{step}-{number}", model="late", model_version="1.0.1",
                    variant=side, experiment=f"rollout:{rollout}/{step}", timestamp=at,
                    arrived_at=at, features={"x0": 0.0, "x1": 0.0}, prediction=1,
                    unit_id=f"{step}-{number}", latency_ms=3.0,
                )
            ]
        )  # fmt: skip


def by_kind(app: App) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for each in app.history.records("late"):
        found.setdefault(each.kind, []).append(each)
    return found


def test_given_an_outcome_that_was_corrected_when_compacted_then_it_says_what_differs(
    app: App,
) -> None:
    later = NOW + timedelta(days=3)
    corrected = [
        Outcome(
            prediction_id=f"0301-{number}", model="late", timestamp=later, arrived_at=later,
            actual=int(1 - LATE[number]),
        )
        for number in range(100)
    ]  # fmt: skip
    app.recorder.record(corrected)
    found = by_kind(app)

    assert app.replays.replay(found["quality"][0].id).confirmed
    assert app.replays.replay(found["gate"][0].id).confirmed
    app.recorder.journal.seal()
    app.landing.land()
    app.events.compact("late")
    again = app.replays.replay(found["quality"][0].id)

    assert not again.confirmed
    assert "labelled was 800 and is 700" in again.differences
    gate = app.replays.replay(found["gate"][0].id)
    assert not gate.confirmed
    assert any(each.startswith("rows was '160' and is") for each in gate.differences)


def test_given_facts_that_were_tampered_with_when_made_again_then_it_is_not_confirmed(
    app: App,
) -> None:
    run = app.retraining.find("late")[0]
    forged = replace(run, facts=replace(run.facts, new_labelled=0), number=run.number + 1)
    app.retraining.repository.save(
        run, forged, action="forge", at=NOW, by=By("mallory"), evidence={}
    )

    again = app.replays.replay(f"decision:{run.name}")

    assert not again.confirmed
    assert any(each.startswith("train was True and is False") for each in again.differences)


def test_given_the_command_when_called_then_history_and_replay_are_printed(
    app: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from watchkeeper.cli import main

    def run(*given: str) -> tuple[int, str]:
        code = main([*given, "--data-dir", str(tmp_path)])
        return code, capsys.readouterr().out

    code, out = run("history", "late")
    assert code == 0
    assert "decision:late-" in out
    assert "finding:1" in out
    gate = by_kind(app)["gate"][0].id
    code, out = run("history", "--replay", gate)
    assert (code, out.strip()) == (0, f"{gate}: confirmed, the same")
    code, out = run("retrain", "runs")
    assert code == 0
    assert "promoted" in out
    name = app.retraining.find("late")[0].name
    code, out = run("retrain", "show", name)
    assert code == 0
    assert "gain of accuracy" in out
    assert "training on 640 rows" in run("retrain", "log", name)[1]
    assert run("retrain", "abort", name)[0] == 2
    until = "2026-03-21T02:00:00Z"
    code, out = run("retrain", "late", "--check", "--until", until, "--json")
    assert (code, '"train":false' in out) == (0, True)
    code, out = run("retrain", "late", "--until", until, "--reason", "to see")
    assert code == 1, out
    assert "late:1.0.2 stays registered" in out
