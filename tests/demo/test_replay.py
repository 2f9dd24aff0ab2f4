import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.demo.replay import CONNECTIONS, Flight, Replay, replay
from watchkeeper.errors import UnavailableError
from watchkeeper.server.connection import RefusedError

HOST = "127.0.0.1"
MIDNIGHT = datetime(2013, 3, 1, tzinfo=UTC)

Received = list[tuple[str, Any, datetime]]


def flight(departs: datetime, minutes: int | None) -> Flight:
    landed = None if minutes is None else departs + timedelta(minutes=minutes)
    late = None if minutes is None else minutes % 2
    return Flight(departs, "N1", {"carrier": "UA", "distance": 100.0}, landed, late)


flights = st.lists(
    st.tuples(st.integers(0, 3_000), st.none() | st.integers(20, 900)), min_size=1, max_size=200
).map(lambda rows: [flight(MIDNIGHT + timedelta(minutes=m), f) for m, f in sorted(rows, key=str)])


def replayed(
    rows: Iterable[Flight], *, status: int = 200, hang_up: bool = False
) -> tuple[Replay, Received]:
    """Replay `rows` to a server that writes down what it receives, and the time of the replay."""
    received: Received = []
    clock = [MIDNIGHT]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not hang_up:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
                content = json.loads(await reader.readexactly(length))
                received.append((head.split()[1], content, clock[-1]))
                body = json.dumps({"parameters": {"prediction_id": str(len(received) - 1)}})
                start = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write((start + body).encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the replay has hung up
        finally:
            writer.close()

    async def progress(_: int, at: datetime) -> None:
        clock.append(at)

    async def go() -> Replay:
        server = await asyncio.start_server(answer, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        in_order = sorted(rows, key=lambda each: each.departs)
        try:
            return await replay(
                iter(in_order),
                model="m",
                host=HOST,
                port=port,
                progress=progress,
            )
        finally:
            server.close()

    return asyncio.run(go()), received


@given(rows=flights)
def test_given_flights_when_replayed_then_each_is_asked_once_and_those_that_landed_are_answered(
    rows: list[Flight],
) -> None:
    run, received = replayed(rows)

    asked = [body for path, body, _ in received if path == "/v2/models/m/infer"]
    outcomes = [each for path, body, _ in received if path.endswith("/outcomes") for each in body]
    ids = [each["prediction_id"] for each in outcomes]
    assert (run.predictions, run.outcomes) == (len(asked), len(outcomes))
    assert len(asked) == len(rows)
    assert len(set(ids)) == len(ids) == sum(row.landed is not None for row in rows)


@given(rows=flights)
def test_given_flights_when_replayed_then_no_outcome_comes_before_its_landing(
    rows: list[Flight],
) -> None:
    _, received = replayed(rows)

    last = max(place for place, (path, _, _) in enumerate(received) if path.endswith("/infer"))
    for place, (path, body, now) in enumerate(received):
        for outcome in body if path.endswith("/outcomes") else ():
            asked = int(outcome["prediction_id"])
            departed = datetime.fromisoformat(received[asked][1]["parameters"]["timestamp"])
            landed = datetime.fromisoformat(outcome["timestamp"])
            assert asked < place
            assert landed > departed
            assert landed <= now or place > last  # in the end, all who are in the air land


def test_given_many_flights_when_replayed_then_order_is_kept_up_to_those_under_way() -> None:
    rows = [flight(MIDNIGHT + timedelta(minutes=m), 60) for m in range(1_000)]

    _, received = replayed(rows)

    times = [
        datetime.fromisoformat(body["parameters"]["timestamp"])
        for path, body, _ in received
        if path.endswith("/infer")
    ]
    for place, at in enumerate(times):
        assert abs((at - MIDNIGHT) / timedelta(minutes=1) - place) <= CONNECTIONS


def test_given_a_server_that_refuses_when_replayed_then_the_error_has_its_words() -> None:
    with pytest.raises(RefusedError, match="503"):
        replayed([flight(MIDNIGHT, 60)], status=503)


def test_given_a_server_that_hangs_up_when_replayed_then_the_error_says_so() -> None:
    with pytest.raises(UnavailableError, match="hung up"):
        replayed([flight(MIDNIGHT, 60)], hang_up=True)
