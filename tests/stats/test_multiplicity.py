from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats import adjusted
from watchkeeper.stats.multiplicity import Correction

# Benjamini and Hochberg's procedure on ten p-values; digits agree with R's p.adjust.
TEN = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]


def test_given_ten_p_values_when_adjusted_then_they_are_the_published_ones() -> None:
    assert adjusted(TEN) == pytest.approx(
        [0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.105714, 0.216, 0.216, 0.216], abs=1e-6
    )
    assert adjusted(TEN, "holm") == pytest.approx(multipletests(TEN, method="holm")[1].tolist())
    assert adjusted(TEN, "bonferroni") == pytest.approx(
        [0.01, 0.08, 0.39, 0.41, 0.42, 0.6, 0.74, 1, 1, 1]
    )


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=30))
@pytest.mark.parametrize("correction", ["fdr_bh", "fdr_by", "bonferroni"])
def test_given_any_p_values_when_adjusted_then_they_are_statsmodels(
    p_values: list[float], correction: Correction
) -> None:
    expected = multipletests(p_values, method=correction)[1]

    assert adjusted(p_values, correction) == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-12)


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_given_any_p_values_when_adjusted_by_holm_then_all_subsets_are_tested(
    p_values: list[float],
) -> None:
    # Closed testing: a hypothesis falls if Bonferroni rejects every intersection it is part of.
    subsets = [
        chosen
        for size in range(1, len(p_values) + 1)
        for chosen in combinations(range(len(p_values)), size)
    ]
    expected = [
        max(
            min(1.0, len(chosen) * min(p_values[other] for other in chosen))
            for chosen in subsets
            if each in chosen
        )
        for each in range(len(p_values))
    ]

    assert adjusted(p_values, "holm") == pytest.approx(expected, rel=1e-12)


def test_given_unknown_p_values_when_adjusted_then_they_do_not_count() -> None:
    assert adjusted([None, 0.02, None, 0.5]) == [None, 0.04, None, 0.5]
    assert adjusted([0.02, None, 0.5], "holm") == [0.04, None, 0.5]
    assert adjusted([0.3], "none") == [0.3]


def test_given_nonsense_when_adjusted_then_it_is_an_error() -> None:
    with pytest.raises(InvalidValueError):
        adjusted([1.5])
    with pytest.raises(InvalidValueError):
        adjusted([0.5], "holmes")  # type: ignore[arg-type]
