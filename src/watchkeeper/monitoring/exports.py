"""Exports: the recorded predictions of a window as one file, a day at a time.

The file appears whole or not at all: it is written under another name and renamed.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.events import FEATURE, EventLog, Window
from watchkeeper.results import Result

__all__ = ["Exported", "export_events"]

COLUMNS = (
    "prediction_id",
    "unit_id",
    "model_version",
    "variant",
    "experiment",
    "timestamp",
    "status",
    "error",
    "latency_ms",
    "prediction",
    "score",
    "tags",
)

_Writer = Callable[[str, pa.Schema], AbstractContextManager[Any]]
_WRITERS: dict[str, _Writer] = {
    ".parquet": lambda path, schema: pa.parquet.ParquetWriter(path, schema, compression="zstd"),
    ".arrow": pa.ipc.new_file,
    ".feather": pa.ipc.new_file,
    ".csv": pa.csv.CSVWriter,
}


@dataclass(frozen=True, slots=True)
class Exported(Result):
    """What was written.

    Attributes
    ----------
    model, path : str
    rows : int
    columns : tuple of str
    """

    model: str
    path: str
    rows: int
    columns: tuple[str, ...]


def export_events(events: EventLog, model: str, window: Window, out: Path) -> Exported:
    """Write the predictions of `window` with their outcomes, one row each, by event time.

    A column that holds values of several types is written as text, a list or a mapping in it and
    the tags as JSON.

    Parameters
    ----------
    events : EventLog
    model : str
    window : Window
    out : Path
        Its suffix says the format: ``.parquet``, ``.arrow``, ``.feather`` or ``.csv``. What is
        there already is replaced.

    Returns
    -------
    Exported

    Raises
    ------
    InvalidValueError
        If the suffix is another.
    NotFoundError
        If nothing is kept of `model`, or the folder of `out` does not exist.
    """
    writer = _WRITERS.get(out.suffix.lower())
    if writer is None:
        raise InvalidValueError("--out", str(out), f"a file named {', '.join(_WRITERS)}")
    if not out.parent.is_dir():
        raise NotFoundError("folder", str(out.parent), "Make it first.")
    rows = 0
    days = _days(events, model, window, _mixed(events, model, window))
    first = next(days)
    with _appearing(out) as unfinished, writer(str(unfinished), first.schema) as file:
        for day in chain((first,), days):
            file.write_table(day.cast(first.schema))
            rows += day.num_rows
    return Exported(model, str(out), rows, tuple(first.schema.names))


def _mixed(events: EventLog, model: str, window: Window) -> list[str]:
    """Return the columns some of whose values are kept as text, as they are of another type."""
    names: set[str] = set()
    for day in events.days(model, window, columns=["as_text"]):
        for texts in day.rows["as_text"].drop_null().to_pylist():
            names.update(name for name, text in texts if text != "null")
    return sorted(names)


def _days(events: EventLog, model: str, window: Window, mixed: Iterable[str]) -> Iterator[pa.Table]:
    """Yield the table of each day; an empty one if the window has none."""
    any_rows = False
    for day in events.days(model, window):
        any_rows = True
        yield _laid_out(day.rows, mixed)
    if not any_rows:
        yield _laid_out(events.read(model, window).rows, mixed)


def _laid_out(rows: pa.Table, mixed: Iterable[str]) -> pa.Table:
    """Return the columns of an export, in their order, words as plain text."""
    rows = _as_text(rows, "tags", [_json(dict(tags or ())) for tags in rows["tags"].to_pylist()])
    for name in mixed:
        rows = _as_text(rows, name, _texts(rows, name))
    features = [name for name in rows.schema.names if name.startswith(FEATURE)]
    chosen = rows.select([*COLUMNS, *features, "actual"])
    plain = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in chosen.schema
    ]
    return chosen.cast(pa.schema(plain))


def _texts(rows: pa.Table, name: str) -> list[str | None]:
    """Return the values of a column as text, those too that its type cannot hold."""
    fitting = rows[name].to_pylist() if name in rows.schema.names else [None] * rows.num_rows
    others = (dict(texts or ()).get(name) for texts in rows["as_text"].to_pylist())
    return [
        _json(value) if text is None else _json(json.loads(text))
        for value, text in zip(fitting, others, strict=True)
    ]


def _json(value: object) -> str | None:
    """Return a value as JSON; a string as it is, and None for None and what is empty."""
    if isinstance(value, str):
        return value
    return None if value is None or value == {} else json.dumps(value, ensure_ascii=False)


def _as_text(rows: pa.Table, name: str, texts: list[str | None]) -> pa.Table:
    """Return `rows` with a column of text."""
    column = pa.array(texts, pa.string())
    if name not in rows.schema.names:
        return rows.append_column(name, column)
    return rows.set_column(rows.schema.get_field_index(name), name, column)


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Give the path of an unfinished file, which takes its place at `path` when all went well."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
