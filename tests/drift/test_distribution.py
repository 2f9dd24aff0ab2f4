import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.drift.distribution import Distribution, distribution_between
from watchkeeper.profiles import Profile


def between(before: list[object], now: list[object]) -> Distribution:
    profiles = [Profile.of({"x": values}).columns["x"] for values in (before, now)]
    return distribution_between(*profiles)


@given(
    before=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    now=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
)
def test_given_numbers_when_both_are_drawn_then_each_value_is_in_one_bin(
    before: list[object], now: list[object]
) -> None:
    found = between(before, now)

    assert (sum(found.reference), sum(found.current)) == (len(before), len(now))
    assert min(*found.reference, *found.current) >= 0
    bins = found.labels if found.labels is not None else (found.edges or ())[1:]
    assert len(bins) == len(found.reference) == len(found.current)


def test_given_numbers_that_moved_away_when_drawn_then_the_bins_reach_over_both() -> None:
    rng = np.random.default_rng(4)

    found = between(list(rng.normal(0, 1, 5000)), list(rng.normal(10, 1, 5000)))

    assert found.edges is not None
    assert found.edges[0] < -2
    assert found.edges[-1] > 12
    assert np.count_nonzero(found.current) > 8


def test_given_one_value_or_infinities_when_drawn_then_there_are_bins_all_the_same() -> None:
    many = [float(each) for each in range(40)]

    assert between([1.0], [1.0]).labels == ("1",)
    found = between([*many, np.inf], [-np.inf, *many])
    assert found.edges is not None
    assert np.isfinite(found.edges).all()
    assert sum(found.current) == 41


@pytest.mark.parametrize("labels", [["UA", "AA"], [True, False]])
def test_given_categories_when_drawn_then_each_has_a_bar(labels: list[object]) -> None:
    found = between(labels * 3, labels[:1])

    assert found.edges is None
    assert sum(found.reference) == 6
    assert sum(found.current) == 1
