"""Claims: what profiles cost.

- The profile of a dataset costs little more than sorting its columns.
- A profile-to-profile check of 50 columns costs about as much at any size, beside SciPy on the raw
  data. The aim is 10 ms. The first check of profiles just read costs twice that of used ones.
- The profiles of 1,000 hours are merged faster than the hours can be sorted anew.

    python benchmarks/profiles.py [--rows 1000000] [--columns 50] [--hours 1000]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import reduce

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp

from figures import Figures
from watchkeeper.drift.compare import ks_between_all
from watchkeeper.profiles import Profile

REPEATS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--hours", type=int, default=1_000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    Profile.of({"x": rng.normal(size=1_000)})  # imports
    with Figures(__file__) as figures:
        making(figures, rng, options.rows, options.columns)
        checking(figures, rng, options.rows, options.columns)
        merging(figures, rng, options.rows, options.hours)


def making(figures: Figures, rng: np.random.Generator, rows: int, columns: int) -> None:
    profiling = sorting = 0.0
    size = 0
    for _ in range(columns):  # one at a time, lest the columns fill the memory
        values = rng.normal(size=rows)
        profiling += seconds(lambda values=values: Profile.of({"x": values}))  # type: ignore[misc]
        sorting += seconds(lambda values=values: np.sort(values))  # type: ignore[misc]
        size += len(Profile.of({"x": values}).to_bytes())
    label = f"{rows:,} rows x {columns} columns"
    figures.add(f"Profile.of, {label}", profiling, "s")
    figures.add(f"np.sort alone, {label}", sorting, "s")
    figures.add("Profile.of / np.sort", profiling / sorting, "times")
    figures.add("the profiles", size, "bytes")


def checking(figures: Figures, rng: np.random.Generator, rows: int, columns: int) -> None:
    for n in sorted({10_000, 100_000, rows}):
        first, second = rng.normal(size=n), rng.normal(size=n)
        kept = [Profile.of({"x": values}).to_bytes() for values in (first, second)]
        fresh, used = [], []
        for _ in range(REPEATS):
            pairs = [
                (Profile.from_bytes(kept[0]).columns["x"], Profile.from_bytes(kept[1]).columns["x"])
                for _ in range(columns)
            ]
            fresh.append(seconds(lambda pairs=pairs: ks_between_all(pairs)))  # type: ignore[misc]
            used.append(seconds(lambda pairs=pairs: ks_between_all(pairs)))  # type: ignore[misc]
        exact = columns * seconds(lambda a=first, b=second: ks_2samp(a, b, method="asymp"))  # type: ignore[misc]
        label = f"profile to profile, {columns} columns, {n:,} rows"
        add_spread(figures, f"{label}, used", used)
        add_spread(figures, f"{label}, just read", fresh)
        figures.add(f"SciPy on raw data, {n:,} rows (one column x {columns})", 1e3 * exact, "ms")
        figures.add(f"SciPy / used, {n:,} rows", exact / statistics.median(used), "times")


def merging(figures: Figures, rng: np.random.Generator, rows: int, hours: int) -> None:
    values: npt.NDArray[np.float64] = rng.normal(size=rows)
    parts = [Profile.of({"x": part}) for part in np.array_split(values, hours)]
    merge = seconds(lambda: reduce(lambda total, part: total.merge(part), parts))
    again = seconds(lambda: np.sort(values))
    figures.add(f"merge of {hours:,} hourly profiles, {rows:,} rows", 1e3 * merge, "ms")
    figures.add("np.sort of all rows", 1e3 * again, "ms")
    figures.add("merge / np.sort", merge / again, "times")


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def add_spread(figures: Figures, label: str, times: list[float]) -> None:
    least, most = 1e3 * min(times), 1e3 * max(times)
    figures.add(label, 1e3 * statistics.median(times), f"ms ({least:.1f} to {most:.1f})")


if __name__ == "__main__":
    main()
