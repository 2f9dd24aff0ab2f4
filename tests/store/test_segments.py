from pathlib import Path

import pyarrow as pa
import pytest

from watchkeeper.events import Event
from watchkeeper.store import Journal, JournalRecorder, segments
from watchkeeper.store.segments import (
    JournalSegment,
    adopt_abandoned,
    keep_damaged,
    list_segments,
    read_segment,
    recover,
    waiting,
)
from watchkeeper.testing import a_prediction, an_outcome


@pytest.fixture
def sealed(tmp_path: Path) -> JournalSegment:
    with Journal(tmp_path) as journal:
        JournalRecorder(journal).record([a_prediction(str(n)) for n in range(3)])
    return next(segment for segment in list_segments(tmp_path) if segment.sealed)


def ids(events: list[Event]) -> list[str]:
    return [event.prediction_id for event in events]


def test_given_a_sealed_segment_when_read_then_it_is_whole(sealed: JournalSegment) -> None:
    contents = read_segment(sealed)

    assert ids(contents.events) == ["0", "1", "2"]
    assert contents.damage == ""


def test_given_a_truncated_segment_when_read_then_the_rest_is_read_and_the_loss_is_told(
    sealed: JournalSegment,
) -> None:
    data = sealed.path.read_bytes()
    sealed.path.write_bytes(data[: len(data) * 2 // 3])

    contents = read_segment(sealed)

    assert ids(contents.events) == ["0", "1"]
    assert "its seal is missing" in contents.damage
    assert "cut short" in contents.damage


def test_given_a_missing_line_when_read_then_the_seal_tells(sealed: JournalSegment) -> None:
    lines = sealed.path.read_bytes().splitlines(keepends=True)
    sealed.path.write_bytes(b"".join([lines[0], *lines[2:]]))

    contents = read_segment(sealed)

    assert ids(contents.events) == ["0", "2"]
    assert "it has 2 lines where its seal says 3" in contents.damage


def test_given_a_bad_line_in_the_middle_when_read_then_its_neighbours_are_read(
    sealed: JournalSegment,
) -> None:
    lines = sealed.path.read_bytes().splitlines(keepends=True)
    lines[1] = b"\xff" + lines[1][1:]
    sealed.path.write_bytes(b"".join(lines))

    contents = read_segment(sealed)
    copy = keep_damaged(sealed)

    assert ids(contents.events) == ["0", "2"]
    assert "1 of 3 lines cannot be read" in contents.damage
    assert "not those that were sealed" in contents.damage
    assert copy.read_bytes() == sealed.path.read_bytes()


def test_given_a_changed_digit_when_read_then_the_seal_tells(sealed: JournalSegment) -> None:
    data = sealed.path.read_bytes()
    sealed.path.write_bytes(data.replace(b"733.0", b"734.0", 1))

    assert "not those that were sealed" in read_segment(sealed).damage


def test_given_a_torn_bulk_segment_when_read_then_it_is_told_and_nothing_is_made_up(
    tmp_path: Path,
) -> None:
    times = pa.array([a_prediction().timestamp] * 2_000)
    rows = pa.table(
        {
            "prediction_id": [str(n) for n in range(2_000)],
            "timestamp": times,
            "arrived_at": times,
            "actual": [1] * 2_000,
        }
    )
    with Journal(tmp_path) as journal:
        JournalRecorder(journal).record_table("outcome", "flights", rows)
    bulk = next(segment for segment in list_segments(tmp_path) if segment.sealed)
    whole = read_segment(bulk)
    bulk.path.write_bytes(bulk.path.read_bytes()[:-100])

    torn = read_segment(bulk)

    assert whole.table is not None
    assert whole.table[:2] == ("outcome", "flights")
    assert whole.table[2].num_rows == 2_000
    assert torn.table is None
    assert "the Arrow file is not complete" in torn.damage


def test_given_a_dead_writer_when_adopted_then_its_whole_lines_are_sealed_and_the_torn_one_is_kept(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "dead"
    folder.mkdir()
    (folder / "lock").touch()
    with Journal(tmp_path / "other") as journal:
        JournalRecorder(journal).record([a_prediction("a"), an_outcome("a")])
        (written,) = list_segments(tmp_path / "other")
        (folder / "00000000000000000007.open").write_bytes(written.path.read_bytes() + b'{"torn')

    told = adopt_abandoned(tmp_path)

    (segment, active) = [s for s in list_segments(tmp_path) if s.journal_id == "dead"]
    assert (segment.number, segment.sealed) == (7, True)
    assert (active.number, active.path.stat().st_size) == (8, 0)
    assert ids(read_segment(segment).events) == ["a", "a"]
    assert len(told) == 1
    assert (tmp_path / "damaged" / "dead-00000000000000000007.open").exists()


def test_given_everything_has_landed_when_recovered_then_numbers_go_on(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000041.open").touch()

    assert recover(tmp_path) == (41, [])
    assert recover(tmp_path) == (41, [])


def test_given_a_death_between_sealing_and_renaming_when_recovered_then_it_is_sealed_once(
    sealed: JournalSegment,
) -> None:
    sealed.path.rename(sealed.path.with_suffix(".open"))

    recover(sealed.path.parent)

    assert read_segment(sealed).damage == ""
    assert ids(read_segment(sealed).events) == ["0", "1", "2"]


def test_given_a_segment_when_sealed_after_it_was_listed_then_it_counts_as_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path) as journal:
        JournalRecorder(journal).record([a_prediction("0")])
        listed = list_segments(tmp_path)
        journal.seal()
        monkeypatch.setattr(segments, "list_segments", lambda _: listed)

        assert waiting(tmp_path).count == 1
        assert waiting(tmp_path).size > 0

        next(tmp_path.glob("*/*.jsonl")).unlink()  # it has landed
        assert waiting(tmp_path).count == 0
