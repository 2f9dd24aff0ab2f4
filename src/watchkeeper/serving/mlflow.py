"""MLflow's scoring protocol: the same rows in MLflow's words."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import InvalidValueError
from watchkeeper.serving.bodies import Headers, decode_json
from watchkeeper.serving.live_version import Call, CallResult, LiveVersion
from watchkeeper.serving.oip import forced_variant_of, request_id_of, unit_id_of
from watchkeeper.serving.responses import Answer, TooLargeError, json_answer
from watchkeeper.serving.rows import Rows, rows_of_columns, rows_of_matrix

__all__ = ["call_of", "scoring_answer"]

_BARE = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*"?)|-?Infinity|NaN', re.DOTALL)  # or a string, kept
_NUMBERS = {"NaN": None, "Infinity": math.inf, "-Infinity": -math.inf}
_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")


def call_of(
    body: bytes,
    live: LiveVersion,
    headers: Headers,
    *,
    variant: str,
    arrived: float,
    max_rows: int,
) -> Call:
    """Return a scoring request as a call of a live version.

    ``params`` may carry ``unit_id``, ``timestamp``, ``tags`` and ``force_variant``, as
    ``parameters`` of the Open Inference Protocol do.

    Parameters
    ----------
    body : bytes
    live : LiveVersion
    headers : Headers
        Of the request, names in lower case.
    variant : str
    arrived : float
    max_rows : int
        Rows of one request at most.

    Returns
    -------
    Call

    Raises
    ------
    InvalidValueError
        If the body is not a scoring request, or its rows do not fit the signature.
    TooLargeError
        If there are more than `max_rows` rows.
    """
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"text/csv":
        content: dict[str, Any] = {"dataframe_split": _csv(body, live)}
    else:
        content = _json(body)
        if not isinstance(content, dict):
            raise InvalidValueError("body", type(content).__name__, f"an object with {_one_of()}")
    present = [form for form in _FORMS if form in content]
    if len(present) != 1:
        raise InvalidValueError("body", sorted(content)[:10], f"exactly one of {_one_of()}")
    params = content.get("params") or {}
    if not isinstance(params, Mapping):
        raise InvalidValueError("params", params, "an object")
    rows = _rows(present[0], content[present[0]], live, max_rows)
    request_id = request_id_of(headers)
    at, unit, tags = params.get("timestamp"), params.get("unit_id"), params.get("tags")
    if tags is not None and not isinstance(tags, Mapping):
        raise InvalidValueError("params.tags", tags, "an object of strings")
    return Call(
        rows=rows,
        request_id=request_id,
        unit_id=str(unit) if unit is not None else unit_id_of(headers, request_id),
        timestamp=None if at is None else parse_timestamp(at, "params.timestamp"),
        tags=None if tags is None else {str(name): str(value) for name, value in tags.items()},
        variant=variant,
        arrived=arrived,
        forced_variant=forced_variant_of(params.get("force_variant"), headers),
    )


def scoring_answer(call: Call, answered: CallResult) -> Answer:
    """Return the answer in MLflow's words; the ids come beside the predictions.

    Parameters
    ----------
    call : Call
    answered : CallResult

    Returns
    -------
    Answer
    """
    body: dict[str, Any] = {"predictions": answered.answers.predictions.tolist()}
    if answered.recorded:
        body["prediction_ids"] = answered.prediction_ids
    else:
        body["recorded"] = False
    return json_answer(body, extra=[(b"x-request-id", call.request_id.encode())])


def _json(body: bytes) -> Any:
    """Return what a body says in the JSON of MLflow's clients, which write a missing value as NaN.

    All else of it has to be JSON.
    """
    try:
        return decode_json(body)
    except InvalidValueError:
        strict = _BARE.sub(lambda token: token[1] or b"null", body)
        if strict == body:
            raise
    decode_json(strict)
    return json.loads(body, parse_constant=_NUMBERS.__getitem__)


def _rows(form: str, values: Any, live: LiveVersion, max_rows: int) -> Rows:
    signature, as_matrix = live.runtime.signature, live.runtime.wants_matrix
    columns = _columns(form, values)
    if columns is None:  # rows without names
        count = len(values)
        _require_count(form, count, max_rows)
        flat = [value for row in values for value in row]
        return rows_of_matrix(flat, count, signature, as_matrix=as_matrix, field=form)
    _require_count(form, max((len(column) for column in columns.values()), default=0), max_rows)
    return rows_of_columns(columns, signature, as_matrix=as_matrix, field=form)


def _columns(form: str, content: Any) -> dict[str, list[Any]] | None:
    """Return the columns by name, or None if `given` is a list of rows without names."""
    if form == "dataframe_split":
        return _of_split(content)
    if form == "inputs" and isinstance(content, Mapping):
        if not all(isinstance(values, list) for values in content.values()):
            raise InvalidValueError(form, sorted(content)[:10], "an array a feature")
        return {name: _scalars(values, f"{form}.{name}") for name, values in content.items()}
    if not isinstance(content, list) or not content:
        raise InvalidValueError(form, _shown(content), "an array with at least one row")
    if all(isinstance(row, Mapping) for row in content):
        return _of_records(form, content)
    if form != "dataframe_records" and all(isinstance(row, list) for row in content):
        width = len(content[0])
        for number, row in enumerate(content):
            if len(row) != width or not width:
                raise InvalidValueError(
                    f"{form}[{number}]", f"{len(row)} values", f"{width} values"
                )
        return None
    expected = "objects" if form == "dataframe_records" else "objects, or arrays of one length"
    raise InvalidValueError(form, _shown(content), f"rows that are {expected}")


def _of_split(table: Any) -> dict[str, list[Any]]:
    if (
        not isinstance(table, Mapping)
        or not isinstance(table.get("columns"), list)
        or not isinstance(table.get("data"), list)
    ):
        raise InvalidValueError("dataframe_split", _shown(table), "an object of columns and data")
    names = [str(name) for name in table["columns"]]
    if len(set(names)) != len(names):
        raise InvalidValueError("dataframe_split.columns", names, "each name once")
    for number, row in enumerate(table["data"]):
        if not isinstance(row, list) or len(row) != len(names):
            raise InvalidValueError(
                f"dataframe_split.data[{number}]", _shown(row), f"an array of {len(names)} values"
            )
    return {name: [row[at] for row in table["data"]] for at, name in enumerate(names)}


def _of_records(form: str, records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = list(records[0])
    for number, row in enumerate(records):
        if row.keys() != records[0].keys():
            raise InvalidValueError(
                f"{form}[{number}]", sorted(row)[:20], f"the features {', '.join(names[:20])}"
            )
    return {name: [row[name] for row in records] for name in names}


def _scalars(values: list[Any], field: str) -> list[Any]:
    """Return a column's values, out of the arrays of one that MLflow's clients may send."""
    if all(isinstance(value, list) and len(value) == 1 for value in values):
        return [value[0] for value in values]
    if any(isinstance(value, list) for value in values):
        raise InvalidValueError(field, "arrays", "one value a row")
    return values


def _csv(body: bytes, live: LiveVersion) -> dict[str, Any]:
    """Return a table of CSV; a byte order mark, as spreadsheets write it, is no part of it."""
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidValueError("body", "bytes", f"CSV in UTF-8 ({error})") from None
    if not any(rows):
        raise InvalidValueError("body", "", "CSV with a line of names first")
    signature = live.runtime.signature
    words = (
        {feature.name for feature in signature.features if feature.type == "string"}
        if signature
        else ()
    )
    names, *records = (row for row in rows if row)
    for number, row in enumerate(records):
        if len(row) != len(names):
            raise InvalidValueError(
                f"body.rows[{number}]",
                _shown(row),
                f"{len(names)} fields, one for each of {', '.join(names[:20])}",
            )
    data = [
        [cell if name in words else _cell(cell) for name, cell in zip(names, row, strict=True)]
        for row in records
    ]
    return {"columns": names, "data": data}


def _cell(text: str) -> Any:
    """Return what a cell of CSV says, as far as a cell can say it."""
    if text in {"", "NaN", "nan", "NA", "null"}:
        return None
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _require_count(form: str, count: int, max_rows: int) -> None:
    if count > max_rows:
        raise TooLargeError(
            f"the request has {count} rows; expected at most {max_rows}",
            "Send several smaller requests.",
        )
    if not count:
        raise InvalidValueError(form, "no rows", "at least one row")


def _one_of() -> str:
    return ", ".join(_FORMS)


def _shown(value: object) -> str:
    return repr(value)[:60]
