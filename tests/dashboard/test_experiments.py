"""Pages of experiments: what they tell, and what their buttons do."""

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
from watchkeeper.events import Outcome, Prediction
from watchkeeper.experiments.drafting import draft
from watchkeeper.identity import By
from watchkeeper.monitoring.report_cache import Reports
from watchkeeper.server import create_asgi
from watchkeeper.testing import FixedClock

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with App(Settings(data_dir=tmp_path_factory.mktemp("pages")), clock=FixedClock(START)) as app:
        vars(app)["reports"] = Reports(patience=60.0)
        for version in ("1", "2"):
            model = DummyClassifier(strategy="constant", constant=1).fit([[0.0]], [1])
            model_id = app.registry.register_model(model, "late", version, {})
            if version == "1":
                app.registry.promote_to_production(model_id)
        yield app


@pytest.fixture(scope="module")
def client(app: App) -> Iterator[TestClient]:
    with TestClient(create_asgi(app), raise_server_exceptions=False) as client:
        yield client


def test_given_nothing_when_looked_at_then_the_page_says_how_to_begin(tmp_path: Path) -> None:
    with App(Settings(data_dir=tmp_path)) as app:
        told = said(TestClient(create_asgi(app)), "/experiments")

    assert "No experiment yet." in told
    assert "watchkeeper experiments create NAME --model MODEL" in told


def create(app: App, name: str, **changes: Any) -> None:
    given: dict[str, Any] = {
        "planned_units": 400, "conversion_window": 60.0,
        "hypothesis": f"2 is right more often {HOSTILE}",
        "guardrails": {"error-rate": 0.2}, "secondary": ["latency"], **changes,
    }  # fmt: skip
    experiment = draft(name, "late", {"old": "1", "new": "2"}, **given)
    app.experiments.create(experiment, by=By("joe", f"for a test {HOSTILE}"))


def expose(app: App, name: str, units: int = 400) -> datetime:
    """Record units of both arms; the new one is right more often. Return when all count."""
    events: list[Prediction | Outcome] = []
    for number in range(units):
        at = START + timedelta(minutes=number + 1)
        arm = "new" if number % 2 else "old"
        known = f"{name}-{number}"
        right = number % 20 != 1 if arm == "new" else number % 4 == 0
        events.append(
            Prediction(
                prediction_id=known, model="late", timestamp=at, arrived_at=at, features={},
                model_version="2" if arm == "new" else "1", variant=arm, experiment=f"{name}/1",
                prediction=1, score=0.7, unit_id=known, latency_ms=3.0 + number % 5,
            )
        )  # fmt: skip
        events.append(
            Outcome(
                prediction_id=known, model="late", timestamp=at, arrived_at=at,
                actual=1 if right else 0,
            )
        )  # fmt: skip
    app.recorder.record(events)
    return START + timedelta(minutes=units + 120)


def test_given_an_experiment_when_started_and_stopped_by_its_page_then_it_tells_the_verdict(
    app: App, client: TestClient
) -> None:
    clock: Any = app.clock
    create(app, "better")
    told = said(client, "/experiments/better")
    assert "It has no traffic yet" in told
    assert "It takes 100 % of the units of late: old 50 %, new 50 %" in told
    assert HOSTILE in told  # as text
    assert HOSTILE not in client.get("/experiments/better").text

    answer = send(client, "/experiments/better", do="start", reason="now")
    assert (answer.status_code, answer.headers["location"]) == (303, "/experiments/better")
    assert app.experiments.get("better").state == "running"
    clock.set(expose(app, "better"))

    told = said(client, "/experiments/better")
    assert "ship new interim result; the experiment is running" in told
    assert "New: accuracy 0.9 of 200 units against 0.5 of 200" in told
    assert "+40.00 points" in told
    assert "400 of 400 units" in told
    assert "acceptable" in told
    assert "Best with probability" in told
    assert "late:1 gets all traffic again" in told
    assert "late:2 can be rolled out from its page" in told
    listed = said(client, "/experiments?model=late&state=running")
    assert "new: accuracy 0.9" in listed
    assert "400 of 400" in listed
    assert "No experiment matches the filter" in said(client, "/experiments?state=stopped")

    assert evidence(client, "/experiments?model=late") == ["/v1/experiments?model=late"]
    assert evidence(client, "/experiments/better") == [
        "/v1/experiments/better/history", "/v1/experiments/better/report",
    ]  # fmt: skip

    csv = client.get("/experiments/better?csv=difference-new").text
    assert csv.startswith("from,to,difference (%)")
    assert len(csv.splitlines()) > 3

    assert send(client, "/experiments/better", do="stop", reason="it is shown").status_code == 303
    last = app.experiments.history("better")[-1]
    assert (last["action"], last["actor"], last["reason"]) == (
        "experiment stop", "maria", "it is shown",
    )  # fmt: skip
    ended = said(client, "/experiments/better")
    assert "ship new the experiment has ended" in ended
    assert "it is shown" in ended
    assert "Stop…" not in ended


def test_given_a_stopped_experiment_when_its_events_change_then_the_page_tells_what_was_kept(
    app: App, client: TestClient
) -> None:
    clock: Any = app.clock
    create(app, "kept")
    send(client, "/experiments/kept", do="start")
    send(client, "/experiments/kept", do="stop")
    clock.advance(timedelta(days=1))
    expose(app, "kept")

    told = said(client, "/experiments/kept")

    assert "there are no units of both variants yet" in told, told
    assert "not bounded yet" in told  # infinite bounds are null where they are kept
