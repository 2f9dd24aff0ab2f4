import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from tests.store.conftest import Kept, day

from watchkeeper.errors import IntegrityError
from watchkeeper.events import Window
from watchkeeper.store import Journal, JournalRecorder
from watchkeeper.store.locks import locked
from watchkeeper.store.segments import list_segments, segment_path
from watchkeeper.store.tables import EventTable
from watchkeeper.testing import a_prediction, an_outcome


def test_given_a_sealed_segment_when_landed_then_it_is_in_every_table_and_gone(kept: Kept) -> None:
    kept.recorder.record([a_prediction("a"), an_outcome("a"), a_prediction("b", model="other")])
    kept.journal.seal()

    report = kept.landing.land()

    assert (report.segments, report.predictions, report.outcomes) == (
        1, {"flights": 1, "other": 1}, {"flights": 1},
    )  # fmt: skip
    assert not any(segment.sealed for segment in list_segments(kept.path / "journal"))
    assert kept.landing.land().segments == 0


def test_given_a_death_before_the_segment_was_deleted_when_landed_again_then_nothing_is_doubled(
    kept: Kept, tmp_path: Path
) -> None:
    kept.recorder.record([a_prediction("a"), an_outcome("a")])
    kept.journal.seal()
    (segment,) = [each for each in list_segments(kept.path / "journal") if each.sealed]
    copy = shutil.copy(segment.path, tmp_path / "copy")
    kept.landing.land()
    shutil.copy(copy, segment.path)

    again = kept.landing.land()

    assert (again.segments, again.predictions) == (1, {})
    table = EventTable(kept.path / "events" / "flights", "prediction")
    assert sum(file.rows for file in table.files) == 1


def test_given_somebody_else_is_landing_when_landing_then_it_leaves_at_once(kept: Kept) -> None:
    kept.land()
    with locked(kept.path / "events" / ".landing.lock"):
        report = kept.landing.land()

    assert report.busy


def test_given_one_table_cannot_be_written_when_landing_then_it_holds_up_no_other(
    kept: Kept,
) -> None:
    kept.recorder.record([a_prediction("a"), a_prediction("b", model="other")])
    kept.land()
    log = kept.path / "events" / "flights" / "predictions" / "_delta_log"
    log.rename(log.with_name("aside"))
    kept.recorder.record([a_prediction("c"), a_prediction("d", model="other")])
    kept.journal.seal()
    kept.recorder.record([a_prediction("e", model="other")])
    kept.journal.seal()

    broken = kept.landing.land()
    log.with_name("aside").rename(log)
    mended = kept.landing.land()

    assert len(broken.failures) == 1
    assert "flights" in broken.failures[0]
    assert broken.predictions == {"other": 2}
    assert broken.segments == 1  # that of "e"; the other one waits for flights
    assert mended.predictions == {"flights": 1}
    assert kept.events.counts("flights").predictions == 2
    assert kept.events.counts("other").predictions == 3


def test_given_an_earlier_segment_that_could_not_be_sealed_when_landing_then_later_ones_wait(
    kept: Kept,
) -> None:
    kept.recorder.record([a_prediction("a")])
    kept.journal.seal()
    kept.recorder.record([a_prediction("b")])
    kept.journal.seal()
    first = segment_path(kept.journal.folder, 1, ".jsonl")
    first.rename(first.with_suffix(".open"))

    waiting = kept.landing.land()
    first.with_suffix(".open").rename(first)
    landed = kept.landing.land()

    assert (waiting.segments, landed.segments) == (0, 2)
    assert kept.events.counts("flights").predictions == 2


def test_given_a_damaged_segment_when_landed_then_what_can_be_read_is_kept_and_the_file_too(
    kept: Kept,
) -> None:
    kept.recorder.record([a_prediction("a"), a_prediction("b")])
    kept.journal.seal()
    (segment,) = [each for each in list_segments(kept.path / "journal") if each.sealed]
    segment.path.write_bytes(segment.path.read_bytes().replace(b'{"event"', b'{"evnt"', 1))

    report = kept.landing.land()

    assert report.predictions == {"flights": 1}
    assert len(report.damage) == 1
    assert list((kept.path / "journal" / "damaged").iterdir())


def test_given_bulk_and_lines_in_turn_when_landed_then_order_and_count_hold(kept: Kept) -> None:
    moment = pa.array([day(31)] * 1_500, pa.timestamp("us", "UTC"))
    rows = pa.table(
        {
            "prediction_id": [f"bulk-{n}" for n in range(1_500)],
            "timestamp": moment,
            "arrived_at": moment,
            "prediction": [1] * 1_500,
            "feature.distance": [1.5] * 1_500,
        }
    )
    kept.recorder.record([a_prediction("before")])
    kept.recorder.record_table("prediction", "flights", rows)
    kept.recorder.record([a_prediction("after")])
    unlanded = kept.events.counts("flights").predictions
    kept.land()

    assert unlanded == kept.events.counts("flights").predictions == 1_502


def test_given_a_dead_process_when_another_lands_then_its_events_land_too(kept: Kept) -> None:
    other = Journal(kept.path / "journal")
    JournalRecorder(other).record([a_prediction("theirs")])
    abandoned = other.folder
    other.close()
    sealed = next(abandoned.glob("*.jsonl"))
    sealed.rename(sealed.with_suffix(".open"))

    kept.landing.land()

    assert kept.events.counts("flights").predictions == 1
    assert not list(abandoned.glob("*.jsonl"))


@pytest.mark.parametrize("gone", ["the last", "one in the middle", "all"])
def test_given_a_log_with_missing_entries_when_read_then_it_is_damage_and_not_an_older_table(
    kept: Kept, gone: str
) -> None:
    for number in range(3):
        kept.recorder.record([a_prediction(str(number))])
        kept.land()
    log = kept.path / "events" / "flights" / "predictions" / "_delta_log"
    entries = sorted(log.glob("*.json"))
    lost = {"the last": entries[-1:], "one in the middle": entries[1:2], "all": entries}[gone]
    for entry in lost:
        entry.unlink()
    if gone == "all":
        shutil.rmtree(log)

    with pytest.raises(IntegrityError, match=r"flights/predictions is damaged"):
        kept.events.counts("flights")
    kept.recorder.record([a_prediction("new")])
    kept.journal.seal()
    report = kept.landing.land()

    assert report.segments == 0
    assert len(report.failures) == 1


def test_given_a_corrupt_log_entry_when_read_then_the_error_names_the_table(kept: Kept) -> None:
    kept.recorder.record([a_prediction("a")])
    kept.land()
    log = kept.path / "events" / "flights" / "predictions" / "_delta_log"
    next(log.glob("*.json")).write_bytes(b"not json")

    with pytest.raises(IntegrityError, match=r"flights/predictions"):
        kept.events.read("flights", Window())


def test_given_a_file_in_the_way_of_a_table_when_landing_then_other_tables_land(
    kept: Kept,
) -> None:
    (kept.path / "events" / "flights").mkdir(parents=True)
    in_the_way = kept.path / "events" / "flights" / "predictions"
    in_the_way.write_text("not a table")
    kept.recorder.record([a_prediction("a"), an_outcome("a"), a_prediction("a", model="other")])
    kept.journal.seal()

    broken = kept.landing.land()
    in_the_way.unlink()
    mended = kept.landing.land()

    assert (broken.segments, len(broken.failures), broken.outcomes) == (0, 1, {"flights": 1})
    assert (mended.segments, mended.predictions, mended.outcomes) == (1, {"flights": 1}, {})
    assert kept.events.counts("flights").labelled == 1


def test_given_several_land_at_once_when_all_are_done_then_each_segment_landed_once(
    kept: Kept,
) -> None:
    for number in range(20):
        kept.recorder.record([a_prediction(str(number))])
        kept.journal.seal()

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: kept.landing.land(), range(8)))

    assert sum(report.segments for report in reports) == 20
    table = EventTable(kept.path / "events" / "flights", "prediction")
    assert sum(file.rows for file in table.files) == 20
