"""`ModelPerformanceMonitor`: the newest labelled predictions against a baseline."""

from array import array
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.clock import Clock, as_utc, system_clock
from watchkeeper.errors import InvalidValueError
from watchkeeper.quality.tasks import Binary, Column, Multiclass, Regression, Task
from watchkeeper.results import Result
from watchkeeper.stats import RateDropDetector, roc_auc, wilson
from watchkeeper.stats.intervals import normal_quantile

__all__ = ["Metric", "ModelPerformanceMonitor", "PerformanceDrift"]

Metric = Callable[
    [npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.float64]], float | None
]  # of predicted, actual and scores

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_GROWS = frozenset(
    {"accuracy", "balanced_accuracy", "precision", "recall", "f1", "auc", "pr_auc", "r2"}
)  # the higher, the better
_SHRINKS = frozenset(
    {"log_loss", "brier", "calibration_error", "mae", "rmse", "mape", "median_absolute_error"}
)
_FRACTIONS = frozenset({"accuracy", "auc"})
_ALMOST_SURE = 0.999  # a baseline accuracy of 1 would make the first mistake a proof


@dataclass(frozen=True, slots=True)
class PerformanceDrift(Result):
    """How the current window compares with the baseline.

    Attributes
    ----------
    drift_detected : bool
        Whether a metric of the baseline worsened by more than the threshold, relative to it.
    reason : str or None
        Why it could not be told: ``insufficient_data`` or ``no_baseline``.
    accuracy_drop, auc_drop : float or None
        Relative to the baseline: 0.1 for a tenth of it. Negative for a gain.
    accuracy_drop_percentage, auc_drop_percentage, threshold_percentage : float or None
        The same, times 100.
    accuracy_drop_interval, auc_drop_interval : tuple of float or None
        95 % confidence: Wilson's for accuracy, DeLong's for AUC, the baseline taken as exact.
    sample_count : int
    drops : dict of str to float or None
        For each metric of the baseline that has a better and a worse side: how much it worsened,
        relative to the baseline. For errors and losses that is their growth.
    drop_intervals : dict of str to tuple of float
        95 % confidence, for those of accuracy, AUC, MAE and RMSE that are in `drops`; that of the
        errors is normal, from the spread of the errors.
    sequential_alarm : bool or None
        Whether the sequential detector has alarmed since the baseline was set; None without one.
    """

    drift_detected: bool
    reason: str | None
    baseline_accuracy: float | None
    current_accuracy: float | None
    accuracy_drop: float | None
    accuracy_drop_percentage: float | None
    accuracy_drop_interval: tuple[float, float] | None
    baseline_auc: float | None
    current_auc: float | None
    auc_drop: float | None
    auc_drop_percentage: float | None
    auc_drop_interval: tuple[float, float] | None
    threshold_percentage: float
    sample_count: int
    drops: dict[str, float | None]
    drop_intervals: dict[str, tuple[float, float]]
    sequential_alarm: bool | None


@dataclass(frozen=True, slots=True)
class _Rows:
    """The labelled predictions that count, oldest arrival first."""

    predicted: npt.NDArray[Any]
    actual: npt.NDArray[Any]
    scores: npt.NDArray[np.float64]
    times: npt.NDArray[np.int64]  # microseconds since 1970


class ModelPerformanceMonitor:
    """Watches the newest labelled predictions of one model.

    Parameters
    ----------
    window_size : int
        How many labelled predictions count, at most: those that arrived last.
    alert_threshold : float
        Relative drop beyond which quality has drifted.
    min_samples : int
        Below this many there is no verdict.
    task : {"binary", "multiclass", "regression"}
    positive : label
        The positive class of a binary task. Booleans and numbers compare by value: True is 1.
    classes : sequence of labels, optional
        The classes of a multiclass task, in the order of the model's probabilities. Needed for
        scores; without it every label is taken.
    window : timedelta, optional
        Only predictions count whose timestamp lies at most this long before the newest. Of those,
        still at most `window_size`: choose it larger than what such a time brings.
    metrics : mapping of str to function, optional
        Metrics of one's own, each a function of predicted, actual and scores (arrays with a row a
        prediction, as the task keeps them) that returns a number, or None when it cannot tell.
    lower_is_better : collection of str
        Those of `metrics` whose growth is a drop in quality.
    sequential : bool
        Whether to look for a fall of the accuracy after every outcome, in the order of arrival,
        from the moment its baseline is set: see `watchkeeper.stats.RateDropDetector`. It looks for
        falls of `alert_threshold`, relative to the baseline, and more; a baseline of 1 is taken
        as 0.999.
    false_alarms : float
        False alarms of the sequential detector an outcome, at most.
    clock : callable
        Where the time of a prediction without `timestamp` is read.

    Raises
    ------
    InvalidValueError
        If an argument is out of its range, or does not suit the task.

    Examples
    --------
    >>> from watchkeeper.quality import ModelPerformanceMonitor
    >>> delays = ModelPerformanceMonitor(min_samples=3, task="regression")
    >>> delays.set_baseline(rmse=2.0)
    >>> delays.add_batch([10.0, 0.0, 5.0], [13.0, 3.0, 2.0])
    >>> delays.detect_performance_drift().drops
    {'rmse': 0.5}
    """

    def __init__(
        self,
        window_size: int = 1000,
        alert_threshold: float = 0.05,
        *,
        min_samples: int = 100,
        task: str = "binary",
        positive: object = 1,
        classes: Sequence[Hashable] | None = None,
        window: timedelta | None = None,
        metrics: Mapping[str, Metric] | None = None,
        lower_is_better: Collection[str] = (),
        sequential: bool = False,
        false_alarms: float = 1e-5,
        clock: Clock = system_clock,
    ) -> None:
        if window_size < 1:
            raise InvalidValueError("window_size", window_size, "at least 1")
        if not 0.0 < alert_threshold < 1.0:
            raise InvalidValueError(
                "alert_threshold", alert_threshold, "a number strictly between 0 and 1"
            )
        if not 1 <= min_samples <= window_size:
            raise InvalidValueError(
                "min_samples", min_samples, f"between 1 and window_size, {window_size}"
            )
        if window is not None and window <= timedelta(0):
            raise InvalidValueError("window", window, "a time longer than nothing")
        if not 0.0 < false_alarms < 1.0:
            raise InvalidValueError("false_alarms", false_alarms, "strictly between 0 and 1")
        if sequential and task == "regression":
            raise InvalidValueError("sequential", sequential, "False: regression has no accuracy")
        self.window_size, self.alert_threshold = window_size, alert_threshold
        self.min_samples, self.task, self.positive = min_samples, task, positive
        self.window, self.sequential, self.false_alarms = window, sequential, false_alarms
        self.metrics = dict(metrics or {})
        for name in self.metrics:
            if name in _GROWS | _SHRINKS:
                raise InvalidValueError("metrics", name, "names that are not taken")
        for name in lower_is_better:
            if name not in self.metrics:
                raise InvalidValueError("lower_is_better", name, "names of metrics of your own")
        self._shrinks = _SHRINKS | set(lower_is_better)
        self._directed = _GROWS | _SHRINKS | set(self.metrics)
        self._clock = clock
        self._task = _task(task, positive, classes)
        self._predicted = self._task.labels(window_size)
        self._actual = self._task.labels(window_size)
        self._scores = self._task.scores(window_size)
        self._times = array("q", [0]) * window_size
        self._added = 0
        self._newest_left: int | None = None  # of those that made room for newer arrivals
        self._detector: RateDropDetector | None = None
        self.baseline: dict[str, float] = {}

    def set_baseline(
        self, accuracy: float | None = None, auc: float | None = None, **metrics: float
    ) -> None:
        """Set what the model is held against; what is not given stays unset.

        A name that is no metric of the task is kept, and not compared. The sequential detector
        starts afresh.

        Parameters
        ----------
        accuracy, auc : float, optional
            Shares, above 0 and at most 1.
        **metrics : float

        Raises
        ------
        InvalidValueError
            If a value is not a finite number; if that of a metric with a better side is not above
            0, since a relative drop has no meaning then; if accuracy or AUC is above 1.
        """
        baselines: dict[str, Any] = {"accuracy": accuracy, "auc": auc, **metrics}
        baseline: dict[str, float] = {}
        for name, value in baselines.items():
            if value is None:
                continue
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float | np.number)
                or not isfinite(value)
            ):
                raise InvalidValueError(name, value, "a number")
            if name in _FRACTIONS and not 0.0 < value <= 1.0:
                raise InvalidValueError(name, value, "a fraction above 0 and at most 1")
            if name in self._directed and value <= 0.0:
                raise InvalidValueError(name, value, "a number above 0")
            baseline[name] = float(value)
        self.baseline, self._detector = baseline, None
        if self.sequential and "accuracy" in baseline:
            rate = min(baseline["accuracy"], _ALMOST_SURE)
            self._detector = RateDropDetector(
                rate, rate * self.alert_threshold, false_alarms=self.false_alarms
            )

    def add_prediction(
        self,
        prediction: object,
        actual: object,
        timestamp: datetime | None = None,
        *,
        score: float | Sequence[float] | None = None,
    ) -> None:
        """Add one labelled prediction; the oldest arrival leaves when the window is full.

        Parameters
        ----------
        prediction, actual : object
            Labels, or numbers for regression.
        timestamp : datetime, optional
            Of the event; by default now.
        score : float or sequence of float, optional
            Probability of the positive class, or of each class.

        Raises
        ------
        InvalidValueError
            If a label or the score is not one of the task.
        """
        task = self._task
        kept_score = task.score(score)
        predicted, came = task.label(prediction, "prediction"), task.label(actual, "actual")
        instant = _instant(timestamp or self._clock())
        at = self._added % self.window_size
        if self.window is not None and self._added >= self.window_size:
            self._evict(self._times[at])
        self._scores[at] = kept_score
        self._predicted[at] = predicted
        self._actual[at] = came
        self._times[at] = instant
        self._added += 1
        if self._detector is not None:
            self._detector.update(bool(predicted == came))

    def add_batch(
        self,
        predictions: Sequence[object] | npt.NDArray[Any],
        actuals: Sequence[object] | npt.NDArray[Any],
        timestamps: Sequence[datetime] | None = None,
        *,
        scores: Sequence[Any] | npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Add several, in order.

        Parameters
        ----------
        predictions, actuals : sequence or numpy.ndarray, shape (n,)
        timestamps : sequence of datetime, shape (n,), optional
            By default now.
        scores : sequence or numpy.ndarray, shape (n,) or (n, k), optional

        Raises
        ------
        InvalidValueError
            If the sequences differ in length, or a value is wrong; nothing is added then.
        """
        count = len(predictions)
        for name, column in (("actuals", actuals), ("timestamps", timestamps), ("scores", scores)):
            if column is not None and len(column) != count:
                raise InvalidValueError(name, f"{len(column)} values", f"{count}, one a prediction")
        predicted = self._task.all_labels(predictions, "predictions")
        actual = self._task.all_labels(actuals, "actuals")
        given_scores = self._task.all_scores(scores, count)
        if timestamps is None:
            times = array("q", [_instant(self._clock())]) * count
        else:
            times = array("q", [_instant(at) for at in timestamps])
        if self.window is not None and self._added + count > self.window_size:
            before = np.frombuffer(self._times, dtype=np.int64)[self._arrivals()]
            leaving = np.append(before, np.array(times, dtype=np.int64))[: -self.window_size]
            self._evict(int(leaving.max()))
        first = max(0, count - self.window_size)
        for column, values in (
            (self._predicted, predicted),
            (self._actual, actual),
            (self._scores, given_scores),
            (self._times, times),
        ):
            _put(column, (self._added + first) % self.window_size, values[first:])
        self._added += count
        if self._detector is not None:
            self._detector.update_many(
                [label == true for label, true in zip(predicted, actual, strict=True)]
            )

    def get_current_metrics(self) -> dict[str, Any]:
        """Return the metrics of the window, or ``{"status": "insufficient_data", ...}``.

        ``sample_count``, ``oldest`` and ``newest`` say what they are of. With a window by event
        time, ``complete`` is False when predictions within it had to leave because more than
        `window_size` came. For the others see `watchkeeper.quality.binary_metrics`,
        `multiclass_metrics` and `regression_metrics`.

        Returns
        -------
        dict of str to object
        """
        return self._measured(self._rows())

    def detect_performance_drift(self) -> PerformanceDrift:
        """Return how the window compares with the baseline.

        Returns
        -------
        PerformanceDrift
        """
        rows = self._rows()
        current = self._measured(rows)
        measured = current["status"] == "ok"
        compared = [
            name
            for name in self.baseline
            if name in self._directed and (name in current or not measured)
        ]
        reason = None
        if not measured:
            reason = "insufficient_data"
        elif not compared:
            reason = "no_baseline"
        drops = {name: self._drop(name, current.get(name)) for name in compared}
        intervals = self._intervals(rows, drops)
        return PerformanceDrift(
            drift_detected=any(
                drop is not None and drop > self.alert_threshold for drop in drops.values()
            ),
            reason=reason,
            baseline_accuracy=self.baseline.get("accuracy"),
            current_accuracy=current.get("accuracy"),
            accuracy_drop=drops.get("accuracy"),
            accuracy_drop_percentage=_percentage(drops.get("accuracy")),
            accuracy_drop_interval=intervals.get("accuracy"),
            baseline_auc=self.baseline.get("auc"),
            current_auc=current.get("auc"),
            auc_drop=drops.get("auc"),
            auc_drop_percentage=_percentage(drops.get("auc")),
            auc_drop_interval=intervals.get("auc"),
            threshold_percentage=self.alert_threshold * 100,
            sample_count=current["sample_count"],
            drops=drops,
            drop_intervals=intervals,
            sequential_alarm=(
                None if self._detector is None else self._detector.alarmed_at is not None
            ),
        )

    def _arrivals(self) -> npt.NDArray[np.int64]:
        """Return the places of the predictions in the columns, oldest arrival first."""
        count = min(self._added, self.window_size)
        return np.arange(self._added - count, self._added) % self.window_size

    def _rows(self) -> _Rows:
        places = self._arrivals()
        times = np.frombuffer(self._times, dtype=np.int64)[places]
        if self.window is not None and places.size:
            within = times >= times.max() - self.window // _MICROSECOND
            places, times = places[within], times[within]
        return _Rows(*self._task.taken(self._predicted, self._actual, self._scores, places), times)

    def _evict(self, instant: int) -> None:
        if self._newest_left is None or instant > self._newest_left:
            self._newest_left = instant

    def _measured(self, rows: _Rows) -> dict[str, Any]:
        count = len(rows.times)
        if count < self.min_samples:
            return {
                "status": "insufficient_data",
                "sample_count": count,
                "min_samples": self.min_samples,
            }
        newest = int(rows.times.max())
        metrics: dict[str, Any] = {
            "status": "ok",
            "sample_count": count,
            "oldest": _EPOCH + timedelta(microseconds=int(rows.times.min())),
            "newest": _EPOCH + timedelta(microseconds=newest),
        }
        if self.window is not None:
            since = newest - self.window // _MICROSECOND
            metrics["complete"] = self._newest_left is None or self._newest_left < since
        metrics |= self._task.measured(rows.predicted, rows.actual, rows.scores)
        for name, metric in self.metrics.items():
            value = metric(rows.predicted, rows.actual, rows.scores)
            metrics[name] = None if value is None else float(value)
        return metrics

    def _drop(self, name: str, current: float | None) -> float | None:
        if current is None:
            return None
        drop = (self.baseline[name] - current) / self.baseline[name]
        return -drop if name in self._shrinks else drop

    def _intervals(
        self, rows: _Rows, drops: Mapping[str, float | None]
    ) -> dict[str, tuple[float, float]]:
        intervals = {}
        for name, drop in drops.items():
            interval = None if drop is None else _interval(name, rows)
            if interval is not None:
                ends = [self._drop(name, end) for end in interval]
                low, high = sorted(end for end in ends if end is not None)
                intervals[name] = (low, high)
        return intervals


def _task(task: str, positive: object, classes: Sequence[Hashable] | None) -> Task:
    if classes is not None and task != "multiclass":
        raise InvalidValueError("classes", classes, "none, unless the task is multiclass")
    if task == "binary":
        return Binary(positive)
    if task == "multiclass":
        return Multiclass(classes)
    if task == "regression":
        return Regression()
    raise InvalidValueError("task", task, "binary, multiclass or regression")


def _interval(name: str, rows: _Rows) -> tuple[float, float] | None:
    """Return the 95 % interval of a metric of the window, where there is one."""
    if name == "accuracy":
        return wilson(int(np.sum(rows.predicted == rows.actual)), len(rows.times))
    if name == "auc" and rows.scores.ndim == 1:
        scored = ~np.isnan(rows.scores)
        scores, actual = rows.scores[scored], rows.actual[scored]
        if not scored.any():
            scores, actual = rows.predicted.astype(np.float64), rows.actual
        area = roc_auc(scores, actual)
        return None if area is None else area.interval()
    if name in {"mae", "rmse"} and len(rows.times) > 1:
        error = np.abs(rows.predicted - rows.actual) ** (1 if name == "mae" else 2)
        half = normal_quantile(0.95) * float(error.std(ddof=1)) / sqrt(len(error))
        low, high = max(0.0, float(error.mean()) - half), float(error.mean()) + half
        return (low, high) if name == "mae" else (sqrt(low), sqrt(high))
    return None


def _put(column: Column, start: int, values: Column) -> None:
    """Write values into a ring from a place on; there are at most as many as it holds."""
    room = len(column) - start
    column[start : start + min(room, len(values))] = values[:room]
    if len(values) > room:
        column[: len(values) - room] = values[room:]


def _instant(at: datetime) -> int:
    """Return microseconds since 1970, exactly."""
    since = (at if at.tzinfo is not None else as_utc(at)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _percentage(drop: float | None) -> float | None:
    return None if drop is None else drop * 100
