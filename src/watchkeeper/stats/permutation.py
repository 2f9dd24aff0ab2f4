"""Tests of counts by permutation: for tables too small or too sparse for chi-squared."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.counts import count_table, total_variation
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["chi_squared_or_drawn", "fisher_exact", "total_variation_test"]

_Tables = npt.NDArray[np.float64]
Statistic = Callable[[_Tables, _Tables], npt.NDArray[np.float64]]
"""Of the two rows of tables, each of shape (..., k): a number a table, of shape (...)."""

_CLOSE = 1e-9  # two tables this alike are equally strange
_CELLS = 2_000_000  # of tables that are held at once
_COUNTLESS = 10**9  # rows from which tables are drawn from the normal limit of their distribution
_DRAWN = 999  # tables, where a limit distribution is not to be trusted
_FEW = 10  # tables at least as strange, below which the tail is fitted


def fisher_exact(
    reference: npt.ArrayLike, current: npt.ArrayLike, *, permutations: int = 9_999, seed: int = 0
) -> TwoSampleTest:
    """Test whether two samples have the same shares of categories, however small they are.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)
    permutations : int
        Tables that are drawn where there are more than two categories.
    seed : int

    Returns
    -------
    TwoSampleTest
        For two categories the p-value is exact, that of `scipy.stats.fisher_exact`; for more it is
        the Fisher-Freeman-Halton test's by drawing tables with the same margins. From a billion
        rows on it is that of Pearson's chi-squared test, which it has become by then. The
        statistic, and the effect size, is the total variation distance.

    Raises
    ------
    InvalidValueError
        If the counts differ in length, are negative or not whole, or a sample is empty.

    References
    ----------
    Fisher (1922), J. R. Statist. Soc. 85(1), 87-94; Freeman and Halton (1951), Biometrika 38(1),
    141-149.
    """
    from scipy.special import gammaln
    from scipy.stats import chi2_contingency
    from scipy.stats import fisher_exact as of_two

    table = _whole(count_table(reference, current))
    distance = total_variation(*table)
    if table.shape[1] == 1:
        return TwoSampleTest(0.0, 1.0, 0.0)
    if table.sum() >= _COUNTLESS:
        p_value = float(chi2_contingency(table, correction=False).pvalue)
        return TwoSampleTest(distance, p_value, distance)
    if table.shape[1] == 2:
        return TwoSampleTest(distance, float(of_two(table.astype(np.int64)).pvalue), distance)

    def unlikely(first: _Tables, second: _Tables) -> npt.NDArray[np.float64]:
        statistic: npt.NDArray[np.float64] = (gammaln(first + 1) + gammaln(second + 1)).sum(axis=-1)
        return statistic

    return TwoSampleTest(distance, _share(table, unlikely, permutations, seed), distance)


def total_variation_test(
    reference: npt.ArrayLike, current: npt.ArrayLike, *, permutations: int = 9_999, seed: int = 0
) -> TwoSampleTest:
    """Test whether the total variation distance is more than chance, by permutation.

    Parameters
    ----------
    reference, current : array_like of int, shape (k,)
    permutations : int
        Tables with the same margins that are drawn; the p-value is at least 1 in one more.
    seed : int

    Returns
    -------
    TwoSampleTest

    Raises
    ------
    InvalidValueError
        If the counts differ in length, are negative or not whole, or a sample is empty.

    References
    ----------
    Phipson and Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9(1), for p-values that are never 0.
    """
    table = _whole(count_table(reference, current))
    m, n = table.sum(axis=1)

    def apart(first: _Tables, second: _Tables) -> npt.NDArray[np.float64]:
        between = np.abs(first / m - second / n).sum(axis=-1)
        statistic: npt.NDArray[np.float64] = between * np.sqrt(m * (n / (m + n)))
        return statistic

    distance = total_variation(*table)
    return TwoSampleTest(distance, _share(table, apart, permutations, seed), distance)


def chi_squared_or_drawn(table: _Tables, statistic: Statistic) -> float:
    """Return the p-value of a statistic that is chi-squared in large samples.

    Its limit is good once each category is expected ``5 sqrt(k - 1)`` times in either sample: the
    statistic is too large by some multiple of (k - 1) / expected, which is little only beside the
    ``sqrt(2 (k - 1))`` by which it varies. In emptier tables the limit can call most samples of one
    distribution different. There the p-value is the share of 999 drawn tables with the same
    margins that are at least as strange. Where fewer than ten are, it is the tail of a gamma
    distribution with their mean and variance, but no less than the probability of the table itself.

    Parameters
    ----------
    table : array of float, shape (2, k)
        Without categories that neither sample has.
    statistic : callable
        Growing with the difference of the samples, and chi-squared with k - 1 degrees of freedom.

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError
        If tables are to be drawn and the counts are not whole.

    References
    ----------
    Mielke and Berry (2007), Permutation Methods, section 2.3, for the tail by moments.
    """
    from scipy.stats import chi2, gamma

    freedom = table.shape[1] - 1
    if not freedom:
        return 1.0
    observed = float(statistic(*table))
    sizes, pooled = table.sum(axis=1), table.sum(axis=0)
    if sizes.min() * (pooled.min() / sizes.sum()) >= 5.0 * np.sqrt(freedom):
        return float(chi2.sf(observed, freedom))
    values = _drawn(_whole(table), statistic, _DRAWN, seed=0)
    reached = int(np.sum(values >= observed - _CLOSE))
    share = (reached + 1) / (_DRAWN + 1)
    mean, variance = float(values.mean()), float(values.var())
    if reached >= _FEW or not variance:
        return share
    tail = float(gamma.sf(observed, mean**2 / variance, scale=variance / mean))
    return min(share, max(tail, _probability(table)))


def _share(table: _Tables, strange: Statistic, permutations: int, seed: int) -> float:
    """Return the share of tables with these margins that are at least as strange."""
    observed = float(strange(*table))
    # Log-factorials of large counts have fewer digits behind the point.
    close = max(_CLOSE, 8 * float(np.spacing(abs(observed))))
    values = _drawn(table, strange, permutations, seed)
    return (int(np.sum(values >= observed - close)) + 1) / (permutations + 1)


def _drawn(
    table: _Tables, statistic: Statistic, permutations: int, seed: int
) -> npt.NDArray[np.float64]:
    pooled = table.sum(axis=0)
    return np.concatenate(
        [statistic(first, pooled - first) for first in _first_rows(table, permutations, seed)]
    )


def _first_rows(table: _Tables, permutations: int, seed: int) -> Iterator[_Tables]:
    """Yield the first rows of tables with these margins, as many at once as memory allows."""
    rng = np.random.default_rng(seed)
    (m, n), pooled = table.sum(axis=1), table.sum(axis=0)
    batch = max(1, _CELLS // len(pooled))
    for start in range(0, permutations, batch):
        size = min(batch, permutations - start)
        if m + n < _COUNTLESS:
            drawn = rng.multivariate_hypergeometric(
                pooled.astype(np.int64), int(m), size=size, method="marginals"
            )
            yield drawn.astype(np.float64)
        else:
            roots = np.sqrt(pooled / (m + n))
            normal = rng.normal(size=(size, len(pooled)))
            normal = roots * (normal - np.outer(normal @ roots, roots))
            yield np.clip(pooled * (m / (m + n)) + np.sqrt(m * (n / (m + n))) * normal, 0, pooled)


def _probability(table: _Tables) -> float:
    """Return how likely a table is among those with its margins."""
    from scipy.special import gammaln

    inside, pooled, sizes = (
        float(gammaln(counts + 1).sum()) for counts in (table, table.sum(axis=0), table.sum(axis=1))
    )
    return float(np.exp(min(0.0, pooled + sizes - float(gammaln(table.sum() + 1)) - inside)))


def _whole(table: _Tables) -> _Tables:
    if (table != np.floor(table)).any():
        raise InvalidValueError("counts", table.tolist(), "whole numbers")
    return table
