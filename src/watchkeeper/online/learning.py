"""Online learning: a model learns from outcomes as they arrive, each scored before that.

Scored so, every outcome is a test on data that the model has not seen (prequential evaluation). The
frozen champion, and the snapshot at which it began, answer the same rows beside it: what it has
learned is kept if it is worse than neither.

References
----------
Dawid (1984), Journal of the Royal Statistical Society A 147(2), 278-292, on prequential scores;
Gama, Sebastião and Rodrigues (2013), Machine Learning 90(3), 317-346, on streams.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watchkeeper.errors import InvalidValueError, MissingExtraError
from watchkeeper.policies.online import FEWEST_ROWS
from watchkeeper.quality.labels import labels_of
from watchkeeper.registry import Signature
from watchkeeper.registry.runtime import by_row
from watchkeeper.results import Result

__all__ = [
    "Learned",
    "Prequential",
    "Stream",
    "beats",
    "learned_from",
    "loses_to",
    "require_learner",
]

_SURE = 3.0  # standard errors
_TOGETHER = 16  # rows that an estimator is asked, and then learns, at once

Losses = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stream:
    """Outcomes in the order of their arrival, as they are learned.

    Attributes
    ----------
    features : pyarrow.Table
        Columns in the order of the signature.
    actual : list
    task : {"binary", "multiclass", "regression"}
    positive : object
        Label of the positive class of a binary task.
    signature : Signature, optional
        Of the model.
    """

    features: pa.Table
    actual: list[Any]
    task: str
    positive: Any = 1
    signature: Signature | None = None

    def losses(self, said: Sequence[Any], places: npt.NDArray[np.intp]) -> Losses:
        """Return the loss of each answer to some of the rows: 1 if wrong, or how far it is off.

        None, which River says until it has learned, is a wrong answer, or 0. What is no finite
        number has a loss that is not finite.

        Parameters
        ----------
        said : sequence
            Answers of a model, a row each.
        places : numpy.ndarray of int, shape (n,)
            Positions of those rows in the stream.

        Returns
        -------
        numpy.ndarray of float, shape (n,)
        """
        actual = [self.actual[index] for index in places]
        if self.task == "regression":
            numbers = np.asarray(
                [0.0 if answer is None else answer for answer in said], dtype=np.float64
            )
            return np.abs(numbers - np.asarray(actual, dtype=np.float64))
        if self.task == "multiclass":
            pairs = zip(said, actual, strict=True)
            return np.array([float(answer is None or answer != true) for answer, true in pairs])
        answers, true = (
            labels_of(pa.chunked_array([pa.array(_numbered(labels))]), self.task, self.positive)
            for labels in (said, actual)
        )
        nothing = np.array([answer is None for answer in said], dtype=bool)
        return np.asarray((answers != true) | nothing, dtype=np.float64)


def _numbered(labels: Sequence[Any]) -> list[Any]:
    """Return labels with truth values as numbers: a tree may say True in one leaf, 1 in another."""
    return [int(label) if isinstance(label, bool) else label for label in labels]


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of letting a model learn.

    Attributes
    ----------
    model : object
        A copy that has learned.
    losses : numpy.ndarray
        Of each row that was scored, before it was learned from.
    places : numpy.ndarray of int
        Which rows of the stream these are; an estimator that takes no missing values is not asked
        the others.
    """

    model: Any
    losses: Losses
    places: npt.NDArray[np.intp]

    def frozen(self, model: Any, stream: Stream) -> Losses:
        """Return the losses of a model that does not learn, on the same rows.

        Parameters
        ----------
        model : object
        stream : Stream

        Returns
        -------
        numpy.ndarray of float
            One loss for each row that could be scored.
        """
        answers = _taker(model, stream).answers(self.places)
        return stream.losses(answers, self.places)


@dataclass(frozen=True, slots=True)
class Prequential(Result):
    """What the outcomes since the last snapshot say.

    Attributes
    ----------
    rows, left_out : int
        Rows that were scored, and those that the model cannot take.
    loss, champion_loss, former_loss : float
        Share of wrong answers, or mean absolute error, of the learner, of the frozen champion and
        of the frozen snapshot at which it began.
    standard_error : float
        Of the difference between learner and champion on the same rows.
    fault : str
        Why what was learned is thrown away; empty where it is kept.
    """

    rows: int
    left_out: int
    loss: float
    champion_loss: float
    former_loss: float
    standard_error: float
    fault: str

    @property
    def kept(self) -> bool:
        """Whether what was learned is kept."""
        return not self.fault

    @classmethod
    def of(
        cls,
        own: Losses,
        champion: Losses,
        former: Losses,
        *,
        tolerance: float,
        task: str,
        left_out: int = 0,
    ) -> "Prequential":
        """Return what losses on the same rows say.

        Parameters
        ----------
        own : numpy.ndarray of float, shape (n,)
            Losses of the model that learned.
        champion : numpy.ndarray of float, shape (n,)
        former : numpy.ndarray of float, shape (n,)
            Losses of the model as it was before it learned.
        tolerance : float
            How much worse it may be: for regression a share of the other loss, otherwise of all
            rows.
        task : {"binary", "multiclass", "regression"}
        left_out : int
            Rows that could not be scored.

        Returns
        -------
        Prequential
        """
        if len(own) < FEWEST_ROWS:
            fault = f"only {len(own)} of the rows could be scored"
        elif loses_to(own, champion, tolerance=tolerance, task=task):
            fault = "it is worse than the champion"
        elif loses_to(own, former, tolerance=tolerance, task=task):
            fault = "it is worse than before it learned"
        else:
            fault = ""
        means = [float(losses.mean()) if len(losses) else 0.0 for losses in (own, champion, former)]
        return cls(
            rows=len(own),
            left_out=left_out,
            loss=means[0],
            champion_loss=means[1],
            former_loss=means[2],
            standard_error=_difference(own, champion)[1],
            fault=fault,
        )


def loses_to(own: Losses, other: Losses, *, tolerance: float, task: str) -> bool:
    """Return whether losses are higher than others on the same rows, beyond tolerance and chance.

    Answers that are no numbers lose to those that are.

    Parameters
    ----------
    own, other : numpy.ndarray of float, shape (n,)
    tolerance : float
        How much higher they may be: for regression a share of the other loss, otherwise of all
        rows.
    task : {"binary", "multiclass", "regression"}

    Returns
    -------
    bool
    """
    if not np.isfinite(own).all():
        return bool(np.isfinite(other).all())
    if len(own) < FEWEST_ROWS or not np.isfinite(other).all():
        return False
    difference, error = _difference(own, other)
    allowed = tolerance * float(other.mean()) if task == "regression" else tolerance
    return difference > allowed and difference > _SURE * error


def beats(own: Losses, other: Losses, *, task: str) -> bool:
    """Return whether losses are lower than others on the same rows, beyond chance.

    Parameters
    ----------
    own, other : numpy.ndarray of float, shape (n,)
    task : {"binary", "multiclass", "regression"}

    Returns
    -------
    bool
    """
    return loses_to(other, own, tolerance=0.0, task=task)


def _difference(losses: Losses, other: Losses) -> tuple[float, float]:
    """Return the mean difference and its standard error."""
    if len(losses) < 2:
        return 0.0, 0.0
    difference = losses - other
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def require_learner(model: Any) -> None:
    """Refuse a model that cannot learn row by row.

    Parameters
    ----------
    model : object

    Raises
    ------
    InvalidValueError
        If it has neither ``learn_one`` (River) nor ``partial_fit`` (scikit-learn).
    """
    if not (hasattr(model, "learn_one") or hasattr(model, "partial_fit")):
        raise InvalidValueError(
            "model",
            type(model).__name__,
            "one with learn_one (River) or partial_fit (scikit-learn)",
            "Register such a model and promote it, or let this one be trained again instead.",
        )


def learned_from(model: Any, stream: Stream) -> Learned:
    """Let a copy of a model learn a stream, and score each row before that.

    River's learn row by row; estimators learn 16 rows at a time, which were scored before. A row
    with a class that an estimator does not know is a wrong answer, and teaches nothing.

    Parameters
    ----------
    model : object
        It stays as it is.
    stream : Stream

    Returns
    -------
    Learned

    Raises
    ------
    InvalidValueError
        If the model cannot learn row by row.
    """
    require_learner(model)
    learner = copy.deepcopy(model)
    taker = _taker(learner, stream)
    places = np.flatnonzero(taker.usable)
    answers: list[Any] = []
    for first in range(0, len(places), taker.at_once):
        part = places[first : first + taker.at_once]
        answers += taker.answers(part)
        taker.learn(part)
    return Learned(learner, stream.losses(answers, places), places)


class _Taker(Protocol):
    """A model that is given rows of a stream in the way that it takes them."""

    at_once: int
    usable: npt.NDArray[np.bool_]

    def answers(self, places: npt.NDArray[np.intp]) -> list[Any]: ...
    def learn(self, places: npt.NDArray[np.intp]) -> None: ...


def _taker(model: Any, stream: Stream) -> _Taker:
    if hasattr(model, "predict_one"):
        return _OneByOne(model, stream)
    return _Estimator(model, stream)


class _OneByOne:
    """A model of River."""

    at_once = 1

    def __init__(self, model: Any, stream: Stream) -> None:
        self._model = model
        columns = {name: stream.features[name].to_pylist() for name in stream.features.column_names}
        self._rows = by_row(columns, stream.signature)
        truth = stream.task == "binary" and isinstance(self._said(0), bool)
        self._actual = [_label(label, stream.task, truth=truth) for label in stream.actual]
        self.usable = np.ones(len(stream.actual), dtype=bool)

    def answers(self, places: npt.NDArray[np.intp]) -> list[Any]:
        return [self._said(int(index)) for index in places]

    def _said(self, index: int) -> Any:
        return self._model.predict_one(self._rows[index])

    def learn(self, places: npt.NDArray[np.intp]) -> None:
        for index in places:
            self._model.learn_one(self._rows[index], self._actual[index])


def _label(value: Any, task: str, *, truth: bool) -> Any:
    """Return an outcome as a label: events hold whole numbers as floats, and truth values too."""
    if task == "regression" or not isinstance(value, float) or not value.is_integer():
        return value
    return bool(value) if truth else int(value)


class _Estimator:
    """A model of scikit-learn, or one that is asked like it."""

    at_once = _TOGETHER

    def __init__(self, model: Any, stream: Stream) -> None:
        self._model = model
        table = stream.features
        named = getattr(model, "feature_names_in_", None) is not None
        self._rows = _frame(table) if named else _matrix(table)
        missing = np.zeros(table.num_rows, dtype=bool)
        if not _takes_missing(model):
            for column in table.columns:
                missing |= np.asarray(column.is_null(nan_is_null=True))
        self.usable = ~missing
        self._labels, self._taught = _labels(model, stream.actual)

    def answers(self, places: npt.NDArray[np.intp]) -> list[Any]:
        if not len(places):
            return []
        answers: list[Any] = np.asarray(self._model.predict(self._cut(places))).tolist()
        return answers

    def learn(self, places: npt.NDArray[np.intp]) -> None:
        taught = places[self._taught[places]]
        if len(taught):
            self._model.partial_fit(self._cut(taught), self._labels[taught])

    def _cut(self, places: npt.NDArray[np.intp]) -> Any:
        return self._rows[places] if isinstance(self._rows, np.ndarray) else self._rows.iloc[places]


def _labels(model: Any, actual: Sequence[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return the outcomes as the model calls them, and which of them it knows."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        return np.asarray(actual, dtype=np.float64), np.ones(len(actual), dtype=bool)
    index_of = {name: index for index, name in enumerate(np.asarray(classes).tolist())}
    indices = np.array([index_of.get(label, -1) for label in actual], dtype=np.intp)
    return np.asarray(classes)[indices], indices >= 0


def _takes_missing(model: Any) -> bool:
    from sklearn.utils import get_tags

    if not hasattr(model, "__sklearn_tags__"):
        return False
    return bool(get_tags(model).input_tags.allow_nan)


def _matrix(table: pa.Table) -> npt.NDArray[np.float64]:
    columns: Mapping[str, Any] = {name: table[name] for name in table.column_names}
    return np.column_stack([np.asarray(column.cast(pa.float64())) for column in columns.values()])


def _frame(table: pa.Table) -> Any:
    try:
        import pandas  # noqa: F401, ICN001 - Arrow makes the frame
    except ImportError:
        raise MissingExtraError("a model that was fitted on a data frame", "pandas") from None
    return table.to_pandas()
