"""The points of the checklist: what passes, what is excused, and what makes a model ready."""

from datetime import UTC, datetime, timedelta

import pytest

from watchkeeper.errors import NotFoundError
from watchkeeper.readiness import ITEMS, Answer, PointState, Priority, Waiver, checklist

NOW = datetime(2026, 7, 1, tzinfo=UTC)
GOOD = {each.key: Answer(PointState.PASS, "well") for each in ITEMS}


def test_given_every_required_point_when_it_passes_then_the_model_is_ready() -> None:
    required = {each.key: GOOD[each.key] for each in ITEMS if each.priority is Priority.REQUIRED}
    found = checklist("late", required, [], at=NOW)
    assert found.ready
    assert {each.state for each in found.points if each.item.key not in required} == {
        PointState.UNKNOWN
    }
    assert len({each.key for each in ITEMS}) == len(ITEMS) == 19


@pytest.mark.parametrize("key", [each.key for each in ITEMS])
def test_given_a_point_that_fails_when_checked_then_only_a_required_one_counts(key: str) -> None:
    found = checklist("late", {**GOOD, key: Answer(PointState.FAIL, "bad")}, [], at=NOW)
    (point,) = (each for each in found.points if each.item.key == key)
    assert point.state is PointState.FAIL
    assert found.ready is (point.item.priority is Priority.RECOMMENDED)


def test_given_a_waiver_when_checked_then_it_excuses_until_its_day_what_does_not_pass() -> None:
    waiver = Waiver("ab-test", "maria", "the first version", NOW + timedelta(days=1))
    lacking = {**GOOD, "ab-test": Answer(PointState.UNKNOWN, "none")}
    found = checklist("late", lacking, [waiver], at=NOW)
    (point,) = (each for each in found.points if each.item.key == "ab-test")
    assert (point.state, point.waiver, found.ready) == (PointState.WAIVED, waiver, True)

    later = checklist("late", lacking, [waiver], at=NOW + timedelta(days=1))
    assert not later.ready
    passing = checklist("late", GOOD, [waiver], at=NOW)
    assert {each.state for each in passing.points} == {PointState.PASS}


def test_given_a_point_that_is_none_when_checked_then_the_error_lists_those_there_are() -> None:
    with pytest.raises(NotFoundError, match="ab-test"):
        checklist("late", {"ab_test": Answer(PointState.PASS, "")}, [], at=NOW)
