"""What every result has in common: a frozen dataclass that also reads as a mapping.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True, slots=True)
... class Verdict(Result):
...     p_value: float
...     drifted: bool
>>> verdict = Verdict(p_value=0.25, drifted=False)
>>> verdict["p_value"], dict(verdict)
(0.25, {'p_value': 0.25, 'drifted': False})
>>> verdict.to_json()
'{"p_value":0.25,"drifted":false}'
>>> Verdict.from_dict({"p_value": None, "drifted": False})  # JSON has no NaN
Verdict(p_value=nan, drifted=False)
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Annotated, Any, Self, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from watchkeeper.errors import InvalidValueError, WatchkeeperError

__all__ = ["KeptJson", "Result", "Stored", "finite", "from_dict", "plain", "strict_json"]

T = TypeVar("T")


class Result(Mapping[str, Any]):
    """Base of result dataclasses: reads as a mapping of its fields."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return any(field.name == name for field in fields(self))  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[str]:
        return (field.name for field in fields(self))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(fields(self))  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values, nested results included.

        Returns
        -------
        dict of str to object
        """
        return _written(self)

    def to_json(self) -> str:
        """Return one line of strict JSON: NaN and infinities become null.

        Returns
        -------
        str
        """
        return strict_json(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Return the result that `to_dict`, or JSON, described.

        Parameters
        ----------
        stored : mapping
            Null stands for NaN where the field is a number. Fields that do not exist any more are
            passed over; those that came later have their defaults.

        Returns
        -------
        Self

        Raises
        ------
        InvalidValueError
            If a field is missing, or is not of its type.
        """
        return from_dict(cls, stored)


@dataclass(frozen=True, slots=True)
class Stored:
    """Beside the type of a field: how it is read and written where its type does not say.

    Parameters
    ----------
    read : callable
        The stored value to the field's.
    write : callable, optional
        The field's value to the stored one; by default as all others.

    Examples
    --------
    >>> from typing import Annotated
    >>> @dataclass(frozen=True, slots=True)
    ... class Bound(Result):
    ...     high: Annotated[float, Stored(lambda high: math.inf if high is None else high)]
    >>> Bound.from_dict({"high": None})
    Bound(high=inf)
    """

    read: Callable[[Any], Any]
    write: Callable[[Any], Any] | None = None


class KeptJson(Mapping[str, Any]):
    """A JSON object as it was kept, decoded when it is first read: most of what is listed never is.

    Parameters
    ----------
    text : str

    Examples
    --------
    >>> kept = KeptJson('{"drift_share": 0.22}')
    >>> kept["drift_share"], kept == {"drift_share": 0.22}
    (0.22, True)
    """

    __slots__ = ("_found", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[str, Any] | None = None

    @property
    def _read(self) -> dict[str, Any]:
        if self._found is None:
            self._found = dict(json.loads(self._text))
        return self._found

    def __getitem__(self, name: str) -> Any:
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def __repr__(self) -> str:
        return repr(self._read)


def from_dict(kind: type[T], stored: Mapping[str, Any]) -> T:
    """Return the dataclass of type `kind` that `plain`, or JSON, described.

    Parameters
    ----------
    kind : type
        A dataclass; its fields are read by their types, with those of nested dataclasses.
    stored : mapping
        As `Result.from_dict` has it.

    Returns
    -------
    T

    Raises
    ------
    InvalidValueError
        If a field is missing, or is not of its type.
    """
    try:
        return msgspec.convert(_readable(stored, kind), kind)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, WatchkeeperError):
            raise error.__cause__ from None  # what the dataclass says of its own values
        raise InvalidValueError(
            f"the stored {kind.__name__}", dict(stored), f"fields of their types ({error})"
        ) from None


def _readable(value: Any, hint: Any) -> Any:
    """Return a stored value as msgspec reads it by its type: no null where a number belongs."""
    if hint is float:
        return math.nan if value is None else value
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        rule = next((part for part in parts if isinstance(part, Stored)), None)
        return _readable(value, parts[0]) if rule is None else rule.read(value)
    if type(None) in parts:
        return None if value is None else _readable(value, parts[parts[0] is type(None)])
    if isinstance(value, Mapping):
        if isinstance(hint, type) and is_dataclass(hint):
            hints = _hints(hint)
            return {name: _readable(item, hints.get(name)) for name, item in value.items()}
        item_hint = parts[1] if len(parts) == 2 else None
        return {name: _readable(item, item_hint) for name, item in value.items()}
    if isinstance(value, list | tuple) and origin is tuple:
        order = [parts[0]] * len(value) if parts[1:] == (...,) else parts
        if len(order) == len(value):
            return tuple(map(_readable, value, order))
    return value


def _written(value: object) -> dict[str, Any]:
    """Return the fields of a dataclass as plain values; those that begin with _ are its own."""
    return {name: write(getattr(value, name)) for name, write in _writers(type(value))}  # type: ignore[arg-type]


@cache
def _writers(kind: type[object]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    rules = {
        name: next((part for part in get_args(hint) if isinstance(part, Stored)), None)
        for name, hint in _hints(kind).items()  # type: ignore[arg-type]
    }
    return tuple(
        (field.name, (rule and rule.write) or plain)
        for field in fields(kind)  # type: ignore[arg-type]
        if not field.name.startswith("_")
        for rule in [rules[field.name]]
    )


@cache
def _hints(kind: type[object]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def plain(value: object) -> Any:
    """Return `value` as dicts, lists, strings, numbers, booleans and None; times in ISO 8601.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Result):
        return _written(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "__array_interface__"):
        import numpy as np  # here: most results hold no arrays

        if isinstance(value, np.generic | np.ndarray):
            listed = value.tolist()
            # Arrays of numbers are plain already, and there may be many elements.
            return listed if value.dtype.kind in "biuf" else plain(listed)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return _written(value)
    return str(value)


def strict_json(value: object) -> str:
    """Return `value` as one line of JSON that every parser takes: NaN and infinities are null.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
    """
    return json.dumps(
        finite(plain(value)), separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def finite(value: Any) -> Any:
    """Return a plain value with null for NaN and infinities, which JSON has not.

    Parameters
    ----------
    value : object
        As `plain` returns it.

    Returns
    -------
    object
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
