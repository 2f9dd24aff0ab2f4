"""Where a model is worst: accuracy by segment, corrected for looking at many."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats import adjusted, fisher_exact, wilson

__all__ = ["Segment", "worst_segments"]

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
    found: list[tuple[str, str, int, int]] = []
    for name, values in columns.items():
        labels = _labels(np.asarray(values))
        if len(labels) != len(right):
            raise InvalidValueError(name, f"{len(labels)} rows", f"{len(right)}, one a prediction")
        for label in sorted(set(labels)):
            inside = labels == label
            rows = int(inside.sum())
            if min(rows, len(right) - rows) >= min_rows:
                found.append((name, str(label), rows, int(right[inside].sum())))
    total, all_right = len(right), int(right.sum())
    p_values: list[float | None] = [
        fisher_exact(
            [good, rows - good], [all_right - good, total - rows - (all_right - good)]
        ).p_value
        for _, _, rows, good in found
    ]
    segments = []
    for (name, label, rows, good), p_value, adjusted_p in zip(
        found, p_values, adjusted(p_values), strict=True
    ):
        accuracy, others = good / rows, (all_right - good) / (total - rows)
        segments.append(
            Segment(
                column=name,
                value=label,
                rows=rows,
                accuracy=accuracy,
                interval=wilson(good, rows),
                others=others,
                p_value=p_value or 0.0,
                adjusted_p_value=adjusted_p or 0.0,
                worse=accuracy < others and (adjusted_p or 0.0) < alpha,
            )
        )
    return sorted(segments, key=lambda each: (not each.worse, each.accuracy))


def _labels(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the segment of each row, as text."""
    if values.dtype.kind in "iuf" and len(np.unique(values)) > _FEW:
        edges = np.unique(np.nanquantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
        bounds = ["-∞", *(f"{edge:.4g}" for edge in edges), "∞"]
        names = np.array([f"{low} to {high}" for low, high in itertools.pairwise(bounds)])
        found = names[np.searchsorted(edges, values, side="right")]
        return np.where(np.isnan(values.astype(np.float64)), "missing", found)
    return np.array(["missing" if value is None else str(value) for value in values.tolist()])
