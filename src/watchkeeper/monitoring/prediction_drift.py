"""Whether what a model answers has moved, against its answers to what it learned from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watchkeeper.drift import DataDriftDetector, FeatureDrift
from watchkeeper.events import EventLog, Window
from watchkeeper.monitoring.event_columns import LABELLED, answered

if TYPE_CHECKING:
    from watchkeeper.registry import Answers, ModelRegistry, Runtime

__all__ = ["LearnedAnswers", "answers_drift", "answers_to_training"]


@dataclass(frozen=True, slots=True)
class LearnedAnswers:
    """What a version answers to the rows that are kept of its training data.

    Attributes
    ----------
    predictions, scores : numpy.ndarray, shape (n,), or None
    error : str or None
        Why there are none.
    """

    predictions: npt.NDArray[Any] | None = None
    scores: npt.NDArray[np.float64] | None = None
    error: str | None = None


def answers_to_training(registry: "ModelRegistry", model_id: str | None) -> LearnedAnswers | None:
    """Return what a version answers to the rows that are kept of its training data.

    It loads the version. None without a version, or where no rows are kept.

    Parameters
    ----------
    registry : ModelRegistry
    model_id : str or None

    Returns
    -------
    LearnedAnswers or None
    """
    reference = None if model_id is None else registry.reference(model_id)
    if model_id is None or reference is None:
        return None
    try:
        answers = _answers_to(registry.open_runtime(model_id), reference)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is told
        message = (
            f"{model_id} does not answer to its training data: {type(error).__name__}: {error}"
        )
        return LearnedAnswers(error=message)
    if answers.predictions.ndim > 1:
        return LearnedAnswers(error=f"{model_id} returns several values for a row")
    return LearnedAnswers(answers.predictions, answers.scores)


def answers_drift(
    events: EventLog, model: str, window: Window, learned: LearnedAnswers, threshold: float
) -> FeatureDrift:
    """Return whether the answers of a window differ from those to the rows that were learned.

    Parameters
    ----------
    events : EventLog
    model : str
    window : Window
    learned : LearnedAnswers
    threshold : float
        Of the p-value.

    Returns
    -------
    FeatureDrift
    """
    if learned.error is not None:
        return FeatureDrift(None, None, None, None, None, None, error=learned.error)
    rows = answered(events.read(model, window, columns=["timestamp", *LABELLED]).rows, None)
    scored = learned.scores is not None and rows["score"].null_count < rows.num_rows
    name = "score" if scored else "prediction"
    reference = learned.scores if scored else learned.predictions
    detector = DataDriftDetector({name: np.asarray(reference)}, threshold)
    return detector.detect({name: rows[name].combine_chunks()}).features[name]


def _answers_to(runtime: "Runtime", reference: pa.Table) -> "Answers":
    columns = {name: reference[name].to_pylist() for name in reference.column_names}
    if not runtime.wants_matrix:
        return runtime.predict(columns)
    return runtime.predict(
        np.column_stack([np.asarray(column, dtype=np.float64) for column in columns.values()])
    )
