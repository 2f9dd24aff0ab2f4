"""Two samples as counts of the same categories: what every statistic of counts asks of them."""

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError

__all__ = ["count_table", "shares_of", "total_variation"]


def count_table(reference: npt.ArrayLike, current: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return two samples as the rows of a table, without categories that neither has.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)
        Counts of the same categories in the same order; a category may be absent from either.

    Returns
    -------
    numpy.ndarray of float

    Raises
    ------
    InvalidValueError
        If the counts differ in length, are negative, missing or infinite, or a sample is empty.
    """
    rows = [np.asarray(sample, dtype=np.float64) for sample in (reference, current)]
    if (
        rows[0].ndim != 1
        or rows[0].shape != rows[1].shape
        or not all(((row >= 0) & np.isfinite(row)).all() for row in rows)
    ):
        shown = [row.tolist() for row in rows]
        raise InvalidValueError("counts", shown, "counts of the same categories")
    for name, row in zip(("reference", "current"), rows, strict=True):
        if not row.sum():
            raise InvalidValueError(name, "an empty sample", "at least one value")
    table = np.array(rows)
    filled: npt.NDArray[np.float64] = table[:, table.sum(axis=0) > 0]
    return filled


def shares_of(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return each row of a table divided by its sum.

    Parameters
    ----------
    table : numpy.ndarray of float

    Returns
    -------
    numpy.ndarray of float
    """
    shares: npt.NDArray[np.float64] = table / table.sum(axis=1, keepdims=True)
    return shares


def total_variation(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the share of rows that would have to change their category: between 0 and 1.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)

    Returns
    -------
    float

    Examples
    --------
    >>> round(total_variation([50, 50], [40, 60]), 12)
    0.1
    """
    before, now = shares_of(count_table(reference, current))
    return float(np.abs(before - now).sum() / 2)
