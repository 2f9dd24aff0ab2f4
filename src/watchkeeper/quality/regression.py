"""Metrics of regression, each equal to scikit-learn's where it has it."""

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError

__all__ = ["regression_metrics"]


def regression_metrics(
    predicted: npt.ArrayLike, actual: npt.ArrayLike
) -> dict[str, float | int | None]:
    """Return the metrics of a sample.

    Parameters
    ----------
    predicted, actual : array_like of float, shape (n,), n >= 1
        In the unit of the target, finite.

    Returns
    -------
    dict
        ``mae``, ``rmse``, ``median_absolute_error`` and ``mean_error`` (predicted minus actual:
        positive when the model says too much) are in the unit of the target. ``mape`` is a
        fraction, over the rows whose actual value is not 0, and ``mape_share`` is the share of
        rows that are; None when there are none. ``r2`` is None when the actual values are all
        equal.

    Raises
    ------
    InvalidValueError
        If the sample is empty, lengths differ, or a value is not finite.

    References
    ----------
    `sklearn.metrics`, whose MAPE divides by the smallest number where an actual value is 0, and
    whose R² of constant actual values is 0 or 1.

    Examples
    --------
    >>> found = regression_metrics([2.0, 4.0, 9.0], [1.0, 5.0, 8.0])
    >>> found["mae"], round(found["r2"], 3)
    (1.0, 0.878)
    """
    predictions, came = (
        np.asarray(predicted, dtype=np.float64),
        np.asarray(actual, dtype=np.float64),
    )
    if predictions.ndim != 1 or predictions.shape != came.shape:
        raise InvalidValueError(
            "predicted",
            f"an array of shape {predictions.shape}",
            f"one number an actual, {came.shape}",
        )
    if not came.size:
        raise InvalidValueError("actual", "an empty sample", "at least one number")
    for name, values in (("predicted", predictions), ("actual", came)):
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            raise InvalidValueError(
                f"{name}[{wrong[0]}]", float(values[wrong[0]]), "a finite number"
            )
    error = predictions - came
    size = np.abs(error)
    squares = error * error
    whole = came != 0
    constant = bool((came == came[0]).all())  # rounding may leave a variance beside the mean
    spread = 0.0 if constant else float(np.sum((came - came.mean()) ** 2))
    return {
        "mae": float(size.mean()),
        "rmse": float(np.sqrt(squares.mean())),
        "median_absolute_error": float(np.median(size)),
        "mean_error": float(error.mean()),
        "mape": float(np.mean(size[whole] / np.abs(came[whole]))) if whole.any() else None,
        "mape_share": float(whole.mean()),
        "r2": 1.0 - float(squares.sum()) / spread if spread else None,
    }
