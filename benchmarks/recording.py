"""Claim: recording a prediction of 20 features, journal and metrics together, takes at most 15 µs.

That is the caller's time at the median: the event is made, encoded, written to the journal, and
the counters go up. Beside it, in turns: a standard library logger that writes the same facts as a
line of JSON to a file, unrotated and unsynced.

    python benchmarks/recording.py [--events 20000] [--rounds 5]
"""

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from figures import Figures
from watchkeeper.events import Prediction, new_prediction_id
from watchkeeper.store import Journal, JournalRecorder
from watchkeeper.telemetry import ModelMetrics


def main() -> None:
    """Measure both in turns and print medians, 99th percentiles and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    features = {f"feature_{i}": i * 1.25 for i in range(20)}
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal") as journal:
        recorder = JournalRecorder(journal)
        metrics = ModelMetrics(CollectorRegistry()).of_version("model", "1.0.0")
        logger = json_logger(Path(folder) / "predictions.log")

        def record() -> None:
            recorder.record(
                [
                    Prediction(
                        prediction_id=new_prediction_id(now), model="model", model_version="1.0.0",
                        timestamp=now, arrived_at=now, features=features, prediction=1, score=0.75,
                        latency_ms=1.5, unit_id="unit", request_id="request",
                    )
                ]
            )  # fmt: skip
            metrics.succeeded(1, 0.0015)

        def log() -> None:
            extra = {
                "prediction_id": new_prediction_id(now), "model": "model", "version": "1.0.0",
                "features": features, "prediction": 1, "score": 0.75, "latency_ms": 1.5,
                "unit_id": "unit", "request_id": "request",
            }  # fmt: skip
            logger.info("prediction", extra={"facts": extra})

        times: dict[str, list[float]] = {"watchkeeper": [], "logging + json": []}
        for _ in range(options.rounds):
            times["watchkeeper"] += measured(record, options.events)
            times["logging + json"] += measured(log, options.events)
    with Figures(__file__) as figures:
        for name, found in times.items():
            figures.add(f"{name}, median", float(np.median(found)), "µs")
            figures.add(f"{name}, 99th percentile", float(np.quantile(found, 0.99)), "µs")
        ours, theirs = (float(np.median(found)) for found in times.values())
        figures.add("median, of logging + json's", ours / theirs, "times")
    print("claimed: at most 15 µs at the median")


def measured(call: Callable[[], None], count: int) -> list[float]:
    """Return how many microseconds each of `count` calls took."""
    clock = time.perf_counter_ns
    found = []
    for _ in range(count):
        began = clock()
        call()
        found.append((clock() - began) / 1e3)
    return found


def json_logger(path: Path) -> logging.Logger:
    """Return a logger that writes the facts of a record as a line of JSON."""

    class Json(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            facts = {"timestamp": self.formatTime(record), "message": record.getMessage()}
            return json.dumps({**facts, **vars(record)["facts"]})

    logger = logging.getLogger("benchmark")
    handler = logging.FileHandler(path)
    handler.setFormatter(Json())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logger


if __name__ == "__main__":
    main()
