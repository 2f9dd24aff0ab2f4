from datetime import timedelta
from typing import Any

import pytest
from tests.store.conftest import Kept, day

from watchkeeper.events import new_prediction_id
from watchkeeper.store.compaction import Dropped
from watchkeeper.store.tables import EventTable
from watchkeeper.testing import a_prediction, an_outcome


def many_small_files(kept: Kept) -> None:
    for number in range(1, 7):
        kept.recorder.record([a_prediction(f"p{number}", timestamp=day(1 + number % 2))])
        kept.recorder.record([a_prediction("twice", timestamp=day(1))])
        kept.recorder.record([an_outcome(f"p{number}", actual=number % 2, timestamp=day(9))])
        kept.recorder.record([an_outcome("p1", actual=0, timestamp=day(9 + number))])
        kept.land()


def test_given_many_small_files_when_compacted_then_the_reader_sees_the_same(kept: Kept) -> None:
    many_small_files(kept)
    kept.recorder.record([an_outcome("never seen")])
    kept.land()
    before = kept.events.read("flights").rows
    counts = kept.events.counts("flights")

    report = kept.events.compact("flights")

    assert kept.events.read("flights").rows.to_pylist() == before.to_pylist()
    assert kept.events.counts("flights") == counts
    assert (report.files_before, report.files_after) == (16, 5)
    assert report.repeated == 5
    outcomes = EventTable(kept.path / "events" / "flights", "outcome")
    assert {file.day: file.rows for file in outcomes.files} == {
        day(1).date(): 3, day(2).date(): 3, None: 1,
    }  # fmt: skip


def test_given_a_placed_outcome_when_a_later_one_comes_then_the_later_holds(kept: Kept) -> None:
    kept.recorder.record([a_prediction("a"), an_outcome("a", actual=0, timestamp=day(1, month=2))])
    kept.land()
    kept.events.compact()
    kept.recorder.record([an_outcome("a", actual=1, timestamp=day(2, month=2))])
    kept.land()
    kept.events.compact()

    assert kept.events.read("flights").rows["actual"].to_pylist() == [1.0]
    assert kept.events.counts("flights").outcomes == 1


def test_given_a_retention_when_compacted_then_older_days_go_with_their_outcomes(
    kept: Kept,
) -> None:
    for number in (1, 2, 10):
        own = new_prediction_id(day(number))
        kept.recorder.record([a_prediction(own, timestamp=day(number)), an_outcome(own)])
    kept.recorder.record([an_outcome("foreign", timestamp=day(1))])
    kept.land()

    dropped: list[Dropped] = []

    def dropping(days: Dropped) -> None:
        assert kept.events.counts("flights").predictions == 3  # nothing is gone yet
        dropped.append(days)

    report = kept.events.compact(retention=timedelta(days=5), now=day(11), dropping=dropping)

    counts = kept.events.counts("flights")
    assert report.days_dropped == 2
    assert (counts.predictions, counts.outcomes, counts.oldest) == (1, 1, day(10))
    (days,) = dropped
    assert (days.model, days.reason, days.days) == ("flights", "age", 2)
    assert (days.first, days.last) == (day(1).date(), day(2).date())
    assert (days.predictions, days.outcomes) == (2, 3)
    assert days.size > 0
    kept.events.compact(retention=timedelta(days=5), now=day(11), dropping=dropped.append)
    assert dropped == [days]


def test_given_what_is_dropped_when_it_cannot_be_noted_then_it_stays(kept: Kept) -> None:
    kept.recorder.record([a_prediction("a", timestamp=day(1))])
    kept.land()

    def dropping(_: Dropped) -> None:
        raise RuntimeError

    for limits in ({"retention": timedelta(days=5)}, {"max_bytes": 0}):
        with pytest.raises(RuntimeError):
            kept.events.compact(now=day(11), dropping=dropping, **limits)
        assert kept.events.counts("flights").predictions == 1


def test_given_a_model_all_of_whose_days_are_dropped_when_read_then_it_has_no_events(
    kept: Kept,
) -> None:
    kept.recorder.record([a_prediction("a", timestamp=day(1))])
    kept.recorder.record([a_prediction("b", model="other", timestamp=day(10))])
    kept.land()
    kept.events.compact(retention=timedelta(days=5), now=day(11))

    assert kept.events.models() == ["flights", "other"]
    assert kept.events.counts("flights").predictions == 0
    assert kept.events.read("flights").rows.num_rows == 0
    assert list(kept.events.days("flights")) == []
    assert kept.events.day_keys("flights").keys == {}
    assert kept.events.counts("other").predictions == 1


def test_given_a_byte_budget_when_compacted_then_the_oldest_days_go_until_it_fits(
    kept: Kept,
) -> None:
    for number in range(1, 6):
        kept.recorder.record([a_prediction(str(number), timestamp=day(number))])
    kept.land()
    table = EventTable(kept.path / "events" / "flights", "prediction")
    each = max(file.size for file in table.files)

    dropped: list[Dropped] = []
    report = kept.events.compact(max_bytes=2 * each, dropping=dropped.append)

    assert report.days_dropped == 3
    assert [(days.reason, days.days, days.predictions) for days in dropped] == [("size", 3, 3)]
    assert kept.events.counts("flights").oldest == day(4)


def test_given_segments_land_after_compaction_then_their_numbers_still_count(kept: Kept) -> None:
    kept.recorder.record([a_prediction("a")])
    kept.land()
    before = EventTable(kept.path / "events" / "flights", "prediction").landed(
        kept.journal.folder.name
    )
    many_small_files(kept)
    kept.events.compact()

    after = EventTable(kept.path / "events" / "flights", "prediction")
    assert after.landed(kept.journal.folder.name) > before >= 1


@pytest.mark.parametrize("commits", range(4))
def test_given_a_death_after_any_commit_when_read_then_nothing_changed_and_the_next_one_ends_it(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    many_small_files(kept)
    before = kept.events.read("flights").rows.to_pylist()
    counts = kept.events.counts("flights")
    replace, left = EventTable.replace, iter(range(commits))

    def dies(table: EventTable, *args: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        replace(table, *args)

    with monkeypatch.context() as patched:
        patched.setattr(EventTable, "replace", dies)
        try:
            kept.events.compact()
        except KeyboardInterrupt:
            ended = False
        else:
            ended = True
    half_way = kept.events.read("flights").rows.to_pylist(), kept.events.counts("flights")
    kept.events.compact()

    assert half_way == (before, counts)
    assert ended == (commits == 3)  # one places outcomes, one merges each of two days
    assert kept.events.read("flights").rows.to_pylist() == before
    assert kept.events.counts("flights") == counts
