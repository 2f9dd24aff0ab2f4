import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import chi_squared

tables = st.integers(2, 8).flatmap(
    lambda k: st.tuples(*[st.lists(st.integers(0, 500), min_size=k, max_size=k)] * 2)
)


@given(table=tables)
def test_given_any_counts_when_tested_then_it_is_scipys_test(
    table: tuple[list[int], list[int]],
) -> None:
    counts = np.array(table)
    assume(all(counts.sum(axis=1) > 0))
    counts = counts[:, counts.sum(axis=0) > 0]
    assume(counts.shape[1] > 1)
    expected = chi2_contingency(counts)

    test = chi_squared(*table)

    assert test.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-12)
    assert test.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert 0.0 <= test.effect_size <= 1.0


def test_given_the_same_single_category_when_tested_then_nothing_differs() -> None:
    assert chi_squared([7, 0], [9, 0]).p_value == 1.0


def test_given_disjoint_categories_when_tested_then_the_effect_is_whole() -> None:
    test = chi_squared([50, 0], [0, 50])

    assert test.effect_size == 1.0
    assert test.p_value < 1e-10


@pytest.mark.parametrize("counts", [[0, 0], [-1, 5]])
def test_given_nothing_or_negative_counts_when_tested_then_it_is_an_error(
    counts: list[int],
) -> None:
    with pytest.raises(InvalidValueError):
        chi_squared([1, 2], counts)
