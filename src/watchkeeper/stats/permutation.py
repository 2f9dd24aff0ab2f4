"""Exact tests of counts by permutation: for tables too small for chi-squared."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from watchkeeper.stats.counts import count_table, total_variation
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = ["fisher_exact", "total_variation_test"]

_Tables = npt.NDArray[np.float64]
_CLOSE = 1e-9  # two tables this alike are equally likely


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
        the Fisher-Freeman-Halton test's by drawing tables with the same margins. The statistic, and
        the effect size, is the total variation distance.

    References
    ----------
    Fisher (1922), J. R. Statist. Soc. 85(1), 87-94; Freeman and Halton (1951), Biometrika 38(1),
    141-149.
    """
    table = count_table(reference, current)
    distance = total_variation(*table)
    if table.shape[1] == 1:
        return TwoSampleTest(0.0, 1.0, 0.0)
    if table.shape[1] == 2:
        from scipy.stats import fisher_exact as of_two

        return TwoSampleTest(distance, float(of_two(table.astype(np.int64)).pvalue), distance)
    from scipy.special import gammaln

    def unlikely(drawn: _Tables) -> npt.NDArray[np.float64]:
        rest = table.sum(axis=0) - drawn
        found: npt.NDArray[np.float64] = (gammaln(drawn + 1) + gammaln(rest + 1)).sum(axis=-1)
        return found

    return TwoSampleTest(distance, _p_value(table, unlikely, permutations, seed), distance)


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

    References
    ----------
    Phipson and Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9(1), for p-values that are never 0.
    """
    table = count_table(reference, current)
    sizes, pooled = table.sum(axis=1), table.sum(axis=0)

    def apart(drawn: _Tables) -> npt.NDArray[np.float64]:
        between = np.abs(drawn / sizes[0] - (pooled - drawn) / sizes[1])
        found: npt.NDArray[np.float64] = between.sum(axis=-1) / 2
        return found

    distance = float(apart(table[0]))
    return TwoSampleTest(distance, _p_value(table, apart, permutations, seed), distance)


def _p_value(
    table: _Tables,
    strange: Callable[[_Tables], npt.NDArray[np.float64]],
    permutations: int,
    seed: int,
) -> float:
    """Return the share of tables with these margins that are at least as strange."""
    pooled, drawn_rows = table.sum(axis=0).astype(np.int64), int(table[0].sum())
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(
        pooled, drawn_rows, size=permutations, method="marginals"
    )
    found = strange(table[0])
    reached = int(np.sum(strange(drawn.astype(np.float64)) >= found - _CLOSE))
    return (reached + 1) / (permutations + 1)
