import asyncio
import contextlib
import gc
import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from starlette.testclient import TestClient
from tests.parts import until
from tests.servers import ServerProcess, fill_registry, server_process, tensor

from watchkeeper.server import lifecycle
from watchkeeper.store import EventStore

ROW = [3.0, 0.0, 1.0, 0.0]
BODY = json.dumps({"inputs": [tensor(ROW)]})


def call(port: int, method: str, path: str, body: str = "", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text
    finally:
        connection.close()


class Callers:
    """Clients that predict and send the outcome, until the server is gone.

    `enough` is set when they have `until` predictions, or the server is gone.
    """

    def __init__(self, port: int, until: int, count: int = 4) -> None:
        self._until = until
        self.predicted: set[str] = set()
        self.labelled: set[str] = set()
        self.enough = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(port,)) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            while True:
                connection.request("POST", "/v2/models/lr/infer", BODY)
                answer = connection.getresponse()
                told = json.loads(answer.read())
                if answer.status != 200:
                    return
                own = told["parameters"]["prediction_id"]
                self.predicted.add(own)
                outcome = json.dumps([{"prediction_id": own, "actual": 1}])
                connection.request("POST", "/v1/models/lr/outcomes", outcome)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    self.labelled.add(own)
                if len(self.predicted) >= self._until:
                    self.enough.set()
        except (OSError, http.client.HTTPException, ValueError):
            self.enough.set()
        finally:
            connection.close()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.nightly)])
def test_given_load_when_killed_at_random_then_each_acknowledged_event_is_there_exactly_once(
    tmp_path: Path, kills: int
) -> None:
    fill_registry(tmp_path)
    chance = random.Random(11)
    predicted: set[str] = set()
    labelled: set[str] = set()
    for _ in range(kills):  # each begins with what the one before it left half done
        with server_process(
            tmp_path,
            WATCHKEEPER_STORE__LANDING_INTERVAL="0.05",
            WATCHKEEPER_STORE__SEGMENT_MAX_BYTES="20000",
        ) as server:
            callers = Callers(server.port, chance.randint(1, 400), count=8)
            assert callers.enough.wait(60)
            assert server.end(signal.SIGKILL) == -signal.SIGKILL
            callers.join()
        predicted |= callers.predicted
        labelled |= callers.labelled

    events = EventStore(tmp_path)
    rows = events.read("lr").rows
    kept = Counter(rows["prediction_id"].to_pylist())
    with_outcome = {
        own
        for own, actual in zip(
            rows["prediction_id"].to_pylist(), rows["actual"].to_pylist(), strict=True
        )
        if actual is not None
    }
    assert len(predicted) > 20
    assert predicted <= set(kept)
    assert set(kept.values()) == {1}
    assert labelled <= with_outcome
    assert events.counts("lr").predictions == len(kept)


def test_given_load_when_terminated_then_what_is_in_flight_is_answered_and_exit_is_0(
    tmp_path: Path,
) -> None:
    fill_registry(tmp_path)
    with server_process(tmp_path) as server:
        callers = Callers(server.port, 50)
        assert callers.enough.wait(60)
        code = server.end(signal.SIGTERM)
        callers.join()

    assert code == 0
    assert EventStore(tmp_path).counts("lr").predictions >= len(callers.predicted) >= 50
    (sealed,) = (tmp_path / "journal").glob("*/*.jsonl")
    assert b'"event":"seal"' in sealed.read_bytes()


def test_given_a_drain_delay_when_terminated_then_it_answers_and_says_it_is_not_ready(
    tmp_path: Path,
) -> None:
    fill_registry(tmp_path)
    with server_process(tmp_path, WATCHKEEPER_SERVER__DRAIN_DELAY="5") as server:
        server.process.send_signal(signal.SIGTERM)
        until(lambda: call(server.port, "GET", "/v2/health/ready")[0] != 200)
        ready = call(server.port, "GET", "/v2/health/ready")
        inferred = call(server.port, "POST", "/v2/models/lr/infer", BODY)
        server.process.communicate(timeout=30)

    assert ready == (503, {"ready": False, "reasons": ["it is about to end"]})
    assert inferred[0] == 200
    assert server.process.returncode == 0


def test_given_two_servers_on_one_data_directory_when_both_answer_then_every_event_is_there_once(
    tmp_path: Path,
) -> None:
    fill_registry(tmp_path)
    fast = {"WATCHKEEPER_STORE__LANDING_INTERVAL": "0.05"}
    with server_process(tmp_path, **fast) as first, server_process(tmp_path, **fast) as second:
        ids = [
            call(server.port, "POST", "/v2/models/lr/infer", BODY)[1]["parameters"]["prediction_id"]
            for _ in range(30)
            for server in (first, second)
        ]
        seen = EventStore(tmp_path).counts("lr").predictions
        assert (first.end(), second.end()) == (0, 0)

    assert seen == len(set(ids)) == 60
    assert EventStore(tmp_path).counts("lr").predictions == 60


def workers_of(server: ServerProcess) -> set[int]:
    pids = set()
    for process in psutil.Process(server.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is none either
            if "spawn_main" in " ".join(process.cmdline()):
                pids.add(process.pid)
    return pids


@dataclass(frozen=True)
class Bereft:
    """A server of two workers after one of them was killed and another took its place."""

    server: ServerProcess
    log: Path
    before: str  # its metrics while it was whole
    answered: int  # by then


@pytest.fixture(scope="module")
def bereft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bereft]:
    folder = tmp_path_factory.mktemp("workers")
    fill_registry(folder)
    log = folder / "logs" / "server.log"
    with server_process(folder, "--workers", "2", WATCHKEEPER_LOG_FILE=str(log)) as server:
        for _ in range(40):
            assert call(server.port, "POST", "/v2/models/lr/infer", BODY)[0] == 200
        metrics = call(server.port, "GET", "/metrics")[1]
        workers = workers_of(server)
        psutil.Process(min(workers)).kill()
        until(lambda: bool(workers_of(server) - workers))
        yield Bereft(server, log, metrics, 40)
        assert server.end() == 0


PREDICTED = 'model_predictions_total{model="lr",model_version="1",status="success"}'


def test_given_two_workers_when_they_answer_then_events_and_metrics_add_up(bereft: Bereft) -> None:
    assert f"{PREDICTED} {bereft.answered}.0" in bereft.before
    assert EventStore(bereft.server.data_dir).counts("lr").predictions >= bereft.answered


def test_given_a_worker_that_is_killed_when_time_passes_then_another_takes_its_place(
    bereft: Bereft,
) -> None:
    assert len(workers_of(bereft.server)) == 2
    assert call(bereft.server.port, "POST", "/v2/models/lr/infer", BODY)[0] == 200


def test_given_a_worker_that_was_killed_when_scraped_then_nothing_of_it_is_in_flight(
    bereft: Bereft,
) -> None:
    metrics = call(bereft.server.port, "GET", "/metrics")[1]

    (line,) = (line for line in metrics.splitlines() if line.startswith(PREDICTED))
    assert float(line.split()[-1]) >= bereft.answered
    assert "watchkeeper_requests_in_flight 0.0" in metrics
    assert 'model_metadata_info{model="lr",version="1"' in metrics
    assert "NaN" not in metrics


def test_given_settings_of_logs_when_it_serves_then_the_file_has_strict_json_lines(
    bereft: Bereft,
) -> None:
    until(lambda: "starting another" in bereft.log.read_text())

    *lines, last = bereft.log.read_text().split("\n")
    rows = [json.loads(line) for line in lines]
    assert last == ""
    assert {"timestamp", "level", "logger", "message", "module", "function", "line"} <= set(rows[0])
    assert any("ended with -9" in row["message"] for row in rows)


def test_given_workers_when_their_parent_is_killed_then_they_end_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    fill_registry(tmp_path)
    with server_process(tmp_path, "--workers", "2") as server:
        ids = {
            call(server.port, "POST", "/v2/models/lr/infer", BODY)[1]["parameters"]["prediction_id"]
            for _ in range(20)
        }
        workers = psutil.Process(server.process.pid).children(recursive=True)
        server.end(signal.SIGKILL)
        _, alive = psutil.wait_procs(workers, timeout=30)

    assert alive == []
    assert set(EventStore(tmp_path).read("lr").rows["prediction_id"].to_pylist()) == ids


def refused(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "watchkeeper", "serve", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_given_a_bind_beyond_loopback_when_there_are_no_keys_then_it_is_refused_with_the_reason(
    tmp_path: Path,
) -> None:
    ended = refused("--data-dir", str(tmp_path), "--host", "0.0.0.0", "--port", "0")

    assert ended.returncode == 2
    assert "loopback" in ended.stderr
    assert "server.api_keys" in ended.stderr
    assert len(ended.stderr.splitlines()) <= 2


def test_given_a_port_in_use_when_started_then_the_error_says_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = refused("--data-dir", str(tmp_path), "--port", str(taken.getsockname()[1]))

    assert ended.returncode == 2
    assert "cannot listen on 127.0.0.1" in ended.stderr


def test_given_keys_when_called_then_only_probes_answer_without_one(
    start: Callable[..., TestClient],
) -> None:
    hashed = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"  # "secret"
    client = start(server={"api_keys": ["open sesame", hashed]})

    none = client.post("/v2/models/lr/infer", content=BODY)
    wrong = client.get("/v1/models", headers={"Authorization": "Bearer guess"})
    first = client.post(
        "/v2/models/lr/infer", content=BODY, headers={"Authorization": "Bearer open sesame"}
    )
    second = client.get("/v1/models", headers={"Authorization": "bearer secret"})
    probes = [client.get(path).status_code for path in ("/v2/health/live", "/v2/health/ready")]

    assert none.status_code == wrong.status_code == 401
    assert isinstance(none.json()["error"], str)
    assert wrong.json()["error"]["code"] == "unauthorized"
    assert (first.status_code, second.status_code) == (200, 200)
    assert probes == [200, 200]


def test_given_a_replay_clock_when_events_carry_times_then_the_server_follows_them(
    start: Callable[..., TestClient], tmp_path: Path
) -> None:
    timed = {"inputs": [tensor(ROW)], "parameters": {"timestamp": "2013-07-01T00:00:00Z"}}
    client = start(server={"clock": "events"})

    assert client.post("/v2/models/lr/infer", json=timed).status_code == 200
    assert client.post("/v2/models/lr/infer", content=BODY).status_code == 200

    times = EventStore(tmp_path).read("lr").rows["timestamp"].to_pylist()
    assert {at.isoformat() for at in times} == {"2013-07-01T00:00:00+00:00"}


def test_given_a_request_that_is_cut_off_when_the_next_comes_then_it_is_answered(
    bereft: Bereft,
) -> None:
    port = bereft.server.port

    async def cut() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v2/models/lr/infer HTTP/1.1\r\nContent-Length: 500\r\n\r\n{")
        await writer.drain()
        writer.close()

    asyncio.run(cut())
    assert call(port, "POST", "/v2/models/lr/infer", BODY)[0] == 200


def test_given_a_process_that_settled_when_garbage_is_collected_then_what_it_keeps_is_not() -> None:
    kept: list[object] = [object()]
    assert any(each is kept for each in gc.get_objects())
    try:
        asyncio.run(lifecycle._settle(0.0))
        assert not any(each is kept for each in gc.get_objects())
    finally:
        gc.unfreeze()
