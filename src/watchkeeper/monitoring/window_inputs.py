"""The inputs of a window: in memory, or on disk where they are too many for that."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from watchkeeper.errors import NotFoundError
from watchkeeper.events import FEATURE, EventLog, EventWindow, Window
from watchkeeper.profiles.engines import duckdb_table

__all__ = ["features_of", "inputs_of"]

IN_MEMORY = 200_000_000
"""Values of a window up to which it is held in memory: beyond, DuckDB compares it on disk."""


def inputs_of(
    events: EventLog, model: str, window: Window, stack: ExitStack
) -> tuple[object, dict[str, int]]:
    """Return the inputs of a window, and the versions of the tables that they were read from.

    They are a table in memory, or, of a window with too many values for that, one of DuckDB over
    files that are there until `stack` is closed.

    Parameters
    ----------
    events : EventLog
    model : str
    window : Window
    stack : ExitStack
        What is on disk is deleted when it is closed.

    Returns
    -------
    tuple of table and dict of str to int

    Raises
    ------
    NotFoundError
        If the window has no predictions.
    """
    parts: list[pa.Table] = []
    versions: dict[str, int] = {}
    values = number = 0
    folder: Path | None = None
    for day in events.days(model, window):
        parts.append(features_of(day))
        versions = day.versions
        values += parts[-1].num_rows * parts[-1].num_columns
        if values > IN_MEMORY and folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="watchkeeper-")))
        while folder is not None and parts:
            number += 1
            pq.write_table(parts.pop(), folder / f"{number:06}.parquet")
    if folder is not None:
        return duckdb_table(f"{folder}/*.parquet", scratch=str(folder / "spilled")), versions
    if not parts:
        raise NotFoundError(
            "prediction in the window of", model, "Choose another --start or --end."
        )
    return pa.concat_tables(parts, promote_options="default").unify_dictionaries(), versions


def features_of(read: EventWindow) -> pa.Table:
    """Return the features of a window under their own names.

    Parameters
    ----------
    read : EventWindow

    Returns
    -------
    pyarrow.Table
    """
    names = [name for name in read.rows.schema.names if name.startswith(FEATURE)]
    return read.rows.select(names).rename_columns([name.removeprefix(FEATURE) for name in names])
