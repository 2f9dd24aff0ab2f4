"""A loaded version that predicts: one face for scikit-learn, ONNX and whatever has ``predict``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError, MissingExtraError, WatchkeeperError
from watchkeeper.registry.formats import last_step
from watchkeeper.registry.outputs import plain_answers
from watchkeeper.registry.signature import Signature
from watchkeeper.registry.versions import ModelVersion

__all__ = ["Answers", "Batch", "ModelOutputError", "Runtime", "by_row"]

Batch = npt.NDArray[np.float64] | Mapping[str, Sequence[Any]]
"""Rows to predict: a matrix in the order of the signature, or columns by name."""


class ModelOutputError(WatchkeeperError):
    """A model answered with something that is not one answer a row, or that cannot be sent."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answered to `n` rows.

    Attributes
    ----------
    predictions : numpy.ndarray, shape (n,) or (n, k)
    scores : numpy.ndarray, shape (n,), or None
        Probability of the second class of two, or of the predicted class of several.
    probabilities : numpy.ndarray, shape (n, n_classes), or None
    classes : tuple or None
        What the columns of `probabilities` stand for.
    """

    predictions: npt.NDArray[Any]
    scores: npt.NDArray[np.float64] | None = None
    probabilities: npt.NDArray[np.float64] | None = None
    classes: tuple[Any, ...] | None = None


class Runtime:
    """One loaded version.

    Parameters
    ----------
    version : ModelVersion
    model : object
        A fitted scikit-learn estimator, an ``onnxruntime.InferenceSession``, a `RemoteModel`, a
        function of rows, or anything with ``predict``.

    Attributes
    ----------
    wants_matrix : bool
        Whether `predict` is best given a matrix; columns by name otherwise.
    classes : numpy.ndarray or None
        What a classifier of one target answers with.
    rows_independent : bool
        Whether the answer to a row is the same beside any others; a function may look at all.

    Raises
    ------
    InvalidValueError
        If the model has no method ``predict``, and its format needs one.
    """

    def __init__(self, version: ModelVersion, model: Any) -> None:
        self.version = version
        self.model_id, self.model_name = version.model_id, version.model_name
        self.signature: Signature | None = version.signature
        self._model = model
        classes = getattr(model, "classes_", None)
        several = isinstance(classes, list)  # one array for each target
        self.classes = None if classes is None or several else np.asarray(classes)
        self._answer: Callable[[Any], Answers]
        self._by_row = False
        self.rows_independent = version.format != "cloudpickle"
        if version.format == "onnx":
            self._answer = _onnx(model)
            self.wants_matrix = len(model.get_inputs()) == 1
            self._named = not self.wants_matrix
        else:
            numeric = self.signature is None or self.signature.all_numeric
            self._named = getattr(model, "feature_names_in_", None) is not None
            self._by_row = not hasattr(model, "predict") and hasattr(model, "predict_one")
            if self._by_row:
                self._answer, self._named = self._one_by_one, True
            elif version.format == "remote":
                self._answer, self._named = self._ask, not numeric
            elif version.format == "mlflow":
                self._answer, self._named = self._let_mlflow_answer, self.signature is not None
            elif version.format == "cloudpickle":
                self._answer = lambda batch: Answers(model(batch))
                self._named = not numeric
            else:
                self._answer = _estimator(model)
            self.wants_matrix = numeric and not self._named

    @property
    def ready(self) -> bool:
        """Whether it can be asked now."""
        return True

    def predict(self, batch: Batch) -> Answers:
        """Return the answers to the rows of `batch`.

        Parameters
        ----------
        batch : Batch

        Returns
        -------
        Answers

        Raises
        ------
        ModelOutputError
            If there is not one answer a row, or JSON cannot hold an answer.
        Exception
            Whatever the model itself raises.
        MissingExtraError
            If the model takes data frames, and pandas is not installed.
        """
        if isinstance(batch, np.ndarray):
            rows, prepared = len(batch), self._from_matrix(batch)
        else:
            rows = len(next(iter(batch.values()), ()))
            try:
                prepared = self._from_columns(batch)
            except TypeError as error:  # the values are at fault, not yet the model
                raise ValueError(str(error)) from error
        answers = self._in_plain_values(self._answer(prepared))
        if answers.predictions.ndim == 0 or len(answers.predictions) != rows:
            raise ModelOutputError(
                f"{self.model_id} answered {rows} rows with an array of shape "
                f"{answers.predictions.shape}; expected one prediction for each row"
            )
        if answers.probabilities is not None and len(answers.probabilities) != rows:
            raise ModelOutputError(
                f"{self.model_id} answered {rows} rows with {len(answers.probabilities)} rows of "
                "probabilities"
            )
        return answers

    def _in_plain_values(self, answers: Answers) -> Answers:
        try:
            return replace(answers, predictions=plain_answers(answers.predictions))
        except TypeError as error:
            raise ModelOutputError(
                f"{self.model_id} answered what cannot be sent: {error}; expected numbers, text, "
                "truth values or dates"
            ) from None

    def _ask(self, batch: Any) -> Answers:
        """Return what another server answers."""
        names = () if isinstance(batch, Mapping) else self._names(batch.shape[1])
        features = () if self.signature is None else self.signature.features
        all_whole = bool(features) and all(feature.type == "integer" for feature in features)
        if all_whole and not isinstance(batch, Mapping) and np.isfinite(batch).all():
            batch = batch.astype(np.int64)
        predictions, probabilities = self._model.predict(batch, names)
        if probabilities is None or probabilities.ndim != 2:
            return Answers(predictions)
        classes = tuple(range(probabilities.shape[1]))
        return Answers(predictions, _scores(probabilities), probabilities, classes)

    def _one_by_one(self, columns: Mapping[str, Any]) -> Answers:
        """Return what a model of River answers, which takes one row as a mapping."""
        rows = by_row(columns, self.signature)
        predictions_by_row = [self._model.predict_one(row) for row in rows]
        if any(prediction is None for prediction in predictions_by_row):
            raise ModelOutputError(
                f"{self.model_id} has no prediction, as models of River before training"
            )
        predictions = np.asarray(predictions_by_row)
        if not hasattr(last_step(self._model), "predict_proba_one"):
            return Answers(predictions)
        try:
            probabilities_by_row = [self._model.predict_proba_one(row) for row in rows]
        except NotImplementedError:  # a classifier of River that knows none
            return Answers(predictions)
        seen = {name for probabilities in probabilities_by_row for name in probabilities}
        names = tuple(sorted(seen, key=lambda name: (isinstance(name, str), name)))
        if len(names) < 2:  # it has seen one class only
            return Answers(predictions)
        table = np.array(
            [
                [float(probabilities.get(name, 0.0)) for name in names]
                for probabilities in probabilities_by_row
            ]
        )
        return Answers(predictions, _scores(table), table, names)

    def _let_mlflow_answer(self, frame: Any) -> Answers:
        """Return what MLflow answers; it takes whole numbers as such only."""
        if self.signature is not None:
            whole = [
                feature.name for feature in self.signature.features if feature.type == "integer"
            ]
            frame = frame.astype({name: "int64" for name in whole if frame[name].notna().all()})
        return Answers(self._model.predict(frame))

    def _from_matrix(self, matrix: npt.NDArray[np.float64]) -> Any:
        if not self._named:
            return matrix
        names = self._names(matrix.shape[1])
        return self._frame(dict(zip(names, matrix.T, strict=True)))

    def _from_columns(self, columns: Mapping[str, Sequence[Any]]) -> Any:
        free = self._by_row and self.signature is None
        names = list(columns) if free else self._names(len(columns))
        ordered = {name: self._typed(name, columns[name]) for name in names}
        if self._named:
            return self._frame(ordered)
        numeric = self.signature is None or self.signature.all_numeric
        return np.column_stack(
            [
                np.asarray(column, dtype=np.float64 if numeric else object)
                for column in ordered.values()
            ]
        )

    def _names(self, count: int) -> Sequence[str]:
        if self.signature is not None:
            return self.signature.names
        if self._named and hasattr(self._model, "feature_names_in_"):
            return [str(name) for name in self._model.feature_names_in_]
        return [f"x{i}" for i in range(count)]

    def _typed(self, name: str, values: Sequence[Any]) -> Any:
        if self.signature is not None:
            kind = self.signature.features[self.signature.names.index(name)].type
            if kind in {"number", "integer"}:
                numbers = np.asarray(values, dtype=np.float64)  # None becomes NaN
                whole = self.version.format == "remote" and kind == "integer"
                return numbers.astype(np.int64) if whole and np.isfinite(numbers).all() else numbers
        return values

    def _frame(self, columns: Mapping[str, Any]) -> Any:
        if self._by_row or self.version.format in {"onnx", "remote"}:
            return columns
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError(
                f"{self.model_id}, which was fitted on a data frame,", "pandas"
            ) from None
        return pd.DataFrame(columns)


def by_row(
    columns: Mapping[str, Sequence[Any]], signature: Signature | None
) -> list[dict[str, Any]]:
    """Return rows as River takes them: mappings of what is known, whole numbers as such.

    Parameters
    ----------
    columns : mapping of str to sequence of object
    signature : Signature or None

    Returns
    -------
    list of dict of str to object
    """
    features = () if signature is None else signature.features
    whole = {feature.name for feature in features if feature.type == "integer"}
    columns_of_values = [
        [_whole(value) if name in whole else value for value in _plain(values)]
        for name, values in columns.items()
    ]
    return [
        {name: value for name, value in zip(columns, row, strict=True) if not _missing(value)}
        for row in zip(*columns_of_values, strict=True)
    ]


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


def _plain(values: Any) -> Any:
    return values.tolist() if isinstance(values, np.ndarray) else values


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _estimator(model: Any) -> Callable[[Any], Answers]:
    """Return how an estimator answers; the steps before the last of a pipeline run once."""
    if not callable(getattr(model, "predict", None)):
        raise InvalidValueError("model", type(model).__name__, "an object with a method predict")
    if type(model).__name__ == "Pipeline" and hasattr(model, "steps") and len(model.steps) > 1:
        transform, last = model[:-1].transform, _final(model[-1])
        return lambda batch: last(transform(batch))
    return _final(model)


def _final(model: Any) -> Callable[[Any], Answers]:
    classes = getattr(model, "classes_", None)
    if classes is None or not hasattr(model, "predict_proba"):
        return lambda batch: Answers(model.predict(batch))
    if isinstance(classes, list):
        return _of_several_targets(model)
    names = tuple(np.asarray(classes).tolist())
    if type(model).__module__ == "sklearn.linear_model._logistic" and len(names) == 2:
        return _logistic(model, np.asarray(classes), names)

    def answer(batch: Any) -> Answers:
        probabilities = np.asarray(model.predict_proba(batch), dtype=np.float64)
        predictions = np.asarray(model.predict(batch))
        return Answers(predictions, _scores(probabilities), probabilities, names)

    return answer


def _of_several_targets(model: Any) -> Callable[[Any], Answers]:
    """Answer with the labels of all targets, and their probabilities one target after the other."""

    def answer(batch: Any) -> Answers:
        probabilities = model.predict_proba(batch)
        if isinstance(probabilities, list):
            probabilities = np.hstack(probabilities)
        table = np.asarray(probabilities, dtype=np.float64)
        return Answers(np.asarray(model.predict(batch)), probabilities=table)

    return answer


def _logistic(
    model: Any, classes: npt.NDArray[Any], names: tuple[Any, ...]
) -> Callable[[Any], Answers]:
    """Answer from one call of ``decision_function``, as scikit-learn itself does in two."""
    from scipy.special import expit

    def answer(batch: Any) -> Answers:
        decision = model.decision_function(batch)
        positive = expit(decision)
        probabilities = np.column_stack((1.0 - positive, positive))
        predictions = classes[(decision > 0).astype(np.intp)]
        return Answers(predictions, positive, probabilities, names)

    return answer


def _scores(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if probabilities.shape[1] == 2:
        return probabilities[:, 1]
    best: npt.NDArray[np.float64] = probabilities.max(axis=1)
    return best


def _onnx(session: Any) -> Callable[[Any], Answers]:
    inputs = session.get_inputs()
    outputs = [output.name for output in session.get_outputs()]

    def answer(batch: Any) -> Answers:
        if len(inputs) == 1:
            feed = {inputs[0].name: np.asarray(batch, dtype=_ONNX_TYPES[inputs[0].type])}
        else:
            feed = {
                column.name: np.asarray(batch[column.name], dtype=_ONNX_TYPES[column.type]).reshape(
                    -1, 1
                )
                for column in inputs
            }
        results = session.run(outputs, feed)
        predictions = np.asarray(results[0])
        if len(results) == 1:
            return Answers(predictions)
        if isinstance(results[1], list):  # one mapping of class to probability a row
            names = tuple(results[1][0]) if results[1] else ()
            table = [[row[name] for name in names] for row in results[1]]
        else:
            table = results[1]
            names = tuple(range(np.shape(table)[1]))
        probabilities = np.asarray(table, dtype=np.float64)
        return Answers(predictions, _scores(probabilities), probabilities, names)

    return answer


_ONNX_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}


def onnx_signature(session: Any) -> Signature:
    """Return what an ONNX model's inputs say it takes.

    Parameters
    ----------
    session : object
        An ONNX Runtime session.

    Returns
    -------
    Signature

    Raises
    ------
    InvalidValueError
        If a single input does not say how many features it has.
    """
    from watchkeeper.registry.signature import Feature

    inputs = session.get_inputs()
    if len(inputs) == 1:
        count = inputs[0].shape[-1] if len(inputs[0].shape) > 1 else 1
        if not isinstance(count, int):
            raise InvalidValueError(
                "model", inputs[0].shape, "an ONNX input with a fixed number of features"
            )
        return Signature(tuple(Feature(f"x{i}", "number") for i in range(count)))
    kinds = {"tensor(string)": "string", "tensor(bool)": "boolean"}
    return Signature(
        tuple(Feature(column.name, kinds.get(column.type, "number")) for column in inputs)  # type: ignore[arg-type]
    )
