"""Rows as a learner takes them: numbers, truth values and times as floats, words as codes."""

from collections import Counter
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.profiles.columns import floats_of, frame_of

__all__ = ["Encoding", "feature_frame"]

Floats = npt.NDArray[np.float64]

_MOST_LABELS = 254  # of one column that the learner takes beside the one for all rare ones
_RAREST = 20  # rows with a word, below which it is one of the rare ones
_LARGEST = 1e300  # infinities count as this


class Encoding:
    """How the columns of the rows that are learned from become numbers, and those of later rows.

    The most frequent words have a code each, the rare ones one together; a word that was never
    seen counts as missing, as nulls and NaN do.

    Parameters
    ----------
    frame : narwhals.DataFrame
        The rows that are learned from.

    Raises
    ------
    InvalidValueError
        If a column holds neither numbers, words, truth values nor times.
    """

    def __init__(self, frame: nw.DataFrame[Any]) -> None:
        self._codes = {name: _codes(frame[name]) for name in frame.columns}

    @property
    def categorical(self) -> list[bool]:
        """Which columns hold codes of words."""
        return [codes is not None for codes in self._codes.values()]

    def __call__(self, frame: nw.DataFrame[Any]) -> Floats:
        """Return the rows as numbers, NaN where missing.

        Raises
        ------
        InvalidValueError
            If a column is missing, or is of another type than the one that was learned from.
        """
        columns = []
        for name, codes in self._codes.items():
            if name not in frame.columns:
                raise InvalidValueError("features", frame.columns[:20], f"a column {name!r} too")
            series = frame[name]
            if series.null_count() == len(series):
                columns.append(np.full(len(series), np.nan))
            elif _has_words(series) is not (codes is not None):
                raise InvalidValueError(
                    name, str(series.dtype), "values of the type in the training data"
                )
            elif codes is None:
                columns.append(np.clip(floats_of(series), -_LARGEST, _LARGEST))
            else:
                words = [None if value is None else str(value) for value in series.to_list()]
                columns.append(np.array([codes.get(word, np.nan) for word in words]))
        return np.column_stack(columns)


def feature_frame(features: object) -> nw.DataFrame[Any]:
    """Return features as a frame; the columns of an array are named by their places.

    Parameters
    ----------
    features : array of float, shape (n, k), or data frame

    Returns
    -------
    narwhals.DataFrame

    Raises
    ------
    InvalidValueError
        If they are neither rows and columns of numbers nor a data frame.
    """
    if not isinstance(features, np.ndarray | list):
        return frame_of(features, "features")
    matrix = np.asarray(features, dtype=np.float64)
    if matrix.ndim != 2:
        raise InvalidValueError("features", f"shape {matrix.shape}", "rows and columns")
    return frame_of(
        {str(column): matrix[:, column] for column in range(matrix.shape[1])}, "features"
    )


def _codes(series: nw.Series[Any]) -> dict[str | None, float] | None:
    """Return the code of each word, or None for a column of numbers."""
    if series.null_count() == len(series) or not _has_words(series):
        return None
    counts = Counter(str(value) for value in series.to_list() if value is not None)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    frequent = [word for word in ranked[:_MOST_LABELS] if counts[word] >= _RAREST]
    codes: dict[str | None, float] = dict.fromkeys(ranked, float(len(frequent)))
    codes.update((word, float(rank)) for rank, word in enumerate(frequent))
    return codes


def _has_words(series: nw.Series[Any]) -> bool:
    dtype = series.dtype
    if dtype in {nw.String, nw.Categorical, nw.Enum, nw.Object, nw.Unknown}:
        return True
    if dtype.is_numeric() or dtype.is_temporal() or dtype == nw.Boolean:
        return False
    raise InvalidValueError(series.name, str(dtype), "numbers, strings, booleans or times")
