"""What a monitor must know of a task: how labels and scores are kept, and what is measured.

Columns are what is cheapest to write one value into: a bytearray of booleans, an array of doubles,
a list of labels. They turn into NumPy arrays when metrics are computed.
"""

from array import array
from collections.abc import Hashable, Sequence
from math import isfinite, nan
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality.metrics import binary_metrics
from watchkeeper.quality.multiclass import checked_probabilities, multiclass_metrics
from watchkeeper.quality.regression import regression_metrics

__all__ = ["Binary", "Multiclass", "Regression", "Task"]

Column = Any  # a bytearray, an array or a list; sliced and assigned alike


class Task(Protocol):
    """What the labels of a model are."""

    def labels(self, size: int) -> Column:
        """Return an empty column of labels.

        Parameters
        ----------
        size : int
            Rows of the window.

        Returns
        -------
        Column
        """

    def scores(self, size: int) -> Column:
        """Return an empty column of scores.

        Parameters
        ----------
        size : int
            Rows of the window.

        Returns
        -------
        Column
        """

    def label(self, label: object, field: str) -> Any:
        """Return a label as its column keeps it.

        Parameters
        ----------
        label : object
        field : str
            For the error: what the label is.

        Returns
        -------
        object

        Raises
        ------
        InvalidValueError
            If it is none.
        """

    def all_labels(self, labels: Sequence[object] | npt.NDArray[Any], field: str) -> Column:
        """Return labels as a column.

        Parameters
        ----------
        labels : sequence or numpy.ndarray, shape (n,)
        field : str
            For the error: what the labels are.

        Returns
        -------
        Column

        Raises
        ------
        InvalidValueError
            If one is none.
        """

    def score(self, score: Any) -> Any:
        """Return a score, or None, as its column keeps it.

        Parameters
        ----------
        score : object
            None where there is none.

        Returns
        -------
        object

        Raises
        ------
        InvalidValueError
            If it is none.
        """

    def all_scores(self, scores: Any, count: int) -> Column:
        """Return as many scores as a column.

        Parameters
        ----------
        scores : sequence or numpy.ndarray, shape (n,) or (n, k), or None
            None where there is none.
        count : int
            How many there have to be.

        Returns
        -------
        Column

        Raises
        ------
        InvalidValueError
            If one is none.
        """

    def taken(
        self, predicted: Column, actual: Column, scores: Column, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.float64]]:
        """Return the rows of the three columns as arrays, NaN where there is no score.

        Parameters
        ----------
        predicted, actual, scores : Column
        rows : numpy.ndarray of int, shape (n,)
            Positions in the columns.

        Returns
        -------
        predicted, actual : numpy.ndarray, shape (n,)
        scores : numpy.ndarray of float, shape (n,) or (n, k)
        """

    def measured(
        self,
        predicted: npt.NDArray[Any],
        actual: npt.NDArray[Any],
        scores: npt.NDArray[np.float64],
    ) -> dict[str, Any]:
        """Return the metrics of the task.

        Parameters
        ----------
        predicted, actual : numpy.ndarray, shape (n,)
        scores : numpy.ndarray of float, shape (n,) or (n, k)
            NaN where there is none.

        Returns
        -------
        dict of str to object
        """


class Binary:
    """A positive class against everything else; a score is the probability of the positive.

    Parameters
    ----------
    positive : label
        The positive class.
    """

    def __init__(self, positive: object) -> None:
        self.positive = positive

    def labels(self, size: int) -> bytearray:
        return bytearray(size)

    def scores(self, size: int) -> "array[float]":
        return array("d", [nan]) * size

    def label(self, label: object, field: str) -> bool:
        if label is None or (isinstance(label, float) and label != label):  # noqa: PLR0124 - NaN
            raise InvalidValueError(field, label, "a label")
        return bool(label == self.positive)

    def all_labels(self, labels: Sequence[object] | npt.NDArray[Any], field: str) -> bytes:
        if isinstance(labels, np.ndarray) and labels.dtype.kind in "biu":
            return np.asarray(labels == self.positive, dtype=bool).tobytes()
        return bytes(self.label(label, f"{field}[{i}]") for i, label in enumerate(labels))

    def score(self, score: Any) -> float:
        if score is None:
            return nan
        value = _number(score, "score", "a probability of the positive class")
        if value < 0.0 or value > 1.0:
            raise InvalidValueError("score", value, "a probability of the positive class")
        return value

    def all_scores(self, scores: Any, count: int) -> "array[float]":
        if scores is None:
            return self.scores(count)
        values = np.array(scores, dtype=np.float64)  # None becomes NaN
        wrong = np.flatnonzero((values < 0.0) | (values > 1.0))
        if wrong.size:
            at = int(wrong[0])
            raise InvalidValueError(
                f"scores[{at}]", float(values[at]), "a probability of the positive class"
            )
        return array("d", values.tobytes())

    def taken(
        self, predicted: Column, actual: Column, scores: Column, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        return (
            np.frombuffer(predicted, dtype=bool)[rows],
            np.frombuffer(actual, dtype=bool)[rows],
            np.frombuffer(scores)[rows],
        )

    def measured(
        self,
        predicted: npt.NDArray[Any],
        actual: npt.NDArray[Any],
        scores: npt.NDArray[np.float64],
    ) -> dict[str, Any]:
        return binary_metrics(predicted, actual, scores)


class Multiclass:
    """Several classes; a score is a probability of each, in the order of `classes`.

    Parameters
    ----------
    classes : sequence of labels or None
        In the order of the scores; None takes every label, and no scores.

    Raises
    ------
    InvalidValueError
        If there are fewer than two classes, or one is there twice.
    """

    def __init__(self, classes: Sequence[Hashable] | None) -> None:
        self.classes = None if classes is None else list(classes)
        self._known = frozenset(self.classes or ())
        if self.classes is not None and not 2 <= len(self._known) == len(self.classes):
            raise InvalidValueError("classes", self.classes, "at least two classes, each once")

    def labels(self, size: int) -> list[Any]:
        return [None] * size

    def scores(self, size: int) -> list[Any]:
        return [None] * size

    def label(self, label: Any, field: str) -> Hashable:
        if isinstance(label, np.generic):
            label = label.item()
        if label is None or label != label:  # noqa: PLR0124 - NaN
            raise InvalidValueError(field, label, "a label")
        if self.classes is not None and label not in self._known:
            raise InvalidValueError(field, label, f"one of the classes {self.classes}")
        return label  # type: ignore[no-any-return]

    def all_labels(self, labels: Sequence[object] | npt.NDArray[Any], field: str) -> list[Any]:
        values = labels.tolist() if isinstance(labels, np.ndarray) else labels
        return [self.label(label, f"{field}[{i}]") for i, label in enumerate(values)]

    def score(self, score: Any) -> list[float] | None:
        return None if score is None else self._distributions([score])[0]

    def all_scores(self, scores: Any, count: int) -> list[Any]:
        if scores is None:
            return self.scores(count)
        scored = [i for i, row in enumerate(scores) if row is not None]
        rows = self._distributions([scores[i] for i in scored])
        column = self.scores(count)
        for i, row in zip(scored, rows, strict=True):
            column[i] = row
        return column

    def _distributions(self, rows: Sequence[Any]) -> list[list[float]]:
        if self.classes is None:
            raise InvalidValueError(
                "score",
                rows[0] if rows else None,
                "none, since the monitor does not know the order of the classes",
                "Make the monitor with classes=[...], in the order of the model's probabilities.",
            )
        if not rows:
            return []
        try:
            values = np.array(rows, dtype=np.float64)
        except (TypeError, ValueError):
            raise InvalidValueError("score", rows, "a probability of each class") from None
        distributions: list[list[float]] = checked_probabilities(
            values, len(rows), len(self.classes)
        ).tolist()
        return distributions

    def taken(
        self, predicted: Column, actual: Column, scores: Column, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.float64]]:
        places = rows.tolist()
        none = [nan] * len(self.classes or ())
        return (
            _objects([predicted[i] for i in places]),
            _objects([actual[i] for i in places]),
            np.array(
                [none if scores[i] is None else scores[i] for i in places], dtype=np.float64
            ).reshape(len(places), len(none)),
        )

    def measured(
        self,
        predicted: npt.NDArray[Any],
        actual: npt.NDArray[Any],
        scores: npt.NDArray[np.float64],
    ) -> dict[str, Any]:
        return multiclass_metrics(
            predicted, actual, scores if scores.shape[1] else None, self.classes
        )


class Regression:
    """Numbers; a score is any number the user's own metrics need, such as a predicted spread."""

    def labels(self, size: int) -> "array[float]":
        return array("d", [nan]) * size

    def scores(self, size: int) -> "array[float]":
        return array("d", [nan]) * size

    def label(self, label: Any, field: str) -> float:
        value = _number(label, field, "a finite number")
        if not isfinite(value):
            raise InvalidValueError(field, value, "a finite number")
        return value

    def all_labels(self, labels: Sequence[object] | npt.NDArray[Any], field: str) -> "array[float]":
        if isinstance(labels, np.ndarray) and labels.dtype.kind in "fiu":
            values = labels.astype(np.float64)
            if np.isfinite(values).all():
                return array("d", values.tobytes())
        return array("d", [self.label(label, f"{field}[{i}]") for i, label in enumerate(labels)])

    def score(self, score: Any) -> float:
        return nan if score is None else _number(score, "score", "a number")

    def all_scores(self, scores: Any, count: int) -> "array[float]":
        if scores is None:
            return self.scores(count)
        return array("d", [self.score(score) for score in scores])

    def taken(
        self, predicted: Column, actual: Column, scores: Column, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return (
            np.frombuffer(predicted)[rows],
            np.frombuffer(actual)[rows],
            np.frombuffer(scores)[rows],
        )

    def measured(
        self,
        predicted: npt.NDArray[Any],
        actual: npt.NDArray[Any],
        scores: npt.NDArray[np.float64],  # noqa: ARG002 - it has none
    ) -> dict[str, Any]:
        return regression_metrics(predicted, actual)


def _number(value: Any, field: str, expected: str) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, str | bytes):
        raise InvalidValueError(field, value, expected)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidValueError(field, value, expected) from None


def _objects(values: list[Any]) -> npt.NDArray[Any]:
    column = np.empty(len(values), dtype=object)  # tuples stay labels instead of becoming a table
    column[:] = values
    return column
