"""The reference profile of a version: a uniform sample of its training data, and counts.

The sample is small enough to keep with every version, large enough to test against, and drawn with
a fixed seed, so that the same data give the same reference.
"""

import io
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from watchkeeper.errors import InvalidValueError

__all__ = ["ROWS", "as_frame", "read_sample", "sample"]

ROWS = 20_000
"""Rows a sample has at most."""

_SEED = 20_130_101


def as_frame(data: object) -> nw.DataFrame[Any]:
    """Return `data` as a Narwhals data frame.

    Parameters
    ----------
    data : data frame, dict of sequences, or numpy.ndarray of shape (n, k)

    Returns
    -------
    narwhals.DataFrame

    Raises
    ------
    InvalidValueError
        If it is neither a data frame nor a mapping of columns, or has no rows.
    """
    if isinstance(data, dict):
        data = pa.table(data)
    if isinstance(data, np.ndarray) and data.ndim == 2:
        data = pa.table({f"x{i}": data[:, i] for i in range(data.shape[1])})
    try:
        frame = nw.from_native(data, eager_only=True)  # type: ignore[call-overload]
    except TypeError:
        raise InvalidValueError(
            "training_data", type(data).__name__, "a data frame, a 2-D array or a dict of columns"
        ) from None
    if not len(frame):
        raise InvalidValueError("training_data", "a frame without rows", "at least one row")
    return frame  # type: ignore[no-any-return]


def sample(frame: nw.DataFrame[Any]) -> tuple[bytes, dict[str, Any]]:
    """Return the sample as a Parquet file, and the counts of the whole.

    Parameters
    ----------
    frame : narwhals.DataFrame

    Returns
    -------
    tuple of (bytes, dict of str to object)
    """
    about = {
        "rows": len(frame),
        "nulls": {name: int(frame[name].null_count()) for name in frame.columns},
    }
    if len(frame) > ROWS:
        chosen = np.random.default_rng(_SEED).choice(len(frame), ROWS, replace=False)
        frame = frame[np.sort(chosen).tolist()]
    buffer = io.BytesIO()
    pq.write_table(frame.to_arrow(), buffer, compression="zstd")
    return buffer.getvalue(), about


def read_sample(data: bytes) -> pa.Table:
    """Return a sample; its words are dictionary-coded.

    Parameters
    ----------
    data : bytes
        As `sample` returned it.

    Returns
    -------
    pyarrow.Table
    """
    schema = pq.read_schema(io.BytesIO(data))
    words = [
        f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)
    ]
    return pq.read_table(io.BytesIO(data), read_dictionary=words)
