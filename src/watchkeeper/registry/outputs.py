"""What a model answered, as it is recorded and sent: one prediction a row, in plain values."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["plain_answers"]

_NUMBERS = (bool, int, float)


def plain_answers(answers: object) -> npt.NDArray[Any]:
    """Return answers as an array of what JSON can hold.

    A tuple of arrays holds several values for each row. An array of shape (n, 1) holds one.

    Parameters
    ----------
    answers : object
        What a model returned.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    TypeError
        If JSON has no form for a value.
    """
    array = _stacked(answers)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind == "M":
        array = array.astype(object) if not array.size else _dates(array)
    if array.dtype.kind in "cmV":
        raise TypeError(f"JSON has no form for values of {array.dtype}")
    return _typed(array) if array.dtype.kind == "O" else array


def _stacked(answers: object) -> npt.NDArray[Any]:
    if not isinstance(answers, tuple) or not answers or any(np.ndim(part) != 1 for part in answers):
        return np.asarray(answers)
    parts = [np.asarray(part) for part in answers]
    if len({part.dtype.kind for part in parts}) > 1:
        parts = [part.astype(object) for part in parts]
    return np.column_stack(parts)


def _typed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array of objects in plain values: numbers as numbers where all are of one type."""
    values = [msgspec.to_builtins(value, enc_hook=_plain) for value in array.ravel()]
    types = {type(value) for value in values}
    if len(types) == 1 and types <= set(_NUMBERS):
        return np.asarray(values).reshape(array.shape)
    return _objects(values, array.shape)


def _dates(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return _objects([_plain(value) for value in array.ravel()], array.shape)


def _objects(values: Sequence[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        array[at] = value
    return array.reshape(shape)


def _plain(value: Any) -> Any:
    """Return a value that is not one of Python's own as one that is."""
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(np.datetime_as_string(value))
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic) and not isinstance(value, np.timedelta64):
        return value.item()
    if hasattr(value, "isoformat"):
        return value.isoformat() if value == value else None  # noqa: PLR0124 - NaT is not itself
    raise TypeError(f"JSON has no form for a value of type {type(value).__name__}")
