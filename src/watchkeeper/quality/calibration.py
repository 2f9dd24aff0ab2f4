"""Calibration: whether 0.8 comes true eight times in ten."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats import wilson

__all__ = ["ReliabilityBin", "calibration_error", "reliability"]


@dataclass(frozen=True, slots=True)
class ReliabilityBin(Result):
    """The predictions whose scores lie next to each other, and their labels.

    Attributes
    ----------
    low, high : float
        The lowest and highest score in the bin.
    count : int
    mean_score : float
    positive_share : float
    positive_share_interval : tuple of float
        Wilson's, 95 %: a bin whose mean score lies within is no evidence of miscalibration.
    """

    low: float
    high: float
    count: int
    mean_score: float
    positive_share: float
    positive_share_interval: tuple[float, float]


def calibration_error(scores: npt.ArrayLike, actual: npt.ArrayLike, bins: int = 10) -> float:
    """Return the expected calibration error, over bins of equal count.

    Parameters
    ----------
    scores : array_like of float, shape (n,), n >= 1
        Probabilities of the positive class.
    actual : array_like of bool, shape (n,)
    bins : int
        Equal scores stay together, so that there may be fewer.

    Returns
    -------
    float
        How far mean score and share of positives lie apart in a bin, averaged over the rows: 0 for
        perfect calibration, 1 at worst. A small sample of a perfectly calibrated model has an error
        above 0 by chance, of about ``0.8 * sqrt(p * (1 - p) * bins / n)``.

    Raises
    ------
    InvalidValueError
        If the sample is empty, lengths differ, a score is no probability, or `bins` is below 1.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015), AAAI 29, 2901-2907, with the quantile bins of
    `sklearn.calibration.calibration_curve`.

    Examples
    --------
    >>> round(calibration_error([0.1, 0.1, 0.9, 0.9], [False, False, True, False], bins=2), 3)
    0.25
    """
    count, score_sum, positives, _ = _binned(scores, actual, bins)
    return float(np.abs(score_sum - positives).sum() / count.sum())


def reliability(
    scores: npt.ArrayLike, actual: npt.ArrayLike, bins: int = 10
) -> list[ReliabilityBin]:
    """Return the table behind a reliability diagram, lowest scores first, without empty bins.

    Parameters
    ----------
    scores : array_like of float, shape (n,)
        Between 0 and 1.
    actual : array_like of bool, shape (n,)
    bins : int
        Of as many rows each, as far as equal scores allow.

    Returns
    -------
    list of ReliabilityBin

    Raises
    ------
    InvalidValueError
        As `calibration_error`.
    """
    count, score_sum, positives, which = _binned(scores, actual, bins)
    values = np.asarray(scores, dtype=np.float64)
    table = []
    for bin_index in np.flatnonzero(count):
        within = values[which == bin_index]
        total, true = int(count[bin_index]), int(positives[bin_index])
        table.append(
            ReliabilityBin(
                low=float(within.min()),
                high=float(within.max()),
                count=total,
                mean_score=float(score_sum[bin_index]) / total,
                positive_share=true / total,
                positive_share_interval=wilson(true, total),
            )
        )
    return table


def _binned(
    scores: npt.ArrayLike, actual: npt.ArrayLike, bins: int
) -> tuple[
    npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]
]:
    """Return rows, sum of scores and positives of each bin, and the bin of each row."""
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(actual, dtype=bool)
    if bins < 1:
        raise InvalidValueError("bins", bins, "at least 1")
    if values.ndim != 1 or values.shape != labels.shape:
        raise InvalidValueError(
            "scores", f"shape {values.shape}", f"that of actual, {labels.shape}"
        )
    if not values.size:
        raise InvalidValueError("scores", "an empty sample", "at least one score")
    wrong = np.flatnonzero(~((values >= 0.0) & (values <= 1.0)))
    if wrong.size:
        raise InvalidValueError(
            f"scores[{wrong[0]}]", float(values[wrong[0]]), "a probability of the positive class"
        )
    edges = np.percentile(values, np.linspace(0.0, 1.0, bins + 1) * 100)
    which = np.searchsorted(edges[1:-1], values)
    count: npt.NDArray[np.int64] = np.bincount(which, minlength=bins)
    score_sum = np.asarray(np.bincount(which, weights=values, minlength=bins), dtype=np.float64)
    positives: npt.NDArray[np.int64] = np.bincount(which[labels], minlength=bins)
    return count, score_sum, positives, which
