"""Time lines of what a server recorded, over HTTP and by the command line."""

import asyncio
import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from tests.api.test_health import START, fill

from watchkeeper.app import App
from watchkeeper.cli import main
from watchkeeper.config import Settings
from watchkeeper.jobs.timelines import Refreshing
from watchkeeper.telemetry import SystemMetrics
from watchkeeper.testing import a_prediction

WINDOW = {"start": (START - timedelta(hours=1)).isoformat(),
          "end": (START + timedelta(hours=2)).isoformat()}  # fmt: skip


@pytest.fixture
def client(start: Callable[..., TestClient]) -> TestClient:
    return start(server={"clock": "events"})


def test_given_recorded_predictions_when_asked_then_their_time_line_is_told(
    client: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(client, 40, wrong=10)

    found = client.get("/v1/models/lr/timeline", params=WINDOW).json()

    line = found["timeline"]
    assert (line["bucket"], line["predictions"]) == ("hour", [0, 40, 0])
    assert line["starts"][1].startswith("2026-03-01T00:00:00")
    assert line["accuracy"]["value"] == [None, 0.75, None]
    assert line["accuracy"]["low"][1] < 0.75 < line["accuracy"]["high"][1]
    assert line["mae"] is None
    assert set(found["as_of"]) == {"at", "table_versions"}
    none = client.get("/v1/models/lr/timeline", params={**WINDOW, "version": "9"}).json()
    assert none["timeline"]["predictions"] == [0, 0, 0]
    assert client.get("/v1/models/nobody/timeline").status_code == 404
    assert client.get("/v1/models/lr/timeline?points=0").status_code == 400

    table = tmp_path / "line.csv"
    where = ["--data-dir", str(tmp_path)]
    ends = ["--start", WINDOW["start"], "--end", WINDOW["end"]]
    assert main(["timeline", "lr", *ends, "--csv", str(table), *where]) == 0
    shown = capsys.readouterr().out
    assert "2026-03-01" in shown
    assert "0.75 (0.5981 to 0.8581)" in shown
    with table.open() as source:
        rows = list(csv.DictReader(source))
    assert [row["predictions"] for row in rows] == ["0", "40", "0"]
    assert [row["accuracy"] for row in rows] == ["", "0.75", ""]
    assert main(["timeline", "lr", "--json", *ends, *where]) == 0
    assert json.loads(capsys.readouterr().out)["timeline"]["predictions"] == [0, 40, 0]
    assert main(["timeline", "nobody", *where]) == 2
    assert "nobody" in capsys.readouterr().err


def test_given_a_server_when_it_looks_then_all_models_are_refreshed_whatever_one_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with App(Settings(data_dir=tmp_path)) as app:
        system = SystemMetrics(CollectorRegistry(), version="1")
        refreshing = Refreshing(app, system)
        for model in ("bad", "good"):
            app.recorder.record([a_prediction(model=model, timestamp=now)])
        app.recorder.journal.seal()
        app.landing.land()
        (tmp_path / "events" / "bad" / "predictions" / "_last_version").write_text("7")

        asyncio.run(refreshing.look())

        assert app.timelines.known("bad") is None
        assert app.timelines.known("good") is not None
        assert "the time lines of bad could not be refreshed" in caplog.text
        assert system.failures.labels("timelines")._value.get() == 1
        assert refreshing.rest >= 60.0
