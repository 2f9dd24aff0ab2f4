"""Health of what a server recorded, over HTTP and by the command line."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.servers import tensor

from watchkeeper.cli import main

START = datetime(2026, 3, 1, tzinfo=UTC)


def fill(client: TestClient, count: int, *, wrong: int = 0, begin: int = 0) -> None:
    outcomes = []
    for number in range(begin, begin + count):
        at = (START + timedelta(seconds=number)).isoformat()
        body = {"inputs": [tensor([3.0, 0.0, 1.0, 0.0])], "parameters": {"timestamp": at}}
        answer = client.post("/v2/models/lr/infer", json=body).json()
        said = answer["outputs"][0]["data"][0]
        actual = 1 - said if number - begin < wrong else said
        told = {"prediction_id": answer["parameters"]["prediction_id"], "actual": actual}
        outcomes.append({**told, "timestamp": at})
    assert client.post("/v1/models/lr/outcomes", json=outcomes).status_code == 200


@pytest.fixture
def client(start: Callable[..., TestClient]) -> TestClient:
    return start(server={"clock": "events"})


def test_given_recorded_predictions_when_asked_for_health_then_it_is_computed_from_them(
    client: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(client, 120, wrong=60)

    found = client.get("/v1/models/lr/health").json()
    components: Any = found["status"]["components"]
    assert found["status"]["is_healthy"] is False
    assert components["model_performance"]["condition"] == "unhealthy"
    assert components["model_performance"]["figures"] == {"accuracy": 0.5}
    assert components["model_performance"]["since"].startswith("2026-03-01T00:00")
    assert components["error_rate"]["condition"] == "healthy"
    assert components["data_drift"]["condition"] == "unknown"
    assert components["prediction_log"]["figures"]["recorded"] == 120
    assert [each["slo"]["name"] for each in found["budgets"]] == ["errors", "latency"]
    assert found["budgets"][0]["left"] == 1.0
    every = client.get("/v1/health").json()
    assert (every["is_healthy"], list(every["models"])) == (False, ["flights", "lr"])

    at = (START + timedelta(seconds=119)).isoformat()
    where = ["--data-dir", str(tmp_path)]
    page = tmp_path / "health.html"
    assert main(["health", "--model", "lr", "--at", at, "--html", str(page), *where]) == 1
    shown = capsys.readouterr().out
    assert "unhealthy  model_performance: accuracy 50.00% of 120 labelled" in shown
    assert "99.00% of 120 in 30 days" in shown
    assert "<strong>Unhealthy</strong>" in page.read_text()
    assert main(["health", "--json", "--at", at, *where]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["models"]["lr"]["status"]["metrics"]["accuracy"] == 0.5

    later = (START + timedelta(days=2)).isoformat()
    assert main(["health", "--model", "lr", "--at", later, *where]) == 1
    assert "no prediction is recorded" in capsys.readouterr().out


def test_given_a_firing_alert_when_asked_for_health_then_it_is_named(client: TestClient) -> None:
    fill(client, 3)
    for model in ("lr", "other"):
        alert = {
            "status": "firing", "fingerprint": model, "startsAt": "2026-03-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
            "labels": {"alertname": "HighErrorRate", "model": model},
            "annotations": {"summary": f"{model} fails"},
        }  # fmt: skip
        body = {"version": "4", "receiver": "page", "alerts": [alert]}
        assert client.post("/v1/alerts/alertmanager", json=body).status_code == 200
    told = client.get("/v1/models/lr/health").json()["status"]["alerts"]
    assert told[-1] == "HighErrorRate: lr fails, since 2026-03-01 00:00"
    assert not any("other" in each for each in told)


def test_given_bad_input_when_asked_for_health_then_the_error_says_what(
    client: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.get("/v1/models/nobody/health").status_code == 404
    assert client.get("/v1/models/lr/health", params={"at": "soon"}).status_code == 400
    where = ["--data-dir", str(tmp_path)]
    assert main(["health", "--html", "x.html", *where]) == 2
    assert "--model NAME" in capsys.readouterr().err
    assert main(["health", "--data-dir", str(tmp_path / "empty")]) == 2
    assert "there is no model" in capsys.readouterr().err
