"""Models that another server computes: asked through both of its protocols, and when it is ill."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.servers import ROWS, ServerProcess, tensor

from watchkeeper.cli import main
from watchkeeper.errors import InvalidValueError, UnavailableError
from watchkeeper.registry import Feature, ModelRegistry, Remote, Signature
from watchkeeper.registry.remote import RemoteAnswerError

FLIGHT: dict[str, list[Any]] = {
    "distance": [900.0, 100.0],
    "carrier": ["AA", "UA"],
    "night": [False, True],
}
MIXED = Signature(
    (Feature("distance", "number"), Feature("carrier", "string"), Feature("night", "boolean"))
)
FOUR = Signature(tuple(Feature(f"x{i}", "number") for i in range(4)))


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with ModelRegistry(tmp_path / "registry") as own:
        yield own


def spec(running: ServerProcess, protocol: str, model: str) -> Remote:
    url = running.url if protocol == "v2" else f"{running.url}/v1/models/{model}"
    return Remote(url, protocol, model if protocol == "v2" else "")  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", ["v2", "mlflow"])
def test_given_a_remote_model_when_asked_then_it_answers_as_where_it_is_computed(
    running: ServerProcess, registry: ModelRegistry, protocol: str
) -> None:
    for name, signature in (("lr", FOUR), ("flights", MIXED)):
        registry.register_model(spec(running, protocol, name), name, "1", {}, signature=signature)
    version = registry.get("lr:1")
    assert (version.format, version.unsafe, version.about["framework"]) == (
        "remote",
        False,
        "remote",
    )

    told = registry.open_runtime("lr:1").predict(ROWS[:2])
    assert told.predictions.tolist() == [0, 1]
    assert (told.scores is not None) == (protocol == "v2")
    mixed = registry.open_runtime("flights:1")
    assert not mixed.wants_matrix
    for _ in range(2):  # the connection is kept
        assert mixed.predict(FLIGHT).predictions.tolist() == [1, 0]


def test_given_a_remote_model_in_production_when_asked_then_a_server_records_its_answers(
    running: ServerProcess, tmp_path: Path, start: Callable[..., TestClient]
) -> None:
    client = start()
    (tmp_path / "far.json").write_text(spec(running, "v2", "lr").to_json())
    told = [
        "models", "register", str(tmp_path / "far.json"), "--name", "far", "--version", "1",
        "--data-dir", str(tmp_path),
    ]  # fmt: skip
    assert main(told) == 0
    assert main(["models", "promote", "far:1", "--data-dir", str(tmp_path)]) == 0
    server: Any = client.app.application  # type: ignore[attr-defined]
    client.portal.call(server.controller.follow)  # type: ignore[union-attr]

    answer = client.post("/v2/models/far/infer", json={"inputs": [tensor([3.0, 0.0, 1.0, 0.0])]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["data"] == [1]
    (row,) = server.app.events.read("far").rows.to_pylist()
    assert (row["prediction"], row["status"]) == (1, "success")
    assert 0.5 < row["score"] < 1


def test_given_a_server_that_is_gone_or_says_no_when_asked_then_the_error_says_so(
    running: ServerProcess, registry: ModelRegistry
) -> None:
    registry.register_model(Remote("http://127.0.0.1:9", model="lr"), "gone", "1", {})
    registry.register_model(Remote(running.url, model="nobody"), "no", "1", {})
    registry.register_model(Remote(running.url, "mlflow"), "none", "1", {})

    with pytest.raises(UnavailableError, match="cannot be asked"):
        registry.open_runtime("gone:1").predict(ROWS[:1])
    with pytest.raises(RemoteAnswerError, match="answered 404"):
        registry.open_runtime("no:1").predict(ROWS[:1])
    with pytest.raises(RemoteAnswerError, match="answered 4"):
        registry.open_runtime("none:1").predict(np.zeros((1, 99)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"url": "ftp://x", "model": "m"}', "https://models.example.com"),
        (b'{"url": "http://x"}', "what the model is called"),
        (b'{"url": "http://x", "protocol": "v3"}', "v2 or mlflow"),
        (b'{"url": "http://x", "model": "m", "timeout": 0}', "above 0"),
        (b'{"address": "http://x"}', "a JSON object with url"),
        (b"[]", "a JSON object with url"),
    ],
)
def test_given_a_remote_that_cannot_be_when_read_then_the_error_says_what_is_expected(
    data: bytes, said: str
) -> None:
    with pytest.raises(InvalidValueError, match=said):
        Remote.from_json(data)


class Elsewhere(ThreadingHTTPServer):
    """A server that computes a model; it keeps what it is sent, and can be made to wait."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[tuple[dict[str, str], Any]] = []
        self.status, self.headers = 200, dict[str, str]()
        self.go_on = threading.Event()
        self.go_on.set()


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Elsewhere

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])), parse_constant=str)
        self.server.requests.append((dict(self.headers), body))
        self.server.go_on.wait(30)
        table = body.get("dataframe_split")
        rows = len(table["data"]) if table else body["inputs"][0]["shape"][0]
        output = {"name": "y", "datatype": "FP64", "shape": [rows, 1], "data": [1.0] * rows}
        content = json.dumps({"outputs": [output], "predictions": [1.0] * rows}).encode()
        with contextlib.suppress(OSError):  # the client may have gone
            self.send_response(self.server.status)
            for name, value in self.server.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere() as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()


WHOLE = Signature((Feature("class", "integer"), Feature("sex", "string"), Feature("age", "number")))


def test_given_whole_numbers_and_a_missing_one_when_a_remote_is_asked_then_json_has_them_as_such(
    elsewhere: Elsewhere, registry: ModelRegistry
) -> None:
    rows: dict[str, list[Any]] = {"class": [1, 3], "sex": ["f", "m"], "age": [30.5, None]}
    for protocol in ("v2", "mlflow"):
        remote = Remote(elsewhere.url, protocol, model="far")
        registry.register_model(remote, protocol, "1", {}, signature=WHOLE)
        registry.open_runtime(f"{protocol}:1").predict(rows)

    tensors, table = (body for _, body in elsewhere.requests)
    assert [(sent["datatype"], sent["data"]) for sent in tensors["inputs"]] == [
        ("INT64", [1, 3]),
        ("BYTES", ["f", "m"]),
        ("FP64", [30.5, None]),
    ]
    assert table["dataframe_split"]["data"] == [[1, "f", 30.5], [3, "m", None]]


def test_given_a_matrix_of_whole_numbers_when_a_remote_is_asked_then_it_is_sent_as_such(
    elsewhere: Elsewhere, registry: ModelRegistry
) -> None:
    signature = Signature((Feature("a", "integer"), Feature("b", "integer")))
    remote = Remote(elsewhere.url, model="far")
    registry.register_model(remote, "far", "1", {}, signature=signature)
    registry.open_runtime("far:1").predict(np.array([[1.0, 2.0]]))

    (tensor,) = elsewhere.requests[0][1]["inputs"]
    assert (tensor["datatype"], tensor["data"]) == ("INT64", [1, 2])


def test_given_a_remote_that_is_too_slow_when_asked_then_it_is_asked_once_without_a_token(
    elsewhere: Elsewhere, registry: ModelRegistry
) -> None:
    remote = Remote(elsewhere.url, model="far", timeout=0.3, token_env="NO_SUCH_TOKEN")
    registry.register_model(remote, "far", "1", {}, signature=FOUR)
    runtime = registry.open_runtime("far:1")
    runtime.predict(ROWS[:1])  # a connection stays open
    elsewhere.go_on.clear()

    with pytest.raises(UnavailableError, match="timed out"):
        runtime.predict(ROWS[:1])
    assert len(elsewhere.requests) == 2
    assert all("Authorization" not in headers for headers, _ in elsewhere.requests)


@pytest.mark.parametrize(("status", "header", "expected"), [(503, "3", "3"), (429, "soon", "1")])
def test_given_a_remote_that_is_busy_when_inferred_then_503_says_when_to_come_back(
    elsewhere: Elsewhere, start: Callable[..., TestClient], status: int, header: str, expected: str
) -> None:
    client = start(far=Remote(elsewhere.url, model="far"))
    elsewhere.status, elsewhere.headers = status, {"Retry-After": header}

    answer = client.post("/v2/models/far/infer", json={"inputs": [tensor([3.0, 0.0, 1.0, 0.0])]})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == expected
    assert f"answered {status}" in answer.json()["error"]
    server: Any = client.app.application  # type: ignore[attr-defined]
    (row,) = server.app.events.read("far").rows.to_pylist()
    assert row["status"] == "error"
