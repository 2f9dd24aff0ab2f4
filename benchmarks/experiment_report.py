"""Reports over ten million predictions, from the event store: of an experiment, and of health.

    python benchmarks/experiment_report.py [exposures]

Two million users, thirty days, two arms; every prediction has its outcome. The events are written
in bulk as a server would, landed and compacted; compaction also keeps each day joined, as numbers.
Then the report is made as ``watchkeeper experiments report`` makes it: first, which also loads
SciPy, again three times, and once without what compaction kept, as of days that changed since.
Between them, the health report over all thirty days, as ``watchkeeper health`` makes it.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from figures import Figures
from watchkeeper.app import App
from watchkeeper.config import ModelPolicy, Settings
from watchkeeper.experiments.drafting import draft
from watchkeeper.labelling import Labelling
from watchkeeper.monitoring.experiments import report_of
from watchkeeper.monitoring.health import health_of
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


def main(exposures: int) -> None:
    users = exposures // 5
    with TemporaryDirectory(prefix="watchkeeper-") as folder, Figures(__file__) as figures:
        data = Path(folder)
        began = time.perf_counter()
        fill(data, exposures, users)
        took = time.perf_counter() - began
        print(f"{exposures:,} exposures of {users:,} units")
        figures.add("written", took, "s")
        began = time.perf_counter()
        EventStore(data).compact()
        figures.add("compacted", time.perf_counter() - began, "s")
        experiment = draft(
            "august",
            "flights",
            {"january": "1.0.0", "summer": "1.1.0"},
            metric="accuracy",
            guardrails={"error-rate": 0.01},
            planned_units=users,
        ).started(START)
        events = EventStore(data)
        at = START + timedelta(days=DAYS + 1)
        for label in ("first", "again 1", "again 2", "again 3", "from the tables alone"):
            if label == "from the tables alone":
                health(figures, data)
                rmtree(data / "events" / "flights" / "joined")
            began, worked = time.perf_counter(), time.process_time()
            found = report_of(events, experiment, Labelling(), at=at)
            took, work = time.perf_counter() - began, time.process_time() - worked
            units = sum(found.units.values())
            verdict = found.decision.verdict
            figures.add(f"report, {label}", took, "s")
            figures.add(f"report, {label}, processor time", work, "s")
            print(f"  of {units:,} units, {verdict}")


def health(figures: Figures, data: Path) -> None:
    terms = {**ModelPolicy().health_terms(), "window": timedelta(days=DAYS)}
    with App(Settings(data_dir=data)) as app:
        for label in ("first", "again 1", "again 2"):
            began = time.perf_counter()
            found = health_of(
                app.events,
                app.registry,
                app.findings,
                app.alerts,
                "flights",
                at=START + timedelta(days=DAYS),
                **terms,
            )
            took = time.perf_counter() - began
            count = found.status.metrics["recorded"]
            figures.add(f"health, {label}", took, "s")
            print(f"  of {count:,.0f} predictions")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
