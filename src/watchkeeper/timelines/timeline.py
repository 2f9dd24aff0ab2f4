"""Time lines: what the cells of a window say, bucket by bucket."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watchkeeper.errors import InvalidValueError
from watchkeeper.events import Window
from watchkeeper.results import Result
from watchkeeper.stats.auc import roc_auc_of_counts
from watchkeeper.stats.intervals import normal_quantile, wilson_of_many
from watchkeeper.timelines.buckets import EPOCH, HOUR, hour_before, unit_for
from watchkeeper.timelines.cells import histogram_entries, hours_of, task_of
from watchkeeper.timelines.scales import wait_of

__all__ = ["MOST_POINTS", "Band", "Timeline", "timeline_of", "timelines_by"]

MOST_POINTS = 2_000
"""Buckets that a time line may have: more than a screen has columns for."""

_CONFIDENCE = 0.95

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Band(Result):
    """A figure a bucket, with its interval of 95 % confidence; NaN where there is no data.

    Attributes
    ----------
    value, low, high : numpy.ndarray of float, shape (n,)
    """

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Timeline(Result):
    """What became of a model's predictions, bucket by bucket.

    A column has an element a bucket. Where there is no data a figure is NaN; where the task does
    not have it at all, the column is None. So a zero was counted or measured.

    Attributes
    ----------
    task : str
    bucket : str
        What a bucket is: ``hour``, ``3 hours``, ``6 hours``, ``12 hours``, ``day``, ``week`` (from
        Monday), ``month``, ``quarter``, ``year`` and so on, in UTC, or ``whole``.
    starts, ends : tuple of datetime
        Of each bucket; the first and the last end with the window.
    seconds : numpy.ndarray of float, shape (n,)
        How long each is.
    first, last : datetime or None
        Hours of the first and the last prediction that is known at all: outside of them, no
        predictions means that none are recorded.
    predictions, failed, answered, labelled : numpy.ndarray of int, shape (n,)
    error_share : Band
        Failed of all; Wilson's interval.
    latency_p50, latency_p95, latency_p99 : numpy.ndarray of float, shape (n,)
        Milliseconds: within `RELATIVE_ERROR` of the prediction of that rank, which is NumPy's
        quantile by ``inverted_cdf``.
    coverage : numpy.ndarray of float, shape (n,)
        Labelled of answered.
    label_delay, label_delay_mean : numpy.ndarray of float, shape (n,)
        Seconds from a prediction to its outcome: their median, as exact as latencies, and mean.
    accuracy : Band or None
        With Wilson's interval. None for regression.
    predicted_share, positive_share : Band or None
        Of the positive class: answered with it, and labelled with it. Binary only.
    precision, recall : Band or None
        With Wilson's interval. Binary only.
    auc : Band or None
        Of the scores as they were counted by bins, with DeLong's interval. Binary only.
    auc_off_by : numpy.ndarray of float, shape (n,), or None
        How far the counting can have moved each AUC, at most.
    brier : Band or None
        Binary only; no data where a score is no probability.
    mae, rmse : Band or None
        In the unit of the target, with a normal interval. Regression only.
    mean_error : numpy.ndarray of float, shape (n,), or None
        Predicted minus actual. Regression only.
    """

    task: str
    bucket: str
    starts: tuple[datetime, ...]
    ends: tuple[datetime, ...]
    seconds: Floats
    first: datetime | None
    last: datetime | None
    predictions: Ints
    failed: Ints
    answered: Ints
    labelled: Ints
    error_share: Band
    latency_p50: Floats
    latency_p95: Floats
    latency_p99: Floats
    coverage: Floats
    label_delay: Floats
    label_delay_mean: Floats
    accuracy: Band | None = None
    predicted_share: Band | None = None
    positive_share: Band | None = None
    precision: Band | None = None
    recall: Band | None = None
    auc: Band | None = None
    auc_off_by: Floats | None = None
    brier: Band | None = None
    mae: Band | None = None
    rmse: Band | None = None
    mean_error: Floats | None = None


def timeline_of(
    cells: pa.Table,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    points: int = 120,
    version: str | None = None,
    variant: str | None = None,
) -> Timeline:
    """Return what cells say of a window, in the shortest natural buckets that are few enough.

    Parameters
    ----------
    cells : pyarrow.Table
        See `watchkeeper.timelines.cells_of`; by time, as they come from there.
    start, end : datetime, optional
        By default from the first prediction to the last. An hour is not cut: that of `start` is
        whole, and so is that of `end` if it began before.
    points : int
        How many buckets there may be, from 1 to 2,000. With 1 the window is one bucket.
    version, variant : str, optional
        Only of this version, or this part of the traffic.

    Returns
    -------
    Timeline

    Raises
    ------
    InvalidValueError
        If the window ends before it starts, or the number of points is out of range.
    """
    if not 1 <= points <= MOST_POINTS:
        raise InvalidValueError("points", points, f"a whole number from 1 to {MOST_POINTS}")
    window = Window(start, end)
    cells = cells.combine_chunks()
    hours = hours_of(cells)
    first, until = _hours_within(window, hours)
    grid = _grid(window, first, until, points)
    rows = np.flatnonzero(_chosen(cells, version, variant))
    inside = rows[slice(*np.searchsorted(hours[rows], [first, until]))]
    counted = _BucketSums(cells, inside, grid.bucket_of(hours[inside]), len(grid.starts))
    task = task_of(cells)
    return Timeline(
        task=task,
        bucket=grid.bucket,
        starts=grid.starts,
        ends=grid.ends,
        seconds=np.array(
            [(b - a).total_seconds() for a, b in zip(grid.starts, grid.ends, strict=True)]
        ),
        first=EPOCH + int(hours[rows[0]]) * HOUR if rows.size else None,
        last=EPOCH + int(hours[rows[-1]]) * HOUR if rows.size else None,
        **_traffic(counted),
        **_QUALITY[task](counted),
    )


def timelines_by(
    cells: pa.Table,
    column: str,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    points: int = 120,
) -> dict[str, Timeline]:
    """Return a time line of each version, or of each variant, that has a prediction in the window.

    Parameters
    ----------
    cells : pyarrow.Table
        As in `timeline_of`.
    column : {"model_version", "variant"}
    start, end : datetime, optional
        As in `timeline_of`.
    points : int

    Returns
    -------
    dict of str to Timeline
        All have the same buckets.

    Raises
    ------
    InvalidValueError
        If there is no such column, or as in `timeline_of`.
    """
    if column not in _CHOICES:
        raise InvalidValueError("column", column, "model_version or variant")
    hours = hours_of(cells)
    first, until = _hours_within(Window(start, end), hours)
    begin, stop = np.searchsorted(hours, [first, until])
    inside = cells.slice(begin, stop - begin)
    return {
        value: timeline_of(cells, start, end, points=points, **{_CHOICES[column]: value})
        for value in sorted(inside[column].unique().to_pylist())
    }


_CHOICES = {"model_version": "version", "variant": "variant"}


@dataclass(frozen=True, slots=True)
class _BucketGrid:
    bucket: str
    starts: tuple[datetime, ...]
    ends: tuple[datetime, ...]
    bucket_of: Any  # of each hour


def _hours_within(window: Window, hours: Ints) -> tuple[int, int]:
    """Return the first hour of a window and the first one after it, given those of all cells."""
    first = int(hours[0]) if window.start is None and hours.size else 0
    if window.start is not None:
        first = hour_before(window.start)
    until = int(hours[-1]) + 1 if window.end is None and hours.size else first
    if window.end is not None:
        until = -((EPOCH - window.end) // HOUR)
        first = first if window.start is not None or hours.size else until
    return first, max(first, until)


def _grid(window: Window, first: int, until: int, points: int) -> _BucketGrid:
    if first == until:
        return _BucketGrid("whole" if points == 1 else "hour", (), (), np.zeros_like)
    unit = unit_for(first, until - 1, points)
    low, high = (int(hour) for hour in unit.bucket_of(np.array([first, until - 1], dtype=np.int64)))
    starts = unit.start(np.arange(low, high + 1, dtype=np.int64))
    starts[0] = first
    begins = tuple(EPOCH + int(hour) * HOUR for hour in starts)
    last = EPOCH + until * HOUR if window.end is None else window.end
    return _BucketGrid(
        unit.name, begins, (*begins[1:], last), lambda hours: unit.bucket_of(hours) - low
    )


def _chosen(cells: pa.Table, version: str | None, variant: str | None) -> npt.NDArray[np.bool_]:
    """Return which cells are of a version and a variant."""
    chosen = np.ones(cells.num_rows, dtype=bool)
    for name, value in (("model_version", version), ("variant", variant)):
        if value is not None and cells.num_rows:
            column = cells[name].combine_chunks()
            words = np.array([word == value for word in column.dictionary.to_pylist()], dtype=bool)
            chosen &= words[column.indices.to_numpy()]
    return chosen


class _BucketSums:
    """The cells of a window, added up by bucket."""

    def __init__(self, cells: pa.Table, rows: Ints, buckets_of_rows: Ints, buckets: int) -> None:
        self._buckets = buckets
        begin, stop = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 0)
        self._cells = cells.slice(begin, stop - begin)
        self._rows, self._of_rows = rows - begin, buckets_of_rows
        self._bucket_of_row = np.full(stop - begin, -1, dtype=np.int64)
        self._bucket_of_row[self._rows] = buckets_of_rows

    def count(self, name: str) -> Ints:
        return self.sum(name).astype(np.int64)

    def sum(self, name: str) -> Floats:
        values = self._cells[name].to_numpy()[self._rows]
        sums = np.bincount(self._of_rows, values, minlength=self._buckets)
        return sums.astype(np.float64, copy=False)

    def histograms(self, *names: str) -> tuple[int, list[Floats]]:
        """Return counts by bucket and bin: the first bin that is there, and a table a name."""
        entries = [self._entries(name) for name in names]
        filled = [bins for _, bins, _ in entries if bins.size]
        first = min((int(bins.min()) for bins in filled), default=0)
        width = max((int(bins.max()) + 1 for bins in filled), default=1) - first
        tables = [
            np.bincount(bucket * width + (bins - first), counts, minlength=self._buckets * width)
            for bucket, bins, counts in entries
        ]
        shape = (self._buckets, width)
        return first, [table.reshape(shape).astype(np.float64, copy=False) for table in tables]

    def _entries(self, name: str) -> tuple[Ints, Ints, npt.NDArray[np.int32]]:
        row, bins, counts = histogram_entries(self._cells, name)
        buckets = self._bucket_of_row[row]
        if len(self._rows) < self._cells.num_rows:
            inside = buckets >= 0
            buckets, bins, counts = buckets[inside], bins[inside], counts[inside]
        return buckets, bins.astype(np.int64), counts


def _traffic(counted: _BucketSums) -> dict[str, Any]:
    predictions, answered = counted.count("predictions"), counted.count("answered")
    labelled, failed = counted.count("labelled"), counted.count("failed")
    shortest, (latencies,) = counted.histograms("latencies")
    p50, p95, p99 = _quantiles(shortest, latencies, (0.5, 0.95, 0.99))
    shortest, (delays,) = counted.histograms("delays")
    (delay,) = _quantiles(shortest, delays, (0.5,))
    return {
        "predictions": predictions,
        "failed": failed,
        "answered": answered,
        "labelled": labelled,
        "error_share": _share(failed, predictions),
        "latency_p50": p50,
        "latency_p95": p95,
        "latency_p99": p99,
        "coverage": _ratio(labelled, answered),
        "label_delay": delay,
        "label_delay_mean": _ratio(counted.sum("delay"), delays.sum(axis=1)),
    }


def _of_binary(counted: _BucketSums) -> dict[str, Any]:
    labelled, right = counted.count("labelled"), counted.count("right")
    positives, true = counted.count("positives"), counted.count("true_positives")
    false = labelled - right - (positives - true)  # called positive, and were not
    _, by_class = counted.histograms("positive_scores", "negative_scores")
    areas = roc_auc_of_counts(*by_class)
    half = normal_quantile(_CONFIDENCE) * np.sqrt(areas.variance)
    brier = _mean(counted, "squared_error", "fourth_power")
    outside = counted.count("outside") > 0
    return {
        "accuracy": _share(right, labelled),
        "predicted_share": _share(counted.count("called"), counted.count("answered")),
        "positive_share": _share(positives, labelled),
        "precision": _share(true, true + false),
        "recall": _share(true, positives),
        "auc": Band(
            areas.area, np.maximum(0.0, areas.area - half), np.minimum(1.0, areas.area + half)
        ),
        "auc_off_by": areas.off_by,
        "brier": Band(*(np.where(outside, np.nan, bound) for bound in brier.values())),
    }


def _of_multiclass(counted: _BucketSums) -> dict[str, Any]:
    return {"accuracy": _share(counted.count("right"), counted.count("labelled"))}


def _of_regression(counted: _BucketSums) -> dict[str, Any]:
    squared = _mean(counted, "squared_error", "fourth_power")
    return {
        "mae": _mean(counted, "absolute_error", "squared_error"),
        "rmse": Band(*(np.sqrt(bound) for bound in squared.values())),
        "mean_error": _ratio(counted.sum("error"), counted.count("errors")),
    }


_QUALITY = {"binary": _of_binary, "multiclass": _of_multiclass, "regression": _of_regression}


def _mean(counted: _BucketSums, name: str, squares: str) -> Band:
    """Return the mean of what is never negative, and a normal interval of it from its squares."""
    count = counted.count("errors")
    mean = _ratio(counted.sum(name), count)
    variance = _ratio(counted.sum(squares) - count * mean**2, count - 1)
    half = normal_quantile(_CONFIDENCE) * np.sqrt(np.maximum(0.0, variance) / np.maximum(count, 1))
    return Band(mean, np.maximum(0.0, mean - half), mean + half)


def _share(part: Ints, total: Ints) -> Band:
    return Band(_ratio(part, total), *wilson_of_many(part, total, _CONFIDENCE))


def _ratio(part: npt.NDArray[Any], total: npt.NDArray[Any]) -> Floats:
    """Return part over total; NaN where that is of nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, part / total, np.nan)


def _quantiles(first: int, counts: Floats, which: tuple[float, ...]) -> list[Floats]:
    """Return, for each share, what the smallest bin stands for below which that share lies."""
    total = counts.sum(axis=1)
    below = np.cumsum(counts, axis=1)
    quantiles = []
    for share in which:
        # Shares such as 0.95 are no binary fractions: 0.95 * 20 must not have a rank of 20.
        rank = np.maximum(1.0, np.ceil(share * total - 1e-9))
        bins = np.argmax(below >= rank[:, None], axis=1)
        quantiles.append(np.where(total > 0, wait_of(first + bins), np.nan))
    return quantiles
