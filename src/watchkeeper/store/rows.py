"""From recorded rows to one row a prediction: one rule for readers and for compaction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.events import FEATURE, METRIC, METRIC_TIMESTAMP, UNIT_HASH
from watchkeeper.fingerprints import fingerprints

__all__ = [
    "OUTCOME_COLUMNS",
    "count_texts",
    "first_arrived",
    "in_order",
    "joined",
    "latest",
    "truths",
]

OUTCOME_COLUMNS = {
    "actual": "actual",
    "timestamp": "actual_timestamp",
    "arrived_at": "actual_arrived_at",
}
"""What a window shows of an outcome, and how it is called there."""

_FIRST = (
    "prediction_id",
    "unit_id",
    "request_id",
    "model_version",
    "variant",
    "experiment",
    "timestamp",
    "arrived_at",
    "status",
    "error",
    "latency_ms",
    "prediction",
    "score",
    "tags",
    "as_text",
)


def first_arrived(rows: pa.Table) -> pa.Table:
    """Return one row a `prediction_id`, the first that arrived.

    Parameters
    ----------
    rows : pyarrow.Table

    Returns
    -------
    pyarrow.Table
    """
    if _ascending(rows["prediction_id"]):
        return rows
    order = pc.sort_indices(rows, [("arrived_at", "ascending")]).to_numpy()
    return _last_of_each(rows, order[::-1])


def latest(rows: pa.Table) -> pa.Table:
    """Return one outcome a `prediction_id` and metric: the latest, of equals by arrival.

    Parameters
    ----------
    rows : pyarrow.Table

    Returns
    -------
    pyarrow.Table
    """
    if _ascending(rows["prediction_id"]):
        return rows
    keys = [("timestamp", "ascending"), ("arrived_at", "ascending")]
    return _last_of_each(rows, pc.sort_indices(rows, keys).to_numpy())


def truths(outcomes: pa.Table) -> pa.Table:
    """Return the outcomes that are not of a metric.

    Parameters
    ----------
    outcomes : pyarrow.Table

    Returns
    -------
    pyarrow.Table
    """
    metric = outcomes["metric"]
    return outcomes if metric.null_count == len(metric) else outcomes.filter(metric.is_null())


def in_order(rows: pa.Table) -> pa.Table:
    """Return `rows` by event time.

    Parameters
    ----------
    rows : pyarrow.Table

    Returns
    -------
    pyarrow.Table
    """
    if _ascending(rows["timestamp"]):
        return rows
    keys = ("timestamp", "arrived_at", "prediction_id")
    return rows.take(pc.sort_indices(rows, [(key, "ascending") for key in keys]))


def joined(
    predictions: pa.Table, outcomes: pa.Table, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return predictions with their outcomes, as `watchkeeper.events.EventWindow` shows them.

    Parameters
    ----------
    predictions, outcomes : pyarrow.Table
        Predictions with one row a `prediction_id`, outcomes with one a `prediction_id` and metric.
    columns : sequence of str, optional
        What is wanted of it; all by default.

    Returns
    -------
    pyarrow.Table
    """
    actual = _beside(predictions, truths(outcomes))
    # Where nothing was ever answered, or no truth ever told, nothing fixed the type.
    unknown = pa.chunked_array([pa.nulls(predictions.num_rows, pa.float64())])
    names = set(predictions.schema.names)
    features = [name for name in predictions.schema.names if name.startswith(FEATURE)]
    columns_by_name = {
        name: predictions[name] if name in names else unknown
        for name in (*_FIRST, *features)
        if name in names or name == "prediction"
    }
    if columns is not None and UNIT_HASH in columns:
        columns_by_name = {UNIT_HASH: fingerprints(predictions["unit_id"]), **columns_by_name}
    for name, shown in OUTCOME_COLUMNS.items():
        columns_by_name[shown] = actual[name] if name in actual.schema.names else unknown
    if "as_text" in columns_by_name:
        columns_by_name["as_text"] = _texts_of_both(columns_by_name["as_text"], actual["as_text"])
    for metric in pc.drop_null(pc.unique(outcomes["metric"])).to_pylist():
        values = _beside(predictions, outcomes.filter(pc.equal(outcomes["metric"], metric)))
        columns_by_name[METRIC + metric] = values["value"]
        columns_by_name[METRIC_TIMESTAMP + metric] = values["timestamp"]
    return pa.table(
        {n: values for n, values in columns_by_name.items() if columns is None or n in columns}
    )


def count_texts(column: pa.ChunkedArray) -> int:
    """Count the values that did not fit their column; explicit nulls are not among them.

    Parameters
    ----------
    column : pyarrow.ChunkedArray

    Returns
    -------
    int
    """
    return sum(
        pc.sum(pc.not_equal(chunk.items, "null")).as_py() or 0
        for chunk in column.chunks
        if chunk.null_count < len(chunk)
    )


def _beside(predictions: pa.Table, outcomes: pa.Table) -> pa.Table:
    """Return the outcome of each prediction, null where there is none."""
    if predictions["prediction_id"].equals(
        outcomes["prediction_id"]
    ):  # cheaper than to look each up
        return outcomes
    return outcomes.take(
        pc.index_in(predictions["prediction_id"], value_set=outcomes["prediction_id"])
    )


def _texts_of_both(predictions: pa.ChunkedArray, outcomes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Merge what predictions and their outcomes keep as text, row by row."""
    if outcomes.null_count == len(outcomes):
        return predictions
    pairs = zip(predictions.to_pylist(), outcomes.to_pylist(), strict=True)
    merged = [[*(text or ()), *(other or ())] or None for text, other in pairs]
    return pa.chunked_array([pa.array(merged, predictions.type)])


def _ascending(values: pa.ChunkedArray) -> bool:
    """Return whether each value is larger than the one before, so that none repeats another.

    So it is after compaction, with ids that Watchkeeper made; to find that out costs a tenth of
    what looking for repetitions does.
    """
    if len(values) < 2:
        return True
    return bool(pc.all(pc.less(values.slice(0, len(values) - 1), values.slice(1))).as_py())


def _last_of_each(rows: pa.Table, order: npt.NDArray[Any]) -> pa.Table:
    if not rows.num_rows:
        return rows
    keys = rows["prediction_id"]
    if "metric" in rows.schema.names and rows["metric"].null_count < rows.num_rows:
        metric = pc.fill_null(rows["metric"].cast(pa.string()), "")
        keys = pc.binary_join_element_wise(metric, keys, "\x1f")
    ids = keys.combine_chunks().dictionary_encode()
    if len(ids.dictionary) == rows.num_rows:
        return rows
    last = np.empty(len(ids.dictionary), dtype=np.int64)
    last[ids.indices.to_numpy()[order]] = order
    return rows.take(np.sort(last))
