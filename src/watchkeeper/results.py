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
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date, datetime
from enum import Enum
from typing import Any

import numpy as np

__all__ = ["KeptJson", "Result", "plain", "strict_json"]


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
        """Return the fields as plain Python values, nested results included."""
        return {name: plain(value) for name, value in self.items()}

    def to_json(self) -> str:
        """Return one line of strict JSON: NaN and infinities become null."""
        return strict_json(self)


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


def plain(value: object) -> Any:
    """Return `value` as dicts, lists, strings, numbers, booleans and None; times in ISO 8601."""
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value.tolist()  # as it is: plain already, and there may be many
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def strict_json(value: object) -> str:
    """Return `value` as one line of JSON that every parser takes: NaN and infinities are null."""
    return json.dumps(
        _finite(plain(value)), separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
