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
    making(rng, options.rows, options.columns)
    checking(rng, options.rows, options.columns)
    merging(rng, options.rows, options.hours)


def making(rng: np.random.Generator, rows: int, columns: int) -> None:
    profiling = sorting = 0.0
    size = 0
    for _ in range(columns):  # one at a time, lest the columns fill the memory
        values = rng.normal(size=rows)
        profiling += seconds(lambda values=values: Profile.of({"x": values}))  # type: ignore[misc]
        sorting += seconds(lambda values=values: np.sort(values))  # type: ignore[misc]
        size += len(Profile.of({"x": values}).to_bytes())
    print(f"profile of {rows:,} rows x {columns} columns")
    print(f"  Profile.of {profiling:8.2f} s    np.sort alone {sorting:8.2f} s    {size:,} bytes")


def checking(rng: np.random.Generator, rows: int, columns: int) -> None:
    print(f"profile to profile, {columns} columns, median of {REPEATS} (least to most)")
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
        print(
            f"  {n:>9,} rows: used {spread(used)}, just read {spread(fresh)}, "
            f"SciPy on raw data {1e3 * exact:,.0f} ms (one column x {columns})"
        )


def merging(rng: np.random.Generator, rows: int, hours: int) -> None:
    values: npt.NDArray[np.float64] = rng.normal(size=rows)
    parts = [Profile.of({"x": part}) for part in np.array_split(values, hours)]
    merge = seconds(lambda: reduce(lambda total, part: total.merge(part), parts))
    again = seconds(lambda: np.sort(values))
    print(f"merge of {hours:,} hourly profiles of one column, {rows:,} rows in all")
    print(f"  merge {1e3 * merge:.0f} ms    np.sort of all rows {1e3 * again:.0f} ms")


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def spread(times: list[float]) -> str:
    least, most = 1e3 * min(times), 1e3 * max(times)
    return f"{1e3 * statistics.median(times):.1f} ms ({least:.1f} to {most:.1f})"


if __name__ == "__main__":
    main()
