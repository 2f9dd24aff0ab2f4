"""Fixed bins, the same for every model and every hour, so that what was counted adds up."""

from math import ceil, log

import numpy as np
import numpy.typing as npt

__all__ = ["RELATIVE_ERROR", "SCORE_BINS", "WAIT_BINS", "score_bins", "wait_bins", "wait_of"]

Floats = npt.NDArray[np.float64]
Bins = npt.NDArray[np.int16]

_LEAST, _MOST = 1e-3, 1e9  # milliseconds, or seconds: a microsecond, and thirty years
_RATIO = 1.05
RELATIVE_ERROR = (_RATIO - 1) / (_RATIO + 1)
"""How far the middle of a bin is from what lies in it, at most, relative to that: 2.44 %."""

WAIT_BINS = ceil(log(_MOST / _LEAST) / log(_RATIO)) + 1
"""How many bins waiting times have."""

_SCORES = 1_024
SCORE_BINS = _SCORES + 2
"""How many bins scores have."""


def wait_bins(values: Floats) -> Bins:
    """Return the bin of each latency or delay: each is 5 % longer than the one before.

    What is not longer than a thousandth counts as nothing, and is in the first.

    Parameters
    ----------
    values : numpy.ndarray of float, shape (n,)
        Latencies in milliseconds, delays in seconds.

    Returns
    -------
    numpy.ndarray of int, shape (n,)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        places = np.ceil(np.log(np.maximum(values, _LEAST) / _LEAST) / log(_RATIO))
    return np.clip(places, 0, WAIT_BINS - 1).astype(np.int16)


def wait_of(bins: npt.NDArray[np.int64]) -> Floats:
    """Return what stands for all that is in a bin, no further from any than `RELATIVE_ERROR`.

    Parameters
    ----------
    bins : numpy.ndarray of int, shape (n,)

    Returns
    -------
    numpy.ndarray of float, shape (n,)
        In the unit of what was binned.
    """
    middle = _LEAST * 2 * _RATIO ** bins.astype(np.float64) / (_RATIO + 1)
    return np.where(bins == 0, 0.0, middle)


def score_bins(scores: Floats) -> Bins:
    """Return the bin of each probability; what is below 0 or above 1 has a bin of its own.

    Bins are even by the arcsine of the root, which makes them narrow where the scores of rare
    classes are: 0.0015 wide around one half, 0.0001 around 0.001.

    Parameters
    ----------
    scores : numpy.ndarray of float, shape (n,)

    Returns
    -------
    numpy.ndarray of int, shape (n,)
    """
    angle = np.arcsin(np.sqrt(np.clip(scores, 0.0, 1.0))) / (np.pi / 2)
    places = np.minimum((angle * _SCORES).astype(np.int64), _SCORES - 1) + 1
    places = np.where(scores < 0.0, 0, np.where(scores > 1.0, SCORE_BINS - 1, places))
    return places.astype(np.int16)
