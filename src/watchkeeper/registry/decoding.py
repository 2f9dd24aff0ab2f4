"""Decoding: the fields of a version from what its row stores, each when it is read."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from watchkeeper.clock import as_utc
from watchkeeper.registry.lineage import Lineage
from watchkeeper.registry.signature import Signature
from watchkeeper.registry.versions import Status

__all__ = ["TIMES", "decoded"]

TIMES = ("registered_at", "promoted_at", "demoted_at")
"""The columns that hold times; their text is ISO 8601."""


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:  # earlier releases stored NaN and infinities as Python does
        return json.loads(text)


def decoded(name: str, value: Any) -> Any:
    """Return a field as versions have it.

    Parameters
    ----------
    name : str
        Of the field, and of its column.
    value : object
        As it is stored: JSON and times as text.

    Returns
    -------
    object
    """
    decode = _FIELDS.get(name)
    return value if decode is None or value is None else decode(value)


@lru_cache(maxsize=1024)  # versions of a model take the same
def _signature(text: str) -> Signature | None:
    described = _decoded(text)
    return None if described is None else Signature.from_dict(described)


_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "status": Status,
    "metrics": _decoded,
    "tags": _decoded,
    "trusted": lambda text: tuple(_decoded(text)),
    "signature": _signature,
    "files": _decoded,
    "about": _decoded,
    "lineage": lambda text: Lineage.from_dict(_decoded(text)),
    **dict.fromkeys(TIMES, lambda text: as_utc(datetime.fromisoformat(text))),
}
