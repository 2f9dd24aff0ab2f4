"""Quality before the truth is known: what calibrated scores say of it.

It sees that inputs have become harder. It cannot see that the world has changed what follows from
them: when labels flip, scores stay as sure as they were. Show it beside the realised figure.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Self

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats.intervals import normal_quantile

__all__ = ["Calibrator", "Estimate", "EstimateScore", "estimate_binary", "score_estimate"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate(Result):
    """What accuracy and AUC are expected to be.

    Attributes
    ----------
    accuracy : float
    interval : tuple of float
        In which the realised accuracy of these rows lies with the given confidence, if the scores
        are calibrated.
    auc : float or None
        None when all rows are surely of one class.
    rows : int
    """

    accuracy: float
    interval: tuple[float, float]
    auc: float | None
    rows: int


@dataclass(frozen=True, slots=True)
class EstimateScore(Result):
    """How an estimate fared once the labels came: ``error`` is realised minus estimated."""

    estimated: float
    realised: float
    error: float
    inside: bool


class Calibrator:
    """Platt's calibration of the scores of a binary classifier.

    References
    ----------
    Platt (1999), Advances in Large Margin Classifiers, 61-74, with his smoothed targets.
    """

    def __init__(self, slope: float, offset: float) -> None:
        self.slope, self.offset = slope, offset

    @classmethod
    def fit(cls, scores: npt.ArrayLike, actual: npt.ArrayLike) -> Self:
        """Return the calibrator of labelled rows.

        Parameters
        ----------
        scores : array_like of float, shape (n,)
            Between 0 and 1.
        actual : array_like of bool, shape (n,)

        Raises
        ------
        InvalidValueError
            If one of the classes is missing.
        """
        from scipy.optimize import minimize

        logits, truth = _logits(_scores(scores)), np.asarray(actual, dtype=bool)
        positives, negatives = int(truth.sum()), int((~truth).sum())
        if not positives or not negatives:
            raise InvalidValueError("actual", f"{positives} of {len(truth)}", "both classes")
        target = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))

        def loss(parameters: Floats) -> float:
            margin = parameters[0] * logits + parameters[1]
            return float(np.sum(np.logaddexp(0.0, margin) - target * margin))

        found = minimize(loss, np.array([1.0, 0.0]), method="BFGS")
        return cls(float(found.x[0]), float(found.x[1]))

    def __call__(self, scores: npt.ArrayLike) -> Floats:
        """Return calibrated scores."""
        margin = self.slope * _logits(_scores(scores)) + self.offset
        calibrated: Floats = 1.0 / (1.0 + np.exp(-margin))
        return calibrated


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
        Fitted on labelled rows; without one the scores are taken as calibrated.
    confidence : float

    Raises
    ------
    InvalidValueError
        If there are no rows, or a score is not between 0 and 1.

    References
    ----------
    Confidence-based performance estimation: Białek et al. (2023), arXiv:2301.01692.

    Examples
    --------
    >>> round(estimate_binary([0.9, 0.2, 0.6, 0.1], [True, False, True, False]).accuracy, 4)
    0.8
    """
    given = _scores(scores)
    called = np.asarray(predicted, dtype=bool)
    if not len(given) or len(given) != len(called):
        raise InvalidValueError("predicted", f"{len(called)} rows", f"{max(1, len(given))}")
    sure = given if calibrator is None else calibrator(given)
    right = np.where(called, sure, 1.0 - sure)
    accuracy = float(right.mean())
    half = normal_quantile(confidence) * sqrt(float(np.sum(right * (1.0 - right)))) / len(right)
    return Estimate(
        accuracy=accuracy,
        interval=(max(0.0, accuracy - half), min(1.0, accuracy + half)),
        auc=_expected_auc(given, sure),
        rows=len(given),
    )


def score_estimate(estimate: Estimate, realised: float) -> EstimateScore:
    """Return how far the estimated accuracy was from the realised one."""
    low, high = estimate.interval
    return EstimateScore(
        estimate.accuracy, realised, realised - estimate.accuracy, low <= realised <= high
    )


def _expected_auc(scores: Floats, sure: Floats) -> float | None:
    """Return the AUC with every row positive by its probability and negative by the rest."""
    values, place = np.unique(scores, return_inverse=True)
    positive = np.bincount(place, weights=sure, minlength=len(values))
    negative = np.bincount(place, weights=1.0 - sure, minlength=len(values))
    below = np.cumsum(negative) - negative
    pairs = float(positive.sum() * negative.sum() - np.sum(sure * (1.0 - sure)))
    if pairs <= 0.0:
        return None
    won = float(np.sum(positive * (below + negative / 2))) - float(np.sum(sure * (1.0 - sure))) / 2
    return won / pairs


def _scores(scores: npt.ArrayLike) -> Floats:
    given = np.asarray(scores, dtype=np.float64)
    wrong = np.flatnonzero(~((given >= 0.0) & (given <= 1.0)))
    if wrong.size:
        raise InvalidValueError(
            f"scores[{wrong[0]}]", float(given[wrong[0]]), "a probability of the positive class"
        )
    return given


def _logits(scores: Floats) -> Floats:
    clipped = np.clip(scores, 1e-12, 1.0 - 1e-12)
    logits: Floats = np.log(clipped / (1.0 - clipped))
    return logits
