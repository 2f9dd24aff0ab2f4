"""Where a model is worst: accuracy or error by segment, corrected for looking at many."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats import adjusted, fisher_exact, wilson
from watchkeeper.stats.intervals import normal_quantile

__all__ = ["ErrorSegment", "Segment", "worst_segments", "worst_segments_by_error"]

_BINS = 4  # of a column of numbers: quarters
_FEW = 20  # different numbers up to which each is a segment of its own


@dataclass(frozen=True, slots=True)
class Segment(Result):
    """One segment against all other rows.

    Attributes
    ----------
    column : str
    value : str
        What the rows have in common; a range for numbers.
    rows : int
    accuracy : float
    interval : tuple of float
        Wilson's, 95 % confidence.
    others : float
        Accuracy of the other rows.
    p_value, adjusted_p_value : float
        Fisher's exact test against the other rows, and after Benjamini-Hochberg.
    worse : bool
        Whether it is worse than the others, beyond chance.
    """

    column: str
    value: str
    rows: int
    accuracy: float
    interval: tuple[float, float]
    others: float
    p_value: float
    adjusted_p_value: float
    worse: bool


@dataclass(frozen=True, slots=True)
class ErrorSegment(Result):
    """One segment of a regression against all other rows.

    Attributes
    ----------
    column, value, rows
        As in `Segment`.
    mae : float
        Mean absolute error.
    interval : tuple of float
        Normal, 95 % confidence.
    others : float
        Mean absolute error of the other rows.
    p_value, adjusted_p_value : float
        Welch's test of the absolute errors against the other rows, and after Benjamini-Hochberg.
    worse : bool
        Whether it is worse than the others, beyond chance.
    """

    column: str
    value: str
    rows: int
    mae: float
    interval: tuple[float, float]
    others: float
    p_value: float
    adjusted_p_value: float
    worse: bool


def worst_segments(
    columns: Mapping[str, npt.ArrayLike],
    correct: npt.ArrayLike,
    *,
    alpha: float = 0.05,
    min_rows: int = 50,
) -> list[Segment]:
    """Return how right a model is in each segment, those that are worse than the rest first.

    Parameters
    ----------
    columns : mapping of str to array_like, shape (n,)
        Features or tags. Each value is a segment; of numbers with more than 20 different values the
        quarters are.
    correct : array_like of bool, shape (n,)
        Whether each prediction was right.
    alpha : float
        Share of the segments named worse that may be so by chance alone.
    min_rows : int
        Smaller segments, and those that leave fewer others, are left out.

    Returns
    -------
    list of Segment

    Raises
    ------
    InvalidValueError
        If a column has another number of rows.

    Examples
    --------
    >>> right = np.array([True] * 90 + [False] * 10 + [True] * 50 + [False] * 50)
    >>> found = worst_segments({"carrier": ["AA"] * 100 + ["UA"] * 100}, right)
    >>> [(each.value, each.accuracy, each.worse) for each in found]
    [('UA', 0.5, True), ('AA', 0.9, False)]
    """
    right = np.asarray(correct, dtype=bool)
    candidates = [
        (name, label, int(inside.sum()), int(right[inside].sum()))
        for name, label, inside in _segments(columns, len(right), min_rows)
    ]
    total, all_right = len(right), int(right.sum())
    p_values: list[float | None] = [
        fisher_exact(
            [good, rows - good], [all_right - good, total - rows - (all_right - good)]
        ).p_value
        for _, _, rows, good in candidates
    ]
    segments = []
    for (name, label, rows, good), p_value, adjusted_p in zip(
        candidates, p_values, adjusted(p_values), strict=True
    ):
        accuracy, rest = good / rows, (all_right - good) / (total - rows)
        segments.append(
            Segment(
                column=name,
                value=label,
                rows=rows,
                accuracy=accuracy,
                interval=wilson(good, rows),
                others=rest,
                p_value=p_value or 0.0,
                adjusted_p_value=adjusted_p or 0.0,
                worse=accuracy < rest and (adjusted_p or 0.0) < alpha,
            )
        )
    return sorted(segments, key=lambda segment: (not segment.worse, segment.accuracy))


def worst_segments_by_error(
    columns: Mapping[str, npt.ArrayLike],
    errors: npt.ArrayLike,
    *,
    alpha: float = 0.05,
    min_rows: int = 50,
) -> list[ErrorSegment]:
    """Return how large the errors of a regression are in each segment, the worse ones first.

    Parameters
    ----------
    columns : mapping of str to array_like, shape (n,)
        As in `worst_segments`.
    errors : array_like of float, shape (n,)
        Predicted minus actual, or their absolute values.
    alpha : float
        As in `worst_segments`.
    min_rows : int

    Returns
    -------
    list of ErrorSegment

    Raises
    ------
    InvalidValueError
        If a column has another number of rows.

    Examples
    --------
    >>> errors = np.tile([1.0, -2.0], 100) * np.repeat([1.0, 3.0], 100)
    >>> found = worst_segments_by_error({"carrier": ["AA"] * 100 + ["UA"] * 100}, errors)
    >>> [(each.value, each.mae, each.worse) for each in found]
    [('UA', 4.5, True), ('AA', 1.5, False)]
    """
    from scipy.stats import ttest_ind_from_stats

    sizes = np.abs(np.asarray(errors, dtype=np.float64))
    candidates = [
        (name, label, _moments(sizes[inside]), _moments(sizes[~inside]))
        for name, label, inside in _segments(columns, len(sizes), min_rows)
    ]
    p_values: list[float | None] = []
    for _, _, segment_errors, rest in candidates:
        varies = segment_errors[1] > 0.0 or rest[1] > 0.0
        tested = (
            ttest_ind_from_stats(*segment_errors, *rest, equal_var=False).pvalue if varies else None
        )
        p_values.append(float(segment_errors[0] == rest[0]) if tested is None else float(tested))
    segments = []
    for (name, label, segment_errors, rest), p_value, adjusted_p in zip(
        candidates, p_values, adjusted(p_values), strict=True
    ):
        mae, spread, rows = segment_errors
        half = normal_quantile(0.95) * spread / np.sqrt(rows)
        segments.append(
            ErrorSegment(
                column=name,
                value=label,
                rows=rows,
                mae=mae,
                interval=(max(0.0, mae - float(half)), mae + float(half)),
                others=rest[0],
                p_value=p_value or 0.0,
                adjusted_p_value=adjusted_p or 0.0,
                worse=mae > rest[0] and (adjusted_p or 0.0) < alpha,
            )
        )
    return sorted(segments, key=lambda segment: (not segment.worse, -segment.mae))


def _moments(values: npt.NDArray[np.float64]) -> tuple[float, float, int]:
    """Return mean, standard deviation and count."""
    return float(values.mean()), float(values.std(ddof=1)), len(values)


def _segments(
    columns: Mapping[str, npt.ArrayLike], total: int, min_rows: int
) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Yield each segment that is large enough, and leaves enough others, with its rows."""
    for name, values in columns.items():
        labels = _labels(np.asarray(values))
        if len(labels) != total:
            raise InvalidValueError(name, f"{len(labels)} rows", f"{total}, one a prediction")
        for label in sorted(set(labels)):
            inside = labels == label
            rows = int(inside.sum())
            if min(rows, total - rows) >= min_rows:
                yield name, str(label), inside


def _labels(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the segment of each row, as text."""
    if values.dtype.kind in "iuf" and len(np.unique(values)) > _FEW:
        edges = np.unique(np.nanquantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
        bounds = ["-∞", *(f"{edge:.4g}" for edge in edges), "∞"]
        names = np.array([f"{low} to {high}" for low, high in itertools.pairwise(bounds)])
        labels = names[np.searchsorted(edges, values, side="right")]
        return np.where(np.isnan(values.astype(np.float64)), "missing", labels)
    return np.array(["missing" if value is None else str(value) for value in values.tolist()])
