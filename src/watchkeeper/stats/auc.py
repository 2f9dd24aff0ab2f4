"""Area under the ROC curve, with its variance."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from watchkeeper.results import Result
from watchkeeper.stats.intervals import normal_quantile

__all__ = ["CountedAucs", "RocAuc", "roc_auc", "roc_auc_of_counts"]


@dataclass(frozen=True, slots=True)
class RocAuc(Result):
    """An area and its variance."""

    area: float
    variance: float

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return a normal interval, within 0 and 1.

        Parameters
        ----------
        confidence : float

        Returns
        -------
        tuple of (float, float)
        """
        half = normal_quantile(confidence) * sqrt(self.variance)
        return max(0.0, self.area - half), min(1.0, self.area + half)


def roc_auc(scores: npt.ArrayLike, positive: npt.ArrayLike) -> RocAuc | None:
    """Return the probability that a positive scores higher than a negative; a tie counts half.

    Parameters
    ----------
    scores : array_like of float, shape (n,)
    positive : array_like of bool, shape (n,)

    Returns
    -------
    RocAuc or None
        None when one of the two classes is missing: there is nothing to compare.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44(3), 837-845, by the midranks of Sun and
    Xu (2014), IEEE Signal Processing Letters 21(11), 1389-1393. The area is scikit-learn's
    `roc_auc_score`.
    """
    from scipy.stats import rankdata

    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    of_positive, of_negative = values[labels], values[~labels]
    m, n = len(of_positive), len(of_negative)
    if not m or not n:
        return None
    ranks = rankdata(values)
    beaten = (ranks[labels] - rankdata(of_positive)) / n
    beating = 1.0 - (ranks[~labels] - rankdata(of_negative)) / m
    variance = (beaten.var(ddof=1) / m if m > 1 else 0.0) + (
        beating.var(ddof=1) / n if n > 1 else 0.0
    )
    return RocAuc(float(beaten.mean()), float(variance))


@dataclass(frozen=True, slots=True)
class CountedAucs(Result):
    """Areas of many samples of which only counts are kept; NaN where a class is missing.

    Attributes
    ----------
    area, variance : numpy.ndarray of float, shape (n,)
        Of the scores as if all of a bin were equal.
    off_by : numpy.ndarray of float, shape (n,)
        How far that can be from the area of the scores themselves, at most: half of the share of
        pairs that fall into one bin.
    """

    area: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    off_by: npt.NDArray[np.float64]


def roc_auc_of_counts(positive: npt.ArrayLike, negative: npt.ArrayLike) -> CountedAucs:
    """Return `roc_auc` of many samples whose scores were counted by bins.

    Parameters
    ----------
    positive, negative : array_like of int, shape (n, n_bins)
        How many of either class are in each bin; a later bin has higher scores.

    Returns
    -------
    CountedAucs

    Examples
    --------
    >>> found = roc_auc_of_counts([[0, 1, 3]], [[2, 1, 1]])
    >>> found.area, found.off_by
    (array([0.8125]), array([0.125]))
    """
    of_positive, of_negative = (
        np.asarray(counts, dtype=np.float64) for counts in (positive, negative)
    )
    m, n = of_positive.sum(axis=1), of_negative.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        beaten = (np.cumsum(of_negative, axis=1) - of_negative / 2) / n[:, None]
        beating = 1.0 - (np.cumsum(of_positive, axis=1) - of_positive / 2) / m[:, None]
        area = np.sum(of_positive * beaten, axis=1) / m
        variance = _spread(of_positive, beaten, area, m) + _spread(of_negative, beating, area, n)
        off_by = np.sum(of_positive * of_negative, axis=1) / (2 * m * n)
    two_classes = (m > 0) & (n > 0)
    return CountedAucs(
        *(np.where(two_classes, values, np.nan) for values in (area, variance, off_by))
    )


def _spread(
    counts: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
    mean: npt.NDArray[np.float64],
    total: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return the variance of the mean of counted values; 0 where there is one, as of `roc_auc`."""
    squares = np.sum(counts * (values - mean[:, None]) ** 2, axis=1)
    return np.where(total > 1, squares / np.maximum(total - 1, 1) / total, 0.0)
