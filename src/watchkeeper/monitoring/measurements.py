"""Measurements of recorded windows: read, let the pure parts compute, say what it was of."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.drift import DataDriftDetector, DriftReport, FeatureDrift
from watchkeeper.errors import NotFoundError
from watchkeeper.events import FEATURE, EventLog, EventWindow, Window
from watchkeeper.identity import ModelId
from watchkeeper.monitoring.estimated_performance import promised, scored
from watchkeeper.monitoring.event_columns import (
    LABELLED,
    answered,
    labels_of,
    scores_of,
    segment_of,
)
from watchkeeper.monitoring.prediction_drift import LearnedAnswers, answers_drift
from watchkeeper.monitoring.window_inputs import features_of, inputs_of
from watchkeeper.profiles import Profile
from watchkeeper.profiles.columns import frame_of
from watchkeeper.quality import (
    ErrorSegment,
    Estimate,
    EstimateScore,
    LossEstimate,
    ModelPerformanceMonitor,
    PerformanceDrift,
    Segment,
    binary_metrics,
    multiclass_metrics,
    regression_metrics,
    worst_segments,
    worst_segments_by_error,
)
from watchkeeper.results import Result

if TYPE_CHECKING:
    from watchkeeper.registry import ModelRegistry

__all__ = [
    "WindowDrift",
    "WindowQuality",
    "baseline_of",
    "drift_of_window",
    "latest_accuracy",
    "quality_of_rows",
    "quality_of_window",
]

_HELD = {
    "binary": ("accuracy", "auc"),
    "multiclass": ("accuracy", "balanced_accuracy", "f1"),
    "regression": ("mae", "rmse", "mape", "median_absolute_error", "r2"),
}  # metrics of a registered version that it is held against, by task
_LOOK_BACK = timedelta(days=30)
_SEGMENT = "segment."  # prefix of the columns by whose values predictions are looked at apart


@dataclass(frozen=True, slots=True)
class WindowDrift(Result):
    """Drift of the inputs in a window.

    Attributes
    ----------
    model : str
    reference : str
        What the window was compared with, in words.
    reference_version : str or None
        The version whose training data it is; None for other data.
    start, end : datetime or None
    table_versions : dict of str to int
        Of the event store, for the evidence.
    report : DriftReport
    answers : FeatureDrift or None
        Of the scores, or of the predictions where there are none, against what the version in
        production answers to the rows that are kept of its training data: whether drift of the
        inputs has moved them. None where it was not asked for, or no rows are kept.
    """

    model: str
    reference: str
    reference_version: str | None
    start: datetime | None
    end: datetime | None
    table_versions: dict[str, int]
    report: DriftReport
    answers: FeatureDrift | None = None


@dataclass(frozen=True, slots=True)
class WindowQuality(Result):
    """Quality of the predictions in a window.

    Attributes
    ----------
    model : str
    model_version : str or None
        Whose predictions; None for those of all versions.
    predictions, labelled : int
        Answered predictions, and those of them whose outcome is known.
    coverage : float
        Their ratio.
    label_delay_median : float or None
        Seconds from a prediction to its outcome.
    metrics : dict
        Of all labelled predictions, by the task: see `watchkeeper.quality.binary_metrics`,
        `multiclass_metrics` and `regression_metrics`. Empty without any.
    drop : PerformanceDrift
        Against the version's registered accuracy and AUC.
    estimate : Estimate, LossEstimate or None
        What the predictions without an outcome promise: by their scores, calibrated by the labelled
        ones where there are enough; for regression by their inputs, as the labelled ones teach.
        None without any, without scores, or with too few labels to learn errors from.
    estimate_scores : dict of str to EstimateScore
        How such an estimate fares, by metric: of the later half of the labelled predictions, by
        what the earlier half taught, against the labels. Empty with too few.
    segments : tuple of Segment, or of ErrorSegment for regression
        Of the features and tags that were asked for, those that are worse than the rest first.
    start, end, table_versions
        As in `WindowDrift`.
    """

    model: str
    model_version: str | None
    predictions: int
    labelled: int
    coverage: float
    label_delay_median: float | None
    metrics: dict[str, Any]
    drop: PerformanceDrift
    start: datetime | None
    end: datetime | None
    table_versions: dict[str, int]
    estimate: Estimate | LossEstimate | None = None
    estimate_scores: dict[str, EstimateScore] = field(default_factory=dict)
    segments: tuple[Segment, ...] | tuple[ErrorSegment, ...] = ()


def drift_of_window(
    events: EventLog,
    registry: "ModelRegistry",
    model: str,
    window: Window,
    *,
    version: str | None = None,
    reference: object = None,
    reference_window: Window | None = None,
    threshold: float = 0.05,
    features: Sequence[str] | None = None,
    methods: str = "auto",
    checks: int = 1,
    answers: Callable[[], LearnedAnswers | None] | None = None,
) -> WindowDrift:
    """Compare the inputs of a window with a reference.

    Parameters
    ----------
    events : EventLog
    registry : ModelRegistry
    model : str
    window : Window
    version : str, optional
        Whose training data are the reference; by default that in production.
    reference : data frame, optional
        By default what is kept of the training data of that version: its profile, or
        for other `methods` than the default a sample of its rows.
    reference_window : Window, optional
        Another window of recorded inputs, in place of `reference`.
    threshold : float
        For the adjusted p-values, between 0 and 1.
    features : sequence of str, optional
        Only these; otherwise all of the reference.
    methods : str
        For all features; see `watchkeeper.drift.METHODS`.
    checks : int
        How many checks `threshold` holds for together.
    answers : callable, optional
        Asked for what those of the window are to be compared with, once their inputs have been; see
        `watchkeeper.monitoring.prediction_drift.answers_to_training`.

    Returns
    -------
    WindowDrift

    Raises
    ------
    NotFoundError
        If there is no reference, or the window has no predictions.
    """
    if reference_window is not None:
        reference, named = features_of(events.read(model, reference_window)), "a recorded window"
        version = None
    elif reference is not None:
        named, version = "the data given", None
    else:
        reference, source = _kept_reference(registry, model, version, rows=methods != "auto")
        named, version = f"the training data of {source}", source.version
    if features is not None:
        reference = _only(reference, features)
    detector = DataDriftDetector(
        reference,
        threshold,
        methods=methods,  # type: ignore[arg-type] # which checks it
        checks=checks,
    )
    with ExitStack() as stack:
        rows, versions = inputs_of(events, model, window, stack)
        report = detector.detect(rows)
    learned = None if answers is None else answers()
    moved = None
    if learned is not None:
        moved = answers_drift(events, model, window, learned, threshold / checks)
    return WindowDrift(model, named, version, window.start, window.end, versions, report, moved)


def quality_of_window(
    events: EventLog,
    registry: "ModelRegistry",
    model: str,
    window: Window,
    *,
    version: str | None = None,
    task: str = "binary",
    positive: object = 1,
    alert_threshold: float = 0.05,
    min_samples: int = 100,
    segments: Sequence[str] = (),
) -> WindowQuality:
    """Compare the predictions of a window with their labels, and with the registered baseline.

    Predictions that failed are not scored. Without `version` the predictions of all versions count,
    against the baseline of the version in production.

    Parameters
    ----------
    events : EventLog
    registry : ModelRegistry
    model : str
    window : Window
    version : str, optional
        By default all.
    task : {"binary", "multiclass", "regression"}
    positive : label
    alert_threshold : float
        Relative drop of a metric beyond which quality has drifted.
    min_samples : int
        Labelled predictions, below which there is no verdict.
    segments : sequence of str
        Features, and tags as ``tag.NAME``, by whose values the predictions are looked at apart.

    Returns
    -------
    WindowQuality

    Raises
    ------
    NotFoundError
        If nothing is recorded of the model, or of one of these features or tags.
    """
    columns = ["timestamp", "tags", *LABELLED, *(FEATURE + name for name in segments)]
    return quality_of_rows(
        events.read(model, window, columns=None if task == "regression" else columns),
        baseline_of(registry, model, version),
        version=version,
        task=task,
        positive=positive,
        alert_threshold=alert_threshold,
        min_samples=min_samples,
        segments=segments,
    )


def quality_of_rows(
    read: EventWindow,
    baseline: Mapping[str, float],
    *,
    version: str | None = None,
    task: str = "binary",
    positive: object = 1,
    alert_threshold: float = 0.05,
    min_samples: int = 100,
    segments: Sequence[str] = (),
) -> WindowQuality:
    """Return `quality_of_window` of rows that were read, with the metrics they are held against.

    Parameters
    ----------
    read : EventWindow
    baseline : mapping of str to float
        By metric.
    version : str, optional
        By default all.
    task : {"binary", "multiclass", "regression"}
    positive : label
    alert_threshold : float
        As in `quality_of_window`.
    min_samples : int
        As in `quality_of_window`.
    segments : sequence of str
        As in `quality_of_window`.

    Returns
    -------
    WindowQuality
    """
    model, window, every = read.model, read.window, read.rows
    for name in segments:
        every = every.append_column(_SEGMENT + name, segment_of(read.rows, name, model))
    rows = answered(every, version)
    labelled = rows.filter(rows["actual"].is_valid())
    monitor = ModelPerformanceMonitor(
        max(labelled.num_rows, min_samples), alert_threshold, min_samples=min_samples, task=task
    )
    monitor.set_baseline(**{name: baseline[name] for name in _HELD[task] if name in baseline})
    predicted, actual = (
        labels_of(labelled[column], task, positive) for column in ("prediction", "actual")
    )
    scores = scores_of(labelled["score"]) if task == "binary" else None
    monitor.add_batch(predicted, actual, scores=scores)
    return WindowQuality(
        model=model,
        model_version=version,
        predictions=rows.num_rows,
        labelled=labelled.num_rows,
        coverage=labelled.num_rows / rows.num_rows if rows.num_rows else 0.0,
        label_delay_median=_median_delay(labelled),
        metrics=_metrics(task, predicted, actual, scores) if labelled.num_rows else {},
        drop=monitor.detect_performance_drift(),
        start=window.start,
        end=window.end,
        table_versions=read.versions,
        estimate=promised(rows, task, positive, min_samples),
        estimate_scores=scored(labelled, task, positive, min_samples),
        segments=_segments(labelled, segments, task, predicted, actual),
    )


def _segments(
    labelled: pa.Table,
    names: Sequence[str],
    task: str,
    predicted: npt.NDArray[Any],
    actual: npt.NDArray[Any],
) -> tuple[Segment, ...] | tuple[ErrorSegment, ...]:
    if not names or not labelled.num_rows:
        return ()
    columns = {name: labelled[_SEGMENT + name].to_numpy() for name in names}
    if task == "regression":
        return tuple(worst_segments_by_error(columns, predicted - actual))
    return tuple(worst_segments(columns, predicted == actual))


def latest_accuracy(
    events: EventLog,
    model: str,
    version: str,
    *,
    window_size: int,
    min_samples: int,
    at: datetime,
    task: str = "binary",
    positive: object = 1,
) -> float | None:
    """Return the accuracy of a version over its newest labelled predictions.

    It looks back at most 30 days from the newest prediction, a day at a time; None with fewer
    than `min_samples`, and for regression, which has none. `at` is now: the newest prediction is
    looked for around it first, which costs less than to look through all of them.

    Parameters
    ----------
    events : EventLog
    model, version : str
    window_size : int
        Most labelled predictions.
    min_samples : int
    at : datetime
    task : {"binary", "multiclass", "regression"}
    positive : label

    Returns
    -------
    float or None
    """
    if task == "regression":
        return None
    day = timedelta(days=1)
    times = events.read(model, Window(at - day, at + day), columns=["timestamp"]).rows["timestamp"]
    newest = pc.max(times).as_py() if len(times) else events.counts(model).newest
    if newest is None:
        return None
    right = count = 0
    end = newest + timedelta(microseconds=1)
    while count < window_size and newest - end < _LOOK_BACK:
        start = end - timedelta(days=1)
        read = events.read(model, Window(start, end), columns=["timestamp", *LABELLED])
        rows = answered(read.rows, version)
        rows = rows.filter(rows["actual"].is_valid())
        rows = rows.slice(max(0, rows.num_rows - (window_size - count)))
        agreed = labels_of(rows["prediction"], task, positive) == labels_of(
            rows["actual"], task, positive
        )
        right, count, end = right + int(agreed.sum()), count + rows.num_rows, start
    return right / count if count >= min_samples else None


def _only(reference: object, features: Sequence[str]) -> object:
    """Return a reference with these features alone."""
    if not isinstance(reference, Profile):
        return frame_of(reference, "reference").select(list(features)).to_native()
    for name in features:
        if name not in reference.columns:
            names = ", ".join(reference.columns)
            raise NotFoundError("feature in the reference", name, f"It has {names}.")
    return Profile(reference.rows, {name: reference.columns[name] for name in features}, {})


def _kept_reference(
    registry: "ModelRegistry", model: str, version: str | None, *, rows: bool
) -> tuple[pa.Table | Profile, ModelId]:
    """Return the profile of the training data or a sample of its rows, and of which version."""
    named = None if version is None else f"{model}:{version}"
    model_id = named or registry.get_production_model(model)
    reference: pa.Table | Profile | None = None
    if model_id is not None:
        reference = None if rows else registry.profile(model_id)
        reference = registry.reference(model_id) if reference is None else reference
    if reference is None or model_id is None:
        raise NotFoundError(
            "reference for model",
            model,
            "Register a version with training_data, or give --reference FILE, or "
            "--reference-start and --reference-end.",
        )
    return reference, ModelId.parse(model_id)


def baseline_of(
    registry: "ModelRegistry", model: str, version: str | None = None
) -> dict[str, float]:
    """Return the metrics registered with a version, by default with that in production.

    Parameters
    ----------
    registry : ModelRegistry
    model : str
    version : str, optional

    Returns
    -------
    dict of str to float
        By metric; empty where nothing is registered.
    """
    if version is not None:
        registered = registry.find(model, version)
        return {} if registered is None else registered.metrics
    model_id = registry.get_production_model(model)
    return {} if model_id is None else registry.get(model_id).metrics


def _metrics(
    task: str,
    predicted: npt.NDArray[Any],
    actual: npt.NDArray[Any],
    scores: npt.NDArray[np.float64] | None,
) -> dict[str, Any]:
    if task == "regression":
        return regression_metrics(predicted, actual)
    if scores is None:
        return multiclass_metrics(predicted, actual)
    return binary_metrics(predicted, actual, scores)


def _median_delay(labelled: pa.Table) -> float | None:
    if not labelled.num_rows:
        return None
    waited = pc.drop_null(pc.subtract(labelled["actual_timestamp"], labelled["timestamp"]))
    seconds = waited.cast(pa.int64()).to_numpy() / 1e6
    return float(np.median(seconds)) if len(seconds) else None
