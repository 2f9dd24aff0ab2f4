"""Claims: what an exact drift report costs, and how it grows.

Reference and current data of as many rows each, 40 columns of numbers and 10 of words, the
reference prepared: the exact report (statistics and p-values equal to SciPy's) beside SciPy column
by column in the same run, and Evidently if the Python of an environment that has it is given. The
work is timed in turns; memory is what the process grows by while it reports, looked at every ms.

    python benchmarks/drift.py [--rows 1000000] [--drifted 5] [--evidently PYTHON]
"""

import argparse
import gc
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.feather
from scipy.stats import chi2_contingency, ks_2samp

from figures import Figures
from watchkeeper.drift import DataDriftDetector
from watchkeeper.drift.compare import chi_squared_between, ks_between_all
from watchkeeper.profiles import Profile

NUMBERS, WORDS = 40, 10
PEER = "SciPy, column by column"

EVIDENTLY = """
import sys, time
import pyarrow.feather
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
reference, current = (pyarrow.feather.read_table(p).to_pandas() for p in sys.argv[1:])
names = list(reference.columns)
numbers = [n for n in names if n.startswith("number")]
words = [n for n in names if n.startswith("word")]
definition = DataDefinition(numerical_columns=numbers, categorical_columns=words)
began = time.perf_counter()
a = Dataset.from_pandas(reference, data_definition=definition)
b = Dataset.from_pandas(current, data_definition=definition)
Report([DataDriftPreset(num_method="ks", cat_method="chisquare")]).run(b, a)
print(time.perf_counter() - began)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--drifted", type=int, default=5, help="columns that move by 0.1 sd")
    parser.add_argument("--evidently", type=Path, help="Python of an environment with Evidently")
    options = parser.parse_args()
    reference = made(options.rows, 1, 0)
    current = made(options.rows, 2, options.drifted)
    detector = DataDriftDetector(reference)
    profile = Profile.of(reference)
    against = DataDriftDetector(profile)
    later = Profile.of(current)
    times: dict[str, list[float]] = {
        "watchkeeper, exact": [],
        "watchkeeper, by profile": [],
        PEER: [],
        "profile to profile": [],
    }
    grown = growth_mib(lambda: detector.detect(current))
    report = detector.detect(current)
    assert len(report.drifted) == options.drifted
    for _ in range(3):
        times["watchkeeper, exact"].append(timed(lambda: detector.detect(current)))
        times["watchkeeper, by profile"].append(timed(lambda: against.detect(current)))
        times["profile to profile"].append(timed(lambda: between(profile, later)))
        times[PEER].append(timed(lambda: by_scipy(reference, current)))
    expected = by_scipy(reference, current)
    for name, (statistic, p_value) in expected.items():
        own = report.features[name]
        assert np.isclose(own.statistic or 0.0, statistic, rtol=1e-12, atol=0)
        assert np.isclose(own.p_value or 0.0, p_value, rtol=1e-9, atol=1e-300)
    kept = against.detect(current)
    for name in expected:
        if name.startswith("number"):
            assert abs((kept.features[name].statistic or 0.0) - expected[name][0]) < 1 / 1000
    print(f"{options.rows:,} x {options.rows:,} rows, {NUMBERS} numbers and {WORDS} words, seconds")
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    with Figures(__file__) as figures:
        for name, median in medians.items():
            figures.add(name, median, "s")
            if name != PEER:
                figures.add(f"SciPy / {name}", medians[PEER] / median, "times")
        if options.evidently:
            evidently = by_evidently(options.evidently, reference, current)
            figures.add("Evidently, KS/chi-square", evidently, "s")
            ratio = evidently / medians["watchkeeper, exact"]
            figures.add("Evidently / watchkeeper, exact", ratio, "times")
        figures.add("a profile", len(profile.to_bytes()), "bytes")
        figures.add("memory above the frames and the reference", grown, "MiB")
    print("  statistics and p-values of all columns are SciPy's (1e-12, 1e-9)")


def made(rows: int, seed: int, drifted: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {}
    for i in range(NUMBERS):
        values = rng.lognormal(size=rows) if i % 4 == 3 else rng.normal(size=rows)
        columns[f"number_{i}"] = pa.array(values + (0.1 if i < drifted else 0.0))
    for i in range(WORDS):
        labels = pa.array([f"label {j}" for j in range(5 * (i + 1))])
        codes = pa.array(rng.integers(0, 5 * (i + 1), rows).astype(np.int32))
        columns[f"word_{i}"] = pa.DictionaryArray.from_arrays(codes, labels).cast(pa.string())
    return pa.table(columns)


def by_scipy(reference: pa.Table, current: pa.Table) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for name in reference.column_names:
        if name.startswith("number"):
            test = ks_2samp(reference[name].to_numpy(), current[name].to_numpy())
            found[name] = float(test.statistic), float(test.pvalue)
            continue
        before, now = (
            dict(zip(c.field(0).to_pylist(), c.field(1).to_pylist(), strict=True))
            for c in (table[name].value_counts() for table in (reference, current))
        )
        labels = sorted(before.keys() | now.keys())
        table = [[counts.get(label, 0) for label in labels] for counts in (before, now)]
        homogeneity = chi2_contingency(table)
        found[name] = float(homogeneity.statistic), float(homogeneity.pvalue)
    return found


def between(reference: Profile, current: Profile) -> None:
    numbers = [name for name in reference.columns if name.startswith("number")]
    ks_between_all([(reference.columns[name], current.columns[name]) for name in numbers])
    for name, column in reference.columns.items():
        if name.startswith("word"):
            chi_squared_between(column, current.columns[name])


def by_evidently(python: Path, reference: pa.Table, current: pa.Table) -> float:
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("reference.arrow", "current.arrow")]
        for path, table in zip(paths, (reference, current), strict=True):
            pyarrow.feather.write_feather(table, path)
        command = [str(python), "-W", "ignore", "-c", EVIDENTLY, *paths]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(ended.stdout.splitlines()[-1])


def timed(run: Callable[[], object]) -> float:
    gc.collect()
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def growth_mib(run: Callable[[], object]) -> float:
    gc.collect()
    process, ended = psutil.Process(), threading.Event()
    before = process.memory_info().rss
    seen = [before]

    def watch() -> None:
        while not ended.wait(0.001):
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    run()
    ended.set()
    watcher.join()
    return float((max(seen) - before) / 2**20)


if __name__ == "__main__":
    main()
