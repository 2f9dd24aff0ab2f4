"""The replay: one request a flight in the order of departure, its outcome once it has landed.

At most `CONNECTIONS` requests are under way, so events reach the server in order up to that many.
The clock of the replay is the departure of the newest flight sent: an outcome is sent when that
clock has passed the landing, and never before the flight's own prediction was answered.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa

from watchkeeper.demo.flights import FEATURES, WORDS
from watchkeeper.server.connection import Connection

__all__ = ["Flight", "Replay", "flights_of", "request_of"]

CONNECTIONS = 64
BATCH = 256  # outcomes a request

Progress = Callable[[int, datetime], Awaitable[None]]


class _Parameters(msgspec.Struct):
    prediction_id: str


class _Answer(msgspec.Struct):
    parameters: _Parameters


_answer = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class Flight:
    """One flight of the replay: what is asked before it departs, and what is known after."""

    departs: datetime
    tail: str | None
    features: dict[str, Any]
    landed: datetime | None
    late: int | None


@dataclass(frozen=True, slots=True)
class Replay:
    """What was sent."""

    predictions: int
    outcomes: int


def flights_of(table: pa.Table) -> Iterator[Flight]:
    """Yield the rows of a table of `watchkeeper.demo.flights`, in bounded memory.

    Parameters
    ----------
    table : pyarrow.Table

    Yields
    ------
    Flight
    """
    for batch in table.to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            yield Flight(
                departs=row["departs"].astimezone(UTC),
                tail=row["tail"],
                features={name: row[name] for name in FEATURES},
                landed=row["landed"],
                late=row["late"],
            )


def request_of(flight: Flight) -> bytes:
    """Return the request of the Open Inference Protocol that asks about `flight`.

    Parameters
    ----------
    flight : Flight

    Returns
    -------
    bytes
        JSON.
    """
    parameters: dict[str, Any] = {"timestamp": flight.departs}
    if flight.tail is not None:
        parameters["unit_id"] = flight.tail
    inputs = [
        {
            "name": name,
            "shape": [1],
            "datatype": "BYTES" if name in WORDS else "FP64",
            "data": [value],
        }
        for name, value in flight.features.items()
    ]
    return msgspec.json.encode({"parameters": parameters, "inputs": inputs})


async def replay(
    flights: Iterator[Flight], *, model: str, host: str, port: int, progress: Progress
) -> Replay:
    """Replay `flights`, which are in the order of departure.

    Parameters
    ----------
    flights : iterator of Flight
    model, host, port
        Which model of which server.
    progress : callable
        Progress of every event-time hour that begins, with the flights sent so far; waited for.

    Returns
    -------
    Replay

    Raises
    ------
    RefusedError, UnavailableError
        If the server refuses a request, or goes away.
    """
    run = _Run(flights, model, progress)
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONNECTIONS):
                tasks.create_task(run.work(host, port))
    except ExceptionGroup as group:
        raise group.exceptions[0] from None  # the first that failed; the others were called off
    async with await Connection.open(host, port) as connection:
        await run.send_outcomes(connection, datetime.max.replace(tzinfo=UTC))
    return Replay(run.sent, run.outcomes)


class _Run:
    def __init__(self, flights: Iterator[Flight], model: str, progress: Progress) -> None:
        self._flights, self._progress = flights, progress
        self._infer = f"/v2/models/{model}/infer"
        self._ingest = f"/v1/models/{model}/outcomes"
        self._landings: list[tuple[datetime, str, int]] = []  # a heap
        self._hour = datetime(1970, 1, 1, tzinfo=UTC)
        self.sent = self.outcomes = 0

    async def work(self, host: str, port: int) -> None:
        """Take one flight after the other, on one connection, until there are no more."""
        async with await Connection.open(host, port) as connection:
            for flight in self._flights:
                await self._play(connection, flight)

    async def _play(self, connection: Connection, flight: Flight) -> None:
        self.sent += 1
        if flight.departs >= self._hour + timedelta(hours=1):
            self._hour = flight.departs.replace(minute=0)
            await self._progress(self.sent, flight.departs)
            await self.send_outcomes(connection, flight.departs)
        answer = _answer.decode(await connection.send(self._infer, request_of(flight)))
        if flight.landed is not None and flight.late is not None:
            landing = (flight.landed, answer.parameters.prediction_id, flight.late)
            heapq.heappush(self._landings, landing)

    async def send_outcomes(self, connection: Connection, now: datetime) -> None:
        """Send the outcomes of the flights that have landed by `now`."""
        while self._landings and self._landings[0][0] <= now:
            batch: list[dict[str, Any]] = []
            while self._landings and self._landings[0][0] <= now and len(batch) < BATCH:
                landed, prediction_id, late = heapq.heappop(self._landings)
                batch.append({"prediction_id": prediction_id, "actual": late, "timestamp": landed})
            await connection.send(self._ingest, msgspec.json.encode(batch))
            self.outcomes += len(batch)
