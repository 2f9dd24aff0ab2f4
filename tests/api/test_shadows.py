"""Shadows on a server: asked, recorded apart, compared, never heard."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sklearn.dummy import DummyClassifier
from starlette.testclient import TestClient
from tests.server.odd_models import RELEASE, Hangs, Raises
from tests.servers import LABELS, ROWS, tensor

from watchkeeper.cli import main
from watchkeeper.registry import ModelRegistry

START = datetime(2026, 3, 1, tzinfo=UTC)
SHADOW = {"name": "june", "model": "lr", "version": "2"}


class Served:
    """A server, and who asks it."""

    def __init__(self, client: TestClient, data_dir: Path) -> None:
        self.client, self.data_dir, self.asked = client, data_dir, 0
        self.server: Any = client.app.application  # type: ignore[attr-defined]

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.client.post(path, json=body or {})
        assert answer.status_code == status, answer.text
        return answer.json()

    def shadow(self, status: int = 201, **changes: Any) -> Any:
        """Begin a shadow and wait until it can be asked."""
        told = self.post("/v1/shadows", {**SHADOW, **changes}, status)
        assert self.runtime.begun.wait(60)
        return told

    @property
    def runtime(self) -> Any:
        """What the shadow computes in."""
        return self.server.gateway.router._table.shadows["lr"][1].runtime

    def ask(self, row: list[float]) -> Any:
        self.asked += 1
        at = START + timedelta(seconds=self.asked)
        body = {
            "id": f"r{self.asked}",
            "inputs": [tensor(row)],
            "parameters": {"timestamp": at.isoformat()},
        }
        return self.post("/v2/models/lr/infer", body)

    def settle(self) -> None:
        """Wait until the shadow has answered what it was asked."""

        async def done() -> None:
            async with asyncio.timeout(60):
                while self.server.gateway._copies:
                    await asyncio.wait(self.server.gateway._copies)
                    await asyncio.sleep(0)  # what is done is let go a turn later

        self.client.portal.call(done)  # type: ignore[union-attr]

    def rows(self, model: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.app.events.read(model).rows.to_pylist()
        return found


@pytest.fixture(autouse=True)
def released() -> Iterator[None]:
    """Let what hangs go on when a test is over."""
    RELEASE.clear()
    yield
    RELEASE.set()


@pytest.fixture
def served(tmp_path: Path, start: Callable[..., TestClient]) -> Served:
    client = start(server={"clock": "events"})
    with ModelRegistry(tmp_path / "registry") as registry:
        ones = DummyClassifier(strategy="constant", constant=1).fit(ROWS, LABELS)
        registry.register_model(ones, "lr", "2", {}, training_data=ROWS)
        registry.register_model(Raises(), "lr", "3", {}, allow_unsafe=True)
        registry.register_model(Hangs(), "lr", "4", {}, allow_unsafe=True)
    served = Served(client, tmp_path)
    served.ask([0.0, 1.0, 0.0, 2.0])
    return served


def test_given_a_shadow_when_asked_then_pairs_are_recorded_apart_and_compared(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served.shadow()
    outcomes = []
    for number in range(20):
        told = served.ask([3.0, 0.0, 1.0, 0.0] if number % 4 else [0.0, 1.0, 0.0, 2.0])
        assert told["model_version"] == "1"
        outcomes.append({"prediction_id": told["parameters"]["prediction_id"], "actual": 1})
    served.post("/v1/models/lr/outcomes", outcomes)
    served.settle()

    own, theirs = served.rows("lr.shadow"), served.rows("lr")
    assert (len(own), len(theirs)) == (20, 21)
    assert {row["variant"] for row in own} == {"shadow"}
    assert {row["prediction_id"] for row in own} < {row["prediction_id"] for row in theirs}
    found = served.client.get("/v1/shadows/june").json()
    assert (found["pairs"], found["failed"], found["agreement"]) == (20, 0, 0.75)
    assert found["agreement_low"] < 0.75 < found["agreement_high"]
    assert (found["labelled"], found["quality"], found["shadow_quality"]) == (20, 0.75, 1.0)
    assert found["p_value"] == pytest.approx(2 * 0.5**5)  # five against none
    assert found["score_shift"] > 0.1
    assert found["latency_p50"] > 0

    where = ["--data-dir", str(served.data_dir)]
    assert main(["shadows", "report", "june", *where]) == 0
    assert "75.00%" in capsys.readouterr().out
    assert main(["shadows", "stop", "june", "--reason", "enough", *where]) == 0
    assert main(["shadows", "list", *where]) == 0
    assert "stopped" in capsys.readouterr().out
    served.client.portal.call(served.server.controller.follow)  # type: ignore[union-attr]
    served.ask([3.0, 0.0, 1.0, 0.0])
    served.settle()
    assert len(served.rows("lr.shadow")) == 20
    assert main(["shadows", "start", "june", "--model", "lr", "--version", "2", *where]) == 2
    assert main(["shadows", "start", "july", "--model", "lr", "--version", "2", *where]) == 0


@pytest.mark.parametrize("version", ["3", "4"])
def test_given_a_shadow_that_fails_or_hangs_when_asked_then_callers_do_not_notice(
    served: Served, version: str
) -> None:
    served.shadow(version=version)
    for _ in range(2):
        assert served.ask([3.0, 0.0, 1.0, 0.0])["model_version"] == "1"
    if version == "4":
        served.runtime._process.kill()  # as when it took too long, and that is half a minute
    served.settle()

    found = served.client.get("/v1/shadows/june").json()
    assert (found["pairs"], found["failed"]) == (0, 2)
    assert found["agreement"] is None


def test_given_a_shadow_that_does_not_keep_up_when_asked_then_it_is_shed_and_bounded(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchkeeper.serving.gateway._MOST_COPIES", 3)
    served.shadow(version="4")
    for _ in range(10):
        served.ask([3.0, 0.0, 1.0, 0.0])
        assert len(served.server.gateway._copies) <= 3
    shed = "watchkeeper_shadow_requests_shed_total"
    (line,) = (
        each for each in served.client.get("/metrics").text.splitlines() if each.startswith(shed)
    )
    assert float(line.split()[-1]) >= 1
    served.runtime._process.kill()  # or it hangs for half a minute
    served.settle()


def test_given_a_shadow_whose_process_is_killed_when_asked_then_another_one_is_begun(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.shadow()
    runtime = served.runtime
    first = runtime._process
    first.kill()
    first.wait()
    assert served.ask([3.0, 0.0, 1.0, 0.0])["model_version"] == "1"
    served.settle()

    monkeypatch.setattr("watchkeeper.registry.isolated._BACK_AFTER", 0.0)
    served.ask([3.0, 0.0, 1.0, 0.0])  # nobody is asked, and another process is begun
    assert runtime._process.pid != first.pid
    assert runtime.begun.wait(60)
    told = served.server.app.events
    before = len(served.rows("lr.shadow")) if "lr.shadow" in told.models() else 0
    served.ask([3.0, 0.0, 1.0, 0.0])
    served.settle()
    assert len(served.rows("lr.shadow")) == before + 1


def test_given_a_shadow_that_hangs_when_it_took_too_long_then_its_process_is_killed(
    served: Served,
) -> None:
    served.shadow(version="4")
    runtime = served.runtime
    runtime._timeout = 0.3  # of the shadow alone: production may take longer on a busy machine
    served.ask([3.0, 0.0, 1.0, 0.0])
    assert runtime._process.wait(60) == -signal.SIGKILL


def test_given_a_share_when_asked_then_only_so_many_requests_are_copied(served: Served) -> None:
    served.shadow(share=30)
    for _ in range(60):
        served.ask([3.0, 0.0, 1.0, 0.0])
    served.settle()
    assert 8 <= len(served.rows("lr.shadow")) <= 30


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"version": "9"}, 404, "lr:9"),
        ({"model": "nobody"}, 404, "nobody"),
        ({"share": 0}, 400, "share"),
        ({"name": "a/b"}, 400, "a/b"),
    ],
)
def test_given_bad_input_when_a_shadow_is_started_then_it_is_refused(
    served: Served, body: dict[str, Any], status: int, said: str
) -> None:
    assert said in str(served.post("/v1/shadows", {**SHADOW, **body}, status))
    assert served.client.get("/v1/shadows").json() == {"shadows": []}


def test_given_a_second_shadow_when_started_then_it_is_refused_while_the_first_runs(
    served: Served,
) -> None:
    served.shadow()
    refused = served.post("/v1/shadows", {**SHADOW, "name": "july"}, 409)
    assert "the shadow june of lr runs" in refused["error"]["message"]
    stopped = served.post("/v1/shadows/june/stop", {"reason": "enough"})
    assert stopped["pairs"] == 0
    served.post("/v1/shadows/june/stop", {"reason": "again"}, 409)
