"""Claims: an aborted rollout has lost all of its traffic within a second, and no request is lost.

A server of its own answers 1,000 requests a second, half of them by the canary. Then another
process aborts the rollout: once over HTTP, and once by the command line, of which the server hears
by itself. Printed is how long after the decision was stored the canary still answered.

    python benchmarks/rollback.py [--rate 1000] [--seconds 8]
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
from sklearn.dummy import DummyClassifier

from figures import Figures
from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.identity import By

CONNECTIONS = 32
BEGIN = {"name": "r", "model": "m", "version": "2", "plan": {"steps": [50, 100]}}
BODY = {
    "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}]
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=8.0)
    given = parser.parse_args()
    with Figures(__file__) as figures:
        for way in ("over HTTP", "by the command line"):
            with tempfile.TemporaryDirectory(prefix="watchkeeper-") as folder:
                fill(Path(folder))
                with closing(Server(Path(folder))) as server:
                    httpx.post(f"{server.url}/v1/rollouts", json=BEGIN).raise_for_status()
                    asyncio.run(measure(figures, server, way, given.rate, given.seconds))


def fill(data_dir: Path) -> None:
    rows = np.zeros((4, 4))
    with App(Settings(data_dir=data_dir)) as app:
        for version in ("1", "2"):
            model = DummyClassifier().fit(rows, [0, 1, 0, 1])
            app.registry.register_model(model, "m", version, {}, training_data=rows)
        app.registry.promote_to_production("m:1")


class Server:
    """A ``watchkeeper serve`` of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        command = [sys.executable, "-m", "watchkeeper", "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--data-dir", str(data_dir)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=dict(os.environ),
        )
        assert self.process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        assert found is not None
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate()


async def measure(figures: Figures, server: Server, way: str, rate: int, seconds: float) -> None:
    told: list[tuple[float, float, int, str]] = []  # asked, answered, status, version
    start = time.perf_counter()
    clients = [
        asyncio.create_task(client(server.port, n, rate / CONNECTIONS, start, seconds, told))
        for n in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds / 2)
    if way == "over HTTP":
        async with httpx.AsyncClient() as http:
            aborting = time.perf_counter()
            answer = await http.post(f"{server.url}/v1/rollouts/r/abort", json={}, timeout=30)
            answer.raise_for_status()
            stored = aborting  # it is stored before it is answered: at the earliest now
    else:
        with App(Settings(data_dir=server.data_dir)) as app:
            stored = time.perf_counter()
            await asyncio.to_thread(app.rollouts.abort, "r", by=By("benchmark"))
    await asyncio.gather(*clients)
    statuses = Counter(status for _, _, status, _ in told)
    last = max(asked for asked, _, _, version in told if version == "2")
    figures.add(f"{way}, requests", len(told) / seconds, "requests/s")
    figures.add(f"{way}, not answered by 200", len(told) - statuses[200], "requests")
    figures.add(f"{way}, the canary's last after the abort", 1e3 * (last - stored), "ms")
    print(f"  statuses {dict(statuses)}")


async def client(
    port: int,
    number: int,
    rate: float,
    start: float,
    seconds: float,
    told: list[tuple[float, float, int, str]],
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for turn in range(round(rate * seconds)):
        due = start + turn / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        body = json.dumps({**BODY, "parameters": {"unit_id": f"{number}-{turn}"}}).encode()
        asked = time.perf_counter()
        writer.write(
            b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        assert length is not None
        answer = json.loads(await reader.readexactly(int(length[1])))
        status = int(head.split()[1])
        told.append((asked, time.perf_counter(), status, str(answer.get("model_version"))))
    writer.close()
    await writer.wait_closed()


if __name__ == "__main__":
    main()
