"""Whatever the description of the API allows, and some of what it does not: never a 5xx."""

import zlib
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from tests.servers import ServerProcess, fill_registry

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.server import create_asgi


@pytest.mark.parametrize("examples", [6, pytest.param(100, marks=pytest.mark.nightly)])
def test_given_any_request_when_sent_then_it_is_no_server_error(
    running: ServerProcess, examples: int
) -> None:
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    found: list[Any] = list(schema.get_all_operations())
    operations = [each.ok() for each in found]
    for operation in operations:
        _probe(operation, examples)
    assert len(operations) > 15


def _probe(operation: Any, examples: int) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def probe(case: Any) -> None:
        if "model" in (case.path_parameters or {}) and zlib.crc32(repr(case.body).encode()) % 2:
            case.path_parameters["model"] = "lr"  # half of the traffic goes to a model there is
        answer = case.call()
        assert answer.status_code < 500, f"{operation.label}: {answer.status_code} {answer.text}"

    probe()


def test_given_the_description_when_read_then_every_route_is_in_it(tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    fill_registry(tmp_path)
    with App(Settings(data_dir=tmp_path)) as app, TestClient(create_asgi(app)) as client:
        paths = client.get("/openapi.json").json()["paths"]

    assert {
        "/v2/models/{model}/infer",
        "/v2/models/{model}/versions/{version}/infer",
        "/v2/health/ready",
        "/invocations",
        "/v1/models/{model}/invocations",
        "/v1/models/{model}/predictions",
        "/v1/models/{model}/outcomes",
        "/v1/models/{model}/versions",
    } <= set(paths)
