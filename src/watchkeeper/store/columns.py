"""Events as typed Arrow columns.

A column holds numbers (float64), words (dictionary-coded strings) or truth values. What a column
cannot hold as it is (a word among numbers, an integer beyond 2**53, a nested list) is kept beside
it, in the row's ``as_text``, as JSON text by column name. An explicit null is kept there as
``null``, so that it differs from a value that was never given.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import chain
from typing import Any, Literal
from urllib.parse import quote, unquote

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.events import FEATURE, EventKind, Outcome, Prediction, event_day

__all__ = [
    "Kind",
    "TypeSource",
    "disk_name",
    "empty_table",
    "event_name",
    "kinds_of",
    "outcome_rows",
    "outcome_rows_of_table",
    "prediction_rows",
    "prediction_rows_of_table",
]

Kind = Literal["number", "word", "truth"]
"""What a column holds."""

TypeSource = Callable[[str, str], Mapping[str, Kind] | None]
"""Given a model and a version: the kinds its signature declares, by column name, or None."""

_LARGEST_EXACT = 2**53
_WORD = pa.dictionary(pa.int32(), pa.string())
_ARROW: dict[Kind, pa.DataType] = {"number": pa.float64(), "word": _WORD, "truth": pa.bool_()}
_TIME = pa.timestamp("us", "UTC")
_MAP = pa.map_(pa.string(), pa.string())

_FIXED: dict[EventKind, dict[str, pa.DataType]] = {
    "prediction": {
        "prediction_id": pa.string(),
        "unit_id": pa.string(),
        "request_id": pa.string(),
        "model_version": _WORD,
        "variant": _WORD,
        "experiment": _WORD,
        "timestamp": _TIME,
        "arrived_at": _TIME,
        "status": _WORD,
        "error": pa.string(),
        "latency_ms": pa.float64(),
        "score": pa.float64(),
        "tags": _MAP,
        "as_text": _MAP,
        "day": pa.date32(),
    },
    "outcome": {
        "prediction_id": pa.string(),
        "timestamp": _TIME,
        "arrived_at": _TIME,
        "metric": _WORD,
        "value": pa.float64(),
        "as_text": _MAP,
        "day": pa.date32(),
    },
}
_REFUSED = frozenset(" ,;{}()\n\t=%")  # by some readers of Delta tables, and our own escape
_LABELS = frozenset({"prediction", "actual"})
_DEFAULTS = {"model_version": "", "variant": "production", "status": "success"}
_encode = msgspec.json.Encoder(order="deterministic").encode
_UNSET = msgspec.UNSET

_Texts = dict[int, dict[str, str]]  # of row number: of column name: JSON text


def kinds_of(schema: pa.Schema) -> dict[str, Kind]:
    """Return what the features and labels of a table hold, by column name.

    Parameters
    ----------
    schema : pyarrow.Schema

    Returns
    -------
    dict of str to Kind
    """
    return {
        field.name: _kind_of_type(field.type)
        for field in schema
        if field.name.startswith(FEATURE) or field.name in _LABELS
    }


def empty_table(event: EventKind, kinds: Mapping[str, Kind]) -> pa.Table:
    """Return a table without rows, with the fixed columns and those of `kinds`.

    Parameters
    ----------
    event : EventKind
    kinds : mapping of str to Kind
        What columns of the table hold already.

    Returns
    -------
    pyarrow.Table
    """
    return _empty_table(event, tuple(kinds.items()))


@lru_cache(maxsize=64)  # each day that is read asks for a few
def _empty_table(event: EventKind, kinds: tuple[tuple[str, Kind], ...]) -> pa.Table:
    fields = [*_FIXED[event].items(), *((name, _ARROW[kind]) for name, kind in kinds)]
    return pa.schema(fields).empty_table()


def prediction_rows(events: Sequence[Prediction], kinds: Mapping[str, Kind]) -> pa.Table:
    """Return predictions as a table, one row each, in their order.

    Parameters
    ----------
    events : sequence of Prediction
    kinds : mapping of str to Kind
        Of the columns whose kind is fixed already, by column name (``feature.NAME``,
        ``prediction``). The kind of any other is that of most of its values here.

    Returns
    -------
    pyarrow.Table
    """
    texts: _Texts = {}
    columns: dict[str, pa.Array] = {
        name: pa.array([getattr(event, name) for event in events], _plain_type(kind))
        for name, kind in _FIXED["prediction"].items()
        if name not in {"as_text", "day", "tags"}
    }
    columns["tags"] = pa.array(
        [list(event.tags.items()) if event.tags else None for event in events], _MAP
    )
    features = [event.features for event in events]
    for name in dict.fromkeys(chain.from_iterable(features)):
        column = FEATURE + name
        try:
            values = [row[name] for row in features]
        except KeyError:
            values = [row.get(name, _UNSET) for row in features]
        _add(columns, column, values, kinds.get(column), texts)
    labels = [_UNSET if e.prediction is None else e.prediction for e in events]
    _add(columns, "prediction", labels, kinds.get("prediction"), texts)
    return _finished("prediction", columns, _as_text(texts, len(events)))


def outcome_rows(events: Sequence[Outcome], kinds: Mapping[str, Kind]) -> pa.Table:
    """Return outcomes as a table, one row each; `kinds` as for `prediction_rows`.

    Parameters
    ----------
    events : sequence of Outcome
    kinds : mapping of str to Kind
        What columns of the table hold already.

    Returns
    -------
    pyarrow.Table
    """
    texts: _Texts = {}
    columns: dict[str, pa.Array] = {
        name: pa.array([getattr(event, name) for event in events], _FIXED["outcome"][name])
        for name in ("prediction_id", "timestamp", "arrived_at")
    }
    truths = [event.actual if event.metric is None else _UNSET for event in events]
    values = [None if event.metric is None else float(event.actual) for event in events]
    columns["metric"] = pa.array([event.metric for event in events], pa.string())
    columns["value"] = pa.array(values, pa.float64())
    _add(columns, "actual", truths, kinds.get("actual"), texts)
    return _finished("outcome", columns, _as_text(texts, len(events)))


def prediction_rows_of_table(rows: pa.Table, kinds: Mapping[str, Kind]) -> pa.Table:
    """Return a bulk ingest of predictions as `prediction_rows` would.

    Parameters
    ----------
    rows : pyarrow.Table
    kinds : mapping of str to Kind
        What columns of the table hold already.

    Returns
    -------
    pyarrow.Table
    """
    return _rows_of_table("prediction", rows, kinds)


def outcome_rows_of_table(rows: pa.Table, kinds: Mapping[str, Kind]) -> pa.Table:
    """Return a bulk ingest of outcomes as `outcome_rows` would.

    Parameters
    ----------
    rows : pyarrow.Table
    kinds : mapping of str to Kind
        What columns of the table hold already.

    Returns
    -------
    pyarrow.Table
    """
    return _rows_of_table("outcome", rows, kinds)


def _rows_of_table(event: EventKind, rows: pa.Table, kinds: Mapping[str, Kind]) -> pa.Table:
    texts: _Texts = {}
    columns: dict[str, pa.Array] = {}
    if event == "outcome" and "metric" in rows.schema.names:
        posted = rows["metric"].is_valid().combine_chunks()
        columns["value"] = pc.if_else(posted, rows["actual"].cast(pa.float64()), None)
        rows = rows.set_column(
            rows.schema.get_field_index("actual"),
            "actual",
            pc.if_else(posted, pa.scalar(None, rows["actual"].type), rows["actual"]),
        )
    for name in rows.schema.names:
        column = rows[name].combine_chunks()
        if name in _FIXED[event]:
            columns[name] = column.cast(_FIXED[event][name]) if name != "day" else column
        elif name.startswith(FEATURE) or name in _LABELS:
            _add_array(columns, name, column, kinds.get(name), texts)
    if "value" in columns:
        for row in np.flatnonzero(posted.to_numpy(zero_copy_only=False)).tolist():
            texts.pop(row, None)  # it has no truth because it is of a metric
    for name, default in _DEFAULTS.items():
        if name in columns:
            columns[name] = pc.fill_null(columns[name], default)
        elif event == "prediction":
            columns[name] = pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(rows.num_rows, np.int32)), [default]
            )
    return _finished(event, columns, _as_text(texts, rows.num_rows), rows.num_rows)


def _finished(
    event: EventKind, columns: dict[str, pa.Array], as_text: pa.Array, count: int | None = None
) -> pa.Table:
    count = len(columns["prediction_id"]) if count is None else count
    columns["as_text"] = as_text
    if event == "prediction":
        day = pc.floor_temporal(columns["timestamp"], unit="day")
        columns["day"] = day.cast(pa.timestamp("us")).cast(pa.date32())
    else:
        columns["day"] = _days_of_ids(columns["prediction_id"])
    fixed = [
        columns[name].cast(kind) if name in columns else pa.nulls(count, kind)
        for name, kind in _FIXED[event].items()
    ]
    more = {name: column for name, column in columns.items() if name not in _FIXED[event]}
    return pa.table([*fixed, *more.values()], [*_FIXED[event], *more])


def _days_of_ids(ids: pa.Array) -> pa.Array:
    days: list[date | None] = [event_day(prediction_id) for prediction_id in ids.to_pylist()]
    return pa.array(days, pa.date32())


def _add(
    columns: dict[str, pa.Array], name: str, values: list[Any], kind: Kind | None, texts: _Texts
) -> None:
    """Add the column `name`, and to `texts` what it cannot hold."""
    classes = set(map(type, values))
    if name in _LABELS and bool in classes:
        values = [float(value) if value.__class__ is bool else value for value in values]
        classes = set(map(type, values))
    kind = kind or _majority(Counter(map(type, values) if len(classes) > 1 else classes))
    if kind == "number" and classes == {float}:
        columns[name] = pa.array(values, pa.float64())
        return
    if kind == "word" and classes == {str}:
        columns[name] = pa.array(values, pa.string()).dictionary_encode()
        return
    fitting: list[Any] = []
    for row, value in enumerate(values):
        if value is _UNSET:
            fitting.append(None)
        elif _fits(value, kind):
            fitting.append(value)
        else:
            fitting.append(None)
            texts.setdefault(row, {})[name] = _json(value)
    if kind is not None:  # where every value is null, nothing fixes the type yet
        array = pa.array(fitting, _plain_type(_ARROW[kind]))
        columns[name] = array.dictionary_encode() if kind == "word" else array


def _json(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        # As JavaScript and Python's json write them; msgspec's null would be another thing.
        return json.dumps(value)
    return _encode(value).decode()


def _fits(value: object, kind: Kind | None) -> bool:
    if kind == "number":
        return value.__class__ is float or (value.__class__ is int and abs(value) <= _LARGEST_EXACT)
    if kind == "word":
        return value.__class__ is str
    return kind == "truth" and value.__class__ is bool


def _majority(classes: Counter[type]) -> Kind | None:
    counts: dict[Kind, int] = {
        "word": classes[str],
        "number": classes[float] + classes[int],
        "truth": classes[bool],
    }
    kind = max(counts, key=lambda candidate: counts[candidate])
    return kind if counts[kind] else None


def _add_array(
    columns: dict[str, pa.Array], name: str, column: pa.Array, kind: Kind | None, texts: _Texts
) -> None:
    if pa.types.is_boolean(column.type) and name in _LABELS:
        column = column.cast(pa.float64())
    own_kind = _kind_of_type(column.type)
    simple = own_kind != "word" or _is_text(column.type)
    if not simple or (kind is not None and kind != own_kind) or pa.types.is_null(column.type):
        absent = _UNSET if name == "prediction" else None  # one that failed has none to give
        values = [absent if v is None else _json_value(v) for v in column.to_pylist()]
        _add(columns, name, values, kind, texts)
        return
    nulls = column.is_null()
    if pa.types.is_integer(column.type) and column.type.bit_width == 64:
        large = pc.greater(column, pa.scalar(_LARGEST_EXACT, column.type))
        if pa.types.is_signed_integer(column.type):
            large = pc.or_(large, pc.less(column, pa.scalar(-_LARGEST_EXACT, column.type)))
        large = pc.fill_null(large, False)
        for row in np.flatnonzero(large.to_numpy(zero_copy_only=False)).tolist():
            texts.setdefault(row, {})[name] = str(column[row].as_py())
        column = pc.if_else(large, pa.scalar(None, column.type), column)
    if nulls.true_count and name != "prediction":
        for row in np.flatnonzero(nulls.to_numpy(zero_copy_only=False)).tolist():
            texts.setdefault(row, {})[name] = "null"
    columns[name] = column.cast(_ARROW[own_kind]) if own_kind != "word" else _coded(column)


def _coded(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return column.cast(_WORD)
    return column.cast(pa.string()).dictionary_encode()


def _json_value(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return str(value)


def _as_text(texts: _Texts, count: int) -> pa.Array:
    if not texts:
        return pa.nulls(count, _MAP)
    rows: list[Iterable[tuple[str, str]] | None] = [None] * count
    for row, by_column in texts.items():
        rows[row] = list(by_column.items())
    return pa.array(rows, _MAP)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    kind = _plain_type(kind)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _kind_of_type(kind: pa.DataType) -> Kind:
    if pa.types.is_boolean(kind):
        return "truth"
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return "number"
    return "word"


def disk_name(name: str, taken: Iterable[str]) -> str:
    """Return the name that the column `name` has in a table whose columns are `taken`.

    Delta Lake takes two names that differ only in case for one, and some of its readers refuse
    spaces and ``,;{}()=``. Such characters are percent-encoded, and capitals where they must be.

    Parameters
    ----------
    name : str
    taken : iterable of str

    Returns
    -------
    str
    """
    taken = list(taken)
    columns = {event_name(column): column for column in taken}
    if name in columns:
        return columns[name]
    encoded = "".join(quote(letter, safe="") if letter in _REFUSED else letter for letter in name)
    if encoded.lower() in {column.lower() for column in taken}:
        encoded = re.sub("[A-Z]", lambda match: f"%{ord(match[0]):02X}", encoded)
    if encoded.lower() in {column.lower() for column in taken}:
        encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    return encoded


def event_name(disk: str) -> str:
    """Return the column name that `disk_name` encoded.

    Parameters
    ----------
    disk : str

    Returns
    -------
    str
    """
    return unquote(disk)
