"""Cells of time lines on disk: written for the next process, and read back where they are whole."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from watchkeeper.durable import sync
from watchkeeper.results import Result
from watchkeeper.timelines import empty_cells
from watchkeeper.timelines.cells import HISTOGRAMS, histogram_entries, hours_of

__all__ = ["ModelCells", "Refreshed", "read_cells", "write_cells"]

_ABOUT = b"watchkeeper.timelines"


@dataclass(frozen=True, slots=True)
class Refreshed(Result):
    """What time lines are of, for the evidence.

    Attributes
    ----------
    at : datetime
        When it was last looked what had changed.
    table_versions : dict of str to int
        Of the event store.
    """

    at: datetime
    table_versions: dict[str, int]


@dataclass(frozen=True, slots=True)
class ModelCells:
    """The cells of a model, and of what the cells of each day were made."""

    cells: pa.Table
    keys: Mapping[date, str]
    as_of: Refreshed


def write_cells(path: Path, model: str, how: list[Any], current: ModelCells) -> None:
    """Keep the cells of a model in a file, whole or not at all.

    Parameters
    ----------
    path : Path
    model : str
    how : list
        Format, task and positive class, as JSON holds them.
    current : ModelCells
    """
    about = {
        "model": model,
        "how": how,
        "keys": {str(day): key for day, key in current.keys.items()},
        "at": current.as_of.at.isoformat(),
        "table_versions": current.as_of.table_versions,
    }
    metadata = {**current.cells.schema.metadata, _ABOUT: json.dumps(about).encode()}
    cells = current.cells.replace_schema_metadata(metadata)
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")  # no model's name begins with a dot
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(str(partial), cells.schema, options=options) as target:
        target.write_table(cells)
    sync(partial)
    partial.replace(path)


def read_cells(path: Path, model: str, how: list[Any]) -> ModelCells | None:
    """Return what is kept, or None where that is nothing, torn, or made in another way.

    Parameters
    ----------
    path : Path
    model : str
    how : list
        As `write_cells` was told; cells that were made in another way are not read.

    Returns
    -------
    ModelCells or None
    """
    try:
        with pa.memory_map(str(path)) as source:
            cells = pa.ipc.open_file(source).read_all()
        cells.validate(full=True)
        about = json.loads(cells.schema.metadata.get(_ABOUT, b"null"))
        if (about["model"], about["how"]) != (model, how):
            return None
        empty = empty_cells(how[1])
        cells = cells.replace_schema_metadata(empty.schema.metadata)
        if not (cells.schema.equals(empty.schema, check_metadata=True) and _sound(cells)):
            return None
        keys = {date.fromisoformat(day): key for day, key in about["keys"].items()}
        as_of = Refreshed(datetime.fromisoformat(about["at"]), about["table_versions"])
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError, AttributeError):
        return None
    return ModelCells(cells.combine_chunks(), keys, as_of)


def _sound(cells: pa.Table) -> bool:
    """Return whether cells are in order, and their bins are some that there are."""
    if (np.diff(hours_of(cells)) < 0).any():
        return False
    for name, width in HISTOGRAMS.items():
        _, bins, _ = histogram_entries(cells, name)
        if bins.size and not 0 <= bins.min() <= bins.max() < width:
            return False
    return True
