from collections.abc import Callable

import pytest
from starlette.testclient import TestClient


@pytest.mark.parametrize(
    "path",
    [
        "/health/live",
        "/v2/health/ready",
        "/ping",
        "/metrics",
        "/runbook",
        "/v1/models",
        "/v1/models/none",
        "/v2/models/lr",
        "/",
    ],
)
def test_given_a_path_that_can_be_read_when_head_asks_then_it_is_answered_as_get(
    client: TestClient, path: str
) -> None:
    read, head = client.get(path), client.head(path)

    assert head.status_code == read.status_code
    assert head.headers["content-type"] == read.headers["content-type"]
    assert (len(read.content) > 0, head.content) == (True, b"")


def test_given_a_path_that_is_only_written_when_head_asks_then_it_is_405(
    client: TestClient,
) -> None:
    answer = client.head("/v1/models/lr/outcomes")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/lr/infer",
        "/v2/models/lr/versions/1/infer",
        "/invocations",
        "/v1/models/lr/invocations",
        "/v1/models/lr/predictions",
    ],
)
def test_given_a_path_that_takes_post_when_another_method_asks_then_405_allows_post(
    client: TestClient, method: str, path: str
) -> None:
    answer = client.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_given_another_method_when_infer_is_asked_then_the_error_says_which_it_has(
    client: TestClient,
) -> None:
    protocol = client.get("/v2/models/lr/infer").json()
    plain = client.get("/invocations").json()["error"]

    assert "/v2/models/lr/infer does not answer GET; expected POST" in protocol["error"]
    assert plain["code"] == "method_not_allowed"
    assert plain["details"] == {"allowed": "POST"}


def test_given_keys_when_head_asks_then_it_needs_the_rights_of_get(
    start: Callable[..., TestClient],
) -> None:
    client = start(server={"api_keys": ["w" * 32], "read_keys": ["r" * 32]})
    client.headers.pop("Authorization", None)

    assert client.head("/health/live").status_code == 200
    assert client.head("/v1/models").status_code == 401
    reader = {"Authorization": f"Bearer {'r' * 32}"}
    assert client.head("/v1/models", headers=reader).status_code == 200
