"""Quality before the truth is known: what calibrated scores say of it.

It sees that inputs have become harder. It cannot see that the world has changed what follows from
them: when labels flip, scores stay as sure as they were. Show it beside the realised figure.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality.calibrators import (
    Calibrator,
    MulticlassCalibrator,
    checked_scores,
    class_codes,
)
from watchkeeper.quality.losses import LossEstimate
from watchkeeper.quality.multiclass import checked_probabilities
from watchkeeper.results import Result
from watchkeeper.stats.intervals import normal_quantile

__all__ = [
    "Estimate",
    "EstimateScore",
    "estimate_binary",
    "estimate_multiclass",
    "score_estimate",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate(Result):
    """What accuracy and AUC are expected to be.

    Attributes
    ----------
    accuracy : float
    interval : tuple of float
        In which the realised accuracy of these rows lies with the given confidence: it covers the
        chance in the labels, and what a calibrator could not know from its labelled rows. Without
        one, the scores are taken as calibrated.
    auc : float or None
        None when all rows are surely of one class, or only the class predicted has a score.
    rows : int
    auc_interval : tuple of float or None
        The same of the realised AUC.
    """

    accuracy: float
    interval: tuple[float, float]
    auc: float | None
    rows: int
    auc_interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class EstimateScore(Result):
    """How an estimate fared once the labels came.

    Attributes
    ----------
    estimated, realised : float
    error : float
        Realised minus estimated.
    inside : bool
        Whether the realised figure lies in the interval of the estimate.
    """

    estimated: float
    realised: float
    error: float
    inside: bool


def estimate_binary(
    scores: npt.ArrayLike,
    predicted: npt.ArrayLike,
    calibrator: Calibrator | None = None,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate accuracy and AUC from scores alone.

    Parameters
    ----------
    scores : array_like of float, shape (n,)
        Probability of the positive class.
    predicted : array_like of bool, shape (n,)
        Whether the positive class was predicted.
    calibrator : Calibrator, optional
        Fitted on labelled rows, see `fit_calibrator`; without one the scores are taken as
        calibrated.
    confidence : float

    Returns
    -------
    Estimate

    Raises
    ------
    InvalidValueError
        If there are no rows, or a score is not between 0 and 1.

    Notes
    -----
    Labels are independent given the scores. The variance of the AUC is that of its first-order
    expansion in the labels.

    References
    ----------
    Confidence-based performance estimation: Białek et al. (2023), arXiv:2301.01692.

    Examples
    --------
    >>> round(estimate_binary([0.9, 0.2, 0.6, 0.1], [True, False, True, False]).accuracy, 4)
    0.8
    """
    values = checked_scores(scores)
    called = np.asarray(predicted, dtype=bool)
    _require_as_many(called, values)
    sure = values if calibrator is None else calibrator(values)
    spread = sure * (1.0 - sure)

    def variance(gradient: Floats) -> float:
        learned = 0.0 if calibrator is None else calibrator.variance(values, gradient)
        return float(np.sum(gradient**2 * spread)) + learned

    accuracy = float(np.where(called, sure, 1.0 - sure).mean())
    area = _expected_auc(values, sure)
    return Estimate(
        accuracy=accuracy,
        interval=_within(accuracy, variance(np.where(called, 1.0, -1.0) / len(values)), confidence),
        auc=None if area is None else area[0],
        rows=len(values),
        auc_interval=None if area is None else _within(area[0], variance(area[1]), confidence),
    )


def estimate_multiclass(
    probabilities: npt.ArrayLike,
    predicted: Sequence[Hashable] | npt.NDArray[Any],
    classes: Sequence[Hashable],
    calibrator: MulticlassCalibrator | None = None,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate accuracy and AUC of several classes from their probabilities alone.

    Parameters
    ----------
    probabilities : array_like of float, shape (n, k)
        Of each class, a row adding up to 1.
    predicted : sequence of labels, shape (n,)
    classes : sequence of labels, shape (k,)
        In the order of the columns.
    calibrator : MulticlassCalibrator, optional
        Fitted on labelled rows; without one the probabilities are taken as calibrated.
    confidence : float

    Returns
    -------
    Estimate
        The AUC is the macro average of one class against the rest, as in `multiclass_metrics`.

    Raises
    ------
    InvalidValueError
        If there are no rows, a row is not a distribution, or a label is none of the classes.

    Examples
    --------
    >>> chances = [[0.8, 0.1, 0.1], [0.2, 0.6, 0.2]]
    >>> round(estimate_multiclass(chances, ["a", "b"], ["a", "b", "c"]).accuracy, 4)
    0.7
    """
    called = class_codes(predicted, classes, "predicted")
    values = checked_probabilities(probabilities, len(called), len(classes))
    _require_as_many(called, values)
    wrong = np.flatnonzero(np.isnan(values).any(axis=1))
    if wrong.size:
        raise InvalidValueError(f"probabilities[{wrong[0]}]", "NaN", "a probability of each class")
    sure = values if calibrator is None else calibrator(values)

    def variance(gradient: Floats) -> float:
        """Return that of the labels, one class a row, and of what was learned."""
        mean = np.sum(gradient * sure, axis=1)
        learned = 0.0 if calibrator is None else calibrator.variance(values, gradient)
        return float(np.sum(gradient**2 * sure) - np.sum(mean**2)) + learned

    rows, k = values.shape
    chosen = np.zeros((rows, k))
    chosen[np.arange(rows), called] = 1.0 / rows
    accuracy = float(np.sum(chosen * sure))
    areas = [_expected_auc(values[:, column], sure[:, column]) for column in range(k)]
    measured = [area for area in areas if area is not None]
    auc, interval = None, None
    if len(measured) == k:
        auc = float(np.mean([area for area, _ in measured]))
        gradient = np.column_stack([slope for _, slope in measured]) / k
        interval = _within(auc, variance(gradient), confidence)
    return Estimate(accuracy, _within(accuracy, variance(chosen), confidence), auc, rows, interval)


def score_estimate(
    estimate: Estimate | LossEstimate,
    realised: float,
    metric: Literal["accuracy", "auc", "mae"] = "accuracy",
) -> EstimateScore:
    """Return how far an estimated figure was from the realised one.

    Parameters
    ----------
    estimate : Estimate or LossEstimate
    realised : float
        Of the same rows, by their labels.
    metric : {"accuracy", "auc", "mae"}

    Returns
    -------
    EstimateScore

    Raises
    ------
    InvalidValueError
        If the estimate does not have the metric.

    Examples
    --------
    >>> promised = estimate_binary([0.9, 0.2, 0.6, 0.1], [True, False, True, False])
    >>> score_estimate(promised, 0.75).inside
    True
    """
    value = estimate.get(metric)
    interval = estimate["auc_interval" if metric == "auc" else "interval"]
    if value is None or interval is None:
        raise InvalidValueError("metric", metric, "one that was estimated")
    low, high = interval
    return EstimateScore(value, realised, realised - value, low <= realised <= high)


def _require_as_many(called: npt.NDArray[Any], values: Floats) -> None:
    if not len(values) or len(values) != len(called):
        raise InvalidValueError("predicted", f"{len(called)} rows", f"{max(1, len(values))}")


def _within(value: float, variance: float, confidence: float) -> tuple[float, float]:
    half = normal_quantile(confidence) * sqrt(max(0.0, variance))
    return max(0.0, value - half), min(1.0, value + half)


def _expected_auc(scores: Floats, sure: Floats) -> tuple[float, Floats] | None:
    """Return the AUC with every row positive by its probability and negative by the rest.

    How it changes with each row's label comes second. A row is not compared with itself.
    """
    values, position = np.unique(scores, return_inverse=True)
    unsure = 1.0 - sure
    positive = np.bincount(position, weights=sure, minlength=len(values))
    negative = np.bincount(position, weights=unsure, minlength=len(values))
    ties = float(np.sum(sure * unsure))
    positives, negatives = float(positive.sum()), float(negative.sum())
    pairs = positives * negatives - ties
    if pairs <= 0.0:
        return None
    below = np.cumsum(negative) - negative / 2
    above = positives - np.cumsum(positive) + positive / 2
    area = (float(np.sum(positive * below)) - ties / 2) / pairs
    won = (below[position] - unsure / 2) - (above[position] - sure / 2)
    gradient: Floats = (won - area * (negatives - unsure - (positives - sure))) / pairs
    return area, gradient
