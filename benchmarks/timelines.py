"""Claims: what time lines of a year cost, beside reading the same figures from the events.

A year of 330,000 predictions and their outcomes of one model, and 19 small models, go through the
real store: recorded, landed, compacted.

- A time line of a year, and of a day, of the large model take at most 50 ms, and the sparklines of
  all 20 models together at most 200 ms. Beside it: the same figures (traffic, errors, three
  quantiles, accuracy, Brier score and AUC by day) of rows that are read from the event store.
- After a restart the first time line is there at once; after a new hour has landed only its day is
  counted again.

    python benchmarks/timelines.py [--predictions 330000] [--small 2000]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from figures import Figures
from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.events import Window
from watchkeeper.identity import By
from watchkeeper.stats import roc_auc

YEAR = datetime(2013, 1, 1, tzinfo=UTC)
DAYS = 365
MODEL = "flights"
COLUMNS = ("timestamp", "status", "latency_ms", "prediction", "score", "actual", "actual_timestamp")
TIME = pa.timestamp("us", "UTC")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=int, default=330_000)
    parser.add_argument("--small", type=int, default=2_000)
    options = parser.parse_args()
    with TemporaryDirectory() as folder, Figures(__file__) as figures:
        settings = Settings(data_dir=Path(folder))
        small = [f"small-{number:02}" for number in range(19)]
        with App(settings) as app:
            record(app, MODEL, options.predictions, DAYS * 24.0, seed=1)
            for number, model in enumerate(small):
                record(app, model, options.small, DAYS * 24.0, seed=2 + number)
            settle(app)
            app.compactions.run(by=By())
        with App(settings) as app:
            measure(figures, app, small)
        with App(settings) as app:
            again(figures, app, small)


def record(app: App, model: str, count: int, hours: float, seed: int, after: float = 0.0) -> None:
    """Record predictions at random times, each with its outcome about a day later."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(after, after + hours, count)) * 3_600e6 + YEAR.timestamp() * 1e6
    score = rng.beta(1, 4, count)
    actual = rng.random(count) < score
    delay = rng.exponential(24 * 3_600e6, count)
    ids = [f"wk-{int(us) // 1000:012x}-{seed:08x}{n:012x}" for n, us in enumerate(at)]
    made = pa.array(at.astype(np.int64)).cast(TIME)
    came = pa.array((at + delay).astype(np.int64)).cast(TIME)
    failed = rng.random(count) < 0.01
    answer = pa.array((score > 0.5).astype(float), mask=failed)
    predictions = pa.table({
        "prediction_id": ids, "timestamp": made, "arrived_at": made,
        "model_version": np.where(at < at[count // 2], "1.0.0", "1.1.0"),
        "variant": np.where(rng.random(count) < 0.1, "canary", "production"),
        "status": np.where(failed, "error", "success"), "latency_ms": rng.lognormal(3, 0.8, count),
        "prediction": answer, "score": pa.array(score, mask=failed),
        **{f"feature.x{n}": rng.normal(size=count) for n in range(8)}})  # fmt: skip
    outcomes = pa.table(
        {"prediction_id": ids, "timestamp": came, "arrived_at": came, "actual": actual}
    )
    for begin in range(0, count, 50_000):
        app.recorder.record_table("prediction", model, predictions.slice(begin, 50_000))
        app.recorder.record_table("outcome", model, outcomes.slice(begin, 50_000))


def settle(app: App) -> None:
    app.recorder.journal.seal()
    assert app.landing.land().failures == ()


def measure(figures: Figures, app: App, small: list[str]) -> None:
    lines = app.timelines
    began = time.perf_counter()
    lines.refresh(MODEL)
    show(figures, "first computation, of the year", time.perf_counter() - began)
    began = time.perf_counter()
    for model in small:
        lines.refresh(model)
    show(figures, "first computation, of 19 small models", time.perf_counter() - began)
    cells = lines.cells(MODEL)
    kept = app.settings.data_dir / "timelines" / f"{MODEL}.arrow"
    figures.add("cells of the year", cells.num_rows, "")
    figures.add("cells of the year, in memory", cells.nbytes / 1e6, "MB")
    figures.add("cells of the year, on disk", kept.stat().st_size / 1e6, "MB")

    every = (YEAR, YEAR + timedelta(days=DAYS))
    day = (YEAR + timedelta(days=200), YEAR + timedelta(days=201))
    for name, (start, end), points in (
        ("of the year, by day", every, 366),
        ("of the year, by week", every, 60),
        ("of a day, by hour", day, 24),
    ):
        own = median_s(partial(lines.timeline, MODEL, start, end, points=points), 21)
        theirs = median_s(partial(from_events, app, start, end, points), 3)
        show(figures, f"a time line {name}", own)
        show(figures, f"{name}, from the event store", theirs)
        figures.add(f"{name}, event store / time line", theirs / own, "times")
    show(
        figures,
        "time lines of the year of each version",
        median_s(lambda: lines.by_version(MODEL, *every, points=366), 11),
    )
    models = [MODEL, *small]
    show(
        figures,
        "sparklines of 20 models, of the year",
        median_s(lambda: [lines.timeline(model, *every, points=60) for model in models], 11),
    )
    recent = (every[1] - timedelta(days=7), every[1])
    show(
        figures,
        "sparklines of 20 models, of a week",
        median_s(lambda: [lines.timeline(model, *recent, points=60) for model in models], 11),
    )
    show(
        figures,
        "to JSON, the year by day",
        median_s(lines.timeline(MODEL, *every, points=366).to_json, 11),
    )


def again(figures: Figures, app: App, small: list[str]) -> None:
    lines = app.timelines
    began = time.perf_counter()
    lines.timeline(MODEL, points=366)
    show(figures, "after a restart: the first time line, as kept", time.perf_counter() - began)
    began = time.perf_counter()
    lines.refresh(MODEL)
    show(figures, "after a restart: brought up to date", time.perf_counter() - began)
    show(figures, "refreshed, nothing new", median_s(lambda: lines.refresh(MODEL), 11))
    for model in small:
        lines.refresh(model)
    show(
        figures,
        "refreshed, nothing new, 20 models",
        median_s(lambda: [lines.refresh(model) for model in [MODEL, *small]], 5),
    )
    record(app, MODEL, 38, 1.0, seed=99, after=DAYS * 24.0 - 1.0)
    settle(app)
    began = time.perf_counter()
    lines.refresh(MODEL)
    show(figures, "refreshed, after a new hour has landed", time.perf_counter() - began)
    expected = app.events.counts(MODEL)
    found = lines.timeline(MODEL, points=1).timeline
    assert (found.predictions.sum(), expected.predictions) == (expected.predictions,) * 2


def from_events(app: App, start: datetime, end: datetime, points: int) -> list[dict[str, object]]:
    """Return the same figures, bucket by bucket, of rows that are read for it."""
    rows = app.events.read(MODEL, Window(start, end), columns=COLUMNS).rows
    width = (end - start) / min(points, 366)
    found = []
    at = rows["timestamp"].cast(pa.int64()).to_numpy()
    place = (at - start.timestamp() * 1e6) // (width.total_seconds() * 1e6)
    bounds = np.searchsorted(place, np.arange(min(points, 366) + 1))
    for begin, until in pairwise(bounds):
        part = rows.slice(begin, until - begin)
        failed = pc.sum(pc.equal(part["status"].cast(pa.string()), "error")).as_py()
        known = part.filter(pc.and_(part["prediction"].is_valid(), part["actual"].is_valid()))
        told, true, score = (known[n].to_numpy() for n in ("prediction", "actual", "score"))
        waited = pc.subtract(known["actual_timestamp"], known["timestamp"]).cast(pa.int64())
        area = roc_auc(score, true == 1)
        found.append({
            "predictions": part.num_rows, "failed": failed, "labelled": known.num_rows,
            "latency": np.quantile(part["latency_ms"].to_numpy(), [0.5, 0.95, 0.99]),
            "accuracy": np.mean(told == true), "brier": np.mean((score - true) ** 2),
            "auc": None if area is None else area.interval(), "delay": np.median(waited),
        })  # fmt: skip
    return found


def median_s(call: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def show(figures: Figures, label: str, seconds: float) -> None:
    figures.add(label, seconds * 1e3, "ms")


if __name__ == "__main__":
    main()
