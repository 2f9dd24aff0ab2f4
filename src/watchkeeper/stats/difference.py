"""What a comparison of two arms gives when all data are there, and what every one checks."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result

__all__ = ["DifferenceTest", "arm_values", "check_alpha", "mean_of", "relative_pct"]


@dataclass(frozen=True, slots=True)
class DifferenceTest(Result):
    """Two arms compared by one figure, once.

    Attributes
    ----------
    control, treatment : float
        The figure of each arm.
    absolute_difference : float
        Treatment minus control.
    relative_improvement_pct : float or None
        The difference in percent of the control's figure; None where that is 0.
    p_value : float
        Two-sided.
    is_significant : bool
        Whether the p-value is below alpha.
    confidence_interval : tuple of float
        Of the difference.
    confidence_level : float
        Percent.
    """

    control: float
    treatment: float
    absolute_difference: float
    relative_improvement_pct: float | None
    p_value: float
    is_significant: bool
    confidence_interval: tuple[float, float]
    confidence_level: float


def arm_values(
    name: str, observed: npt.ArrayLike, *, least: int = 1, finite: bool = True
) -> npt.NDArray[np.float64]:
    """Return the values of an arm's units.

    Parameters
    ----------
    name : str
        What to call them in an error.
    observed : array_like of float, shape (n,)
    least : int
        Units that are needed.
    finite : bool
        Whether infinities are refused too.

    Returns
    -------
    numpy.ndarray of float

    Raises
    ------
    InvalidValueError
        If they are not numbers in one dimension, too few, or not all known.
    """
    try:
        values = np.asarray(observed, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidValueError(name, observed, "numbers, one a unit") from None
    if values.ndim != 1:
        raise InvalidValueError(name, f"of shape {values.shape}", "one number a unit")
    if len(values) < least:
        raise InvalidValueError(name, f"of {len(values)} units", f"at least {least}")
    if np.isnan(values).any():
        raise InvalidValueError(
            name,
            f"NaN for {int(np.isnan(values).sum())} of {len(values)} units",
            "a number for each",
            "Leave out units whose value is not known, in both groups by the same rule.",
        )
    if finite and np.isinf(values).any():
        raise InvalidValueError(
            name,
            f"infinite for {int(np.isinf(values).sum())} of {len(values)} units",
            "finite numbers",
        )
    return values


def mean_of(values: npt.NDArray[np.float64]) -> float:
    """Return the mean, which is the value itself where all are equal, and not beside it.

    Parameters
    ----------
    values : numpy.ndarray of float

    Returns
    -------
    float
    """
    first = values[0]
    return float(first if (values == first).all() else values.mean())


def check_alpha(alpha: float) -> None:
    """Refuse an error rate that is none.

    Parameters
    ----------
    alpha : float

    Raises
    ------
    InvalidValueError
        If it is not strictly between 0 and 1.
    """
    if not 0.0 < alpha < 1.0:
        raise InvalidValueError("alpha", alpha, "a number strictly between 0 and 1")


def relative_pct(control: float, difference: float) -> float | None:
    """Return the difference in percent of the control's figure; None where that is 0.

    Parameters
    ----------
    control, difference : float

    Returns
    -------
    float or None
    """
    return 100.0 * difference / control if control else None
