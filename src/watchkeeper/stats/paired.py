"""Whether one of two who answered the same questions has the better measure: a paired bootstrap."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats.difference import check_alpha

__all__ = ["PairedBootstrap", "paired_bootstrap"]

_FEWEST = 99


@dataclass(frozen=True, slots=True)
class PairedBootstrap(Result):
    """A difference of two measures of the same questions.

    Attributes
    ----------
    difference : float
        Positive where the second measures more.
    interval : tuple of float
        Percentile interval.
    p_more, p_less : float
        One-sided: that the second does not measure more, or less, than the first.
    resamples : int
        Those in which both measures were defined.
    """

    difference: float
    interval: tuple[float, float]
    p_more: float
    p_less: float
    resamples: int


def paired_bootstrap(
    difference: Callable[[npt.NDArray[np.float64]], float | None],
    size: int,
    *,
    alpha: float = 0.05,
    resamples: int = 999,
    seed: int = 0,
) -> PairedBootstrap:
    """Draw questions again and again, and look how often the difference keeps its sign.

    Parameters
    ----------
    difference : callable
        Of how often each question counts, shape (size,), to the difference of the measures; None
        where a draw has none, such as an AUC of one class.
    size : int
        Questions, which are independent of each other.
    alpha : float
        One minus the confidence of the interval.
    resamples : int
        At least 99. A p-value is at least 1 in one more.
    seed : int

    Returns
    -------
    PairedBootstrap

    Raises
    ------
    InvalidValueError
        If there is no question, too few resamples, or the measures are not defined on all of them.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, sections 8.3 and 13.3.

    Examples
    --------
    >>> gains = np.tile([1.0, 1.0, 1.0, -1.0], 50)
    >>> found = paired_bootstrap(lambda counts: counts @ gains / counts.sum(), len(gains))
    >>> found.difference, found.p_more < 0.01
    (0.5, True)
    """
    check_alpha(alpha)
    if size < 1:
        raise InvalidValueError("size", size, "at least 1")
    if resamples < _FEWEST:
        raise InvalidValueError("resamples", resamples, f"at least {_FEWEST}")
    observed = difference(np.ones(size))
    if observed is None:
        raise InvalidValueError("difference", observed, "a number, of all questions")
    rng = np.random.default_rng(seed)
    drawn = [
        difference(np.bincount(rng.integers(0, size, size), minlength=size).astype(np.float64))
        for _ in range(resamples)
    ]
    measured = np.array([draw for draw in drawn if draw is not None])
    low, high = (
        np.quantile(measured, (alpha / 2, 1 - alpha / 2)) if len(measured) else (observed, observed)
    )
    return PairedBootstrap(
        difference=float(observed),
        interval=(float(low), float(high)),
        p_more=(1 + int(np.sum(measured <= 0))) / (len(measured) + 1),
        p_less=(1 + int(np.sum(measured >= 0))) / (len(measured) + 1),
        resamples=len(measured),
    )
