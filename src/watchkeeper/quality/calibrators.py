"""Scores to probabilities, as labelled rows say: Platt's sigmoid, or isotonic steps.

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> chance = rng.uniform(size=4_000)
>>> calibrator = fit_calibrator(np.sqrt(chance), rng.uniform(size=4_000) < chance)
>>> bool(abs(calibrator([0.5])[0] - 0.25) < 0.05)
True
"""

from collections.abc import Hashable, Sequence
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality.multiclass import checked_probabilities, position_of

__all__ = [
    "Calibrator",
    "IsotonicCalibrator",
    "MulticlassCalibrator",
    "PlattCalibrator",
    "checked_scores",
    "class_codes",
    "fit_calibrator",
]

Floats = npt.NDArray[np.float64]

_FOLDS = 5


class Calibrator(Protocol):
    """What was learned of how scores come true."""

    def __call__(self, scores: npt.ArrayLike) -> Floats:
        """Return the probability of the positive class for each score."""
        ...

    def variance(self, scores: npt.ArrayLike, weights: npt.ArrayLike) -> float:
        """Return how uncertain a weighted sum of calibrated scores is, for what was learned from.

        It is the variance of ``sum(weights * calibrated)`` over labelled samples as large as the
        one that was learned from.

        Parameters
        ----------
        scores : array_like of float, shape (n,)
            Between 0 and 1.
        weights : array_like of float, shape (n,)

        Returns
        -------
        float
        """
        ...


class PlattCalibrator:
    """A sigmoid of the scores' log odds: two parameters, so that few labels are enough.

    Parameters
    ----------
    slope, offset : float
        Of the log odds.
    covariance : array_like of float, shape (2, 2)
        Of slope and offset.

    References
    ----------
    Platt (1999), Advances in Large Margin Classifiers, 61-74, with his smoothed targets. The
    variance is that of maximum likelihood.
    """

    def __init__(self, slope: float, offset: float, covariance: npt.ArrayLike) -> None:
        self.slope, self.offset = slope, offset
        self.covariance: Floats = np.asarray(covariance, dtype=np.float64)

    @classmethod
    def fit(cls, scores: npt.ArrayLike, actual: npt.ArrayLike) -> Self:
        """Return the calibrator of labelled rows.

        Parameters
        ----------
        scores : array_like of float, shape (n,)
            Between 0 and 1.
        actual : array_like of bool, shape (n,)

        Returns
        -------
        PlattCalibrator

        Raises
        ------
        InvalidValueError
            If one of the classes is missing.
        """
        from scipy.optimize import minimize

        values, truth = _labelled(scores, actual)
        logits, positives = _logits(values), int(truth.sum())
        target = np.where(
            truth, (positives + 1) / (positives + 2), 1 / (len(truth) - positives + 2)
        )

        def loss(parameters: Floats) -> float:
            margin = parameters[0] * logits + parameters[1]
            return float(np.sum(np.logaddexp(0.0, margin) - target * margin))

        slope, offset = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x.tolist()
        chance = _sigmoid(slope * logits + offset)
        terms = np.column_stack([logits, np.ones(len(logits))])
        information = terms.T @ (terms * (chance * (1.0 - chance))[:, None])
        return cls(slope, offset, np.linalg.pinv(information, hermitian=True))

    def __call__(self, scores: npt.ArrayLike) -> Floats:
        """Return calibrated scores."""
        return _sigmoid(self.slope * _logits(checked_scores(scores)) + self.offset)

    def variance(self, scores: npt.ArrayLike, weights: npt.ArrayLike) -> float:
        """Return how uncertain a weighted sum of calibrated scores is; see `Calibrator`.

        Parameters
        ----------
        scores : array_like of float, shape (n,)
            Between 0 and 1.
        weights : array_like of float, shape (n,)

        Returns
        -------
        float

        Raises
        ------
        InvalidValueError
            If a score is not between 0 and 1.
        """
        logits, chance = _logits(checked_scores(scores)), self(scores)
        moved = np.asarray(weights) * chance * (1.0 - chance)
        gradient = np.array([float(moved @ logits), float(moved.sum())])
        return float(gradient @ self.covariance @ gradient)


class IsotonicCalibrator:
    """The rising steps that fit best: any shape, for many labels.

    Parameters
    ----------
    steps : sklearn.isotonic.IsotonicRegression
        Fitted.
    edges : array_like of float, shape (k,)
        The lowest score of each step, ascending.
    variances : array_like of float, shape (k,)
        Of the chance that each step says.

    References
    ----------
    Zadrozny and Elkan (2002), KDD 8, 694-699; scikit-learn's `IsotonicRegression`. The variance is
    binomial in each step, with one more row of each class, so that a step of one class alone is not
    taken as certain.
    """

    def __init__(self, steps: Any, edges: npt.ArrayLike, variances: npt.ArrayLike) -> None:
        self._steps = steps
        self._edges: Floats = np.asarray(edges, dtype=np.float64)
        self._variances: Floats = np.asarray(variances, dtype=np.float64)

    @classmethod
    def fit(cls, scores: npt.ArrayLike, actual: npt.ArrayLike) -> Self:
        """Return the calibrator of labelled rows; see `PlattCalibrator.fit`.

        Parameters
        ----------
        scores : array_like of float, shape (n,)
            Between 0 and 1.
        actual : array_like of bool, shape (n,)

        Returns
        -------
        IsotonicCalibrator

        Raises
        ------
        InvalidValueError
            If one of the classes is missing.
        """
        from sklearn.isotonic import IsotonicRegression

        values, truth = _labelled(scores, actual)
        steps = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(values, truth)
        _, step = np.unique(steps.predict(values), return_inverse=True)
        rows = np.bincount(step)
        share = (np.bincount(step, weights=truth) + 1.0) / (rows + 2.0)
        edges = np.full(len(rows), np.inf)
        np.minimum.at(edges, step, values)
        return cls(steps, edges, share * (1.0 - share) / rows)

    def __call__(self, scores: npt.ArrayLike) -> Floats:
        """Return calibrated scores."""
        return np.asarray(self._steps.predict(checked_scores(scores)), dtype=np.float64)

    def variance(self, scores: npt.ArrayLike, weights: npt.ArrayLike) -> float:
        """Return how uncertain a weighted sum of calibrated scores is; see `Calibrator`.

        Parameters
        ----------
        scores : array_like of float, shape (n,)
            Between 0 and 1.
        weights : array_like of float, shape (n,)

        Returns
        -------
        float

        Raises
        ------
        InvalidValueError
            If a score is not between 0 and 1.
        """
        step = np.searchsorted(self._edges, checked_scores(scores), side="right") - 1
        total = np.bincount(
            np.maximum(step, 0), weights=np.asarray(weights), minlength=len(self._edges)
        )
        return float(np.sum(total**2 * self._variances))


class MulticlassCalibrator:
    """A calibrator of each class against the rest; a row of what they say is made to add up to 1.

    The variance takes the classes' calibrators as independent.

    Parameters
    ----------
    classes : sequence of Calibrator
        One a class, in the order of the probabilities.
    """

    def __init__(self, classes: Sequence[Calibrator]) -> None:
        self._classes = tuple(classes)

    @classmethod
    def fit(
        cls,
        probabilities: npt.ArrayLike,
        actual: Sequence[Hashable] | npt.NDArray[Any],
        classes: Sequence[Hashable],
    ) -> Self:
        """Return the calibrator of labelled rows.

        Parameters
        ----------
        probabilities : array_like of float, shape (n, k)
        actual : sequence of labels, shape (n,)
        classes : sequence of labels, shape (k,)
            In the order of the columns.

        Returns
        -------
        MulticlassCalibrator

        Raises
        ------
        InvalidValueError
            If a row is not a distribution, a label is none of the classes, or a class never came
            true.
        """
        codes = class_codes(actual, classes, "actual")
        checked = checked_probabilities(probabilities, len(codes), len(classes))
        return cls(
            [fit_calibrator(checked[:, column], codes == column) for column in range(len(classes))]
        )

    def __call__(self, probabilities: npt.ArrayLike) -> Floats:
        """Return calibrated probabilities, shape (n, k)."""
        scores = np.asarray(probabilities, dtype=np.float64)
        apart = np.column_stack(
            [calibrator(scores[:, column]) for column, calibrator in enumerate(self._classes)]
        )
        total = apart.sum(axis=1, keepdims=True)
        return np.where(total > 0.0, apart / np.where(total > 0.0, total, 1.0), scores)

    def variance(self, probabilities: npt.ArrayLike, weights: npt.ArrayLike) -> float:
        """Return how uncertain a weighted sum of them is, with a weight a row and class.

        Parameters
        ----------
        probabilities : array_like of float, shape (n, k)
        weights : array_like of float, shape (n, k)

        Returns
        -------
        float

        Raises
        ------
        InvalidValueError
            If a probability is not between 0 and 1.
        """
        scores, each_weight = np.asarray(probabilities), np.asarray(weights)
        return sum(
            calibrator.variance(scores[:, column], each_weight[:, column])
            for column, calibrator in enumerate(self._classes)
        )


def fit_calibrator(scores: npt.ArrayLike, actual: npt.ArrayLike) -> Calibrator:
    """Return Platt's calibrator or the isotonic one, whichever errs less on rows held out.

    Parameters
    ----------
    scores : array_like of float, shape (n,)
        Between 0 and 1.
    actual : array_like of bool, shape (n,)

    Returns
    -------
    PlattCalibrator or IsotonicCalibrator
        The one with the smaller Brier score in five folds; Platt's where a class has one row only.

    Raises
    ------
    InvalidValueError
        If one of the classes is missing.
    """
    values, truth = _labelled(scores, actual)
    folds = min(_FOLDS, int(truth.sum()), int((~truth).sum()))
    if folds < 2:
        return PlattCalibrator.fit(values, truth)
    from sklearn.model_selection import StratifiedKFold

    errors = np.zeros(2)
    kinds: list[type[PlattCalibrator | IsotonicCalibrator]] = [PlattCalibrator, IsotonicCalibrator]
    parts = StratifiedKFold(folds, shuffle=True, random_state=0)
    for learned, held in parts.split(values[:, None], truth):
        for candidate, kind in enumerate(kinds):
            calibrated = kind.fit(values[learned], truth[learned])(values[held])
            errors[candidate] += np.sum((calibrated - truth[held]) ** 2)
    return kinds[int(np.argmin(errors))].fit(values, truth)


def checked_scores(scores: npt.ArrayLike) -> Floats:
    """Return scores as an array.

    Parameters
    ----------
    scores : array_like of float, shape (n,)

    Returns
    -------
    numpy.ndarray of float, shape (n,)

    Raises
    ------
    InvalidValueError
        If one is not between 0 and 1.
    """
    values = np.asarray(scores, dtype=np.float64)
    wrong = np.flatnonzero(~((values >= 0.0) & (values <= 1.0)))
    if wrong.size:
        raise InvalidValueError(
            f"scores[{wrong[0]}]", float(values[wrong[0]]), "a probability of the positive class"
        )
    return values


def class_codes(
    labels: Sequence[Hashable] | npt.NDArray[Any], classes: Sequence[Hashable], field: str
) -> npt.NDArray[np.int64]:
    """Return the place of each label among the classes.

    Parameters
    ----------
    labels : sequence of labels, shape (n,)
    classes : sequence of labels, shape (k,)
    field : str
        For the error: what the labels are.

    Returns
    -------
    numpy.ndarray of int, shape (n,)

    Raises
    ------
    InvalidValueError
        If one is none of them.
    """
    places = {label: index for index, label in enumerate(classes)}
    listed = labels.tolist() if isinstance(labels, np.ndarray) else labels
    return np.array([position_of(label, places, field) for label in listed], dtype=np.int64)


def _labelled(scores: npt.ArrayLike, actual: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.bool_]]:
    values, truth = checked_scores(scores), np.asarray(actual, dtype=bool)
    if values.shape != truth.shape:
        raise InvalidValueError("actual", f"{len(truth)} rows", f"{len(values)}, one a score")
    if truth.all() or not truth.any():
        raise InvalidValueError("actual", f"{truth.sum()} of {len(truth)}", "both classes")
    return values, truth


def _logits(scores: Floats) -> Floats:
    clipped = np.clip(scores, 1e-12, 1.0 - 1e-12)
    logits: Floats = np.log(clipped / (1.0 - clipped))
    return logits


def _sigmoid(margin: Floats) -> Floats:
    chance: Floats = 1.0 / (1.0 + np.exp(-margin))
    return chance
