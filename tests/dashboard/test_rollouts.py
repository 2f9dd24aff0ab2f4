"""Pages of rollouts and shadows: what they tell, and what their buttons do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sklearn.dummy import DummyClassifier
from starlette.testclient import TestClient
from tests.dashboard.reader import HOSTILE, evidence, said, send

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.events import Prediction
from watchkeeper.identity import By
from watchkeeper.monitoring.report_cache import Reports
from watchkeeper.rollouts import Plan
from watchkeeper.server import create_asgi
from watchkeeper.testing import FixedClock

START = datetime(2026, 3, 1, tzinfo=UTC)
PLAN = Plan(steps=(50.0, 100.0), window=600.0, min_samples=20)


def add_model(app: App, model: str) -> None:
    for version in ("1", "2"):
        made = DummyClassifier(strategy="constant", constant=1).fit([[0.0]], [1])
        model_id = app.registry.register_model(made, model, version, {})
        if version == "1":
            app.registry.promote_to_production(model_id)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    # Nobody looks by himself: what the loop does is done here, when it is due.
    settings = Settings.model_validate(
        {"data_dir": tmp_path_factory.mktemp("pages"), "server": {"rollout_interval": 100_000}}
    )
    with App(settings, clock=FixedClock(START)) as app:
        vars(app)["reports"] = Reports(patience=60.0)
        yield app


@pytest.fixture(scope="module")
def client(app: App) -> Iterator[TestClient]:
    with TestClient(create_asgi(app), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def clock(app: App) -> Any:
    clock: Any = app.clock
    clock.set(START)
    return clock


def begin(app: App, name: str, model: str, plan: Plan = PLAN) -> None:
    by = By("joe", f"better in June {HOSTILE}")
    app.rollouts.start(name, model=model, version="2", plan=plan, by=by)


def answered(app: App, name: str, model: str, *, failing: int = 0, step: int = 1) -> None:
    """Record 60 answers of both sides in 12 minutes, some of the canary's failed."""
    events = []
    for number in range(60):
        at = START + timedelta(seconds=12 * number)
        side = "production" if number % 2 else "canary"
        failed = side == "canary" and number < 2 * failing
        events.append(
            Prediction(
                prediction_id=f"{name}-{number}", model=model, model_version="2", variant=side,
                experiment=f"rollout:{name}/{step}", timestamp=at, arrived_at=at, features={},
                prediction=1, status="error" if failed else "success", unit_id=f"{number}",
                latency_ms=3.0,
            )
        )  # fmt: skip
    app.recorder.record(events)


def look(app: App, name: str, at: datetime) -> None:
    clock: Any = app.clock
    before = clock()
    clock.set(at)
    app.rollouts.advance(name)
    clock.set(before)


def test_given_nothing_when_looked_at_then_the_page_says_how_to_begin(tmp_path: Path) -> None:
    with App(Settings(data_dir=tmp_path)) as app:
        told = said(TestClient(create_asgi(app)), "/rollouts")

    assert "No rollout and no shadow yet." in told
    assert "watchkeeper rollouts start NAME" in told


def test_given_a_rollout_within_its_limits_when_read_then_it_says_what_comes_next_and_when(
    app: App, client: TestClient, clock: Any
) -> None:
    add_model(app, "calm")
    begin(app, "calm-1", "calm")
    answered(app, "calm-1", "calm")
    clock.advance(timedelta(minutes=5))

    told = said(client, "/rollouts/calm-1")

    assert "calm:2 gets 50 % of the traffic, calm:1 the rest" in told
    assert "Next: it gets 100 % of the traffic, if it is within its limits then" in told
    assert "2026-03-01 00:10 UTC at the earliest" in told
    assert "At the earliest, its last step ends 2026-03-01 00:20 UTC" in told
    assert "0.00 % (0 of 30)" in told
    assert told.index("Pause…") < told.index("Abort…")
    assert HOSTILE in told  # as text
    assert HOSTILE not in client.get("/rollouts/calm-1").text
    assert "All traffic goes back to calm:1 within a second" in told

    clock.advance(timedelta(minutes=6))
    assert send(client, "/rollouts/calm-1", do="pause", reason="lunch").status_code == 303
    paused = said(client, "/rollouts/calm-1")
    assert "it is paused until it is resumed" in paused
    assert "Lunch." in paused
    last = app.rollouts.history("calm-1")[-1]
    assert (last["action"], last["actor"], last["reason"]) == ("rollout pause", "maria", "lunch")
    assert "Pause…" not in paused
    assert "Resume…" in paused

    listed = said(client, "/rollouts?model=calm")
    assert "1 → 2" in listed
    assert "lunch" in listed

    assert evidence(client, "/rollouts") == ["/v1/rollouts", "/v1/shadows"]
    assert evidence(client, "/rollouts/calm-1") == [
        "/v1/rollouts/calm-1", "/v1/rollouts/calm-1/history",
    ]  # fmt: skip

    clock.advance(timedelta(days=2))
    assert "The controller has not reconciled it since" in said(client, "/rollouts/calm-1")


def test_given_a_canary_over_a_limit_when_read_then_abort_comes_first_and_the_end_is_explained(
    app: App, client: TestClient, clock: Any
) -> None:
    add_model(app, "ill")
    begin(app, "ill-1", "ill")
    answered(app, "ill-1", "ill", failing=3)
    clock.advance(timedelta(minutes=11))
    look(app, "ill-1", clock())

    told = said(client, "/rollouts/ill-1")

    assert "holding" in told
    assert "On hold: there is no evidence either way about a limit." in told
    assert "10.00 % (3 of 30)" in told
    assert "at most 5 %, at most 1 % points more than production" in told
    assert told.index("Abort…") < told.index("Promote…")

    assert send(client, "/rollouts/ill-1", do="abort", reason="too many").status_code == 303
    ended = said(client, "/rollouts/ill-1")
    assert "rolled back ill:1 gets all traffic again; ill:2 was rolled back" in ended
    assert "Too many." in ended
    assert "10.00 % (3 of 30)" in ended  # what it was decided by is kept
    assert "Abort…" not in ended
    assert "watchkeeper rollouts start NAME --model ill --version 2" in ended
    csv = client.get("/rollouts/ill-1?csv=steps").text
    assert "50 %" in csv
    assert "failed" in csv

    begin(app, "ill-2", "ill")
    assert "It was retried by ill-2" in said(client, "/rollouts/ill-1")
    assert "It retries ill-1 , which was rolled back" in said(client, "/rollouts/ill-2")


def test_given_a_promoted_version_when_read_then_it_is_watched_and_can_be_taken_back(
    app: App, client: TestClient, clock: Any
) -> None:
    add_model(app, "done")
    begin(app, "done-1", "done")
    answered(app, "done-1", "done")
    assert send(client, "/rollouts/done-1", do="promote", reason="sure").status_code == 303

    told = said(client, "/rollouts/done-1")
    assert "completed done:2 gets all traffic." in told
    assert "evidence that a limit is broken rolls it back, until 2026-03-02 00:00 UTC" in told
    assert "All traffic goes back to done:1 within a second and is in production again" in told

    clock.advance(timedelta(days=2))
    assert "nothing: it is in production, and its bake time is over" in said(
        client, "/rollouts/done-1"
    )
    assert "Abort…" not in said(client, "/rollouts/done-1")


def test_given_a_planned_rollout_when_read_then_it_says_when_it_begins(
    app: App, client: TestClient, clock: Any
) -> None:
    add_model(app, "later")
    at = clock() + timedelta(hours=3)
    app.rollouts.start("later-1", model="later", version="2", plan=PLAN, begins_at=at, by=By("joe"))

    told = said(client, "/rollouts/later-1")

    assert "it begins with 50 % of the traffic, 2026-03-01 03:00 UTC at the earliest" in told
    assert "It will not start, and the traffic stays as it is" in told


def test_given_a_shadow_when_read_and_stopped_by_its_page_then_its_comparison_is_kept(
    app: App, client: TestClient, clock: Any
) -> None:
    add_model(app, "copied")
    app.shadows.start("copied-1", model="copied", version="2", share=20.0, by=By("joe", "to see"))
    assert "No request was mirrored yet" in said(client, "/shadows/copied-1")
    events = []
    for number in range(40):
        at = START + timedelta(seconds=number)
        for model, version, score in (("copied", "1", 0.6), ("copied.shadow", "2", 0.7)):
            answer = 1 if version == "1" or number % 4 else 0
            events.append(
                Prediction(
                    prediction_id=f"c{number}", model=model, model_version=version, timestamp=at,
                    arrived_at=at, features={}, prediction=answer, score=score, latency_ms=4.0,
                )
            )  # fmt: skip
    app.recorder.record(events)
    clock.advance(timedelta(minutes=1))
    vars(app)["reports"].close()
    vars(app)["reports"] = Reports(patience=60.0)  # the one before is new enough for seconds

    told = said(client, "/shadows/copied-1")
    assert "copied:2 gets mirrored traffic: 20 % of the requests" in told
    assert "75.00 %" in told
    assert "; copied:1 answers them" in told

    assert send(client, "/shadows/copied-1", do="stop", reason="seen enough").status_code == 303
    ended = said(client, "/shadows/copied-1")
    assert "75.00 %" in ended
    assert "seen enough" in ended
    assert "Stop…" not in ended
    assert evidence(client, "/shadows/copied-1") == [
        "/v1/shadows/copied-1", "/v1/shadows/copied-1/history",
    ]  # fmt: skip
    assert "copied-1" in said(client, "/rollouts?state=stopped")
