import asyncio
import gzip
import json
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.testclient import TestClient

from watchkeeper.errors import InvalidValueError
from watchkeeper.serving.bodies import read_body
from watchkeeper.serving.responses import TooLargeError

GZIP = {"Content-Encoding": "gzip"}
RECORDS = [json.dumps({"prediction_id": f"p{at}", "actual": 1}).encode() for at in range(300)]
OUTCOMES = gzip.compress(b"\n".join(RECORDS[:100])) + gzip.compress(
    b"\n" + b"\n".join(RECORDS[100:])
)
PREDICTIONS = b"".join(
    gzip.compress(b"\n".join(lines).replace(b"actual", b"score") + b"\n")
    for lines in (RECORDS[:10], RECORDS[10:])
)


def read(parts: Sequence[bytes], limit: int = 1000, encoding: bytes = b"gzip") -> bytes:
    messages = iter(
        {"type": "http.request", "body": part, "more_body": at < len(parts)}
        for at, part in enumerate(parts, start=1)
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    return asyncio.run(read_body(receive, {b"content-encoding": encoding}, limit))


@pytest.mark.parametrize(("kind", "body"), [("predictions", PREDICTIONS), ("outcomes", OUTCOMES)])
def test_given_a_gzip_body_of_two_members_when_sent_then_all_records_are_kept(
    client: TestClient, kind: str, body: bytes
) -> None:
    answer = client.post(f"/v1/models/risk/{kind}", content=body, headers=GZIP)

    assert answer.json() == {"accepted": 300}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_given_gzip_members_when_they_arrive_in_parts_of_any_size_then_all_are_read(
    size: int,
) -> None:
    body = gzip.compress(b"first ") + gzip.compress(b"") + gzip.compress(b"last")
    parts = [body[at : at + size] for at in range(0, len(body), size)]

    assert read(parts) == b"first last"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(gzip.compress(b"a") + b"garbage", id="bytes after gzip"),
        pytest.param(zlib.compress(b"a") + b"garbage", id="bytes after deflate"),
        pytest.param(zlib.compress(b"a") + zlib.compress(b"b"), id="two of deflate"),
        pytest.param(gzip.compress(b"a") + gzip.compress(b"b")[:-4], id="a member cut short"),
        pytest.param(gzip.compress(b"a") + b"\x1f", id="a member of one byte"),
    ],
)
def test_given_a_damaged_end_when_read_then_it_is_refused(body: bytes) -> None:
    for parts in ([body], [body[at : at + 1] for at in range(len(body))]):
        with pytest.raises(InvalidValueError, match="body"):
            read(parts)


def test_given_members_that_are_small_alone_when_read_then_the_limit_holds_for_all() -> None:
    member = gzip.compress(b" " * 600)

    assert len(read([member])) == 600
    with pytest.raises(TooLargeError):
        read([member + member])


def test_given_members_of_nothing_when_they_go_on_then_the_limit_holds_for_what_arrives() -> None:
    with pytest.raises(TooLargeError):
        read([gzip.compress(b"")] * 100)


def test_given_a_wrong_end_when_sent_then_the_answer_is_400(client: TestClient) -> None:
    answer = client.post("/v1/models/risk/outcomes", content=OUTCOMES + b"garbage", headers=GZIP)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == "body"


@pytest.mark.parametrize(
    "path", ["/v2/models/lr/infer", "/v1/models/lr/invocations", "/v1/models/risk/outcomes"]
)
def test_given_an_unknown_encoding_when_sent_then_415_says_which_are_read(
    client: TestClient, path: str
) -> None:
    answer = client.post(path, content=b"??", headers={"Content-Encoding": "br"})

    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert "Content-Encoding is 'br'; expected gzip, deflate or none" in answer.text
