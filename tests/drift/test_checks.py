from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.drift.checks import ABSENT, DRIFTED, STEADY, UNKNOWN, Checks, DriftCheck

START = datetime(2013, 7, 1, tzinfo=UTC)
NAN = float("nan")


def look(number: int, hours: float, bad: bool, **features: tuple[int, float]) -> DriftCheck:
    return DriftCheck(
        number,
        START + timedelta(hours=hours),
        bad,
        tuple(features),
        [state for state, _ in features.values()],
        [effect for _, effect in features.values()],
    )


CHECKS = Checks.of(
    [
        look(3, 2, True, a=(DRIFTED, 0.5), b=(STEADY, 0.1)),
        look(1, 0, False, a=(STEADY, 0.0)),
        look(2, 1, True, a=(DRIFTED, 0.25), b=(UNKNOWN, NAN)),
        look(4, 30, True, b=(DRIFTED, 0.9)),
    ]
)


def test_given_checks_in_any_order_when_taken_together_then_they_are_in_that_of_their_windows() -> (
    None
):
    assert CHECKS.numbers.tolist() == [1, 2, 3, 4]
    assert CHECKS.states[:, CHECKS.features.index("b")].tolist() == [ABSENT, UNKNOWN, STEADY, 1]


def test_given_checks_when_ranked_then_by_how_often_and_how_far_each_feature_drifted() -> None:
    first, second = CHECKS.ranking()

    assert (first.feature, first.drifted, first.checks) == ("b", 1, 3)
    assert first.strength == pytest.approx(0.3)
    assert first.first_drifted == START + timedelta(hours=30)
    assert (second.feature, second.drifted, second.checks) == ("a", 2, 3)
    assert second.strength == pytest.approx(0.25)
    assert (second.last, second.last_effect, second.last_state) == (3, 0.5, DRIFTED)


def test_given_a_break_when_asked_how_things_stand_then_since_the_first_check_after_it() -> None:
    latest = CHECKS.latest

    assert latest is not None
    assert (latest.number, latest.bad, latest.checks) == (4, True, 3)
    assert latest.since == START + timedelta(hours=1)
    assert not latest.from_start
    before = CHECKS.within(None, START).latest
    assert before is not None
    assert (before.bad, before.from_start) == (False, True)
    assert Checks.of([]).latest is None


def test_given_one_feature_when_looked_at_alone_then_bad_is_where_it_drifted() -> None:
    alone = CHECKS.of_feature("b")

    assert alone.numbers.tolist() == [2, 3, 4]
    assert alone.bad.tolist() == [False, False, True]
    assert not len(CHECKS.of_feature("c"))


def test_given_stretches_when_the_worst_of_each_is_taken_then_an_empty_one_says_nothing() -> None:
    found = CHECKS.over(START, START + timedelta(hours=30), most=3)

    assert found.starts[0] == START
    assert found.starts[1] - found.starts[0] == timedelta(hours=24)
    assert found.numbers == (3, 4)
    a, b = (CHECKS.features.index(name) for name in "ab")
    assert found.states[:, a].tolist() == [DRIFTED, ABSENT]
    assert found.effects[0, a] == pytest.approx(0.5)
    assert found.states[:, b].tolist() == [STEADY, DRIFTED]
    assert found.shares == (0.5, 1.0)


def test_given_few_checks_when_cut_then_stretches_are_not_finer_than_they_are() -> None:
    daily = Checks.of([look(day, 24 * day, False, a=(STEADY, 0.1)) for day in range(8)])

    found = daily.over(START, START + timedelta(days=7))

    assert [each is None for each in found.numbers] == [False] * 8


def test_given_no_check_when_stretches_are_asked_for_then_they_are_empty() -> None:
    found = Checks.of([]).over(None, START)

    assert set(found.numbers) == {None}
    assert found.effects.shape == (len(found.starts), 0)


@given(
    hours=st.lists(st.integers(0, 2000), min_size=1, max_size=40),
    cut=st.integers(0, 40),
    most=st.integers(2, 100),
)
def test_given_checks_in_two_parts_when_merged_then_they_are_those_of_one_and_none_is_lost(
    hours: list[int], cut: int, most: int
) -> None:
    looks = [
        look(number, hour, hour % 3 == 0, **{f"f{hour % 2}": (int(hour % 3 == 0), hour / 2000)})
        for number, hour in enumerate(hours)
    ]
    whole = Checks.of(looks)

    merged = Checks.of(looks[:cut]).merge(Checks.of(looks[cut:]))

    assert merged.numbers.tolist() == whole.numbers.tolist()
    for name in whole.features:
        np.testing.assert_array_equal(
            merged.of_feature(name).effects, whole.of_feature(name).effects
        )
    found = whole.over(None, whole.moment(-1), most=most)
    assert len(found.starts) <= most + 1
    known = set(whole.numbers.tolist())
    assert {each for each in found.numbers if each is not None} <= known
    for name in ("f0", "f1"):  # a check that found drift counts before one that is further away
        if name in whole.features:
            place = whole.features.index(name)
            worst = max(zip(whole.states[:, place], whole.effects[:, place], strict=True))
            own = zip(found.states[:, place], found.effects[:, place], strict=True)
            assert max(own) == worst
    assert any(found.bad) == bool(whole.bad.any())
