"""The checklist of a model on a server, each point by real evidence, and what it refuses."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.test_health import fill
from tests.api.test_incidents import post_alert
from tests.servers import fill_registry

from watchkeeper.app import App
from watchkeeper.cli import main
from watchkeeper.config import Settings
from watchkeeper.identity import By
from watchkeeper.readiness.evidence import LOAD_TEST, REHEARSAL


class _Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def grafana() -> Iterator[str]:
    """Something that answers as Grafana does when it is asked for its health."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def states(client: TestClient, model: str = "lr") -> dict[str, str]:
    found = client.get(f"/v1/checklist/{model}").json()
    return {each["item"]["key"]: each["state"] for each in found["points"]}


def test_given_evidence_when_it_comes_then_points_pass_one_by_one(
    start: Callable[..., TestClient], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = start(server={"clock": "events"})
    where = ["--data-dir", str(tmp_path)]
    before = states(client)
    assert set(before.values()) == {"unknown", "fail", "pass"}
    assert (before["procedures"], before["on-call"], before["latency"]) == (
        "pass", "fail", "unknown",
    )  # fmt: skip

    fill(client, 120)
    post_alert(client)
    at = client.get("/v1/models/lr/health").json()["end"]
    assert main(["quality", "--model", "lr", *where]) == 0
    assert main(["models", "rollback", "lr", "--dry-run", *where]) == 2  # it is the first version
    with App(Settings(data_dir=tmp_path)) as app:
        for action, subject in (
            (REHEARSAL, "rollback"),
            (LOAD_TEST, "loadtest"),
        ):
            app.audit.note(
                at=datetime.fromisoformat(at), by=By("maria"), action=action,
                subject=f"lr:{subject}", evidence={"passed": True, "version": "1"},
            )  # fmt: skip
    after = states(client)
    for key in ("accuracy-kept", "latency", "error-rate", "availability", "outcomes", "rollback",
                "load-test", "prediction-log", "post-mortems"):  # fmt: skip
        assert after[key] == "pass", key
    assert after["ab-test"] == "unknown"

    assert main(["checklist", "lr", *where]) == 1
    assert "lr is not ready" in capsys.readouterr().out
    waived = ["--waive", "ab-test", "--until", "2100-01-01T00:00:00Z"]
    assert main(["checklist", "lr", *waived, *where]) == 2
    assert "reason" in capsys.readouterr().err
    assert main(["checklist", "lr", *waived, "--reason", "the first version", *where]) == 0
    assert states(client)["ab-test"] == "waived"
    body = {"item": "logs", "until": "2000-01-01T00:00:00Z", "reason": "over long ago"}
    assert client.post("/v1/checklist/lr/waive", json=body).status_code == 200
    assert states(client)["logs"] == "unknown"
    assert client.post("/v1/checklist/lr/waive", json={**body, "item": "no"}).status_code == 404
    assert client.get("/v1/checklist/nobody").status_code == 404


def test_given_surroundings_when_checked_then_logs_and_grafana_are_really_read(
    tmp_path: Path, grafana: str
) -> None:
    fill_registry(tmp_path)
    log = tmp_path / "server.log"
    line = {"timestamp": "2026-07-01T00:00:00Z", "level": "INFO", "message": "up"}

    def found(**settings: Any) -> dict[str, str]:
        with App(Settings.model_validate({"data_dir": tmp_path, **settings})) as app:
            checklist = app.checklists.of("lr")
            return {point.item.key: point.state.value for point in checklist.points}

    assert found(log_file=log)["logs"] == "fail"  # it is not there
    log.write_text("")
    assert found(log_file=log)["logs"] == "unknown"
    log.write_text(json.dumps(line) + "\n")
    assert found(log_file=log, telemetry={"grafana": grafana}) | {
        "logs": "pass", "grafana": "pass",
    } == found(log_file=log, telemetry={"grafana": grafana})  # fmt: skip
    log.write_text("not JSON\n" + (json.dumps(line) + "\n") * 5_000)  # only its end is read
    assert found(log_file=log)["logs"] == "pass"
    for wrong in ("up\n", "[]\n", '{"level": "INFO"}\n'):
        log.write_text(json.dumps(line) + "\n" + wrong)
        assert found(log_file=log)["logs"] == "fail"
    assert found(telemetry={"grafana": "http://127.0.0.1:1"})["grafana"] == "fail"


def test_given_a_model_that_has_to_be_ready_when_brought_in_then_it_is_refused_until_it_is(
    start: Callable[..., TestClient], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = start(models={"lr": {"promotion_requires_checklist": True}})
    body = {"name": "june", "model": "lr", "version": "1"}
    refused = client.post("/v1/rollouts", json=body)
    assert refused.status_code == 409
    assert "lr is not ready" in refused.json()["error"]["message"]
    config = tmp_path / "watchkeeper.toml"
    config.write_text("[models.lr]\npromotion_requires_checklist = true\n")
    where = ["--data-dir", str(tmp_path), "--config", str(config)]
    assert main(["models", "promote", "lr:1", *where]) == 2
    assert "is not ready: accuracy" in capsys.readouterr().err

    until = datetime.now(UTC) + timedelta(days=1)
    with App(Settings(data_dir=tmp_path)) as app:
        for point in app.checklists.of("lr").points:
            by = By("maria", "a rehearsal")
            app.checklists.waive("lr", point.item.key, until=until, by=by)
    assert main(["models", "promote", "lr:1", *where]) == 0


def test_given_a_load_when_a_version_bears_it_then_it_passes_and_the_trail_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_registry(tmp_path)
    where = ["--data-dir", str(tmp_path)]
    quick = ["--rate", "40", "--seconds", "1"]
    assert main(["loadtest", "flights", *quick, "--p95-ms", "5000", *where]) == 0
    assert "passed" in capsys.readouterr().out
    assert main(["loadtest", "lr", *quick, "--p95-ms", "0.001", *where]) == 1
    assert "NOT passed" in capsys.readouterr().out
    assert main(["loadtest", "nobody", *where]) == 2
    with App(Settings(data_dir=tmp_path)) as app:
        assert app.events.models() == []  # nothing of it is recorded
        (bad, good) = app.audit.entries(action=LOAD_TEST)
        assert (good.evidence["passed"], bad.evidence["passed"]) == (True, False)
        assert (good.evidence["answered"], good.evidence["failed"]) == (40, 0)
