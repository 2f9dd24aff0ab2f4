"""Confidence intervals of proportions."""

from math import sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError

__all__ = ["clopper_pearson", "normal_quantile", "wilson", "wilson_of_many"]


def normal_quantile(confidence: float) -> float:
    """Return how many standard errors a two-sided interval of this confidence reaches.

    Parameters
    ----------
    confidence : float

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError
        If `confidence` is not strictly between 0 and 1.
    """
    return NormalDist().inv_cdf(0.5 + _confidence(confidence) / 2)


def clopper_pearson(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a proportion, which is never too narrow and often too wide.

    Parameters
    ----------
    successes, total : int
    confidence : float

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    InvalidValueError
        As `wilson`.

    References
    ----------
    Clopper and Pearson (1934), Biometrika 26(4), 404-413.
    """
    from scipy.special import betaincinv

    _require_part(successes, total)
    tail = (1 - _confidence(confidence)) / 2
    failures = total - successes
    low = 0.0 if not successes else float(betaincinv(successes, failures + 1, tail))
    high = 1.0 if not failures else float(betaincinv(successes + 1, failures, 1 - tail))
    return low, high


def wilson(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion.

    Parameters
    ----------
    successes, total : int
    confidence : float

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    InvalidValueError
        If there is nothing to count, or more successes than trials.

    References
    ----------
    Wilson (1927), J. Am. Statist. Assoc. 22(158), 209-212.
    """
    _require_part(successes, total)
    z = normal_quantile(confidence)
    share = successes / total
    scale = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == total else min(1.0, centre + half)
    return low, high


def wilson_of_many(
    successes: npt.ArrayLike, totals: npt.ArrayLike, confidence: float = 0.95
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return `wilson` of many proportions at once: what is low, and what is high.

    Parameters
    ----------
    successes, totals : array_like of int, shape (n,)
        Both are NaN where the total is 0.
    confidence : float

    Returns
    -------
    tuple of (numpy.ndarray of float, numpy.ndarray of float)

    Raises
    ------
    InvalidValueError
        If there are more successes than trials anywhere.
    """
    events, total = (np.asarray(counts, dtype=np.float64) for counts in (successes, totals))
    if np.any((events < 0) | (events > total)):
        raise InvalidValueError("successes", successes, "between 0 and the total, everywhere")
    z = normal_quantile(confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = events / total
        scale = 1 + z * z / total
        centre = (share + z * z / (2 * total)) / scale
        half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    low = np.where(share == 0.0, 0.0, np.maximum(0.0, centre - half))
    high = np.where(share == 1.0, 1.0, np.minimum(1.0, centre + half))
    return low, high


def _confidence(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise InvalidValueError("confidence", confidence, "a number strictly between 0 and 1")
    return confidence


def _require_part(successes: int, total: int) -> None:
    if total < 1 or not 0 <= successes <= total:
        raise InvalidValueError(
            "successes", f"{successes} of {total}", "between 0 and the total, which is at least 1"
        )
