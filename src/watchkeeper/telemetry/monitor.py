"""Metrics for a model that one calls oneself: inside a service, a job or a notebook."""

import functools
import inspect
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

import narwhals as nw
import numpy as np
from prometheus_client import REGISTRY, CollectorRegistry

from watchkeeper.errors import InvalidValueError
from watchkeeper.telemetry.metrics import ModelMetrics

__all__ = ["AdvancedModelMonitor", "ModelMonitor"]

Given = ParamSpec("Given")
Returned = TypeVar("Returned")

_clock = time.perf_counter
_PLAIN = frozenset({int, float, bool, str, np.ndarray, list})  # the usual, told apart at once
_Entered = tuple[float, Any]  # when the innermost began, and what it lies within


class ModelMonitor:
    """Counts and times the predictions of one version of a model, for Prometheus.

    It is a function to call (`predict_with_monitoring`), a decorator and a context manager; the
    latter two take sync and async code. Whatever the model raises is counted and raised again as
    it was. It does not record predictions: the gateway and its ingest do.

    Parameters
    ----------
    model_version : str
    predict_fn : callable, optional
        Features to a prediction. It may return a score with it: as a mapping with ``prediction``
        and ``confidence``, or as a tuple of the two.
    model : str
    registry : prometheus_client.CollectorRegistry
        Many monitors may share one.
    buckets : sequence of float, optional
        Upper bounds of the latency histogram in seconds; the same for all of a registry.
    feature_names : collection of str, optional
        Features that get a series; without it the first 500 that are seen.
    distributions : bool
        Whether every prediction also shows its numeric features and its score.

    Raises
    ------
    ConflictError
        If `registry` has metrics of these names that are not Watchkeeper's, or other buckets.
    InvalidValueError
        If the model or its version has no name, or `predict_fn` is no function.

    Examples
    --------
    >>> from prometheus_client import CollectorRegistry
    >>> far = lambda features: (features["distance"] > 500, 0.8)
    >>> monitor = ModelMonitor("1.2.0", far, registry=CollectorRegistry())
    >>> monitor.predict_with_monitoring({"distance": 733.0})
    {'prediction': True, 'confidence': 0.8, 'model_version': '1.2.0'}
    >>> @monitor
    ... def score(rows):
    ...     return [0.5 for _ in rows]
    >>> score([1, 2])
    [0.5, 0.5]
    >>> with monitor:
    ...     answer = 1
    """

    def __init__(
        self,
        model_version: str = "v1.0.0",
        predict_fn: Callable[[Any], Any] | None = None,
        model: str = "model",
        registry: CollectorRegistry = REGISTRY,
        *,
        buckets: Sequence[float] | None = None,
        feature_names: Collection[str] | None = None,
        distributions: bool = False,
    ) -> None:
        _require_text("model_version", model_version)
        _require_text("model", model)
        if predict_fn is not None and not callable(predict_fn):
            raise InvalidValueError("predict_fn", predict_fn, "a function of the features")
        self.model, self.model_version = model, model_version
        self._predict_fn, self._distributions = predict_fn, distributions
        self._families = ModelMetrics.of(registry, buckets)
        self._metrics = self._families.of_version(model, model_version, feature_names)
        self._entered: ContextVar[_Entered | None] = ContextVar("entered", default=None)

    def predict_with_monitoring(self, features: Any) -> dict[str, Any]:
        """Return the model's prediction, and count and time it.

        Parameters
        ----------
        features : object
            What `predict_fn` takes.

        Returns
        -------
        dict
            ``prediction``, ``confidence`` (None when the model gives no score) and
            ``model_version``.

        Raises
        ------
        InvalidValueError
            If there is no `predict_fn`.
        Exception
            Whatever the model raises.
        """
        predict = self._predict_fn
        if predict is None:
            raise InvalidValueError(
                "predict_fn",
                None,
                "the function that predicts",
                "Give ModelMonitor a predict_fn, or use it as a decorator.",
            )
        began = self._enter()
        try:
            returned = predict(features)
        except BaseException as error:
            self._leave(began, error)
            raise
        self._leave(began, None)
        prediction, confidence = _unpacked(returned)
        if self._distributions:
            self._show(features, confidence)
        return {
            "prediction": prediction,
            "confidence": confidence,
            "model_version": self.model_version,
        }

    def update_accuracy(self, accuracy: float) -> None:
        """Show the accuracy of the current window.

        Parameters
        ----------
        accuracy : float

        Raises
        ------
        InvalidValueError
            If it is not between 0 and 1; NaN would silence every alert.
        """
        if not _is_number(accuracy) or not 0.0 <= accuracy <= 1.0:
            raise InvalidValueError("accuracy", accuracy, "a share between 0 and 1")
        self._metrics.set_accuracy(float(accuracy))

    def set_metadata(self, **about: Any) -> None:
        """Show what is in production, as ``model_metadata_info``.

        Parameters
        ----------
        **about
            Such as ``framework``, ``algorithm`` and ``trained_date``; the version is known.
        """
        self._families.metadata.update(self.model, {"version": self.model_version, **about})

    def track_prediction(
        self, features: Mapping[str, Any], prediction_score: float | None = None
    ) -> None:
        """Show the numeric features and the score of one prediction.

        Parameters
        ----------
        features : mapping of str to object
            What is not a finite number is left out.
        prediction_score : float, optional

        Raises
        ------
        InvalidValueError
            If `features` is no mapping, or the score is not a number.
        """
        if not isinstance(features, Mapping):
            raise InvalidValueError("features", features, "a mapping of names to values")
        self._metrics.features.observe(features)
        if prediction_score is not None:
            self._metrics.scores.observe(_score(prediction_score))

    def track_batch_predictions(self, batch_features: Any, batch_scores: Any = None) -> None:
        """Show the numeric features and the scores of many predictions, a column at a time.

        Parameters
        ----------
        batch_features : data frame, mapping of str to array, or sequence of mappings
            Any data frame that Narwhals takes: pandas, Polars, PyArrow and others.
        batch_scores : array_like, shape (n,), optional

        Raises
        ------
        InvalidValueError
            If the rows and the scores are not as many, or it is none of these; nothing is shown.
        """
        columns = _columns(batch_features)
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidValueError("batch_features", lengths, "the same length of every feature")
        scores = None if batch_scores is None else np.asarray(batch_scores)
        if scores is not None:
            if scores.ndim != 1 or scores.dtype.kind not in "iufO":
                raise InvalidValueError("batch_scores", batch_scores, "one number a row")
            rows = next(iter(lengths.values()), len(scores))
            if len(scores) != rows:
                raise InvalidValueError("batch_scores", f"{len(scores)} scores", f"{rows} of them")
        self._metrics.features.observe_columns(columns)
        if scores is not None:
            self._metrics.scores.observe_many(scores)

    def __call__(self, function: Callable[Given, Returned]) -> Callable[Given, Returned]:
        """Return `function`, counted and timed; a coroutine function stays one."""
        if not callable(function):
            raise InvalidValueError("function", function, "a function to decorate")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Given.args, **kwargs: Given.kwargs) -> Any:
                began = self._enter()
                try:
                    returned = await function(*args, **kwargs)
                except BaseException as error:
                    self._leave(began, error)
                    raise
                self._leave(began, None)
                self._show_call(args, returned)
                return returned

            return cast("Callable[Given, Returned]", awaited)

        @functools.wraps(function)
        def called(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
            began = self._enter()
            try:
                returned = function(*args, **kwargs)
            except BaseException as error:
                self._leave(began, error)
                raise
            self._leave(began, None)
            self._show_call(args, returned)
            return returned

        return called

    def __enter__(self) -> Self:
        """Begin a prediction; threads and tasks may do so at once, and one within another."""
        self._entered.set((self._enter(), self._entered.get()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        entered = self._entered.get()
        if entered is not None:
            began, outer = entered
            self._entered.set(outer)
            self._leave(began, error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def _enter(self) -> float:
        self._metrics.entered(1)
        return _clock()

    def _leave(self, began: float, error: BaseException | None) -> None:
        seconds = _clock() - began
        self._metrics.left(1)
        if error is None:
            self._metrics.succeeded(1, seconds)
        elif isinstance(error, Exception):  # a call that was cancelled neither worked nor failed
            self._metrics.failed(1, seconds)

    def _show_call(self, args: Sequence[Any], returned: Any) -> None:
        if self._distributions:
            self._show(
                next((a for a in args if isinstance(a, Mapping)), None), _unpacked(returned)[1]
            )

    def _show(self, features: Any, confidence: float | None) -> None:
        if isinstance(features, Mapping):
            self._metrics.features.observe(features)
        if confidence is not None:
            self._metrics.scores.observe(confidence)


class AdvancedModelMonitor(ModelMonitor):
    """`ModelMonitor` with the distributions on: every prediction shows its features and score.

    Parameters
    ----------
    model_version : str
    predict_fn, model, registry, buckets, feature_names
        As in `ModelMonitor`.

    Examples
    --------
    >>> from prometheus_client import CollectorRegistry
    >>> registry = CollectorRegistry()
    >>> monitor = AdvancedModelMonitor("1.2.0", registry=registry)
    >>> monitor.track_batch_predictions({"distance": [733.0, 1400.0]}, [0.25, 0.75])
    >>> labels = {"model": "model", "feature_name": "distance"}
    >>> registry.get_sample_value("model_input_feature_value_sum", labels)
    2133.0
    """

    def __init__(
        self,
        model_version: str = "v1.0.0",
        predict_fn: Callable[[Any], Any] | None = None,
        model: str = "model",
        registry: CollectorRegistry = REGISTRY,
        *,
        buckets: Sequence[float] | None = None,
        feature_names: Collection[str] | None = None,
    ) -> None:
        super().__init__(
            model_version,
            predict_fn,
            model,
            registry,
            buckets=buckets,
            feature_names=feature_names,
            distributions=True,
        )


def _require_text(field: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidValueError(field, value, "a string, not empty")


def _unpacked(returned: Any) -> tuple[Any, float | None]:
    """Return a prediction and its score, as far as the model gives one."""
    if type(returned) in _PLAIN:
        return returned, None
    if isinstance(returned, Mapping) and "prediction" in returned:
        score = returned.get("confidence", returned.get("score"))
        return returned["prediction"], score if _is_number(score) else None
    if type(returned) is tuple and len(returned) == 2 and _is_number(returned[1]):
        return returned[0], returned[1]
    return returned, None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _score(value: Any) -> float:
    if not _is_number(value):
        raise InvalidValueError("prediction_score", value, "a number")
    return float(value)


def _columns(batch: Any) -> Mapping[str, Any]:
    if isinstance(batch, Mapping):
        return {str(name): np.asarray(values) for name, values in batch.items()}
    if isinstance(batch, Sequence) and all(isinstance(row, Mapping) for row in batch):
        names = dict.fromkeys(name for row in batch for name in row)
        return {str(name): [row.get(name) for row in batch] for name in names}
    try:
        frame = nw.from_native(batch, eager_only=True)
    except TypeError:
        raise InvalidValueError(
            "batch_features", batch, "a data frame, a mapping of arrays, or a list of mappings"
        ) from None
    return {name: frame[name].to_numpy() for name in frame.columns}
