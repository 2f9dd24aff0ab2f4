"""`ModelPerformanceMonitor`: the newest labelled predictions against a baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.clock import Clock, as_utc, system_clock
from watchkeeper.errors import InvalidValueError
from watchkeeper.quality.metrics import binary_metrics
from watchkeeper.results import Result
from watchkeeper.stats import roc_auc, wilson

__all__ = ["ModelPerformanceMonitor", "PerformanceDrift"]


@dataclass(frozen=True, slots=True)
class PerformanceDrift(Result):
    """How the current window compares with the baseline.

    Attributes
    ----------
    drift_detected : bool
        Whether accuracy or AUC fell by more than the threshold, relative to the baseline.
    reason : str or None
        Why it could not be told: ``insufficient_data`` or ``no_baseline``.
    accuracy_drop, auc_drop : float or None
        Relative to the baseline: 0.1 for a tenth of it. Negative for a gain.
    accuracy_drop_percentage, auc_drop_percentage, threshold_percentage : float or None
        The same, times 100.
    accuracy_drop_interval, auc_drop_interval : tuple of float or None
        95 % confidence: Wilson's for accuracy, DeLong's for AUC, the baseline taken as exact.
    sample_count : int
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


class ModelPerformanceMonitor:
    """Watches the newest labelled predictions of one model.

    Parameters
    ----------
    window_size : int
        How many labelled predictions count: the newest.
    alert_threshold : float
        Relative drop beyond which quality has drifted.
    min_samples : int
        Below this many there is no verdict.
    task : {"binary"}
    positive : label
        The positive class. Booleans and numbers compare by value: True is 1.
    clock : callable
        Where the time of a prediction without `timestamp` is read.
    """

    def __init__(
        self,
        window_size: int = 1000,
        alert_threshold: float = 0.05,
        *,
        min_samples: int = 100,
        task: str = "binary",
        positive: object = 1,
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
        if task != "binary":
            raise InvalidValueError("task", task, "binary, the task there is so far")
        self.window_size, self.alert_threshold = window_size, alert_threshold
        self.min_samples, self.task, self.positive = min_samples, task, positive
        self._clock = clock
        self._predicted = np.zeros(window_size, dtype=bool)
        self._actual = np.zeros(window_size, dtype=bool)
        self._scores = np.full(window_size, np.nan)
        self._times = np.zeros(window_size, dtype="datetime64[us]")
        self._added = 0
        self.baseline: dict[str, float] = {}

    def set_baseline(
        self, accuracy: float | None = None, auc: float | None = None, **metrics: float
    ) -> None:
        """Set what the model is held against; what is not given stays unset.

        Raises
        ------
        InvalidValueError
            If a value is not a number; if accuracy or AUC is not above 0 and at most 1.
        """
        given = {"accuracy": accuracy, "auc": auc, **metrics}
        baseline: dict[str, float] = {}
        for name, value in given.items():
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise InvalidValueError(name, value, "a number")
            if name in {"accuracy", "auc"} and not 0.0 < value <= 1.0:
                raise InvalidValueError(name, value, "a fraction above 0 and at most 1")
            baseline[name] = float(value)
        self.baseline = baseline

    def add_prediction(
        self,
        prediction: object,
        actual: object,
        timestamp: datetime | None = None,
        *,
        score: float | None = None,
    ) -> None:
        """Add one labelled prediction; the oldest leaves when the window is full."""
        at = self._added % self.window_size
        self._scores[at] = _all_scores([score])[0]
        self._predicted[at] = self._is_positive(prediction, "prediction")
        self._actual[at] = self._is_positive(actual, "actual")
        self._times[at] = _instant(timestamp or self._clock())
        self._added += 1

    def add_batch(
        self,
        predictions: Sequence[object] | npt.NDArray[Any],
        actuals: Sequence[object] | npt.NDArray[Any],
        timestamps: Sequence[datetime] | None = None,
        *,
        scores: Sequence[float | None] | npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Add several, in order.

        Raises
        ------
        InvalidValueError
            If the sequences differ in length, or a value is wrong; nothing is added then.
        """
        count = len(predictions)
        for name, given in (("actuals", actuals), ("timestamps", timestamps), ("scores", scores)):
            if given is not None and len(given) != count:
                raise InvalidValueError(name, f"{len(given)} values", f"{count}, one a prediction")
        predicted = self._are_positive(predictions, "predictions")
        actual = self._are_positive(actuals, "actuals")
        given_scores = np.full(count, np.nan) if scores is None else _all_scores(scores)
        now = None if timestamps is not None else _instant(self._clock())
        times = [_instant(at) for at in timestamps] if timestamps is not None else [now] * count
        kept = slice(max(0, count - self.window_size), count)
        where = np.arange(self._added + kept.start, self._added + count) % self.window_size
        self._predicted[where], self._actual[where] = predicted[kept], actual[kept]
        self._scores[where] = given_scores[kept]
        self._times[where] = times[kept]
        self._added += count

    def get_current_metrics(self) -> dict[str, Any]:
        """Return the metrics of the window, or ``{"status": "insufficient_data", ...}``.

        ``sample_count``, ``oldest`` and ``newest`` say what they are of; see
        `watchkeeper.quality.binary_metrics` for the others.
        """
        count = min(self._added, self.window_size)
        if count < self.min_samples:
            return {
                "status": "insufficient_data",
                "sample_count": count,
                "min_samples": self.min_samples,
            }
        times = self._times[:count]
        return {
            "status": "ok",
            "sample_count": count,
            "oldest": _moment(times.min()),
            "newest": _moment(times.max()),
            **binary_metrics(self._predicted[:count], self._actual[:count], self._scores[:count]),
        }

    def detect_performance_drift(self) -> PerformanceDrift:
        """Return how the window compares with the baseline."""
        metrics = self.get_current_metrics()
        baseline_accuracy, baseline_auc = self.baseline.get("accuracy"), self.baseline.get("auc")
        reason = None
        if metrics["status"] != "ok":
            reason = "insufficient_data"
        elif baseline_accuracy is None and baseline_auc is None:
            reason = "no_baseline"
        accuracy, auc = metrics.get("accuracy"), metrics.get("auc")
        accuracy_drop = _drop(baseline_accuracy, accuracy)
        auc_drop = _drop(baseline_auc, auc)
        drops = [drop for drop in (accuracy_drop, auc_drop) if drop is not None]
        return PerformanceDrift(
            drift_detected=any(drop > self.alert_threshold for drop in drops),
            reason=reason,
            baseline_accuracy=baseline_accuracy,
            current_accuracy=accuracy,
            accuracy_drop=accuracy_drop,
            accuracy_drop_percentage=_percentage(accuracy_drop),
            accuracy_drop_interval=self._accuracy_interval(baseline_accuracy, accuracy_drop),
            baseline_auc=baseline_auc,
            current_auc=auc,
            auc_drop=auc_drop,
            auc_drop_percentage=_percentage(auc_drop),
            auc_drop_interval=self._auc_interval(baseline_auc, auc_drop),
            threshold_percentage=self.alert_threshold * 100,
            sample_count=metrics["sample_count"],
        )

    def _accuracy_interval(
        self, baseline: float | None, drop: float | None
    ) -> tuple[float, float] | None:
        if baseline is None or drop is None:
            return None
        count = min(self._added, self.window_size)
        right = int(np.sum(self._predicted[:count] == self._actual[:count]))
        low, high = wilson(right, count)
        return (baseline - high) / baseline, (baseline - low) / baseline

    def _auc_interval(
        self, baseline: float | None, drop: float | None
    ) -> tuple[float, float] | None:
        if baseline is None or drop is None:
            return None
        count = min(self._added, self.window_size)
        scores = self._scores[:count]
        scored = ~np.isnan(scores)
        if not scored.any():
            scores, scored = self._predicted[:count].astype(np.float64), np.ones(count, dtype=bool)
        area = roc_auc(scores[scored], self._actual[:count][scored])
        if area is None:
            return None
        low, high = area.interval()
        return (baseline - high) / baseline, (baseline - low) / baseline

    def _is_positive(self, label: object, field: str) -> bool:
        if label is None or (isinstance(label, float) and label != label):  # noqa: PLR0124 - NaN
            raise InvalidValueError(field, label, "a label")
        return bool(label == self.positive)

    def _are_positive(
        self, labels: Sequence[object] | npt.NDArray[Any], field: str
    ) -> npt.NDArray[np.bool_]:
        if isinstance(labels, np.ndarray) and labels.dtype.kind in "biu":
            return np.asarray(labels == self.positive, dtype=bool)
        return np.array(
            [self._is_positive(label, f"{field}[{i}]") for i, label in enumerate(labels)],
            dtype=bool,
        )


def _all_scores(
    scores: Sequence[float | None] | npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return scores as an array, NaN where there is none."""
    values = np.array(scores, dtype=np.float64)  # None becomes NaN
    wrong = np.flatnonzero((values < 0.0) | (values > 1.0))
    if wrong.size:
        raise InvalidValueError(
            f"scores[{wrong[0]}]", float(values[wrong[0]]), "a probability of the positive class"
        )
    return values


def _instant(at: datetime) -> np.datetime64:
    return np.datetime64(as_utc(at).replace(tzinfo=None), "us")


def _moment(at: np.datetime64) -> datetime:
    naive: datetime = at.astype("datetime64[us]").item()
    return as_utc(naive)


def _drop(baseline: float | None, current: float | None) -> float | None:
    return None if baseline is None or current is None else (baseline - current) / baseline


def _percentage(drop: float | None) -> float | None:
    return None if drop is None else drop * 100
