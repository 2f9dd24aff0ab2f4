"""Summaries of features and scores that cost little a row, and of a bounded number of names.

A summary is a count and a sum, so a thousand rows are added as fast as one. What cannot be added,
such as a word, a null or NaN, is left out: a single NaN would make the sum NaN for ever.
"""

import math
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from prometheus_client import Counter, Summary

__all__ = ["MOST_FEATURES", "BatchSummary", "FeatureValues", "ScoreValues"]

MOST_FEATURES = 500
"""Features of a model that get a series; the signature of few models has more."""

_PENDING = 50_000  # rows that wait before they are added at once

Columns = Mapping[str, Any]
Floats = npt.NDArray[np.float64]


class BatchSummary(Summary):
    """A summary that also takes many observations at once."""

    def observe_many(self, count: int, total: float) -> None:
        """Add `count` observations whose sum is `total`.

        Parameters
        ----------
        count : int
        total : float
        """
        self._raise_if_not_observable()  # type: ignore[no-untyped-call]
        self._count.inc(count)
        self._sum.inc(total)


class FeatureValues:
    """The numeric features of one model.

    Parameters
    ----------
    family : BatchSummary
        With the labels ``model`` and ``feature_name``.
    ignored : Counter
        With the label ``model``: counts values whose feature got no series.
    model : str
    names : collection of str, optional
        The features that get a series; without it, the first `MOST_FEATURES` that are seen.
    """

    def __init__(
        self,
        family: BatchSummary,
        ignored: Counter,
        model: str,
        names: Collection[str] | None = None,
    ) -> None:
        self._family, self._model = family, model
        self._ignored = ignored.labels(model)
        self._names = None if names is None else frozenset(list(names)[:MOST_FEATURES])
        self._children: dict[str, BatchSummary] = {}

    def observe(self, features: Mapping[str, Any]) -> None:
        """Add the numbers of one row.

        Parameters
        ----------
        features : mapping of str to object
        """
        children = self._children
        for name, value in features.items():
            kind = type(value)
            if kind is not float and kind is not int:
                if not isinstance(value, int | float | np.number) or isinstance(value, bool):
                    continue
                value = float(value)  # noqa: PLW2901 - the same value, as Prometheus takes it
            if value - value == 0.0:
                child = children.get(name) or self._child(name)
                if child is not None:
                    child.observe(value)

    def observe_columns(self, columns: Columns) -> None:
        """Add the numbers of many rows, a column at a time.

        Parameters
        ----------
        columns : Columns
        """
        for name, values in columns.items():
            numbers = _numbers(values)
            if numbers is not None and len(numbers):
                self._add(name, numbers)

    def observe_matrix(self, names: Sequence[str], matrix: Floats) -> None:
        """Add the rows of a matrix whose columns have `names`.

        Parameters
        ----------
        names : sequence of str
        matrix : numpy.ndarray of float
        """
        total: Floats = matrix.sum(axis=0)
        if np.isfinite(total).all():
            for name, value in zip(names, total.tolist(), strict=True):
                child = self._children.get(name) or self._child(name, len(matrix))
                if child is not None:
                    child.observe_many(len(matrix), value)
        else:
            self.observe_columns(dict(zip(names, matrix.T, strict=True)))

    def _add(self, name: str, numbers: Floats) -> None:
        finite = numbers[np.isfinite(numbers)]
        child = self._children.get(name) or self._child(name, len(finite))
        if child is not None and len(finite):
            child.observe_many(len(finite), float(finite.sum()))

    def _child(self, name: object, count: int = 1) -> BatchSummary | None:
        """Return the series of a feature; None, and counted, if it gets none."""
        feature = str(name)
        if feature not in self._children:
            allowed = (
                len(self._children) < MOST_FEATURES
                if self._names is None
                else feature in self._names
            )
            if not allowed:
                self._ignored.inc(count)
                return None
            self._children[feature] = self._family.labels(self._model, feature)
        return self._children[feature]


class ScoreValues:
    """The scores of one version.

    Parameters
    ----------
    child : BatchSummary
    """

    def __init__(self, child: BatchSummary) -> None:
        self._child = child

    def observe(self, score: float) -> None:
        """Add one score, unless it is not a finite number.

        Parameters
        ----------
        score : float
        """
        if math.isfinite(score):
            self._child.observe(score)

    def observe_many(self, scores: Any) -> None:
        """Add the finite ones of many scores.

        Parameters
        ----------
        scores : object
        """
        numbers = _numbers(scores)
        if numbers is not None:
            finite = numbers[np.isfinite(numbers)]
            if len(finite):
                self._child.observe_many(len(finite), float(finite.sum()))


class PendingRows:
    """Rows that were answered and are not in the summaries yet: adding them together is cheap.

    Parameters
    ----------
    features : FeatureValues
    scores : ScoreValues
    """

    def __init__(self, features: FeatureValues, scores: ScoreValues) -> None:
        self._features, self._scores = features, scores
        self._rows: list[Floats | Columns] = []
        self._given: list[Floats] = []
        self._names: Sequence[str] = ()
        self._count = 0
        self._lock = threading.Lock()

    def add(
        self, rows: Floats | Columns, count: int, names: Sequence[str], scores: Floats | None
    ) -> None:
        """Keep `count` rows, as a matrix whose columns have `names` or as columns.

        Parameters
        ----------
        rows : numpy.ndarray of float or Columns
            How many rows.
        count : int
        names : sequence of str
        scores : numpy.ndarray of float or None
        """
        with self._lock:
            self._rows.append(rows)
            self._names = names or self._names
            if scores is not None:
                self._given.append(scores)
            self._count += count
        if self._count >= _PENDING:
            self.publish()

    def publish(self) -> None:
        """Add what waits to the summaries."""
        with self._lock:
            rows, scores, names = self._rows, self._given, self._names
            self._rows, self._given, self._count = [], [], 0
        if scores:
            self._scores.observe_many(np.concatenate(scores))
        matrices = [batch for batch in rows if isinstance(batch, np.ndarray)]
        widths = {matrix.shape[1] for matrix in matrices}
        for width in widths:
            same = np.concatenate([matrix for matrix in matrices if matrix.shape[1] == width])
            self._features.observe_matrix(
                names if len(names) == width else [f"x{i}" for i in range(width)], same
            )
        for batch in rows:
            if not isinstance(batch, np.ndarray):
                self._features.observe_columns(batch)


def _numbers(values: Any) -> Floats | None:
    """Return a column as floats, what is no number as NaN; None if nothing in it is a number."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        return None
    if array.ndim != 1 or array.dtype.kind == "b":
        return None
    if array.dtype.kind in "iuf":
        return array.astype(np.float64, copy=False)
    if array.dtype.kind != "O":
        return None
    numbers = [
        float(value)
        for value in values
        if isinstance(value, int | float | np.number) and not isinstance(value, bool)
    ]
    return np.array(numbers, dtype=np.float64) if numbers else None
