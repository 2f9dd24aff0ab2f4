"""Metrics of binary classification, each equal to scikit-learn's."""

from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.quality.calibration import calibration_error
from watchkeeper.stats import roc_auc

__all__ = ["average_precision", "binary_metrics"]

_CLIP = float(np.finfo(np.float64).eps)


def binary_metrics(
    predicted: npt.NDArray[np.bool_],
    actual: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
) -> dict[str, Any]:
    """Return the metrics of a sample.

    Parameters
    ----------
    predicted, actual : numpy.ndarray of bool, shape (n,), n >= 1
        Whether the positive class was predicted, and whether it is the label.
    scores : numpy.ndarray of float, shape (n,)
        Probability of the positive class; NaN where the model gave none.

    Returns
    -------
    dict
        ``accuracy``, ``balanced_accuracy``, ``precision``, ``recall``, ``f1``, ``auc``, ``pr_auc``,
        ``log_loss``, ``brier``, ``calibration_error`` (ten bins), ``positive_share`` and
        ``predicted_share``. None where the sample cannot tell: an AUC of one class, a precision
        without predicted positives. ``auc_source`` is ``"scores"``, or ``"labels"`` when there is
        no score at all: the AUC of hard labels is coarser. Where only some rows have a score, those
        are used.

    References
    ----------
    `sklearn.metrics`; where it is undefined scikit-learn warns and says 0, and this says None.
    """
    true_positive = int(np.sum(predicted & actual))
    true_negative = int(np.sum(~predicted & ~actual))
    positives, negatives = int(actual.sum()), int((~actual).sum())
    called = int(predicted.sum())
    recall = true_positive / positives if positives else None
    specificity = true_negative / negatives if negatives else None
    precision = true_positive / called if called else None
    scored = ~np.isnan(scores)
    has_scores = bool(scored.any())
    ranked = scores[scored] if has_scores else predicted.astype(np.float64)
    truth = actual[scored] if has_scores else actual
    area = roc_auc(ranked, truth)
    both = [rate for rate in (recall, specificity) if rate is not None]
    return {
        "accuracy": (true_positive + true_negative) / len(actual),
        "balanced_accuracy": sum(both) / len(both),
        "precision": precision,
        "recall": recall,
        "f1": 2 * true_positive / (called + positives) if called + positives else None,
        "auc": None if area is None else area.area,
        "auc_source": "scores" if has_scores else "labels",
        "pr_auc": average_precision(ranked, truth) if truth.any() else None,
        "log_loss": _log_loss(ranked, truth) if has_scores else None,
        "brier": float(np.mean((ranked - truth) ** 2)) if has_scores else None,
        "calibration_error": calibration_error(ranked, truth) if has_scores else None,
        "positive_share": positives / len(actual),
        "predicted_share": called / len(actual),
    }


def average_precision(scores: npt.NDArray[np.float64], actual: npt.NDArray[np.bool_]) -> float:
    """Return the area under the precision-recall curve, as steps; there must be a positive.

    Parameters
    ----------
    scores : numpy.ndarray of float, shape (n,)
    actual : numpy.ndarray of bool, shape (n,)

    Returns
    -------
    float
        Between 0 and 1.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(actual[order])
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # last of equal scores
    precision = hits[ends] / (ends + 1)
    gained = np.diff(hits[ends], prepend=0)
    return float(np.sum(precision * gained) / hits[-1])


def _log_loss(scores: npt.NDArray[np.float64], actual: npt.NDArray[np.bool_]) -> float:
    likelihood = np.clip(np.where(actual, scores, 1.0 - scores), _CLIP, 1.0 - _CLIP)
    return float(-np.mean(np.log(likelihood)))
