"""Claim: the gateway answers at least 1.5 times the requests of a bare FastAPI endpoint.

One worker, a logistic regression on 30 features, 16 connections, one row a request. Watchkeeper
records every prediction in its journal; the peer calls the same ``predict`` in an ``async def``
endpoint and records nothing. Servers are processes of their own, measured in turns.

    python benchmarks/gateway.py [--seconds 4] [--rounds 3] [--peers .venv-peers/bin/python]

With ``--peers``, MLflow's and MLServer's servers are measured as well (see peers.txt).
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from figures import Figures

FEATURES, CONNECTIONS = 30, 16

_PEER = """
import sys, joblib, numpy as np, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
model = joblib.load(sys.argv[1])
app = FastAPI()

class Row(BaseModel):
    features: list[float]

@app.post("/predict")
async def predict(row: Row):
    return {"prediction": int(model.predict(np.array([row.features]))[0])}

uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
"""

_MLSERVER = {
    "name": "lr",
    "implementation": "mlserver_sklearn.SKLearnModel",
    "parameters": {"uri": "./model.joblib", "version": "1"},
}


@dataclass(frozen=True)
class Contender:
    """A server under test: where it takes a row, and how the row is put."""

    name: str
    path: str
    body: bytes
    port: int


def main() -> None:
    """Measure all contenders in turns and print their requests per second and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, help="Python of an environment with peers.txt")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        contenders = [stack.enter_context(start(Path(folder))) for start in (watchkeeper, fastapi)]
        if options.peers:
            contenders += [
                stack.enter_context(start(Path(folder), options.peers))
                for start in (mlflow, mlserver)
            ]
        rates: dict[str, list[float]] = {each.name: [] for each in contenders}
        tails: dict[str, list[float]] = {each.name: [] for each in contenders}
        for each in contenders:
            asyncio.run(load(each, 1.0))  # warm
        for _ in range(options.rounds):
            for each in contenders:
                latencies = asyncio.run(load(each, options.seconds))
                rates[each.name].append(len(latencies) / options.seconds)
                tails[each.name].append(float(np.quantile(latencies, 0.99)) * 1e3)
    medians = {name: statistics.median(seen) for name, seen in rates.items()}
    with Figures(__file__) as figures:
        for name, rate in medians.items():
            figures.add(name, rate, "requests/s")
            figures.add(f"{name}, 99th percentile", statistics.median(tails[name]), "ms")
            if name != "watchkeeper":
                figures.add(f"watchkeeper / {name}", medians["watchkeeper"] / rate, "times")
    print("claimed: at least 1.5 times a bare FastAPI endpoint")


def model() -> tuple[object, list[float]]:
    """Return a fitted logistic regression and a row for it."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(7)
    rows = rng.normal(size=(2_000, FEATURES))
    fitted = LogisticRegression().fit(rows, (rows[:, 0] > 0).astype(int))
    return fitted, [round(value, 4) for value in rows[0].tolist()]


@contextmanager
def watchkeeper(folder: Path) -> Iterator[Contender]:
    """Start Watchkeeper's server with the model in production."""
    from watchkeeper.registry import ModelRegistry

    fitted, row = model()
    data_dir = folder / "data"
    with ModelRegistry(data_dir / "registry") as registry:
        registry.promote_to_production(registry.register_model(fitted, "lr", "1", {}))
    port = free_port()
    command = ["serve", "--data-dir", str(data_dir), "--port", str(port)]
    tensor = {"name": "x", "shape": [1, FEATURES], "datatype": "FP64", "data": row}
    body = json.dumps({"inputs": [tensor]}).encode()
    with process([sys.executable, "-m", "watchkeeper", *command], port):
        yield Contender("watchkeeper", "/v2/models/lr/infer", body, port)


@contextmanager
def fastapi(folder: Path) -> Iterator[Contender]:
    """Start the bare endpoint."""
    import joblib

    fitted, row = model()
    joblib.dump(fitted, folder / "model.joblib")
    port = free_port()
    command = [sys.executable, "-c", _PEER, str(folder / "model.joblib"), str(port)]
    with process(command, port):
        body = json.dumps({"features": row}).encode()
        yield Contender("fastapi (no recording)", "/predict", body, port)


@contextmanager
def mlflow(folder: Path, python: Path) -> Iterator[Contender]:
    """Start MLflow's scoring server."""
    _, row = model()
    code = (
        "import sys, joblib, mlflow.sklearn;"
        "mlflow.sklearn.save_model(joblib.load(sys.argv[1]), sys.argv[2])"
    )
    saved = folder / "mlflow"
    subprocess.run(
        [python, "-c", code, folder / "model.joblib", saved], check=True, capture_output=True
    )
    port = free_port()
    command = [str(python), "-m", "mlflow", "models", "serve", "-m", str(saved)]
    command += ["-p", str(port), "--env-manager", "local", "--workers", "1"]
    with process(command, port, python):
        yield Contender("mlflow", "/invocations", json.dumps({"inputs": [row]}).encode(), port)


@contextmanager
def mlserver(folder: Path, python: Path) -> Iterator[Contender]:
    """Start MLServer, predicting in its own process."""
    _, row = model()
    place = folder / "mlserver"
    place.mkdir()
    (place / "model.joblib").write_bytes((folder / "model.joblib").read_bytes())
    (place / "model-settings.json").write_text(json.dumps(_MLSERVER))
    port = free_port()
    settings = {
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
        "debug": False,
    }
    (place / "settings.json").write_text(json.dumps(settings))
    command = [str(python.parent / "mlserver"), "start", str(place)]
    tensor = {"name": "x", "shape": [1, FEATURES], "datatype": "FP64", "data": row}
    with process(command, port, python):
        body = json.dumps({"inputs": [tensor]}).encode()
        yield Contender("mlserver (in process)", "/v2/models/lr/infer", body, port)


@contextmanager
def process(command: list[str], port: int, python: Path | None = None) -> Iterator[None]:
    """Run a server until the block ends; wait until its port answers."""
    environment = dict(os.environ)
    if python is not None:
        environment["PATH"] = f"{python.parent}:{environment['PATH']}"
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as running:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline or running.poll() is not None:
                        raise SystemExit(f"did not start: {command}") from None
                    time.sleep(0.1)
            yield
        finally:
            running.terminate()


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def load(contender: Contender, seconds: float) -> list[float]:
    """Return the latencies of the requests that `CONNECTIONS` clients had answered."""
    request = (
        f"POST {contender.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(contender.body)}\r\n\r\n"
    ).encode() + contender.body
    end = time.perf_counter() + seconds
    found = await asyncio.gather(
        *(client(contender.port, request, end) for _ in range(CONNECTIONS))
    )
    return [latency for own in found for latency in own]


async def client(port: int, request: bytes, end: float) -> list[float]:
    """Send one request after the other on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies: list[float] = []
    while (began := time.perf_counter()) < end:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"unexpected answer: {head!r}")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - began)
    writer.close()
    return latencies


if __name__ == "__main__":
    main()
