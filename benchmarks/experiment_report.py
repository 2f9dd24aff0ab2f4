"""A report over ten million exposures, from the event store.

    python benchmarks/experiment_report.py [exposures]

Two million users, thirty days, two arms; every prediction has its outcome. The events are written
in bulk as a server would, landed and compacted; then the report is made, three times, as
``watchkeeper experiments report`` makes it. Beside it: reading no more than the columns that it
needs, which is the floor.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from watchkeeper.control import experiments
from watchkeeper.events import Window
from watchkeeper.store import EventStore, Journal, JournalRecorder, Landing

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 30
ROWS = 250_000  # a segment


def fill(data: Path, exposures: int, users: int) -> None:
    rng = np.random.default_rng(5)
    made = 0
    with Journal(data / "journal") as journal:
        recorder = JournalRecorder(journal)
        while made < exposures:
            count = min(ROWS, exposures - made)
            micros = np.sort(
                rng.integers(0, 1_000_000, count) + (made + np.arange(count)) * 1_000_000
            )
            micros = (micros * (DAYS * 86_400 / exposures)).astype(np.int64)
            at = pa.array(micros + int(START.timestamp()) * 1_000_000, pa.timestamp("us", "UTC"))
            user = rng.integers(0, users, count)
            right = rng.random(count) < np.where(user % 2, 0.805, 0.8)
            told = int(START.timestamp()) * 1_000 + micros // 1_000
            ids = [
                f"wk-{ms:012x}-{n:020x}"
                for ms, n in zip(told.tolist(), range(made, made + count), strict=True)
            ]
            words = pa.array(["january", "summer"])
            arm = pa.DictionaryArray.from_arrays(pa.array((user % 2).astype(np.int32)), words)
            prediction = pa.table(
                {
                    "prediction_id": ids,
                    "timestamp": at,
                    "arrived_at": at,
                    "model_version": arm,
                    "variant": arm,
                    "unit_id": [f"user-{n:07}" for n in user.tolist()],
                    "experiment": pa.array(["august/1"] * count).dictionary_encode(),
                    "prediction": np.ones(count),
                    "score": rng.random(count),
                    "latency_ms": rng.gamma(2.0, 5.0, count),
                    "feature.x": rng.normal(size=count),
                }
            )
            recorder.record_table("prediction", "flights", prediction)
            outcome = {
                "prediction_id": ids,
                "timestamp": at,
                "arrived_at": at,
                "actual": right.astype(np.float64),
            }
            recorder.record_table("outcome", "flights", pa.table(outcome))
            made += count
            Landing(data).land()
    Landing(data).land()
    EventStore(data).compact()


def main(exposures: int) -> None:
    users = exposures // 5
    with TemporaryDirectory(prefix="watchkeeper-") as folder:
        data = Path(folder)
        began = time.perf_counter()
        fill(data, exposures, users)
        took = time.perf_counter() - began
        print(f"{exposures:,} exposures of {users:,} units, written and compacted in {took:.0f} s")
        experiment = experiments.draft(
            "august",
            "flights",
            {"january": "1.0.0", "summer": "1.1.0"},
            metric="accuracy",
            guardrails={"error-rate": 0.01},
            planned_units=users,
        ).started(START)
        events = EventStore(data)
        at = START + timedelta(days=DAYS + 1)
        for _ in range(3):
            began = time.perf_counter()
            found = experiments.report(events, experiment, at=at)
            took = time.perf_counter() - began
            units = sum(found.units.values())
            print(f"report: {took:.2f} s, {units:,} units, {found.decision.verdict}")
        began = time.perf_counter()
        wanted = ["unit_id", "variant", "timestamp"]
        read = events.read("flights", Window(START, at), columns=wanted)
        took = time.perf_counter() - began
        print(f"reading three columns of {read.rows.num_rows:,} rows: {took:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
