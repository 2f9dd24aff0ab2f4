import numpy as np
import pytest
from scipy.stats import fisher_exact

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality import worst_segments


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
