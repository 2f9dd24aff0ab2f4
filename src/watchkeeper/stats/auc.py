"""Area under the ROC curve, with its variance."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from watchkeeper.results import Result
from watchkeeper.stats.intervals import normal_quantile

__all__ = ["RocAuc", "roc_auc"]


@dataclass(frozen=True, slots=True)
class RocAuc(Result):
    """An area and its variance."""

    area: float
    variance: float

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return a normal interval, within 0 and 1."""
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
