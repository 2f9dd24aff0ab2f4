"""What waits in the journal, read again and again while it grows."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store.conftest import Kept, day

from watchkeeper.errors import NotFoundError
from watchkeeper.events import Event
from watchkeeper.store import EventStore, Journal, JournalRecorder, Landing
from watchkeeper.store.columns import Kind
from watchkeeper.store.lines import decode, encode
from watchkeeper.store.segments import list_segments
from watchkeeper.testing import a_prediction, an_outcome

MODELS = ("flights", "other")
VALUES = (0.5, 3, "word", True, None, [1], 2**60)


def declared(model: str, version: str) -> Mapping[str, Kind] | None:
    return {"feature.x": "word"} if version == "2" else None


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watchkeeper.store.committer._AT_ONCE", 3)


def all_of(events: EventStore) -> list[Any]:
    """Return all that can be read."""
    names = events.models()
    rows = [events.read(name).rows for name in names]
    return [names, rows, [events.day_keys(name).keys for name in names]]


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    made: list[Event] = []
    for number in draw(st.lists(st.integers(0, 30), min_size=1, max_size=8)):
        model = draw(st.sampled_from(MODELS))
        if draw(st.booleans()):
            made.append(an_outcome(str(number), model=model, actual=draw(st.sampled_from(VALUES))))
            continue
        features = draw(st.dictionaries(st.sampled_from("xyz"), st.sampled_from(VALUES)))
        version = draw(st.sampled_from(["1", "2"]))
        own = {"model": model, "features": features, "model_version": version}
        made.append(a_prediction(str(number), timestamp=day(1 + number % 3), **own))
    return made


@given(
    st.lists(
        st.one_of(events(), st.sampled_from(["seal", "land", "look", "look at one"])), max_size=20
    )
)
@settings(max_examples=60)
def test_given_a_journal_that_grows_when_looked_at_again_then_it_is_as_if_for_the_first_time(
    steps: list[list[Event] | str],
) -> None:
    with TemporaryDirectory() as folder, Journal(Path(folder) / "journal") as journal:
        root = Path(folder)
        known = EventStore(root, types=declared)
        for step in [*steps, "look"]:
            if step == "seal":
                journal.seal()
            elif step == "land":
                assert Landing(root, types=declared).land().failures == ()
            elif step == "look at one" and "flights" in known.models():
                known.read("flights")
            elif step == "look":
                assert all_of(known) == all_of(EventStore(root, types=declared))
            elif isinstance(step, list):
                JournalRecorder(journal).record(step)


def test_given_rows_when_a_version_comes_that_declares_their_column_then_they_are_made_anew(
    kept: Kept,
) -> None:
    known = EventStore(kept.path, types=declared)
    own = {"features": {"x": 0.5}, "model_version": "1"}
    kept.recorder.record([a_prediction(str(number), **own) for number in range(4)])
    assert known.read("flights").rows["feature.x"].to_pylist() == [0.5] * 4

    kept.recorder.record([a_prediction("4", features={"x": "word"}, model_version="2")])

    assert known.read("flights").rows["feature.x"].to_pylist() == [None] * 4 + ["word"]
    assert all_of(known) == all_of(EventStore(kept.path, types=declared))


@pytest.fixture
def lines_read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    read: list[bytes] = []

    def noted(line: bytes) -> Event:
        read.append(line)
        return decode(line)

    monkeypatch.setattr("watchkeeper.store.segments.decode", noted)
    return read


def test_given_a_second_look_when_lines_have_come_then_they_alone_are_read(
    kept: Kept, lines_read: list[bytes]
) -> None:
    kept.recorder.record([a_prediction(str(number)) for number in range(10)])
    assert kept.events.counts("flights").predictions == 10
    lines_read.clear()

    kept.recorder.record([a_prediction("new")])

    assert kept.events.counts("flights").predictions == 11
    assert kept.events.as_of(day(1, month=12)).counts("flights").predictions == 11
    assert kept.events.models() == ["flights"]
    assert len(lines_read) == 1


def test_given_a_name_nobody_has_when_asked_for_then_nothing_is_read_again(
    kept: Kept, lines_read: list[bytes]
) -> None:
    kept.recorder.record([a_prediction(str(number)) for number in range(10)])
    kept.events.counts("flights")
    lines_read.clear()

    for name in ("nobody", "anybody"):
        with pytest.raises(NotFoundError):
            kept.events.counts(name)
    assert lines_read == []
    kept.recorder.record([a_prediction("a", model="nobody")])

    assert kept.events.counts("nobody").predictions == 1
    assert kept.events.counts("flights").predictions == 10


def test_given_more_than_is_kept_when_looked_again_then_the_rest_is_read_again(
    kept: Kept, lines_read: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("old", "new"):
        kept.recorder.record([a_prediction(name)])
        kept.journal.seal()
    monkeypatch.setattr("watchkeeper.store.pending._MOST_BYTES", len(lines_of(kept)[0]))
    kept.events.counts("flights")
    lines_read.clear()

    assert kept.events.counts("flights").predictions == 2
    assert [line for line in lines_read if b'"old"' in line] == []
    assert [line for line in lines_read if b'"new"' in line] != []


def lines_of(kept: Kept) -> list[bytes]:
    return [each.path.read_bytes() for each in list_segments(kept.path / "journal")]


def test_given_a_write_that_was_cut_off_after_it_was_seen_when_looked_again_then_it_is_gone(
    kept: Kept,
) -> None:
    kept.recorder.record([a_prediction("a")])
    (segment,) = list_segments(kept.path / "journal")
    whole = segment.path.read_bytes()
    with segment.path.open("ab") as file:  # what a disk that is full leaves for a moment
        file.write(encode(a_prediction("b")) + b'{"half')
    assert read_ids(kept.events) == ["a", "b"]

    segment.path.write_bytes(whole + encode(a_prediction("c")))

    assert read_ids(kept.events) == ["a", "c"]


def read_ids(events: EventStore) -> list[str]:
    return sorted(events.read("flights").rows["prediction_id"].to_pylist())


def test_given_readers_beside_a_writer_and_landing_when_they_look_then_each_sees_what_was_kept(
    kept: Kept,
) -> None:
    acknowledged = 0
    over = False

    def look(model: str) -> None:
        while not over:
            before = acknowledged
            try:
                found = kept.events.counts(model).predictions
            except NotFoundError:
                found = 0
            assert found >= before

    with ThreadPoolExecutor() as pool:
        looking = [pool.submit(look, model) for model in (*MODELS, *MODELS)]
        try:
            for number in range(150):
                kept.recorder.record([a_prediction(str(number), model=model) for model in MODELS])
                acknowledged = number + 1
                if number % 20 == 0:
                    kept.land()
        finally:
            over = True
        for each in looking:
            each.result(60)
