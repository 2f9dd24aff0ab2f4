from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from tests.store.conftest import Kept, day

from watchkeeper.events import Window, new_prediction_id
from watchkeeper.store.columns import prediction_rows
from watchkeeper.store.tables import DataFile, EventTable
from watchkeeper.testing import a_prediction, an_outcome


def test_given_a_month_late_outcome_when_its_day_is_read_then_no_other_day_is(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {number: new_prediction_id(day(number)) for number in range(1, 29)}
    for number, own in ids.items():
        kept.recorder.record([a_prediction(own, timestamp=day(number))])
    kept.land()
    for number, own in ids.items():
        kept.recorder.record([an_outcome(own, timestamp=day(number, month=2))])
    kept.land()
    opened: list[DataFile] = []
    read = EventTable.read

    def spy(table: EventTable, files: Any, columns: Any = None) -> pa.Table:
        opened.extend(files := list(files))
        return read(table, files, columns)

    monkeypatch.setattr(EventTable, "read", spy)
    window = kept.events.read("flights", Window(day(5, hour=0), day(6, hour=0)))

    assert window.rows["actual"].to_pylist() == [1.0]
    assert {file.day for file in opened} == {day(5).date()}


def test_given_types_that_changed_when_read_then_old_and_new_columns_are_there(kept: Kept) -> None:
    kept.recorder.record([a_prediction("a", features={"Age": 30, "plan": "x"})])
    kept.land()
    kept.recorder.record([a_prediction("b", features={"Age": "old", "age": 3, "new one": True})])
    kept.land()

    rows = kept.events.read("flights").rows

    assert rows["feature.Age"].to_pylist() == [30.0, None]
    assert rows["feature.age"].to_pylist() == [None, 3.0]
    assert rows["feature.new one"].to_pylist() == [None, True]
    assert pa.types.is_dictionary(rows["feature.plan"].type)
    assert dict(rows["as_text"].to_pylist()[1]) == {"feature.Age": '"old"'}
    assert kept.events.counts("flights").kept_as_text == 1


def test_given_a_table_from_before_experiments_when_read_then_its_rows_are_of_none(
    kept: Kept,
) -> None:
    old = prediction_rows([a_prediction("a")], {}).drop_columns(["experiment"])
    EventTable(kept.path / "events" / "flights", "prediction").append(old, {"j": 0})
    before = kept.events.read("flights").rows["experiment"].to_pylist()
    kept.recorder.record([a_prediction("b", variant="candidate", experiment="exp/1")])

    waiting = kept.events.read("flights").rows
    kept.land()
    landed = kept.events.read("flights", columns=["experiment"]).rows
    kept.events.compact("flights")
    compacted = kept.events.read("flights").rows

    assert before == [None]
    for rows in (waiting, landed, compacted):
        assert rows["experiment"].to_pylist() == [None, "exp/1"]


def test_given_columns_that_are_wanted_when_read_then_there_are_no_others(kept: Kept) -> None:
    kept.recorder.record([a_prediction("a"), an_outcome("a")])
    wanted = ["prediction", "feature.distance", "actual"]

    waiting = kept.events.read("flights", columns=wanted).rows
    kept.land()
    landed = kept.events.read("flights", columns=wanted).rows

    assert waiting.schema.names == landed.schema.names == wanted
    assert waiting.to_pylist() == landed.to_pylist()


def test_given_a_signature_when_the_first_segment_differs_then_the_signature_fixes_the_type(
    kept: Kept,
) -> None:
    from watchkeeper.store import EventStore, Landing

    types = {"feature.code": "word"}
    kept.recorder.record([a_prediction("a", features={"code": 7})])
    kept.journal.seal()
    Landing(kept.path, types=lambda *_: types).land()  # type: ignore[arg-type]

    rows = EventStore(kept.path).read("flights").rows

    assert pa.types.is_dictionary(rows["feature.code"].type)
    assert dict(rows["as_text"].to_pylist()[0]) == {"feature.code": "7"}


def test_given_a_long_history_when_read_by_days_then_each_day_comes_once(kept: Kept) -> None:
    for hour in range(0, 24 * 5, 6):
        at = day(1, hour=0) + timedelta(hours=hour)
        kept.recorder.record([a_prediction(str(hour), timestamp=at)])
        if hour == 48:
            kept.land()

    days = list(kept.events.days("flights", Window(day(1, hour=6), day(4, hour=0))))

    assert [each.rows.num_rows for each in days] == [3, 4, 4]
