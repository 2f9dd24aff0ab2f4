"""Metrics of a classification into several classes, each equal to scikit-learn's."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import roc_auc

__all__ = ["checked_probabilities", "metrics_of_codes", "multiclass_metrics", "position_of"]

_CLIP = float(np.finfo(np.float64).eps)
_SUM_TOLERANCE = 1e-4  # float32 softmax over thousands of classes adds up this well
_AT_MOST_PLACES = 20  # labels an error message names


def multiclass_metrics(
    predicted: Sequence[Hashable] | npt.NDArray[Any],
    actual: Sequence[Hashable] | npt.NDArray[Any],
    probabilities: npt.ArrayLike | None = None,
    classes: Sequence[Hashable] | npt.NDArray[Any] | None = None,
) -> dict[str, Any]:
    """Return the metrics of a sample.

    Parameters
    ----------
    predicted, actual : sequence of labels, shape (n,), n >= 1
        Labels of any kind that can be told apart: words, numbers, booleans.
    probabilities : array_like of float, shape (n, k), optional
        Probability of each class, a row adding up to 1; NaN in the rows where the model gave none,
        which then do not count.
    classes : sequence of labels, shape (k,), optional
        The classes in the order of the columns of `probabilities`; in ascending order of all labels
        seen, if not given.

    Returns
    -------
    dict
        ``accuracy``, ``balanced_accuracy``, ``precision``, ``recall``, ``f1``, ``auc``,
        ``log_loss`` and ``per_class``: for each class ``actual``, ``predicted`` and ``correct``,
        which are counts, and its own ``precision``, ``recall`` and ``f1``, None where nothing was
        predicted or there is no label.

        Precision, recall and F1 are macro averages over the classes that occur, predicted or
        actual; one that was never predicted, or has no label, counts as 0. Balanced accuracy
        is the average recall of the classes that have labels. The AUC is the macro average of one
        class against the rest: None without probabilities, or when one of the classes never came
        true. The log loss is None without probabilities.

    Raises
    ------
    InvalidValueError
        If the sample is empty, lengths differ, a label is missing or not among `classes`, or
        probabilities are not between 0 and 1 or do not add up to 1.

    References
    ----------
    `sklearn.metrics` with ``average="macro"``, ``zero_division=0`` and ``multi_class="ovr"``.

    Examples
    --------
    >>> found = multiclass_metrics(["rain", "sun", "sun"], ["rain", "sun", "snow"])
    >>> round(found["accuracy"], 3), found["per_class"]["snow"]["recall"]
    (0.667, 0.0)
    """
    of_predicted, of_actual = _labels(predicted), _labels(actual)
    if not of_actual:
        raise InvalidValueError("actual", "an empty sample", "at least one label")
    if len(of_predicted) != len(of_actual):
        raise InvalidValueError(
            "predicted", f"{len(of_predicted)} labels", f"{len(of_actual)}, one an actual label"
        )
    labels = _ascending({*of_predicted, *of_actual}) if classes is None else _labels(classes)
    positions = {label: position for position, label in enumerate(labels)}
    if len(positions) != len(labels):
        raise InvalidValueError("classes", labels, "each class once")
    codes = [
        np.array([position_of(label, positions, name) for label in column], dtype=np.int64)
        for name, column in (("predicted", of_predicted), ("actual", of_actual))
    ]
    columns = None
    if probabilities is not None:
        columns = checked_probabilities(probabilities, len(of_actual), len(labels))
    return metrics_of_codes(codes[0], codes[1], columns, labels)


def metrics_of_codes(
    predicted: npt.NDArray[np.int64],
    actual: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float64] | None,
    labels: Sequence[Hashable],
) -> dict[str, Any]:
    """Return what `multiclass_metrics` does, from the position of each label among `labels`.

    Parameters
    ----------
    predicted, actual : numpy.ndarray of int, shape (n,)
    probabilities : numpy.ndarray of float, shape (n, k), or None
        A row of NaN is not scored.
    labels : sequence of labels, shape (k,)

    Returns
    -------
    dict of str to object
    """
    k = len(labels)
    came, called = np.bincount(actual, minlength=k), np.bincount(predicted, minlength=k)
    correct = np.bincount(actual[predicted == actual], minlength=k)
    precision, recall = _share(correct, called), _share(correct, came)
    f1 = _share(2 * correct, came + called)
    occurs = (came + called) > 0
    scored = None
    if probabilities is not None:
        rows = ~np.isnan(probabilities).any(axis=1)
        scored = (probabilities[rows], actual[rows]) if rows.any() else None
    return {
        "accuracy": float(np.mean(predicted == actual)),
        "balanced_accuracy": float(recall[came > 0].mean()),
        "precision": float(np.nan_to_num(precision[occurs]).mean()),
        "recall": float(np.nan_to_num(recall[occurs]).mean()),
        "f1": float(f1[occurs].mean()),
        "auc": None if scored is None else _one_against_rest(*scored),
        "log_loss": None if scored is None else _log_loss(*scored),
        "per_class": {
            label: {
                "actual": int(came[i]),
                "predicted": int(called[i]),
                "correct": int(correct[i]),
                "precision": _finite(precision[i]),
                "recall": _finite(recall[i]),
                "f1": _finite(f1[i]),
            }
            for i, label in enumerate(labels)
        },
    }


def checked_probabilities(
    probabilities: npt.ArrayLike, rows: int, classes: int
) -> npt.NDArray[np.float64]:
    """Return probabilities as an array of (rows, classes); a row may be NaN.

    Parameters
    ----------
    probabilities : array_like of float, shape (rows, classes)
    rows, classes : int

    Returns
    -------
    numpy.ndarray of float, shape (rows, classes)

    Raises
    ------
    InvalidValueError
        If the shape differs, or a row is not a distribution.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != (rows, classes):
        raise InvalidValueError(
            "probabilities", f"an array of shape {values.shape}", f"shape ({rows}, {classes})"
        )
    missing = np.isnan(values).any(axis=1)
    outside = ((values < 0.0) | (values > 1.0)).any(axis=1)
    wrong = outside | (~missing & (np.abs(values.sum(axis=1) - 1.0) > _SUM_TOLERANCE))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise InvalidValueError(
            f"probabilities[{at}]", values[at].tolist(), "fractions that add up to 1"
        )
    return values


def position_of(label: Hashable, positions: dict[Hashable, int], field: str) -> int:
    """Return the position of a label among the classes.

    Parameters
    ----------
    label : Hashable
    positions : dict of Hashable to int
        Of the classes.
    field : str
        For the error: what the label is.

    Returns
    -------
    int

    Raises
    ------
    InvalidValueError
        If it is missing or not among them.
    """
    position = positions.get(label)
    if position is None:
        labels = ", ".join(map(repr, list(positions)[:_AT_MOST_PLACES]))
        raise InvalidValueError(field, label, f"one of the classes {labels}")
    return position


def _labels(labels: Sequence[Hashable] | npt.NDArray[Any]) -> list[Hashable]:
    values: list[Hashable] = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    for value in values:
        if value is None or value != value:  # noqa: PLR0124 - NaN
            raise InvalidValueError("label", value, "a label")
    return values


def _ascending(labels: set[Hashable]) -> list[Hashable]:
    try:
        return sorted(labels)  # type: ignore[type-var]
    except TypeError:  # labels of several kinds have no order of their own
        return sorted(labels, key=repr)


def _share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return part / whole, NaN where the whole is nothing."""
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _one_against_rest(
    probabilities: npt.NDArray[np.float64], actual: npt.NDArray[np.int64]
) -> float | None:
    areas = []
    for position in range(probabilities.shape[1]):
        area = roc_auc(probabilities[:, position], actual == position)
        if area is None:
            return None
        areas.append(area.area)
    return float(np.mean(areas))


def _log_loss(probabilities: npt.NDArray[np.float64], actual: npt.NDArray[np.int64]) -> float:
    likelihood = probabilities[np.arange(len(actual)), actual]
    return float(-np.mean(np.log(np.clip(likelihood, _CLIP, 1.0 - _CLIP))))
