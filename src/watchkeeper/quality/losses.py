"""The error of a regression before the truth is known: a second model learns how large errors are.

As with scores, it sees that inputs have become harder, and not that the same inputs now lead to
other outcomes.

>>> import numpy as np
>>> x = np.linspace(0.0, 1.0, 400)[:, None]
>>> wrong_by = np.where(x[:, 0] > 0.5, 4.0, 1.0)
>>> losses = LossEstimator().fit(x, predicted=wrong_by, actual=np.zeros(400))
>>> round(losses.estimate(x[x[:, 0] > 0.5]).mae, 1)
4.0
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.quality.encoding import Encoding, feature_frame
from watchkeeper.results import Result
from watchkeeper.stats.intervals import normal_quantile

__all__ = ["FEWEST", "LossEstimate", "LossEstimator"]

FEWEST = 100
"""Labelled rows from which errors can be learned."""

_FOLDS = 5


@dataclass(frozen=True, slots=True)
class LossEstimate(Result):
    """What the mean absolute error of some rows probably is.

    Attributes
    ----------
    mae : float
    interval : tuple of float
        In which the realised one of these rows lies with the given confidence.
    rows : int
    """

    mae: float
    interval: tuple[float, float]
    rows: int


class LossEstimator:
    """Learns the absolute error of a regression from its inputs (direct loss estimation).

    Parameters
    ----------
    seed : int

    References
    ----------
    The method is NannyML's, "Direct loss estimation"; the learner is scikit-learn's
    `HistGradientBoostingRegressor`, which takes missing values.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._learner: Any = None
        self._encoding: Encoding | None = None
        self._spread = self._labelled = 0.0

    def fit(self, features: object, predicted: npt.ArrayLike, actual: npt.ArrayLike) -> Self:
        """Learn from labelled rows.

        Parameters
        ----------
        features : array of float, shape (n, k), or data frame
            NaN where missing; columns of a data frame may hold words, truth values and times. The
            predictions may be one of them.
        predicted, actual : array_like of float, shape (n,)

        Returns
        -------
        LossEstimator

        Raises
        ------
        InvalidValueError
            If there are fewer than 100 rows, or not as many of each.
        """
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.model_selection import KFold, cross_val_predict
        from threadpoolctl import threadpool_limits

        frame = feature_frame(features)
        losses = np.abs(np.asarray(predicted, np.float64) - np.asarray(actual, np.float64))
        if len(frame) < FEWEST or losses.shape != (len(frame),):
            raise InvalidValueError(
                "actual", f"{losses.shape} of {len(frame)} rows", f"one a row, of {FEWEST} or more"
            )
        encoding = Encoding(frame)
        encoded = encoding(frame)
        encoded[:, np.isnan(encoded).all(axis=0)] = 0.0  # scikit-learn needs a value to learn from
        learner = HistGradientBoostingRegressor(
            max_iter=100,
            max_leaf_nodes=8,
            min_samples_leaf=30,
            categorical_features=encoding.categorical,
            random_state=self._seed,
        )
        folds = KFold(_FOLDS, shuffle=True, random_state=self._seed)
        with threadpool_limits(1, "openmp"):  # threads that wait for a busy core make it far slower
            held_out = cross_val_predict(learner, encoded, losses, cv=folds)
            self._learner = learner.fit(encoded, losses)
        self._spread = float(np.std(losses - held_out, ddof=1))
        self._labelled, self._encoding = float(len(encoded)), encoding
        return self

    def estimate(self, features: object, *, confidence: float = 0.95) -> LossEstimate:
        """Return what the mean absolute error of rows without labels probably is.

        Parameters
        ----------
        features : array of float, shape (m, k), or data frame
            With the columns that were learned from.
        confidence : float

        Returns
        -------
        LossEstimate

        Raises
        ------
        ConflictError
            If nothing was learned yet.
        InvalidValueError
            If there are no rows, or a column is missing or of another type.
        """
        from threadpoolctl import threadpool_limits

        if self._encoding is None:
            raise ConflictError("the estimator is not fitted", "Call fit first.")
        frame = feature_frame(features)
        if not len(frame):
            raise InvalidValueError("features", "no rows", "at least one")
        encoded = self._encoding(frame)
        with threadpool_limits(1, "openmp"):
            mae = float(np.mean(self._learner.predict(encoded)))
        error = self._spread * sqrt(1 / len(encoded) + 1 / self._labelled)
        half = normal_quantile(confidence) * error
        return LossEstimate(max(0.0, mae), (max(0.0, mae - half), mae + half), len(encoded))
