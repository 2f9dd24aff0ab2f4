"""Labels and scores of a table, as the metrics of a task take them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["labels_of", "scores_of"]


def labels_of(column: pa.ChunkedArray, task: str, positive: object) -> npt.NDArray[Any]:
    """Return labels as the metrics of a task take them.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
    task : {"binary", "multiclass", "regression"}
    positive : object
        The label of the positive class, for a binary task.

    Returns
    -------
    numpy.ndarray, shape (n,)
        For a binary task whether a label is the positive one; floats for regression; otherwise the
        labels as they are.
    """
    if task == "binary":
        return _positive(column, positive)
    if task == "regression":
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    labels_array = np.empty(len(column), dtype=object)
    labels_array[:] = column.to_pylist()
    return labels_array


def _positive(labels: pa.ChunkedArray, positive: object) -> npt.NDArray[np.bool_]:
    """Return which labels are the positive class; numbers and truth values compare by value."""
    if pa.types.is_dictionary(labels.type) or pa.types.is_string(labels.type):
        matches = pc.equal(labels.cast(pa.string()), str(positive))
    else:
        matches = pc.equal(labels.cast(pa.float64()), _number(positive))
    return np.asarray(pc.fill_null(matches, False).to_numpy(), dtype=bool)


def _number(positive: object) -> float:
    """Return the label as a number: from the environment it comes as text. NaN equals no label."""
    try:
        return float(positive)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def scores_of(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return scores as floats, NaN where there is none.

    Parameters
    ----------
    column : pyarrow.ChunkedArray

    Returns
    -------
    numpy.ndarray of float, shape (n,)
    """
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
