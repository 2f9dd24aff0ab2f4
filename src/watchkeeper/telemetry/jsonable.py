"""Anything at all as JSON: what JSON cannot hold is converted, or named by its ``repr``.

A log record must not be lost because of a value in it, so nothing here raises.

>>> to_jsonable({"score": float("nan"), "raw": b"ok", 7: {1, }, "token": "s3cret"}, {"token"})
{'score': 'NaN', 'raw': 'ok', '7': [1], 'token': '[redacted]'}
"""

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from watchkeeper.clock import as_utc

__all__ = ["REDACTED", "as_text", "to_jsonable"]

REDACTED = "[redacted]"

_LONGEST = 65_536  # characters of a string
_MOST = 1_000  # items of a collection
_DEEPEST = 12  # collections within collections
_BUDGET = 20_000  # values of a record


def to_jsonable(value: object, redact: Collection[str] = frozenset()) -> Any:
    """Return `value` as dicts, lists, strings, finite numbers, booleans and None.

    Parameters
    ----------
    value : object
    redact : collection of str
        Names, in lower case, whose values are replaced by ``[redacted]`` wherever a mapping has
        them.

    Returns
    -------
    object
        Numbers that JSON does not have are ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, as in
        the JSON mapping of Protocol Buffers; times are ISO 8601 in UTC; bytes are text; arrays
        are lists. Strings beyond 65,536 characters, collections beyond 1,000 items and what lies
        deeper than 12 levels are cut short and say so.
    """
    return _Conversion(redact).of(value, ())


def as_text(value: object) -> str:
    """Return ``str(value)`` as text that UTF-8 can carry, cut to 65,536 characters.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
    """
    try:
        return _text(str(value))
    except Exception:  # noqa: BLE001 - an object that cannot say what it is is named
        return _named(value)


class _Conversion:
    """One record's: what is left of its budget, and what is not to be shown."""

    def __init__(self, redact: Collection[str]) -> None:
        self._redact = redact
        self._left = _BUDGET

    def of(self, value: object, above: tuple[int, ...]) -> Any:
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        if kind is str:
            return _text(value)  # type: ignore[arg-type]
        if kind is float or kind is int:
            return _number(value)  # type: ignore[arg-type]
        try:
            return self._converted(value, above)
        except Exception:  # noqa: BLE001 - whatever it is, its record is kept
            return _named(value)

    def _converted(self, value: object, above: tuple[int, ...]) -> Any:
        is_simple, simple = _simple(value)
        if is_simple:
            return simple
        if isinstance(value, Enum):
            return self.of(value.value, above)
        if id(value) in above:
            return "<cycle>"
        inside = (*above, id(value))
        if len(inside) > _DEEPEST or self._left <= 0:
            return f"<{type(value).__name__}: too deep or too large>"
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return self._mapping(value, inside)
        if type(value).__module__ == "numpy":
            return self._array(value, inside)
        if isinstance(value, list | tuple | AbstractSet) or _is_view(value):
            return self._items(value, len(value), inside)  # type: ignore[arg-type]
        return _named(value)

    def _mapping(self, mapping: Mapping[Any, Any], inside: tuple[int, ...]) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        for key, value in itertools.islice(mapping.items(), min(_MOST, self._left)):
            self._left -= 1
            name = key if type(key) is str else as_text(self.of(key, inside))
            name = _text(name)
            while name in converted:  # 1 and "1" are two keys
                name += "_"
            converted[name] = REDACTED if name.lower() in self._redact else self.of(value, inside)
        if len(mapping) > len(converted):
            converted["…"] = f"{len(mapping) - len(converted)} more"
        return converted

    def _items(self, values: Iterable[Any], count: int, inside: tuple[int, ...]) -> list[Any]:
        converted: list[Any] = []
        for value in itertools.islice(values, min(_MOST, self._left)):
            self._left -= 1
            converted.append(self.of(value, inside))
        if count > len(converted):
            converted.append(f"… {count - len(converted)} more")
        return converted

    def _array(self, value: Any, inside: tuple[int, ...]) -> Any:
        """Return a NumPy array or scalar as lists and numbers."""
        size = int(getattr(value, "size", 1))
        if size > min(_MOST, self._left):
            return self._items(value.ravel()[:_MOST].tolist(), size, inside)
        return self.of(value.tolist(), inside)


def _simple(value: object) -> tuple[bool, Any]:
    """Return whether `value` is one that needs no look inside, and what it becomes."""
    if isinstance(value, bool):
        return True, bool(value)
    if isinstance(value, Enum):
        return False, None
    if isinstance(value, str):
        return True, _text(str.__str__(value))
    if isinstance(value, int):
        return True, _number(int.__int__(value))
    if isinstance(value, float):
        return True, _number(float.__float__(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return True, _text(bytes(value).decode("utf-8", "backslashreplace"))
    if isinstance(value, datetime):
        return True, as_utc(value).isoformat()
    if isinstance(value, date | time):
        return True, value.isoformat()
    if isinstance(value, timedelta):
        return True, value.total_seconds()
    if isinstance(value, Decimal | UUID | PurePath | complex):
        return True, str(value)
    return False, None


def _is_view(value: object) -> bool:
    return isinstance(value, type({}.keys()) | type({}.values()) | type({}.items()))


def _number(value: float) -> Any:
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return value
        return str(value) if value.bit_length() < 4_000 else hex(value)[:_MOST]
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _text(value: str) -> str:
    if len(value) > _LONGEST:
        value = f"{value[:_LONGEST]}… ({len(value):,} characters)"
    if value.isascii():
        return value
    # A lone surrogate, as in a file name that is not UTF-8, fits into no file of UTF-8.
    return value.encode("utf-8", "backslashreplace").decode()


def _named(value: object) -> str:
    try:
        return _text(repr(value))
    except Exception:  # noqa: BLE001 - a repr may do anything
        return f"<{type(value).__name__} without a repr>"
