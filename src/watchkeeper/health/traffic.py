"""Recorded predictions as counts by the minute: all that health and error budgets are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.clock import as_utc
from watchkeeper.policies.health import Thresholds

__all__ = ["Traffic", "traffic_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_TIME = pa.timestamp("us", "UTC")

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was counted, by the minute of the prediction's own time.

    Attributes
    ----------
    first : int
        The first minute, since 1970.
    counts : numpy.ndarray of int, shape (6, n_minutes)
        The rows have properties of their own.
    latencies : numpy.ndarray of float, shape (n,)
        Milliseconds of all predictions that have one.
    newest : datetime or None
        Time of the last prediction.
    """

    first: int
    counts: Counts
    latencies: npt.NDArray[np.float64]
    newest: datetime | None

    @property
    def requests(self) -> Counts:
        """Predictions."""
        return self._row(0)

    @property
    def failed(self) -> Counts:
        """Those that failed."""
        return self._row(1)

    @property
    def slow(self) -> Counts:
        """Those above the limit of the 95th percentile."""
        return self._row(2)

    @property
    def very_slow(self) -> Counts:
        """Those above the limit of the 99th percentile."""
        return self._row(3)

    @property
    def labelled(self) -> Counts:
        """Those whose outcome is known."""
        return self._row(4)

    @property
    def right(self) -> Counts:
        """Those that were right."""
        return self._row(5)

    def _row(self, number: int) -> Counts:
        row: Counts = self.counts[number]
        return row

    def __add__(self, other: "Traffic") -> "Traffic":
        return _together([traffic for traffic in (self, other) if traffic.newest is not None])

    def between(self, start: datetime, end: datetime) -> Self:
        """Return the minutes from `start` on and before `end`; latencies are of all.

        Parameters
        ----------
        start, end : datetime

        Returns
        -------
        Traffic
        """
        begin = max(0, (as_utc(start) - _EPOCH) // _MINUTE - self.first)
        until = max(begin, -((_EPOCH - as_utc(end)) // _MINUTE) - self.first)
        counts = self.counts[:, begin:until]
        return type(self)(self.first + begin, counts, self.latencies, self.newest)

    def by_hour(self) -> list["tuple[datetime, Traffic]"]:
        """Return each hour with requests, in order; latencies are of all.

        Returns
        -------
        list of tuple of (datetime, Traffic)
        """
        places = np.flatnonzero(self.requests)
        hours = np.unique((places + self.first) // 60)
        starts = [_EPOCH + int(hour) * timedelta(hours=1) for hour in hours]
        return [(start, self.between(start, start + timedelta(hours=1))) for start in starts]


def traffic_of(tables: Iterable[pa.Table], thresholds: Thresholds | None = None) -> Traffic:
    """Count recorded predictions.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        One row a prediction: ``timestamp``, ``status`` (``error`` where it failed), ``latency_ms``,
        and ``right``, where outcomes are known: 1 or 0, NaN or null where they are not.
    thresholds : Thresholds, optional
        Which predictions are slow.

    Returns
    -------
    Traffic
    """
    limits = thresholds or Thresholds()
    return _together([_counted(table, limits) for table in tables if table.num_rows])


def _together(parts: Sequence[Traffic]) -> Traffic:
    if not parts:
        return Traffic(0, np.zeros((6, 0), dtype=np.int64), np.zeros(0), None)
    first = min(part.first for part in parts)
    size = max(part.first + part.counts.shape[1] for part in parts) - first
    counts = np.zeros((6, size), dtype=np.int64)
    for part in parts:
        begin = part.first - first
        counts[:, begin : begin + part.counts.shape[1]] += part.counts
    latencies = np.concatenate([part.latencies for part in parts])
    return Traffic(first, counts, latencies, max(part.newest for part in parts if part.newest))


def _counted(table: pa.Table, limits: Thresholds) -> Traffic:
    time = table["timestamp"].cast(_TIME).cast(pa.int64()).to_numpy()
    minute = time // 60_000_000
    first = int(minute.min())
    offset = minute - first
    size = int(offset.max()) + 1
    latency = _floats(table["latency_ms"])
    rows = [
        np.flatnonzero(_failed(table["status"])),
        np.flatnonzero(latency > limits.latency_p95_ms),
        np.flatnonzero(latency > limits.latency_p99_ms),
    ]
    if "right" in table.schema.names:
        right = _floats(table["right"])
        rows += [np.flatnonzero(~np.isnan(right)), np.flatnonzero(right == 1.0)]
    counts = np.zeros((6, size), dtype=np.int64)
    counts[0] = np.bincount(offset, minlength=size)
    for kind, matching in enumerate(rows, start=1):
        counts[kind] = np.bincount(offset[matching], minlength=size)
    newest = _EPOCH + int(time.max()) * timedelta(microseconds=1)
    return Traffic(first, counts, latency[~np.isnan(latency)], newest)


def _failed(status: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    words = status.cast(pa.dictionary(pa.int32(), pa.string())).unify_dictionaries()
    coded = words.combine_chunks()
    failed = pc.equal(coded.dictionary, "error").take(coded.indices)
    return np.asarray(pc.fill_null(failed, False).to_numpy(zero_copy_only=False), dtype=bool)


def _floats(column: Any) -> npt.NDArray[np.float64]:
    """Return numbers, NaN for null."""
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
