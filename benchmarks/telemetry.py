"""Claims: what telemetry costs.

- A monitored call costs at most 5 µs at the median beyond the user's function. Beside it: the same
  metrics written by hand with prometheus_client, labels looked up each time, as tutorials show it.
- `track_batch_predictions` costs at most 1 µs a row and feature; beside it the rows one by one.
- A scrape of 50 models with 3 versions and 30 features takes under 100 ms; beside it the client's
  own text of the same registry.
- Such a scrape, every second, moves the 99th percentile of predictions through a real server by at
  most 5 ms; beside it the same server that nobody scrapes.

    python benchmarks/telemetry.py [--calls 20000] [--seconds 10]
"""

import argparse
import asyncio
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from figures import Figures
from watchkeeper.registry import ModelRegistry
from watchkeeper.telemetry import AdvancedModelMonitor, ModelMetrics, ModelMonitor, exposition

MODELS, VERSIONS, FEATURES = 50, 3, 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with Figures(__file__) as figures:
        monitored_call(figures, options.calls)
        batch(figures)
        scrape(figures)
        scraped_server(figures, options.seconds)


def monitored_call(figures: Figures, calls: int) -> None:
    def predict(_: object) -> int:
        return 1

    monitor = ModelMonitor("1.0.0", predict, registry=CollectorRegistry())
    decorated = monitor(predict)
    by_hand = handmade(predict)
    ways: dict[str, Callable[[object], object]] = {
        "the function alone": predict,
        "predict_with_monitoring": monitor.predict_with_monitoring,
        "decorator": decorated,
        "context manager": lambda features: within(monitor, predict, features),
        "prometheus_client by hand": by_hand,
    }
    medians: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(5):
        for name, call in ways.items():
            medians[name].append(median_us(call, calls))
    alone = statistics.median(medians["the function alone"])
    figures.add("the function alone, median", alone, "µs")
    costs = {name: statistics.median(each) - alone for name, each in medians.items()}
    for name, cost in list(costs.items())[1:]:
        figures.add(f"{name}, beyond the function", cost, "µs")
        if name != "prometheus_client by hand":
            ratio = cost / costs["prometheus_client by hand"]
            figures.add(f"{name} / by hand", ratio, "times")


def within(monitor: ModelMonitor, predict: Callable[[object], int], features: object) -> int:
    with monitor:
        return predict(features)


def handmade(predict: Callable[[object], int]) -> Callable[[object], int]:
    registry = CollectorRegistry()
    version = ("model", "model_version")
    total = Counter("model_predictions_total", "", (*version, "status"), registry=registry)
    latency = Histogram("model_prediction_latency_seconds", "", version, registry=registry)
    active = Gauge("model_active_predictions", "", ("model",), registry=registry)

    def call(features: object) -> int:
        active.labels("model").inc()
        began = time.perf_counter()
        try:
            answer = predict(features)
        except Exception:
            total.labels("model", "1.0.0", "error").inc()
            raise
        finally:
            active.labels("model").dec()
            latency.labels("model", "1.0.0").observe(time.perf_counter() - began)
        total.labels("model", "1.0.0", "success").inc()
        return answer

    return call


def median_us(call: Callable[[object], object], calls: int) -> float:
    features = {"age": 1.0}
    times = []
    for _ in range(calls):
        began = time.perf_counter_ns()
        call(features)
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times) / 1e3


def batch(figures: Figures) -> None:
    rng = np.random.default_rng(7)
    columns = {f"f{i}": rng.normal(size=10_000) for i in range(20)}
    scores = rng.uniform(size=10_000)
    lists = [each.tolist() for each in columns.values()]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]
    monitor = AdvancedModelMonitor("1.0.0", registry=CollectorRegistry())

    def one_by_one() -> None:
        for row, score in zip(rows, scores, strict=True):
            monitor.track_prediction(row, float(score))

    print("track_batch_predictions, 10,000 rows of 20 features")
    slow = best_of(3, one_by_one)
    for name, seconds in (
        ("columns", best_of(5, lambda: monitor.track_batch_predictions(columns, scores))),
        ("list of dicts", best_of(5, lambda: monitor.track_batch_predictions(rows, scores))),
        ("rows one by one", slow),
    ):
        label = f"track_batch_predictions, {name}"
        figures.add(label, seconds / 200_000 * 1e6, "µs a row and feature")
        if name != "rows one by one":
            figures.add(f"{label} / one by one", seconds / slow, "times")


def best_of(times: int, run: Callable[[], object]) -> float:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return min(found)


def scrape(figures: Figures) -> None:
    registry = CollectorRegistry()
    metrics = ModelMetrics(registry)
    names = tuple(f"feature_{i}" for i in range(FEATURES))
    rng = np.random.default_rng(7)
    for model in (f"model_{i}" for i in range(MODELS)):
        for version in range(VERSIONS):
            live = metrics.of_version(model, f"{version}.0.0", names)
            live.succeeded(1, 0.02)
            live.set_accuracy(0.9)
            live.saw(rng.normal(size=(10, FEATURES)), 10, names, rng.uniform(size=10))
            live.publish()
        checked = [(name, "KS-test", 0.1, False) for name in names]
        metrics.show_drift(model, checked, share=0.0, detected=False)
    ours, theirs = [], []
    for _ in range(15):
        ours.append(best_of(1, lambda: exposition(registry)) * 1e3)
        theirs.append(best_of(1, lambda: generate_latest(registry)) * 1e3)
    lines = exposition(registry).count(b"\n")
    print(f"scrape, {MODELS} models x {VERSIONS} versions x {FEATURES} features")
    mine, other = statistics.median(ours), statistics.median(theirs)
    figures.add("a scrape", lines, "lines")
    figures.add("exposition, median", mine, "ms")
    figures.add("exposition, most", max(ours), "ms")
    figures.add("exposition by prometheus_client, median", other, "ms")
    figures.add("exposition / prometheus_client", mine / other, "times")


def scraped_server(figures: Figures, seconds: float) -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(7)
    rows = rng.normal(size=(500, FEATURES))
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        with ModelRegistry(data_dir / "registry") as registry:
            fitted = LogisticRegression().fit(rows, rows[:, 0] > 0)
            for model in range(MODELS):
                name = f"model_{model}"
                for version in range(VERSIONS):
                    model_id = registry.register_model(
                        fitted, name, f"{version}.0.0", {}, training_data=rows
                    )
                    registry.promote_to_production(model_id)
        command = [sys.executable, "-m", "watchkeeper", "serve", "--port", "0"]
        server = subprocess.Popen(
            [*command, "--data-dir", folder], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        port = int(server.stdout.readline().rpartition(":")[2])
        try:
            warm_up(port, rows)
            found: dict[str, list[float]] = {"not scraped": [], "scraped every second": []}
            scrapes: list[float] = []
            idle = [best_of(1, lambda: scrape_once(port)) for _ in range(15)]
            for _ in range(3):
                found["not scraped"] += asyncio.run(load(port, rows, seconds / 3))
                ended = threading.Event()
                scraping = threading.Thread(target=scrape_on, args=(port, ended, scrapes))
                scraping.start()
                found["scraped every second"] += asyncio.run(load(port, rows, seconds / 3))
                ended.set()
                scraping.join()
        finally:
            server.terminate()
            server.wait()
    print("predictions through a server of these models, 200 requests/s")
    p99 = {}
    for name, times in found.items():
        p50, p99[name] = np.percentile(times, [50, 99]) * 1e3
        figures.add(f"{name}, median", p50, "ms")
        figures.add(f"{name}, 99th percentile", p99[name], "ms")
        figures.add(f"{name}, predictions", len(times), "")
    moved = p99["scraped every second"] - p99["not scraped"]
    figures.add("the 99th percentile moves by", moved, "ms")
    figures.add("a scrape of an idle server, median", statistics.median(idle) * 1e3, "ms")
    figures.add("a scrape of the busy server, median", statistics.median(scrapes) * 1e3, "ms")


def body_of(rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]], row: int) -> str:
    data = rows[row % len(rows)].tolist()
    tensor = {"name": "x", "shape": [1, FEATURES], "datatype": "FP64", "data": data}
    return json.dumps({"inputs": [tensor]})


def warm_up(port: int, rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    """Let every version of every model answer, so that all series are there."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for model in range(MODELS):
        for version in range(VERSIONS):
            path = f"/v2/models/model_{model}/versions/{version}.0.0/infer"
            connection.request("POST", path, body_of(rows, model))
            connection.getresponse().read()
    connection.close()


def scrape_on(port: int, ended: threading.Event, took: list[float]) -> None:
    while not ended.wait(1.0):
        began = time.perf_counter()
        scrape_once(port)
        took.append(time.perf_counter() - began)


def scrape_once(port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        answer.read()


async def load(
    port: int, rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]], seconds: float
) -> list[float]:
    """Send 200 requests a second over 4 connections and return how long each took."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def caller(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = 0
        while time.perf_counter() < end:
            sent += 1
            body = body_of(rows, sent).encode()
            path = f"/v2/models/model_{(number + sent) % MODELS}/infer"
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            began = time.perf_counter()
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            took = time.perf_counter() - began
            times.append(took)
            await asyncio.sleep(max(0.0, 0.02 - took))
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*map(caller, range(4)))
    return times


if __name__ == "__main__":
    main()
