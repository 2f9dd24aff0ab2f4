"""Population stability index: how far apart two samples lie, over the same bins."""

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.counts import count_table, total_variation
from watchkeeper.stats.permutation import chi_squared_or_drawn
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["population_stability_index", "psi_test"]

Floats = npt.NDArray[np.float64]

_SMOOTHING = 0.5  # of a row, where a bin is empty


def population_stability_index(
    reference: npt.ArrayLike, current: npt.ArrayLike, *, smoothing: float = _SMOOTHING
) -> float:
    """Return the index of two histograms over the same bins.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)
        Counts of the same bins.
    smoothing : float
        Added to each count where a bin of either is empty, since the index would be infinite.

    Returns
    -------
    float
        In nats, never negative; 0 when the shares agree. By the convention of credit scoring, below
        0.1 is stable and above 0.25 has shifted, whatever the sample sizes.

    Raises
    ------
    InvalidValueError
        If a bin is empty and `smoothing` is 0, or the counts are not of the same bins.

    References
    ----------
    Kullback and Leibler (1951), Ann. Math. Statist. 22(1), 79-86: divergence J. Siddiqi (2006),
    Credit Risk Scorecards, for the convention.

    Examples
    --------
    >>> round(population_stability_index([50, 50], [40, 60]), 4)
    0.0405
    """
    table = count_table(reference, current)
    if not table.all() and smoothing <= 0:
        raise InvalidValueError("smoothing", smoothing, "a number above 0, because a bin is empty")
    return float(_index(table[0], table[1], smoothing))


def _index(first: Floats, second: Floats, smoothing: float) -> Floats:
    empty = ((first == 0) | (second == 0)).any(axis=-1, keepdims=True)
    before, now = (shares + smoothing * empty for shares in (first, second))
    before = before / before.sum(axis=-1, keepdims=True)
    now = now / now.sum(axis=-1, keepdims=True)
    index: Floats = ((now - before) * np.log(now / before)).sum(axis=-1)
    return index


def psi_test(reference: npt.ArrayLike, current: npt.ArrayLike) -> TwoSampleTest:
    """Test whether an index is more than chance.

    Parameters
    ----------
    reference, current : array_like

    Returns
    -------
    TwoSampleTest
        The statistic is the index; the effect size is the total variation distance. With no
        shift, the index times ``mn / (m + n)`` is asymptotically chi-squared with k - 1 degrees of
        freedom. Where bins are too rare for that, the p-value is by permutation (see
        `watchkeeper.stats.permutation.chi_squared_or_drawn`).

    Raises
    ------
    InvalidValueError
        If the counts differ in length, are negative, or a sample is empty; if they are not whole
        where bins are rare.

    References
    ----------
    Yurdakul and Naranjo (2020), J. Risk Model Validation 14(4), 89-100.
    """
    table = count_table(reference, current)
    m, n = table.sum(axis=1)

    def scaled(first: Floats, second: Floats) -> Floats:
        statistic: Floats = _index(first, second, _SMOOTHING) * (m * (n / (m + n)))
        return statistic

    return TwoSampleTest(
        population_stability_index(*table),
        chi_squared_or_drawn(table, scaled),
        total_variation(*table),
    )
