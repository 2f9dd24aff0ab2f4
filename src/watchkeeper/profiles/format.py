"""How a profile is kept as bytes.

===========  ==========================================================================
bytes        meaning
===========  ==========================================================================
4            ``WKPF``
1            version of the format: 1
8            BLAKE2b digest of what follows
the rest     MessagePack: the arrays of the structures below, in the order of their fields
===========  ==========================================================================

Sketches are kept as Apache DataSketches serialises them, which its Java and C++ libraries read.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from datasketches import frequent_strings_sketch, hll_sketch, kll_doubles_sketch

from watchkeeper.errors import IntegrityError
from watchkeeper.profiles.categories import CategoryProfile, EmptyProfile
from watchkeeper.profiles.column_profiles import ColumnProfile
from watchkeeper.profiles.moments import Moments
from watchkeeper.profiles.numbers import NumberProfile
from watchkeeper.profiles.sketches import LabelSketch, QuantileSketch

__all__ = ["VERSION", "decode", "encode"]

VERSION = 1
_MAGIC, _DIGEST = b"WKPF", 8


class _Quantiles(msgspec.Struct, array_like=True, frozen=True):
    data: bytes
    lost: int
    merged: bool


class _Labels(msgspec.Struct, array_like=True, frozen=True):
    frequent: bytes
    distinct: bytes
    size: int
    lost: int


class _Empty(msgspec.Struct, array_like=True, frozen=True, tag="empty"):
    name: str
    missing: int


class _Number(msgspec.Struct, array_like=True, frozen=True, tag="number"):
    name: str
    missing: int
    kind: Literal["number", "time"]
    minimum: float
    maximum: float
    below: int
    above: int
    whole: bool
    moments: tuple[int, float, float]
    values: list[float] | None
    counts: list[int]
    sketch: _Quantiles | None


class _Category(msgspec.Struct, array_like=True, frozen=True, tag="category"):
    name: str
    missing: int
    labels: list[str | int | float | bool] | None
    counts: list[int]
    sketch: _Labels | None


class _Profile(msgspec.Struct, array_like=True, frozen=True):
    rows: int
    columns: list[_Empty | _Number | _Category]
    unread: dict[str, str]


def encode(rows: int, columns: Mapping[str, ColumnProfile], unread: Mapping[str, str]) -> bytes:
    """Return the fields of a profile as bytes.

    Parameters
    ----------
    rows : int
    columns : mapping of str to ColumnProfile
    unread : mapping of str to str

    Returns
    -------
    bytes
    """
    wire = _Profile(
        rows, [_to_wire(name, column) for name, column in columns.items()], dict(unread)
    )
    body = msgspec.msgpack.encode(wire)
    return _MAGIC + bytes([VERSION]) + _digest(body) + body


def decode(data: bytes) -> tuple[int, dict[str, ColumnProfile], dict[str, str]]:
    """Return rows, columns and unread, as `encode` turned them into bytes.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    tuple of (int, dict of str to ColumnProfile, dict of str to str)

    Raises
    ------
    IntegrityError
        If they are not such bytes, or of another version.
    """
    start = len(_MAGIC) + 1
    if len(data) < start + _DIGEST or data[: len(_MAGIC)] != _MAGIC:
        raise IntegrityError("these bytes are no profile")
    if data[start - 1] != VERSION:
        raise IntegrityError(
            f"the profile is of format {data[start - 1]}; expected {VERSION}",
            "Read it with the version of Watchkeeper that wrote it, or a newer one.",
        )
    body = data[start + _DIGEST :]
    if data[start : start + _DIGEST] != _digest(body):
        raise IntegrityError("the profile was changed or cut short")
    try:
        wire = msgspec.msgpack.decode(body, type=_Profile)
        columns = {column.name: _from_wire(column) for column in wire.columns}
    except (msgspec.MsgspecError, ValueError, RuntimeError, IndexError) as error:
        raise IntegrityError(f"the profile cannot be read: {error}") from error
    return wire.rows, columns, wire.unread


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST).digest()


def _to_wire(name: str, column: ColumnProfile) -> _Empty | _Number | _Category:
    if isinstance(column, EmptyProfile):
        return _Empty(name, column.missing)
    if isinstance(column, CategoryProfile):
        labels, counts = _split(column.labels)
        labels_sketch = column.sketch
        return _Category(
            name,
            column.missing,
            labels,
            counts,
            _Labels(
                labels_sketch.frequent,
                labels_sketch.distinct,
                labels_sketch.size,
                labels_sketch.lost,
            )
            if labels_sketch
            else None,
        )
    values, counts = _split(column.values)
    sketch, moments = column.sketch, column.moments
    return _Number(
        name,
        column.missing,
        column.kind,
        column.minimum,
        column.maximum,
        column.below,
        column.above,
        column.whole,
        (moments.size, moments.mean, moments.squares),
        values,
        counts,
        _Quantiles(sketch.data, sketch.lost, sketch.merged) if sketch else None,
    )


def _split(counts: Any) -> tuple[list[Any] | None, list[int]]:
    return (None, []) if counts is None else ([*counts], [*counts.values()])


def _from_wire(wire: _Empty | _Number | _Category) -> ColumnProfile:
    if isinstance(wire, _Empty):
        return EmptyProfile(wire.missing)
    if isinstance(wire, _Category):
        labels = None if wire.labels is None else dict(zip(wire.labels, wire.counts, strict=True))
        return CategoryProfile(wire.missing, labels, _labels(wire.sketch) if wire.sketch else None)
    values = None if wire.values is None else dict(zip(wire.values, wire.counts, strict=True))
    return NumberProfile(
        wire.kind,
        wire.missing,
        wire.minimum,
        wire.maximum,
        wire.below,
        wire.above,
        wire.whole,
        Moments(*wire.moments),
        values,
        _quantiles(wire.sketch) if wire.sketch else None,
    )


def _quantiles(wire: _Quantiles) -> QuantileSketch:
    kll_doubles_sketch.deserialize(wire.data)  # refuses what is no sketch
    return QuantileSketch(wire.data, wire.lost, wire.merged)


def _labels(wire: _Labels) -> LabelSketch:
    frequent_strings_sketch.deserialize(wire.frequent)
    hll_sketch.deserialize(wire.distinct)
    return LabelSketch(wire.frequent, wire.distinct, wire.size, wire.lost)
