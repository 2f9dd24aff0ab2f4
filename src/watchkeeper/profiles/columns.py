"""Columns as drift tests take them: numbers as a float array, categories as counts.

Anything Narwhals knows is taken (pandas, Polars, PyArrow, ...), and a dict of sequences. Booleans
count as categories, dates and times as numbers: seconds, whatever unit they are kept in. Nulls and
NaN are not values: they are counted apart. Infinities are values, at the ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import narwhals as nw
import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.sample import Sample

__all__ = ["Categories", "Column", "Numbers", "as_categories", "column_of", "floats_of", "frame_of"]

_PER_SECOND = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}
_FEW = 10  # distinct whole numbers in a reference up to which they are codes and not amounts


@dataclass(frozen=True, slots=True)
class Numbers:
    """A numeric column.

    Attributes
    ----------
    sample : Sample
        Its values; sorted when that is asked for.
    missing : int
    whole : bool
        Whether the column holds whole numbers by its type.
    """

    sample: Sample
    missing: int
    whole: bool = False

    kind = "number"

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The values, sorted."""
        return self.sample.values

    @property
    def size(self) -> int:
        return len(self.sample)


@dataclass(frozen=True, slots=True)
class Categories:
    """A column of categories: how often each occurs."""

    counts: dict[Any, int]
    missing: int

    kind = "category"

    @property
    def size(self) -> int:
        return sum(self.counts.values())


Column = Numbers | Categories
Treatment = Literal["auto", "number", "category"]


def frame_of(data: object, name: str) -> nw.DataFrame[Any]:
    """Return `data` as a Narwhals frame.

    Parameters
    ----------
    data : object
    name : str

    Returns
    -------
    narwhals.DataFrame

    Raises
    ------
    InvalidValueError
        If it is not a data frame and not a dict of sequences of one length.
    """
    if isinstance(data, Mapping):
        import pyarrow as pa

        try:
            data = pa.table({str(key): _sequence(values) for key, values in data.items()})
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, TypeError) as error:
            raise InvalidValueError(
                name, type(data).__name__, f"sequences of one type and one length ({error})"
            ) from None
    try:
        frame = nw.from_native(data)  # type: ignore[call-overload]
    except TypeError:
        raise InvalidValueError(
            name, type(data).__name__, "a data frame or a dict of sequences"
        ) from None
    eager: nw.DataFrame[Any] = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    return eager


def _sequence(values: Any) -> Any:
    """Return `values` as Arrow takes them: objects one by one, so that None stays null."""
    return values.tolist() if isinstance(values, np.ndarray) and values.dtype == object else values


def column_of(series: nw.Series[Any]) -> Column:
    """Return a column as numbers or as categories, by its type.

    Parameters
    ----------
    series : narwhals.Series

    Returns
    -------
    Column

    Raises
    ------
    InvalidValueError
        If its type is neither.
    """
    dtype = series.dtype
    if dtype == nw.Boolean:
        return _numeric_categories(floats_of(series))
    if dtype.is_numeric() or dtype.is_temporal():
        values = floats_of(series)
        nothing = np.isnan(values)
        present = values[~nothing] if nothing.any() else values
        return Numbers(Sample(present), len(values) - len(present), dtype.is_integer())
    if dtype in {nw.String, nw.Categorical, nw.Enum, nw.Object, nw.Unknown}:
        return _words(series)
    raise InvalidValueError(series.name, str(dtype), "numbers, strings, booleans or times")


def as_categories(column: Column) -> Categories:
    """Return a column as categories, numbers by their value.

    Parameters
    ----------
    column : Column

    Returns
    -------
    Categories
    """
    if isinstance(column, Categories):
        return column
    values, counts = column.sample.counts()
    return Categories(dict(zip(values.tolist(), counts.tolist(), strict=True)), column.missing)


def looks_coded(column: Column) -> bool:
    """Return whether whole numbers are so few that they stand for categories.

    Parameters
    ----------
    column : Column

    Returns
    -------
    bool
    """
    return (
        isinstance(column, Numbers)
        and column.whole
        and column.size > 0
        and len(np.unique(column.values)) <= _FEW
    )


def floats_of(series: nw.Series[Any]) -> npt.NDArray[np.float64]:
    """Return numbers, truth values or times as floats, one a row, missing as NaN.

    Times are in seconds. NumPy's own columns are not copied.

    Parameters
    ----------
    series : narwhals.Series

    Returns
    -------
    numpy.ndarray of float
    """
    import pyarrow as pa

    if series.dtype.is_temporal():
        return _seconds(series)
    native = series.to_native()
    values = native.to_numpy() if hasattr(native, "to_numpy") else None
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        return values.astype(np.float64, copy=False)
    arrow = series.to_arrow()
    if isinstance(arrow, pa.ChunkedArray):
        arrow = arrow.combine_chunks()
    if pa.types.is_boolean(arrow.type) or arrow.null_count or pa.types.is_decimal(arrow.type):
        arrow = arrow.cast(pa.float64(), safe=False)
    return np.asarray(arrow.to_numpy(zero_copy_only=False), dtype=np.float64)


def _numeric_categories(values: npt.NDArray[np.float64]) -> Categories:
    present = values[~np.isnan(values)]
    labels, counts = np.unique(present, return_counts=True)
    return Categories(
        dict(zip(labels.tolist(), counts.tolist(), strict=True)), len(values) - len(present)
    )


def _seconds(series: nw.Series[Any]) -> npt.NDArray[np.float64]:
    import pyarrow as pa

    arrow = series.to_arrow()
    if isinstance(arrow, pa.ChunkedArray):
        arrow = arrow.combine_chunks()
    if pa.types.is_date(arrow.type):
        arrow = arrow.cast(pa.timestamp("ms"))
    whole = arrow.cast(pa.int64() if arrow.type.bit_width == 64 else pa.int32())
    floats = whole.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(floats / _PER_SECOND[arrow.type.unit], dtype=np.float64)


def _words(series: nw.Series[Any]) -> Categories:
    import pyarrow as pa

    arrow = series.to_arrow()
    chunks = arrow if isinstance(arrow, pa.ChunkedArray) else pa.chunked_array([arrow])
    if not pa.types.is_dictionary(chunks.type):
        chunks = chunks.dictionary_encode()
    coded = chunks.unify_dictionaries().combine_chunks()
    if isinstance(coded, pa.ChunkedArray):  # an empty column has no chunk to combine
        coded = coded.chunk(0) if coded.num_chunks else pa.array([], chunks.type)
    present = coded.indices.drop_null().to_numpy(zero_copy_only=False)
    counts = np.bincount(present, minlength=len(coded.dictionary))
    labels = coded.dictionary.to_pylist()
    words = {
        label: int(count)
        for label, count in zip(labels, counts.tolist(), strict=True)
        if count and label is not None
    }
    return Categories(words, len(coded) - sum(words.values()))
