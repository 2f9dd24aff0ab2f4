"""Models that another server computes: asked through both of its protocols, and when it is ill."""

from collections.abc import Callable
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
