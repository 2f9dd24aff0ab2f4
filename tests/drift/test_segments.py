import numpy as np
import pytest

from watchkeeper.drift import drift_by_segment
from watchkeeper.errors import InvalidValueError, NotFoundError


def frame(seed: int, shifted: str = "") -> dict[str, object]:
    rng = np.random.default_rng(seed)
    site = rng.choice(["north", "south", "west"], 3_000)
    load = rng.normal(size=3_000) + np.where(site == shifted, 0.8, 0.0)
    return {"site": site, "load": load, "kind": rng.choice(["a", "b"], 3_000)}


def test_given_one_segment_that_moved_when_compared_then_it_comes_first_and_alone() -> None:
    found = drift_by_segment(frame(1), frame(2, "south"), "site")

    assert (found[0].segment, found[0].feature) == ("south", "load")
    assert [each.drift_detected for each in found] == [True, False, False, False, False, False]
    assert found[0].reference_size + found[0].current_size > 1_500
    assert all(each.adjusted_p_value >= each.p_value for each in found)


def test_given_no_drift_when_many_segments_are_looked_at_then_none_is_called() -> None:
    rng = np.random.default_rng(8)
    before, now = (
        {"unit": rng.integers(0, 40, 8_000), "x": rng.normal(size=8_000)} for _ in range(2)
    )

    found = drift_by_segment(before, now, "unit")

    assert len(found) == 40
    assert not any(each.drift_detected for each in found)


def test_given_no_such_column_or_only_small_segments_when_compared_then_the_error_says_so() -> None:
    with pytest.raises(NotFoundError, match="there is no column in the reference data 'place'"):
        drift_by_segment(frame(1), frame(2), "place")
    with pytest.raises(InvalidValueError, match="at least one segment of 5000 rows"):
        drift_by_segment(frame(1), frame(2), "site", min_rows=5_000)
