"""Who did what over HTTP: the audit trail names the key that a request carried, never the key."""

from collections.abc import Callable
from hashlib import sha256

import pytest
from starlette.testclient import TestClient

WAIVER = {"item": "logs", "until": "2100-01-01T00:00:00Z", "reason": "a rehearsal"}


def waive(client: TestClient, headers: dict[str, str]) -> str:
    """Change something and return the actor of the newest entry."""
    answer = client.post("/v1/checklist/lr/waive", json=WAIVER, headers=headers)
    assert answer.status_code == 200, answer.text
    entries = client.get("/v1/audit?model=lr&limit=1", headers=headers).json()["entries"]
    return str(entries[0]["actor"])


def test_given_two_keys_when_each_changes_something_then_the_trail_tells_them_apart(
    start: Callable[..., TestClient],
) -> None:
    keys = ["alice-key", "bob-key"]
    client = start(server={"api_keys": keys})

    actors = [waive(client, {"Authorization": f"Bearer {key}"}) for key in keys]

    assert actors == [f"key:{sha256(key.encode()).hexdigest()[:8]}" for key in keys]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer anything"}])
def test_given_a_server_without_keys_when_something_changes_then_the_actor_is_the_api(
    start: Callable[..., TestClient], headers: dict[str, str]
) -> None:
    assert waive(start(), headers) == "api"
