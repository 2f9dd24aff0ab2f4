"""Columns of recorded events, as what measures takes them."""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import NotFoundError
from watchkeeper.events import FEATURE, EventLog
from watchkeeper.quality.labels import labels_of, scores_of

__all__ = [
    "LABELLED",
    "answered",
    "labels_of",
    "newest_time",
    "rows_of",
    "scores_of",
    "segment_of",
    "wrong_of",
]

LABELLED = ("model_version", "status", "prediction", "score", "actual", "actual_timestamp")
"""What is read of predictions to hold them against their outcomes, beside the time."""

_TAG = "tag."  # prefix of a tag where a feature is named


def answered(rows: pa.Table, version: str | None) -> pa.Table:
    """Return the predictions that were answered, of one version if one is named.

    Parameters
    ----------
    rows : pyarrow.Table
        As an `EventLog` reads them.
    version : str or None

    Returns
    -------
    pyarrow.Table
    """
    answered_rows = pc.and_(
        pc.equal(rows["status"].cast(pa.string()), "success"), rows["prediction"].is_valid()
    )
    if version is not None:
        answered_rows = pc.and_(
            answered_rows, pc.equal(rows["model_version"].cast(pa.string()), version)
        )
    return rows.filter(answered_rows)


def newest_time(events: EventLog) -> datetime | None:
    """Return the event time of the newest prediction of any model; None without any.

    Parameters
    ----------
    events : EventLog

    Returns
    -------
    datetime or None
    """
    newest: datetime | None = None
    for model in events.models():
        for day in events.days(model, columns=["timestamp"]):
            last = pc.max(day.rows["timestamp"]).as_py()
            newest = last if newest is None else max(newest, last)
    return newest


def rows_of(table: pa.Table, *, prediction: str, actual: str, score: str | None) -> pa.Table:
    """Return a table of predictions and outcomes as rows of events; other columns are features.

    Parameters
    ----------
    table : pyarrow.Table
    prediction, actual : str
        Names of columns; null where an outcome is not known.
    score : str or None
        Probabilities of the positive class; None without any.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    NotFoundError
        If there is no such column.
    """
    count = table.num_rows
    named = {"prediction": prediction, "actual": actual}
    if score is not None:
        named["score"] = score
    for column in named.values():
        if column not in table.column_names:
            raise NotFoundError("column", column, f"There are {', '.join(table.column_names)}.")
    times = pa.nulls(count, pa.timestamp("us", "UTC"))
    fixed = {
        "model_version": pa.nulls(count, pa.string()),
        "status": pa.array(["success"] * count),
        "score": pa.nulls(count, pa.float64()),
        "timestamp": times,
        "actual_timestamp": times,
        "tags": pa.nulls(count, pa.map_(pa.string(), pa.string())),
    }
    features = {
        FEATURE + name: table[name] for name in table.column_names if name not in named.values()
    }
    return pa.table(fixed | {name: table[column] for name, column in named.items()} | features)


def wrong_of(
    rows: pa.Table, task: str, positive: object, error_tolerance: float | None = None
) -> npt.NDArray[np.float64]:
    """Return 1 where an answer was wrong, 0 where it was right, NaN where that is not known.

    A regression is wrong where it is further from its label than `error_tolerance`.

    Parameters
    ----------
    rows : pyarrow.Table
        As an `EventLog` reads them.
    task : {"binary", "multiclass", "regression"}
    positive : label
    error_tolerance : float, optional

    Returns
    -------
    numpy.ndarray of float, shape (n,)
    """
    labelled = (rows["actual"].is_valid().to_numpy()) & (rows["prediction"].is_valid().to_numpy())
    predicted, came = (labels_of(rows[name], task, positive) for name in ("prediction", "actual"))
    wrong = (
        predicted != came if error_tolerance is None else np.abs(predicted - came) > error_tolerance
    )
    return np.where(labelled, np.asarray(wrong, dtype=np.float64), np.nan)


def segment_of(rows: pa.Table, name: str, model: str) -> pa.ChunkedArray:
    """Return the values of a feature, or of a tag, by which rows are told apart.

    Parameters
    ----------
    rows : pyarrow.Table
        As an `EventLog` reads them.
    name : str
        A feature, or ``tag.NAME``.
    model : str
        For the error.

    Returns
    -------
    pyarrow.ChunkedArray

    Raises
    ------
    NotFoundError
        If the rows have no such feature and no such tag.
    """
    if FEATURE + name in rows.schema.names:
        return rows[FEATURE + name]
    if name.startswith(_TAG):
        values = pc.map_lookup(rows["tags"], pa.scalar(name.removeprefix(_TAG)), "first")
        if values.null_count < len(values):
            return values
    raise NotFoundError(
        "recorded feature", name, f"Of {model} in this window. A tag is called {_TAG}NAME."
    )
