"""``watchkeeper loadtest``: whether a version bears the load that is asked of it."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import numpy as np
import typer

from watchkeeper.app import App
from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.config import Settings
from watchkeeper.errors import InvalidValueError, NotFoundError, UnavailableError
from watchkeeper.identity import By
from watchkeeper.registry import ModelRegistry, ModelVersion
from watchkeeper.results import Result
from watchkeeper.server.connection import Connection, RefusedError
from watchkeeper.server.process import HOST, Server, free_port, serving

__all__ = ["commands"]

commands = typer.Typer()

_CONNECTIONS = 32
_WARM = 2.0  # seconds that do not count


@dataclass(frozen=True, slots=True)
class LoadTest(Result):
    """What a version bore.

    Attributes
    ----------
    model_id : str
    asked : float
        Requests a second that were due.
    answered : int
    failed : int
    p50_ms, p95_ms, p99_ms : float
        From when a request was due, so that a slow server does not hide how long callers wait.
    passed : bool
    """

    model_id: str
    asked: float
    answered: int
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    passed: bool


@command(commands)
def loadtest(
    cli: Invocation,
    model: Annotated[
        str, typer.Argument(help="Name of the model; its version in production is tested.")
    ],
    *,
    rate: Annotated[float, typer.Option(help="Requests per second.")] = 100.0,
    seconds: Annotated[float, typer.Option(help="Duration in seconds.")] = 10.0,
    p95_ms: Annotated[
        float, typer.Option(help="Limit of the 95th percentile of latency, in milliseconds.")
    ] = 500.0,
    errors: Annotated[float, typer.Option(help="Share of requests that may fail (0 to 1).")] = 0.01,
) -> int:
    """Measure latency and errors of a model under load.

    The version in production is tested on a separate server with another data directory:
    nothing of the test is recorded among predictions. The exit code is 1 if it does not pass.
    """
    for name, value in (("--rate", rate), ("--seconds", seconds), ("--p95-ms", p95_ms)):
        if not 0.0 < value < 1e6:
            raise InvalidValueError(name, value, "a number above 0, and below a million")
    app = cli.app
    model_id = app.registry.get_production_model(model)
    if model_id is None:
        raise NotFoundError("model in production", model, "Promote a version first.")
    version = app.registry.get(model_id)
    rows = _rows(app.registry, version)
    with TemporaryDirectory(prefix="watchkeeper-load-") as folder:
        _copied(app.registry, version, Path(folder))
        config = Path(folder) / "watchkeeper.toml"
        config.write_text(f"data_dir = {json.dumps(folder)}\n")
        with serving(config, free_port()) as server:
            latency, failed = asyncio.run(_loaded(server, model, rows, rate, seconds))
    p50, p95, p99 = (float(quantile) for quantile in np.quantile(latency, (0.5, 0.95, 0.99)))
    passed = p95 <= p95_ms and failed <= errors * len(latency)
    result = LoadTest(model_id, rate, len(latency), failed, p50, p95, p99, passed)
    summary = (
        f"{len(latency):,} requests at {rate:g} a second: 95th percentile {p95:.1f} ms (at most "
        f"{p95_ms:g}), {failed:,} failed"
    )
    app.models.keep_load_test(
        model, evidence={**result.to_dict(), "version": version.version}, by=By(actor(), summary)
    )
    facts = [(name, value) for name, value in result.items() if name != "passed"]
    cli.show(result, table(["", model_id], facts), "passed" if passed else "NOT passed")
    return 0 if passed else BAD


def _rows(registry: ModelRegistry, version: ModelVersion) -> list[bytes]:
    """Return requests of the rows that are kept of the training data."""
    sample = registry.reference(version.model_id)
    if sample is None or not sample.num_rows:
        raise NotFoundError(
            "training data of version", version.model_id, "Register it with its training data."
        )
    records = sample.slice(0, 1_000).to_pylist()
    return [msgspec.json.encode({"dataframe_records": [record]}) for record in records]


def _copied(registry: ModelRegistry, version: ModelVersion, folder: Path) -> None:
    with App(Settings(data_dir=folder)) as copy:
        registered = copy.models.register_file(
            Path(version.file_path),
            version.model_name,
            version.version,
            metrics=version.metrics,
            training_data=registry.reference(version.model_id),
            trusted=version.trusted,
            allow_unsafe=version.unsafe,
            by=By(actor()),
        )
        copy.models.promote(registered.model_id, by=By(actor()))


async def _loaded(
    server: Server, model: str, rows: Sequence[bytes], rate: float, seconds: float
) -> tuple[list[float], int]:
    """Return the latency of each request in milliseconds, and how many failed."""
    await server.ready()
    path = f"/v1/models/{model}/invocations"
    begin = time.perf_counter()
    total = round(rate * (seconds + _WARM))
    latency: list[float] = []
    failed = 0

    async def work(turns: range) -> None:
        nonlocal failed
        async with await Connection.open(HOST, server.port) as connection:
            for turn in turns:
                due = begin + turn / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                try:
                    await connection.send(path, rows[turn % len(rows)])
                except (RefusedError, UnavailableError):
                    failed += due >= begin + _WARM
                if due >= begin + _WARM:
                    latency.append(1e3 * (time.perf_counter() - due))

    await asyncio.gather(*(work(range(n, total, _CONNECTIONS)) for n in range(_CONNECTIONS)))
    server.require_alive()
    return latency, failed
