import numpy as np
import pytest
from scipy.stats import fisher_exact, ttest_ind

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality import worst_segments, worst_segments_by_error


def test_given_one_bad_segment_when_looked_for_then_it_comes_first_with_its_figures() -> None:
    rng = np.random.default_rng(3)
    carrier = rng.choice(["AA", "DL", "UA"], 3_000)
    distance = rng.normal(900, 200, 3_000)
    right = rng.uniform(size=3_000) < np.where(carrier == "UA", 0.6, 0.85)
    found = worst_segments({"carrier": carrier, "distance": distance}, right)
    worst = found[0]

    assert (worst.column, worst.value, worst.worse) == ("carrier", "UA", True)
    assert [each.worse for each in found[1:]] == [False] * (len(found) - 1)
    assert worst.interval[0] < worst.accuracy < worst.interval[1] < worst.others
    inside = carrier == "UA"
    table = [[int(np.sum(right & side)), int(np.sum(~right & side))] for side in (inside, ~inside)]
    assert worst.p_value == pytest.approx(fisher_exact(np.array(table)).pvalue)
    assert sum(each.rows for each in found if each.column == "distance") == 3_000


def test_given_no_bad_segment_when_many_are_looked_at_then_none_is_named() -> None:
    rng = np.random.default_rng(4)
    columns = {f"tag_{i}": rng.integers(0, 12, 4_000) for i in range(10)}

    found = worst_segments(columns, rng.uniform(size=4_000) < 0.8)

    assert len(found) == 120
    assert not any(each.worse for each in found)


def test_given_missing_values_and_small_segments_when_looked_for_then_they_are_told() -> None:
    values = np.array(["a"] * 200 + [None] * 100 + ["rare"] * 5, dtype=object)
    found = worst_segments({"tag": values}, [True] * 305)

    assert {each.value for each in found} == {"a", "missing"}
    with pytest.raises(InvalidValueError, match="tag is '305 rows'"):
        worst_segments({"tag": values}, [True] * 10)


def test_given_a_regression_when_errors_are_larger_somewhere_then_it_comes_first() -> None:
    rng = np.random.default_rng(5)
    carrier, noise = rng.choice(["AA", "DL", "UA"], 2_000), rng.integers(0, 9, 2_000)
    errors = rng.normal(size=2_000) * np.where(carrier == "DL", 1.5, 1.0)
    inside, sizes = carrier == "DL", np.abs(errors)

    worst, *others = worst_segments_by_error({"carrier": carrier, "noise": noise}, errors)

    assert (worst.column, worst.value, worst.worse) == ("carrier", "DL", True)
    assert not any(each.worse for each in others)
    assert worst.mae == pytest.approx(sizes[inside].mean())
    assert worst.others == pytest.approx(sizes[~inside].mean())
    assert worst.interval[0] < worst.mae < worst.interval[1]
    expected = ttest_ind(sizes[inside], sizes[~inside], equal_var=False).pvalue
    assert worst.p_value == pytest.approx(expected)


def test_given_errors_that_do_not_vary_when_looked_at_then_equal_ones_are_equal() -> None:
    halves = {"half": ["a"] * 60 + ["b"] * 60}

    same = worst_segments_by_error(halves, np.ones(120))
    differ = worst_segments_by_error(halves, np.repeat([1.0, 2.0], 60))

    assert [each.p_value for each in same] == [1.0, 1.0]
    assert [(each.value, each.worse) for each in differ] == [("b", True), ("a", False)]
