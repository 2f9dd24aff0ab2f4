"""Claim: a shadow does not hold up those who ask.

A server of its own answers 300 requests a second by a small model: alone, with a shadow as small as
itself that is asked everything, and with one that takes a core for most of the time. Printed are
the latencies that the callers see, beside those without a shadow, and how many copies were shed.

    python benchmarks/shadow.py [--rate 300] [--seconds 10]
"""

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier

from figures import Figures
from watchkeeper.app import App
from watchkeeper.config import Settings

CONNECTIONS = 32
BODY = {
    "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}]
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    with Figures(__file__) as figures:
        measure(figures, given.rate, given.seconds)


def measure(figures: Figures, rate: int, seconds: float) -> None:
    alone: tuple[float, float] | None = None
    for label, version in (("no shadow", None), ("a small shadow", "2"), ("a heavy shadow", "3")):
        with tempfile.TemporaryDirectory(prefix="watchkeeper-") as folder:
            fill(Path(folder))
            command = [sys.executable, "-m", "watchkeeper", "serve", "--port", "0"]
            with subprocess.Popen(
                [*command, "--data-dir", folder],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ) as server:
                assert server.stdout is not None
                url = server.stdout.readline().split()[-1]
                if version is not None:
                    body = {"name": "s", "model": "m", "version": version}
                    httpx.post(f"{url}/v1/shadows", json=body).raise_for_status()
                asyncio.run(measured(url, rate, 5.0))  # until everything is warm
                median, slow = asyncio.run(measured(url, rate, seconds))
                alone = alone or (median, slow)
                metrics = httpx.get(f"{url}/metrics").text
                server.terminate()
            shed = re.findall(
                r"^watchkeeper_shadow_requests_shed_total\S* (\S+)", metrics, re.MULTILINE
            )
            figures.add(f"{label}, median", median, "ms")
            figures.add(f"{label}, 99th percentile", slow, "ms")
            if version is not None:
                figures.add(f"{label} / no shadow, median", median / alone[0], "times")
                figures.add(f"{label} / no shadow, 99th percentile", slow / alone[1], "times")
                figures.add(f"{label}, shed", sum(map(float, shed)), "copies")


def fill(data_dir: Path) -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(2_000, 4))
    labels = (rows.sum(axis=1) > 0).astype(int)
    heavy = RandomForestClassifier(n_estimators=100, max_depth=6, random_state=0)
    with App(Settings(data_dir=data_dir)) as app:
        for version, model in (("1", DummyClassifier()), ("2", DummyClassifier()), ("3", heavy)):
            model.fit(rows, labels)
            app.registry.register_model(model, "m", version, {}, training_data=rows)
        app.registry.promote_to_production("m:1")


async def measured(url: str, rate: int, seconds: float) -> tuple[float, float]:
    """Return the median and the 99th percentile of the latency, in milliseconds."""
    latency: list[float] = []
    start = time.perf_counter()
    async with httpx.AsyncClient() as http:

        async def ask(turns: range) -> None:
            for turn in turns:
                await asyncio.sleep(max(0.0, start + turn / rate - time.perf_counter()))
                asked = time.perf_counter()
                answer = await http.post(f"{url}/v2/models/m/infer", json=BODY)
                latency.append(1e3 * (time.perf_counter() - asked))
                assert answer.json()["model_version"] == "1"

        turns = range(round(rate * seconds))
        await asyncio.gather(*(ask(turns[n::CONNECTIONS]) for n in range(CONNECTIONS)))
    return float(np.median(latency)), float(np.quantile(latency, 0.99))


if __name__ == "__main__":
    main()
