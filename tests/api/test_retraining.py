"""Retraining on a server: asked for, looked at, followed by the traffic, read, aborted."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.servers import ROWS, tensor

from watchkeeper.cli import main

START = datetime(2026, 3, 1, tzinfo=UTC)
POLICY = {
    "retraining": {"enabled": True, "on_success": "direct", "triggers": ["outcomes"],
                   "min_new_outcomes": 100, "min_rows": 50, "min_holdout": 40}
}  # fmt: skip


def fill(client: TestClient) -> None:
    """Record predictions of which the opposite comes true."""
    outcomes = []
    for number in range(300):
        at = (START + timedelta(minutes=10 * number)).isoformat()
        row = [*ROWS[number % 2][:3], float(ROWS[number % 2][3] + number % 7 / 10)]
        asked = {"inputs": [tensor(row)], "parameters": {"timestamp": at}}
        answer = client.post("/v2/models/lr/infer", json=asked).json()
        said = answer["outputs"][0]["data"][0]
        told = {"prediction_id": answer["parameters"]["prediction_id"], "timestamp": at}
        outcomes.append({**told, "actual": 1 - said if number % 10 else said})
    assert client.post("/v1/models/lr/outcomes", json=outcomes).status_code == 200


@pytest.fixture
def client(start: Callable[..., TestClient]) -> TestClient:
    server = {"clock": "events", "retraining_interval": 3_600}
    client = start(server=server, models={"lr": POLICY})
    fill(client)
    return client


def test_given_outcomes_when_the_server_looks_then_a_better_version_answers_and_the_record_says_why(
    client: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checked = client.get("/v1/retraining/check", params={"model": "lr"}).json()
    assert checked["decision"]["train"] is True
    assert client.get("/v1/retraining/runs").json() == {"runs": []}

    looked = client.post("/v1/retraining/look", json={"model": "lr"}).json()

    run: Any = looked["run"]
    assert run["state"] == "promoted", run["reason"]
    assert run["gate"]["passed"]
    assert client.get("/v1/models/lr").json()["production"] == f"lr:{run['version']}"
    body = {"inputs": [tensor([3.0, 0.0, 1.0, 0.0])]}
    assert client.post("/v2/models/lr/infer", json=body).json()["model_version"] == run["version"]
    name = run["name"]
    assert client.get(f"/v1/retraining/runs/{name}").json() == run
    assert "rows" in client.get(f"/v1/retraining/runs/{name}/log").text
    steps = client.get(f"/v1/retraining/runs/{name}/history").json()["history"]
    assert [each["action"] for each in steps][-1] == "retraining promoted"
    records = client.get("/v1/models/lr/history").json()["history"]
    assert {"decision", "training", "gate", "outcome", "promote"} <= {
        each["kind"] for each in records
    }
    again = client.get(f"/v1/models/lr/history/decision:{name}").json()
    assert again["confirmed"], again["differences"]
    assert client.get(f"/v1/models/flights/history/decision:{name}").status_code == 404
    metrics = client.get("/metrics").text
    assert 'model_retraining_runs_total{model="lr",outcome="promoted"} 1.0' in metrics

    where = ["--data-dir", str(tmp_path)]
    assert main(["retrain", "runs", *where]) == 0
    assert name in capsys.readouterr().out
    assert main(["retrain", "show", name, *where]) == 0
    assert "Gate" in capsys.readouterr().out
    assert main(["retrain", "log", name, *where]) == 0
    assert "rows" in capsys.readouterr().out
    assert main(["history", "lr", *where]) == 0
    assert f"gate:{name}" in capsys.readouterr().out
    assert main(["history", "--replay", f"decision:{name}", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["confirmed"]


def test_given_a_training_that_fails_when_the_server_looks_then_an_incident_says_so(
    start: Callable[..., TestClient],
) -> None:
    policy = {"retraining": {**POLICY["retraining"], "min_rows": 100_000, "cooldown_hours": 0}}
    client = start(server={"clock": "events", "retraining_interval": 3_600}, models={"lr": policy})
    fill(client)
    run: Any = client.post("/v1/retraining/look", json={"model": "lr"}).json()["run"]
    assert run["state"] == "failed"
    listed = client.get("/v1/incidents").json()["incidents"]  # measuring may have opened others
    (incident,) = (incident for incident in listed if incident["source"] == "retraining")
    assert run["name"] in incident["title"]
    assert client.get("/v1/models/lr").json()["production"] == "lr:1"


def test_given_a_person_when_asking_over_http_then_it_is_decided_and_can_be_aborted(
    client: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server: Any = client.app.application  # type: ignore[attr-defined]
    server.controller.retraining.wanted.set = lambda: None  # nobody begins it meanwhile
    made = client.post("/v1/retraining/runs", json={"model": "lr", "reason": "I want it"})
    assert made.status_code == 202, made.text
    name = made.json()["name"]
    assert made.json()["state"] == "decided"
    twice = client.post("/v1/retraining/runs", json={"model": "lr"})
    assert (twice.status_code, name in twice.json()["error"]["message"]) == (409, True)

    refused = client.post(f"/v1/retraining/runs/{name}/cancel", json={"reason": "no"})
    assert refused.status_code == 404
    assert f"/v1/retraining/runs/{name}/abort" in refused.json()["error"]["hint"]
    gone = client.post(f"/v1/retraining/runs/{name}/abort", json={"reason": "no"}).json()
    assert (gone["state"], gone["reason"]) == ("cancelled", "no")
    assert main(["retrain", "abort", name, "--data-dir", str(tmp_path)]) == 2
    assert "cancelled" in capsys.readouterr().err
    assert client.get("/v1/models/lr").json()["production"] == "lr:1"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/retraining/runs", {"model": "nobody"}, 404),
        ("POST", "/v1/retraining/runs", {"modell": "lr"}, 400),
        ("GET", "/v1/retraining/runs/nothing", None, 404),
        ("GET", "/v1/retraining/runs/nothing/log", None, 404),
        ("GET", "/v1/models/nobody/history", None, 404),
        ("GET", "/v1/models/lr/history?limit=0", None, 400),
        ("GET", "/v1/models/lr/history/finding:7", None, 404),
    ],
)
def test_given_bad_input_when_asked_then_the_error_says_what(
    start: Callable[..., TestClient], method: str, path: str, body: Any, status: int
) -> None:
    answer = start().request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


def test_given_the_command_line_when_there_is_nothing_to_learn_from_then_it_says_so(
    start: Callable[..., TestClient], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start()
    where = ["--data-dir", str(tmp_path)]
    assert main(["retrain", "lr", *where]) == 1
    assert "failed" in capsys.readouterr().out
    assert main(["retrain", "nobody", *where]) == 2
    assert "nobody" in capsys.readouterr().err
    assert main(["retrain", "lr", "--check", *where]) == 0
    assert "would not be trained" in capsys.readouterr().out
    assert main(["history", *where]) == 2
    assert main(["history", "lr", "--limit", "0", *where]) == 2
