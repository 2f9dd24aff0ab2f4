"""Cells: all that time lines are made of, counted by the hour, the version and the variant.

Cells of two parts of the events are the cells of the whole once they are put together, whatever the
parts are, as long as no prediction is in both.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.quality.labels import labels_of
from watchkeeper.timelines.scales import (
    SCORE_BINS,
    WAIT_BINS,
    score_bins,
    wait_bins,
)

__all__ = [
    "COLUMNS",
    "FORMAT",
    "HISTOGRAMS",
    "cells_of",
    "empty_cells",
    "histogram_entries",
    "hours_of",
    "task_of",
    "together",
]

FORMAT = 1
"""Another one where what cells hold has changed: old ones are of no use then."""

COLUMNS = (
    "timestamp",
    "model_version",
    "variant",
    "status",
    "latency_ms",
    "prediction",
    "score",
    "actual",
    "actual_timestamp",
)
"""What is taken of events."""

HISTOGRAMS = {
    "latencies": WAIT_BINS,
    "delays": WAIT_BINS,
    "positive_scores": SCORE_BINS,
    "negative_scores": SCORE_BINS,
}
"""Columns that count by bins, and how many there are of each."""

_TIME = pa.timestamp("us", "UTC")
_WORD = pa.dictionary(pa.int32(), pa.string())
_COUNTS = (
    "predictions",
    "failed",
    "answered",
    "labelled",
    "right",
    "called",  # answered with the positive class
    "positives",  # labelled, and the label is the positive class
    "true_positives",
    "errors",  # labelled, with a number that says how far off the answer was
    "outside",  # of these, scores that are no probabilities
)
_SUMS = ("error", "absolute_error", "squared_error", "fourth_power", "delay")
_MAP = pa.map_(pa.int16(), pa.int32())
_SCHEMA = pa.schema(
    [
        ("hour", _TIME),
        ("model_version", _WORD),
        ("variant", _WORD),
        *((name, pa.int64()) for name in _COUNTS),
        *((name, pa.float64()) for name in _SUMS),
        *((name, _MAP) for name in HISTOGRAMS),
    ]
)
_US_AN_HOUR = 3_600_000_000

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_Histogram = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]  # group, bin, count


def empty_cells(task: str) -> pa.Table:
    """Return cells of nothing.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}

    Returns
    -------
    pyarrow.Table
    """
    return _with_task(_SCHEMA.empty_table(), task)


def task_of(cells: pa.Table) -> str:
    """Return the task that cells were counted for.

    Parameters
    ----------
    cells : pyarrow.Table

    Returns
    -------
    str
    """
    return str((cells.schema.metadata or {})[b"task"].decode())


def hours_of(cells: pa.Table) -> Ints:
    """Return the hours of cells, since 1970.

    Parameters
    ----------
    cells : pyarrow.Table

    Returns
    -------
    numpy.ndarray of int, shape (n,)
    """
    return _micros(cells["hour"]) // _US_AN_HOUR


def cells_of(rows: pa.Table, *, task: str, positive: object = 1) -> pa.Table:
    """Count events.

    Parameters
    ----------
    rows : pyarrow.Table
        One row a prediction, beside its outcome: `COLUMNS`, as an `EventLog` reads them.
    task : {"binary", "multiclass", "regression"}
    positive : label
        The positive class of a binary task.

    Returns
    -------
    pyarrow.Table
        One row an hour, version and variant, sorted by these. What was counted; sums over the
        labelled predictions that say by a number how far off they were (a score minus 1 or 0 of
        the outcome, a prediction minus its outcome); seconds from prediction to outcome; and
        counts by bins of latencies, delays, and scores by class.

    Notes
    -----
    A prediction is answered when it did not fail and there is an answer, and labelled when it is
    answered and its outcome is known: as in a measurement of quality.
    """
    if not rows.num_rows:
        return empty_cells(task)
    time = _micros(rows["timestamp"])
    keys = _Keys(time // _US_AN_HOUR, rows["model_version"], rows["variant"])
    failed = _truths(pc.equal(rows["status"].cast(pa.string()), "error"))
    answered = ~failed & _truths(rows["prediction"].is_valid())
    labelled = np.flatnonzero(answered & _truths(rows["actual"].is_valid()))
    counts = {
        "predictions": keys.count(),
        "failed": keys.count(np.flatnonzero(failed)),
        "answered": keys.count(np.flatnonzero(answered)),
        "labelled": keys.count(labelled),
    }
    sums: dict[str, Floats] = {}
    histograms: dict[str, _Histogram] = {}
    latency = _floats(rows["latency_ms"])
    timed = np.flatnonzero(~np.isnan(latency))
    histograms["latencies"] = keys.counted(timed, wait_bins(latency[timed]), WAIT_BINS)
    labelled_rows = rows.take(pa.array(labelled))
    came = _micros(labelled_rows["actual_timestamp"])
    waited = np.flatnonzero(_truths(labelled_rows["actual_timestamp"].is_valid()))
    delay = (came[waited] - time[labelled[waited]]) / 1e6
    sums["delay"] = keys.sum(labelled[waited], delay)
    histograms["delays"] = keys.counted(labelled[waited], wait_bins(delay), WAIT_BINS)
    if task == "regression":
        error = _numbers(labelled_rows["prediction"]) - _numbers(labelled_rows["actual"])
        _add_errors(keys, labelled, error, counts, sums)
    else:
        predicted, true = (
            labels_of(labelled_rows[name], task, positive) for name in ("prediction", "actual")
        )
        counts["right"] = keys.count(labelled[np.flatnonzero(predicted == true)])
    if task == "binary":
        counts["called"] = keys.count(
            np.flatnonzero(answered & labels_of(rows["prediction"], task, positive))
        )
        counts["positives"] = keys.count(labelled[true])
        counts["true_positives"] = keys.count(labelled[predicted & true])
        score = _floats(labelled_rows["score"])
        scored = np.flatnonzero(np.isfinite(score))
        _add_errors(keys, labelled, score - true, counts, sums)
        outside = scored[(score[scored] < 0.0) | (score[scored] > 1.0)]
        counts["outside"] = keys.count(labelled[outside])
        for name, of_class in (
            ("positive_scores", true[scored]),
            ("negative_scores", ~true[scored]),
        ):
            class_scores = scored[of_class]
            histograms[name] = keys.counted(
                labelled[class_scores], score_bins(score[class_scores]), SCORE_BINS
            )
    return _table(keys, counts, sums, histograms, task)


def together(parts: Iterable[pa.Table]) -> pa.Table:
    """Return the cells of the whole from cells of its parts, of which there is at least one.

    Parameters
    ----------
    parts : iterable of pyarrow.Table

    Returns
    -------
    pyarrow.Table
    """
    tables = list(parts)
    task = task_of(tables[0])
    cells = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    if not cells.num_rows:
        return empty_cells(task)
    keys = _Keys(hours_of(cells), cells["model_version"], cells["variant"])
    every = np.arange(cells.num_rows)
    counts = {name: keys.sum(every, _whole(cells[name])).astype(np.int64) for name in _COUNTS}
    sums = {name: keys.sum(every, _floats(cells[name])) for name in _SUMS}
    histograms = {}
    for name, bins in HISTOGRAMS.items():
        row, bin_index, count = histogram_entries(cells, name)
        histograms[name] = keys.counted(row, bin_index, bins, count)
    return _table(keys, counts, sums, histograms, task)


def histogram_entries(
    cells: pa.Table, name: str
) -> tuple[Ints, npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Return what a column counts by bins, an entry for each bin of a row that is not empty.

    Parameters
    ----------
    cells : pyarrow.Table
    name : str
        Of a column in `HISTOGRAMS`.

    Returns
    -------
    row : numpy.ndarray of int, shape (n,)
    bins : numpy.ndarray of int, shape (n,)
    counts : numpy.ndarray of int, shape (n,)
    """
    column = cells[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # of no rows there is no chunk to combine
        column = pa.concat_arrays([*column.chunks, pa.array([], _MAP)])
    offsets = column.offsets.to_numpy()
    begin, end = int(offsets[0]), int(offsets[-1])
    row = np.repeat(np.arange(len(column), dtype=np.int64), np.diff(offsets))
    bins = column.keys.slice(begin, end - begin).to_numpy()
    counts = column.items.slice(begin, end - begin).to_numpy()
    return row, bins, counts


class _Keys:
    """Which rows fall into which cell."""

    def __init__(self, hours: Ints, versions: pa.ChunkedArray, variants: pa.ChunkedArray) -> None:
        self._versions, version = _coded(versions)
        self._variants, variant = _coded(variants)
        width = len(self._versions) * len(self._variants)
        code = hours * width + version * len(self._variants) + variant
        self._codes, self._cell = np.unique(code, return_inverse=True)
        self._width = width

    def __len__(self) -> int:
        return len(self._codes)

    def columns(self) -> dict[str, pa.Array]:
        hour, within = np.divmod(self._codes, self._width)
        version, variant = np.divmod(within, len(self._variants))
        return {
            "hour": pa.array(hour * _US_AN_HOUR, pa.int64()).cast(_TIME),
            "model_version": _words(version, self._versions),
            "variant": _words(variant, self._variants),
        }

    def count(self, rows: Ints | None = None) -> Ints:
        """Return how many of `rows`, by default of all, are in each cell."""
        cell = self._cell if rows is None else self._cell[rows]
        return np.bincount(cell, minlength=len(self)).astype(np.int64)

    def sum(self, rows: Ints, values: npt.NDArray[Any]) -> Floats:
        """Return the sum of a value of each of `rows`, by cell."""
        sums = np.bincount(self._cell[rows], values, minlength=len(self))
        return sums.astype(np.float64, copy=False)

    def counted(
        self,
        rows: Ints,
        bins: npt.NDArray[np.int16],
        width: int,
        counts: npt.NDArray[Any] | None = None,
    ) -> _Histogram:
        """Return how many there are by cell and bin, where there are any."""
        code = self._cell[rows] * width + bins
        if counts is None:
            codes, counts_of_codes = np.unique(code, return_counts=True)
        else:
            codes, position = np.unique(code, return_inverse=True)
            counts_of_codes = np.bincount(position, counts, minlength=len(codes)).astype(np.int64)
        cell, bin_index = np.divmod(codes, width)
        return cell, bin_index, counts_of_codes


def _table(
    keys: _Keys,
    counts: Mapping[str, Ints],
    sums: Mapping[str, Floats],
    histograms: Mapping[str, _Histogram],
    task: str,
) -> pa.Table:
    none = np.empty(0, np.int64)
    columns = keys.columns()
    for name in _COUNTS:
        columns[name] = pa.array(counts.get(name, np.zeros(len(keys), np.int64)))
    for name in _SUMS:
        columns[name] = pa.array(sums.get(name, np.zeros(len(keys))))
    for name in HISTOGRAMS:
        cell, bin_index, count = histograms.get(name, (none, none, none))
        offsets = np.zeros(len(keys) + 1, np.int32)
        np.cumsum(np.bincount(cell, minlength=len(keys)), out=offsets[1:])
        columns[name] = pa.MapArray.from_arrays(
            pa.array(offsets), pa.array(bin_index, pa.int16()), pa.array(count, pa.int32())
        )
    return _with_task(pa.table(columns, schema=_SCHEMA), task)


def _add_errors(
    keys: _Keys, rows: Ints, error: Floats, counts: dict[str, Ints], sums: dict[str, Floats]
) -> None:
    """Add up how far off answers were, where a number says so."""
    measured = np.flatnonzero(np.isfinite(error))
    measured_rows, error = rows[measured], error[measured]
    counts["errors"] = keys.count(measured_rows)
    sums["error"] = keys.sum(measured_rows, error)
    sums["absolute_error"] = keys.sum(measured_rows, np.abs(error))
    sums["squared_error"] = keys.sum(measured_rows, error**2)
    sums["fourth_power"] = keys.sum(measured_rows, error**4)


def _with_task(cells: pa.Table, task: str) -> pa.Table:
    return cells.replace_schema_metadata({"task": task})


def _coded(column: pa.ChunkedArray) -> tuple[Sequence[str], Ints]:
    """Return the words of a column, sorted, and which of them each row has."""
    words = pc.fill_null(column.cast(pa.string()), "").combine_chunks().dictionary_encode()
    if isinstance(words, pa.ChunkedArray):
        words = words.combine_chunks()
    named = words.dictionary.to_pylist()
    names = sorted(named)
    position = np.array([names.index(word) for word in named], dtype=np.int64)
    return names, position[words.indices.to_numpy()]


def _words(codes: Ints, words: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(words, pa.string()))


def _whole(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _micros(column: pa.ChunkedArray) -> Ints:
    """Return times as microseconds since 1970; of a null that is anything."""
    return np.asarray(column.cast(_TIME).to_numpy()).view(np.int64)


def _floats(column: pa.ChunkedArray) -> Floats:
    """Return numbers, NaN for null."""
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _numbers(column: pa.ChunkedArray) -> Floats:
    """Return answers or outcomes as numbers; words are none."""
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        return np.full(len(column), np.nan)
    return _floats(column)


def _truths(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(column, False).to_numpy(), dtype=bool)
