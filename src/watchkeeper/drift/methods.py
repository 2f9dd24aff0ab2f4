"""The methods by name, and how each is given two columns.

>>> from watchkeeper.profiles.columns import Categories
>>> reference, current = Categories({"a": 50, "b": 50}, 0), Categories({"a": 40, "b": 60}, 0)
>>> round(compare(reference, current, "PSI").statistic, 4)
0.0405
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from watchkeeper.profiles.columns import Categories, Column, Numbers, as_categories, looks_coded
from watchkeeper.stats import (
    TwoSampleTest,
    anderson_darling,
    chi_squared,
    cramer_von_mises,
    fisher_exact,
    g_test,
    hellinger_test,
    jensen_shannon_test,
    psi_test,
    total_variation_test,
    wasserstein_test,
)
from watchkeeper.stats.ks import ks_of_sample, ks_of_sorted

__all__ = ["CHI_SQUARED", "KS", "METHODS", "OF_NUMBERS", "Method", "compare"]

Method = Literal[
    "KS-test",
    "Chi-squared",
    "Anderson-Darling",
    "Cramér-von Mises",
    "Wasserstein",
    "PSI",
    "Jensen-Shannon",
    "Hellinger",
    "Total variation",
    "G-test",
    "Fisher exact",
]
KS: Method = "KS-test"
CHI_SQUARED: Method = "Chi-squared"
METHODS: tuple[str, ...] = get_args(Method)

_BINS = 10  # of a number, with as many values of the reference in each: the convention of PSI

OF_NUMBERS: Mapping[str, Callable[..., TwoSampleTest]] = {
    KS: ks_of_sorted,
    "Anderson-Darling": anderson_darling,
    "Cramér-von Mises": cramer_von_mises,
    "Wasserstein": wasserstein_test,
}
"""Those that compare numbers value by value, and no categories."""

_OF_COUNTS: Mapping[str, Callable[..., TwoSampleTest]] = {
    "Chi-squared": chi_squared,
    "PSI": psi_test,
    "Jensen-Shannon": jensen_shannon_test,
    "Hellinger": hellinger_test,
    "Total variation": total_variation_test,
    "G-test": g_test,
    "Fisher exact": fisher_exact,
}


def compare(reference: Column, current: Column, method: str) -> TwoSampleTest:
    """Return the test of two columns that have values and are of one kind.

    Parameters
    ----------
    reference, current : Column
        Numbers, for a method of `OF_NUMBERS`. A method of counts takes categories as they are,
        numbers that stand for categories by their value, and other numbers in ten bins with as many
        values of the reference each.
    method : str
        One of `METHODS`.

    Returns
    -------
    TwoSampleTest
    """
    if method in OF_NUMBERS:
        assert isinstance(reference, Numbers)
        assert isinstance(current, Numbers)
        if method == KS:
            return ks_of_sample(reference.values, current.sample)
        return OF_NUMBERS[method](reference.values, current.values)
    if (
        isinstance(reference, Numbers)
        and isinstance(current, Numbers)
        and not looks_coded(reference)
    ):
        return _OF_COUNTS[method](*_binned(reference, current))
    return _OF_COUNTS[method](*_paired(as_categories(reference), as_categories(current)))


def _binned(reference: Numbers, current: Numbers) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    places = np.linspace(0, reference.size - 1, _BINS + 1).astype(np.intp)[1:-1]
    inner = np.unique(reference.values[places])
    before, now = (
        np.diff(column.sample.ranks(inner)[1], prepend=0, append=column.size)
        for column in (reference, current)
    )
    return before, now


def _paired(
    reference: Categories, current: Categories
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    before, now = reference.counts, current.counts
    labels = list(dict.fromkeys([*before, *now]))
    return (
        np.array([before.get(label, 0) for label in labels]),
        np.array([now.get(label, 0) for label in labels]),
    )
