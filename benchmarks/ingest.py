"""Claim: Arrow IPC bodies become rows of the event store at 100,000 events/s a core, memory flat.

Predictions of 20 features, and outcomes for them, go through the same function as the HTTP route: a
body is checked, written to the journal, and landed in Delta Lake tables. Time is the processor time
of the process. Beside it: `write_deltalake` of the same rows, which neither checks nor journals.

    python benchmarks/ingest.py [--rows 250000 1000000]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from figures import Figures

FEATURES, BATCH = 20, 50_000


def main() -> None:
    """Measure each size in a process of its own and print events/s a core and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[250_000, 1_000_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one)))
        return
    with Figures(__file__) as figures:
        for rows in options.rows:
            command = [sys.executable, __file__, "--one", str(rows)]
            ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            for label, (value, unit) in json.loads(ended.stdout).items():
                figures.add(f"{rows:,} predictions and outcomes, {label}", value, unit)


def measured(rows: int) -> dict[str, tuple[float, str]]:
    """Ingest `rows` predictions and as many outcomes; return figures and their units by label."""
    from deltalake import write_deltalake

    from watchkeeper.clock import Arrivals, system_clock
    from watchkeeper.events import EventKind
    from watchkeeper.serving.ingest import ingest
    from watchkeeper.store import Journal, JournalRecorder, Landing

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        bodies = [stream(place / "p.arrow", rows, "predictions")]
        bodies.append(stream(place / "o.arrow", rows, "outcomes"))
        began = time.process_time()
        with Journal(place / "journal", max_bytes=1 << 40) as journal:
            recorder = JournalRecorder(journal)
            arrivals = Arrivals(system_clock)
            kinds: tuple[EventKind, EventKind] = ("prediction", "outcome")
            for kind, path in zip(kinds, bodies, strict=True):
                with path.open("rb") as body:
                    ingest(body, kind, "model", recorder, arrivals)
        report = Landing(place).land()
        ours = time.process_time() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        landed = report.predictions["model"] + report.outcomes["model"]
        began = time.process_time()
        for path in bodies:
            with pa.ipc.open_stream(path) as reader:
                for batch in reader:
                    write_deltalake(place / "alone" / path.stem, pa.table(batch), mode="append")
        alone = time.process_time() - began
    return {
        "ingested": (landed / ours, "events/s a core"),
        "write_deltalake alone": (landed / alone, "events/s a core"),
        "ingested / write_deltalake": (alone / ours, "times"),
        "peak memory": (peak, "MiB"),
    }


def stream(path: Path, rows: int, kind: str) -> Path:
    """Write an Arrow IPC stream of `rows` records to `path`, batch by batch."""
    rng = np.random.default_rng(1)
    writer: pa.ipc.RecordBatchStreamWriter | None = None
    file: IO[bytes]
    with path.open("wb") as file:
        for start in range(0, rows, BATCH):
            count = min(BATCH, rows - start)
            ids = pa.array([f"order-{number}" for number in range(start, start + count)])
            second = np.datetime64("2013-01-01T00:00:00", "us") + np.arange(start, start + count)
            columns = {
                "prediction_id": ids,
                "timestamp": pa.array(second, pa.timestamp("us", "UTC")),
            }
            if kind == "outcomes":
                columns["actual"] = pa.array(rng.integers(0, 2, count))
            else:
                columns["prediction"] = pa.array(rng.integers(0, 2, count))
                columns["score"] = pa.array(rng.random(count))
                columns |= {f"feature.f{i}": pa.array(rng.random(count)) for i in range(FEATURES)}
            batch = pa.record_batch(columns)
            if writer is None:
                writer = pa.ipc.new_stream(file, batch.schema)
            writer.write_batch(batch)
        if writer is not None:
            writer.close()
    return path


if __name__ == "__main__":
    main()
