"""Rows to predict: what a request holds, checked against the signature, as the model wants it.

Each row is kept twice: as the model takes it (a matrix, or columns by name) and as it is recorded
(a dict of what was sent). Nulls stay null where they are recorded and are NaN for the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.registry import Feature, Signature

__all__ = ["Rows", "join", "rows_of_columns", "rows_of_matrix"]

_NUMBERS = frozenset({int, float, type(None)})
_TYPES: dict[str, tuple[frozenset[type], str]] = {
    "number": (frozenset({int, float}), "a number"),
    "integer": (frozenset({int, float}), "a whole number"),
    "boolean": (frozenset({bool}), "true or false"),
    "string": (frozenset({str}), "a string"),
}
_FLOAT_LIMIT = 10**308


@dataclass(frozen=True, slots=True)
class Rows:
    """What is to be predicted.

    Attributes
    ----------
    features : list of dict
        One a row, as recorded.
    matrix : numpy.ndarray, shape (n, n_features), or None
    columns : dict of str to list, or None
        What the model is given: one of the two.
    """

    features: list[dict[str, Any]]
    matrix: npt.NDArray[np.float64] | None
    columns: dict[str, Sequence[Any]] | None


def join(parts: Sequence[Rows]) -> npt.NDArray[np.float64] | dict[str, Sequence[Any]]:
    """Return what several requests want predicted as one batch.

    Parameters
    ----------
    parts : sequence of Rows

    Returns
    -------
    numpy.ndarray of float or dict of str to sequence of object
    """
    matrices = [part.matrix for part in parts if part.matrix is not None]
    if len(matrices) == len(parts):
        return matrices[0] if len(matrices) == 1 else np.concatenate(matrices)
    columns = [part.columns or {} for part in parts]
    if len(columns) == 1:
        return columns[0]
    return {name: [value for part in columns for value in part[name]] for name in columns[0]}


def rows_of_matrix(
    values: Sequence[Any], count: int, signature: Signature | None, *, as_matrix: bool, field: str
) -> Rows:
    """Return the rows of one flat, row-major sequence of numbers.

    Parameters
    ----------
    values : sequence of object
    count : int
    signature : Signature or None
    as_matrix : bool
    field : str
        What errors call it.

    Returns
    -------
    Rows

    Raises
    ------
    InvalidValueError
        If the number of columns is not that of the signature, or a value does not fit.
    """
    width = len(values) // count if count else 0
    if signature is not None and width != len(signature.names):
        raise InvalidValueError(
            f"{field}.shape",
            [count, width],
            f"{len(signature.names)} columns: {', '.join(signature.names[:20])}",
        )
    names = signature.names if signature is not None else tuple(f"x{i}" for i in range(width))
    numeric = signature is None or signature.all_numeric
    if not (as_matrix and numeric):
        columns = {name: list(values[i::width]) for i, name in enumerate(names)}
        return rows_of_columns(columns, signature, as_matrix=as_matrix, field=field)
    _require_numbers(values, field)
    matrix = _floats(values, field).reshape(count, width)
    features = [
        dict(zip(names, values[at : at + width], strict=True))
        for at in range(0, count * width, width)
    ]
    return Rows(features, matrix, None)


def rows_of_columns(
    columns: Mapping[str, Sequence[Any]],
    signature: Signature | None,
    *,
    as_matrix: bool,
    field: str,
) -> Rows:
    """Return the rows of columns by name.

    Parameters
    ----------
    columns : mapping of str to sequence of object
    signature : Signature or None
    as_matrix : bool
    field : str
        What errors call it.

    Returns
    -------
    Rows

    Raises
    ------
    InvalidValueError
        If a feature is missing, unknown, of another length, or holds a value of the wrong type.
    """
    if not columns:
        raise InvalidValueError(field, {}, "at least one feature")
    if signature is not None:
        _require_names(columns, signature, field)
        ordered = {feature.name: columns[feature.name] for feature in signature.features}
        for feature in signature.features:
            _require_type(ordered[feature.name], feature, field)
    else:
        ordered = dict(columns)
    lengths = {len(values) for values in ordered.values()}
    if len(lengths) != 1:
        sizes = {name: len(values) for name, values in ordered.items()}
        raise InvalidValueError(field, sizes, "the same number of rows for every feature")
    names = tuple(ordered)
    features = [dict(zip(names, row, strict=True)) for row in zip(*ordered.values(), strict=True)]
    if as_matrix and (signature is not None or _all_numbers(ordered)):
        matrix = np.column_stack([_floats(values, f"{field}.{n}") for n, values in ordered.items()])
        return Rows(features, matrix, None)
    return Rows(features, None, ordered)


def _require_names(columns: Mapping[str, Any], signature: Signature, field: str) -> None:
    missing = [name for name in signature.names if name not in columns]
    if missing:
        raise InvalidValueError(
            field, sorted(columns)[:20], f"also the features {', '.join(missing[:20])}"
        )
    if len(columns) != len(signature.names):
        extra = sorted(set(columns) - set(signature.names))
        raise InvalidValueError(
            f"{field}.{extra[0]}",
            extra[:20],
            f"no features beyond {', '.join(signature.names[:20])}",
        )


def _require_type(values: Sequence[Any], feature: Feature, field: str) -> None:
    if feature.type == "any":
        return
    allowed, expected = _TYPES[feature.type]
    kinds = set(map(type, values))
    if feature.nullable:
        kinds.discard(type(None))
        expected += " or null"
    if not kinds <= allowed:
        row = next(i for i, value in enumerate(values) if type(value) in kinds - allowed)
        raise InvalidValueError(f"{field}.{feature.name}[{row}]", values[row], expected)
    if feature.type == "integer" and float in kinds:
        for row, value in enumerate(values):
            if type(value) is float and not value.is_integer():
                raise InvalidValueError(f"{field}.{feature.name}[{row}]", value, expected)


def _all_numbers(columns: Mapping[str, Sequence[Any]]) -> bool:
    return all(set(map(type, values)) <= _NUMBERS for values in columns.values())


def _require_numbers(values: Sequence[Any], field: str) -> None:
    if not set(map(type, values)) <= _NUMBERS:
        at = next(i for i, value in enumerate(values) if type(value) not in _NUMBERS)
        raise InvalidValueError(f"{field}.data[{at}]", values[at], "a number or null")


def _floats(values: Sequence[Any], field: str) -> npt.NDArray[np.float64]:
    try:
        return np.array(values, dtype=np.float64)
    except (OverflowError, ValueError, TypeError):
        at = next(
            (
                i
                for i, value in enumerate(values)
                if type(value) is int and abs(value) > _FLOAT_LIMIT
            ),
            0,
        )
        raise InvalidValueError(
            f"{field}[{at}]", values[at], "a number that a 64-bit float can hold"
        ) from None
