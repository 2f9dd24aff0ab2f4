"""Claims: how often drift is called when there is none, and how often it is found.

50 columns, 40 of numbers (normal, lognormal, Cauchy, rounded) and 10 of words with 5 to 50 labels.

- No drift: the share of windows in which the dataset verdict says drift, at 1,000 and at 100,000
  rows; beside it the share for a raw p < 0.05 in any column, as a check without correction has it.
- A shift of 0.1 standard deviations in 5 of the columns at 100,000 rows: the share of these that
  are found, and of the others that are called.
- A check of 1,000 rows every hour of a year against one reference of 10,000 rows: the share of
  years with at least one alarm, at ``checks=8760`` and at the level of a single check. Columns are
  screened in bulk, and the verdict is the detector's wherever a column comes near.

    python benchmarks/drift_rates.py [--windows 300] [--years 4] [--seed 7]
"""

import argparse
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, chi2

from figures import Figures
from watchkeeper.drift import DataDriftDetector

NUMBERS, WORDS, HOURS = 40, 10, 8760
SHIFTED = range(5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=300)
    parser.add_argument("--years", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with Figures(__file__) as figures:
        without_drift(figures, rng, options.windows)
        shifted(figures, rng, max(20, options.windows // 4))
        hourly(figures, rng, options.years)


def without_drift(figures: Figures, rng: np.random.Generator, most: int) -> None:
    for rows, windows in ((1_000, most), (100_000, max(20, most // 4))):
        called = raw = 0
        for _ in range(windows):
            report = DataDriftDetector(frame(rng, rows)).detect(frame(rng, rows))
            called += report.drift_detected
            raw += any((each.p_value or 1.0) < 0.05 for each in report.features.values())
        add_share(figures, f"no drift, {rows:,} rows, verdict", called, windows, "of windows")
        add_share(figures, f"no drift, {rows:,} rows, raw p", raw, windows, "of windows")


def shifted(figures: Figures, rng: np.random.Generator, windows: int) -> None:
    hits = misses = 0
    for _ in range(windows):
        report = DataDriftDetector(frame(rng, 100_000)).detect(frame(rng, 100_000, shift=0.1))
        drifted = set(report.drifted)
        moved = {f"number_{i}" for i in SHIFTED}
        hits += len(drifted & moved)
        misses += len(drifted - moved)
    label = "0.1 sd in 5 of 50 columns, 100,000 rows"
    add_share(figures, f"{label}, found", hits, 5 * windows, "of the 5")
    add_share(figures, f"{label}, others called", misses, 45 * windows, "of the 45")


def hourly(figures: Figures, rng: np.random.Generator, count: int) -> None:
    years = [year(rng) for _ in range(count)]
    held, single = (sum(alarms[i] > 0 for alarms in years) for i in (0, 1))
    add_share(figures, "years with an alarm, checks=8760", held, count, "of years")
    total = sum(alarms[0] for alarms in years)
    figures.add("alarms, checks=8760", total, f"in {HOURS * count:,} checks")
    add_share(figures, "years with an alarm, checks=1", single, count, "of years")


def add_share(figures: Figures, label: str, count: int, total: int, unit: str) -> None:
    low, high = binomtest(count, total).proportion_ci(method="exact")
    figures.add(label, count / total, f"{unit} (95 % interval {low:.4f} to {high:.4f})")


def frame(rng: np.random.Generator, rows: int, shift: float = 0.0) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for i in range(NUMBERS):
        moved = shift if i in SHIFTED else 0.0
        columns[f"number_{i}"] = numbers(rng, i, rows) + moved
    for i in range(WORDS):
        columns[f"word_{i}"] = labels(i)[rng.integers(0, len(labels(i)), rows)]
    return columns


def numbers(rng: np.random.Generator, column: int, rows: int) -> npt.NDArray[np.float64]:
    kind = 0 if column in SHIFTED else column % 4
    if kind == 1:
        return rng.lognormal(size=rows)
    if kind == 2:
        return rng.standard_cauchy(rows)
    values = rng.normal(size=rows)
    return values.round(1) if kind == 3 else values


def labels(column: int) -> npt.NDArray[np.str_]:
    return np.array([f"label {j}" for j in range(5 * (column + 1))])


def year(rng: np.random.Generator) -> tuple[int, int]:
    """Return the alarms of a year at ``checks=8760``, and hours that a single level alarms in.

    The second counts columns whose corrected p-value by Bonferroni is below 0.05, a lower bound.
    """
    rows, held = 1_000, 0.05 / HOURS
    reference = frame(rng, 10_000)
    near = np.zeros(HOURS, dtype=bool)
    single = np.zeros(HOURS, dtype=bool)
    kept: dict[str, Any] = {}
    bound = np.sqrt(-np.log(held / 2) / 2 * (1 / 10_000 + 1 / rows)) * 0.98
    loose = np.sqrt(-np.log(0.05 / 50 / 2) / 2 * (1 / 10_000 + 1 / rows))
    for i in range(NUMBERS):
        known = np.sort(reference[f"number_{i}"])
        now = numbers(rng, i, HOURS * rows).reshape(HOURS, rows)
        distance = distances(known, np.sort(now, axis=1))
        near |= distance > bound
        single |= distance > loose
        kept[f"number_{i}"] = now
    for i in range(WORDS):
        names = labels(i)
        before = np.array([np.sum(reference[f"word_{i}"] == name) for name in names])
        counts = rng.multinomial(rows, np.full(len(names), 1 / len(names)), size=HOURS)
        p_values = homogeneity(before, counts)
        near |= p_values < held * 1.02
        single |= p_values < 0.05 / 50
        kept[f"word_{i}"] = counts
    detector = DataDriftDetector(reference, checks=HOURS)
    alarms = 0
    for hour in np.flatnonzero(near):
        current = {name: kept[name][hour] for name in kept if name.startswith("number")}
        for i in range(WORDS):
            current[f"word_{i}"] = np.repeat(labels(i), kept[f"word_{i}"][hour])
        alarms += detector.detect(current).drift_detected
    return alarms, int(single.sum())


def distances(
    known: npt.NDArray[np.float64], now: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the distance of each sorted row from the reference; ties only make it larger."""
    rows = now.shape[1]
    upto = np.searchsorted(known, now, side="right") / len(known)
    below = np.searchsorted(known, now, side="left") / len(known)
    after, before = np.arange(1, rows + 1) / rows, np.arange(rows) / rows
    found: npt.NDArray[np.float64] = np.maximum(
        np.abs(after - upto).max(axis=1), np.abs(below - before).max(axis=1)
    )
    return found


def homogeneity(
    before: npt.NDArray[np.int64], now: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    m, n = before.sum(), now.sum(axis=1, keepdims=True)
    both = before + now
    expected_now, expected_before = both * n / (m + n), both * m / (m + n)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = (now - expected_now) ** 2 / expected_now
        parts = parts + (before - expected_before) ** 2 / expected_before
    statistic = np.nansum(parts, axis=1)
    p_values: npt.NDArray[np.float64] = chi2.sf(statistic, (both > 0).sum(axis=1) - 1)
    return p_values


if __name__ == "__main__":
    main()
