"""Which row counts, where one id has several: one rule for readers and for compaction."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["first_arrived", "latest"]


def first_arrived(rows: pa.Table) -> pa.Table:
    """Return one row a `prediction_id`, the first that arrived."""
    order = pc.sort_indices(rows, [("arrived_at", "ascending")]).to_numpy()
    return _last_of_each(rows, order[::-1])


def latest(rows: pa.Table) -> pa.Table:
    """Return one outcome a `prediction_id`: the latest by its own time, of equals by arrival."""
    keys = [("timestamp", "ascending"), ("arrived_at", "ascending")]
    return _last_of_each(rows, pc.sort_indices(rows, keys).to_numpy())


def _last_of_each(rows: pa.Table, order: npt.NDArray[Any]) -> pa.Table:
    if not rows.num_rows:
        return rows
    ids = rows["prediction_id"].combine_chunks().dictionary_encode()
    if len(ids.dictionary) == rows.num_rows:
        return rows
    last = np.empty(len(ids.dictionary), dtype=np.int64)
    last[ids.indices.to_numpy()[order]] = order
    return rows.take(np.sort(last))
