"""What every recorder promises."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from watchkeeper.events import EventLog, Recorder
from watchkeeper.store import EventStore, Journal, JournalRecorder
from watchkeeper.testing import InMemoryEvents, a_prediction, an_outcome


@pytest.fixture(params=["journal", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Recorder, EventLog]]:
    if request.param == "memory":
        events = InMemoryEvents()
        yield events, events
        return
    with Journal(tmp_path / "journal") as journal:
        yield JournalRecorder(journal), EventStore(tmp_path)


def test_given_events_when_recorded_then_they_can_be_read_at_once(
    kept: tuple[Recorder, EventLog],
) -> None:
    recorder, events = kept

    assert recorder.record([a_prediction("a"), a_prediction("b"), an_outcome("b")])

    counts = events.counts("flights")
    assert (counts.predictions, counts.outcomes, counts.labelled) == (2, 1, 1)


@pytest.mark.parametrize("rows", [0, 3, 2_000])
def test_given_a_table_when_recorded_then_each_row_is_an_event(
    kept: tuple[Recorder, EventLog], rows: int
) -> None:
    recorder, events = kept
    made = [a_prediction(f"p{number}") for number in range(rows)]
    moment = pa.array([event.timestamp for event in made], pa.timestamp("us", "UTC"))
    recorder.record([a_prediction("before")])

    recorder.record_table(
        "prediction",
        "flights",
        pa.table(
            {
                "prediction_id": pa.array([event.prediction_id for event in made], pa.string()),
                "timestamp": moment,
                "arrived_at": moment,
                "prediction": pa.array([1] * rows, pa.int64()),
                "feature.distance": pa.array([733.0] * rows, pa.float64()),
            }
        ),
    )

    read = events.read("flights").rows
    assert read.num_rows == rows + 1
    assert set(read["feature.distance"].to_pylist()) == {733.0}
    assert set(read["status"].to_pylist()) == {"success"}
