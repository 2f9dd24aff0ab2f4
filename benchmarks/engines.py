"""Claim: a check against a profile grows linearly to ten million rows, in memory and in DuckDB.

The same Parquet file is compared with a stored profile in memory, and by DuckDB, which holds at
most 1 GB and spills. Statistics agree.

    python benchmarks/engines.py [--rows 1000000 10000000] [--columns 5]
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from figures import Figures
from watchkeeper.drift import DataDriftDetector, DriftReport, Profile
from watchkeeper.profiles.engines import duckdb_table

PART = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--columns", type=int, default=5)
    options = parser.parse_args()
    with Figures(__file__) as figures:
        measure(options.rows, options.columns, figures)


def measure(sizes: list[int], columns: int, figures: Figures) -> None:
    rng = np.random.default_rng(0)
    detector = DataDriftDetector(Profile.of(made(rng, 100_000, columns)))
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "current.parquet"
            with pq.ParquetWriter(file, made(rng, 1, columns).schema) as writer:
                for start in range(0, rows, PART):
                    writer.write_table(made(rng, min(PART, rows - start), columns))
            queried, by_duckdb = timed(partial(queried_by, detector, file))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            held, in_memory = timed(partial(held_by, detector, file))
        for name, feature in held.features.items():
            own = queried.features[name].statistic
            assert np.isclose(own or 0.0, feature.statistic or 0.0, rtol=1e-9, atol=1e-12)
        label = f"{rows:,} rows, {columns} columns of numbers and one of words"
        figures.add(f"{label}, in memory", in_memory, "s")
        figures.add(f"{label}, DuckDB", by_duckdb, "s")
        figures.add(f"{label}, peak with DuckDB", peak, "MiB")


def queried_by(detector: DataDriftDetector, file: Path) -> DriftReport:
    return detector.detect(duckdb_table(str(file), scratch=str(file.parent)))


def held_by(detector: DataDriftDetector, file: Path) -> DriftReport:
    return detector.detect(pq.read_table(file))


def made(rng: np.random.Generator, rows: int, columns: int) -> pa.Table:
    numbers = {f"number_{i}": rng.normal(size=rows) for i in range(columns)}
    return pa.table(numbers | {"word": pa.array(rng.choice(["a", "b", "c"], rows))})


def timed(run: Callable[[], DriftReport]) -> tuple[DriftReport, float]:
    began = time.perf_counter()
    found = run()
    return found, time.perf_counter() - began


if __name__ == "__main__":
    main()
