"""What every `EventLog` promises, in memory, waiting in the journal, landed, compacted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchkeeper.errors import NotFoundError
from watchkeeper.events import Event, EventLog, Prediction, Window, new_prediction_id
from watchkeeper.store import EventStore, Journal, JournalRecorder, Landing
from watchkeeper.testing import InMemoryEvents, a_prediction, an_outcome

MEASURED = ("timestamp", "score", "status", "actual", "actual_timestamp")
START = datetime(2013, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Log:
    """An event log and how to write to it."""

    kind: str
    events: EventLog
    record: Callable[[list[Event]], object]
    record_table: Callable[..., None]


IMPLEMENTATIONS = ("in memory", "waiting", "landed", "compacted")


@pytest.fixture(params=IMPLEMENTATIONS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    with open_log(request.param, tmp_path) as opened:
        yield opened


@contextmanager
def open_log(kind: str, data: Path) -> Iterator[Log]:
    if kind == "in memory":
        memory = InMemoryEvents()
        yield Log(kind, memory, memory.record, memory.record_table)
        return
    with Journal(data / "journal") as journal:
        recorder = JournalRecorder(journal)
        events = EventStore(data)

        def settle() -> None:
            if kind != "waiting":
                journal.seal()
                assert Landing(data).land().failures == ()
            if kind == "compacted":
                events.compact()

        def record(these: list[Event]) -> None:
            recorder.record(these)
            settle()

        def record_table(*args: Any) -> None:
            recorder.record_table(*args)
            settle()

        yield Log(kind, events, record, record_table)


def made(number: int | str, hours: float = 0, **changes: Any) -> Prediction:
    at = START + hours * HOUR
    return a_prediction(str(number), **{"timestamp": at, "arrived_at": at, **changes})


def ids(log: Log, window: Window = Window()) -> list[str]:  # noqa: B008
    found: list[str] = log.events.read("flights", window).rows["prediction_id"].to_pylist()
    return found


def actuals(log: Log) -> dict[str, Any]:
    rows = log.events.read("flights").rows
    return dict(zip(rows["prediction_id"].to_pylist(), rows["actual"].to_pylist(), strict=True))


def test_given_nothing_when_asked_then_it_says_so(log: Log) -> None:
    assert log.events.models() == []
    with pytest.raises(NotFoundError, match="flights"):
        log.events.read("flights")
    with pytest.raises(NotFoundError):
        log.events.counts("flights")


def test_given_other_models_when_asked_for_an_unknown_one_then_they_are_named(log: Log) -> None:
    log.record([made("a", model="taxis")])

    with pytest.raises(NotFoundError, match="taxis"):
        log.events.read("flights")


def test_given_several_models_when_read_then_each_has_its_own(log: Log) -> None:
    log.record([made("a"), made("a", model="taxis"), an_outcome("a", model="taxis", actual=0)])

    assert log.events.models() == ["flights", "taxis"]
    assert actuals(log) == {"a": None}


def test_given_an_id_again_when_read_then_the_first_that_arrived_holds(log: Log) -> None:
    first, again = made("a", prediction=1), made("a", prediction=0, arrived_at=START + HOUR)
    log.record([first, again])
    log.record([again])

    window = log.events.read("flights")

    assert window.rows["prediction"].to_pylist() == [1.0]
    assert log.events.counts("flights").predictions == 1


def test_given_an_id_again_later_that_day_when_a_window_has_only_the_repetition_then_it_is_empty(
    log: Log,
) -> None:
    log.record([made("a", 1)])
    log.record([made("a", 5)])

    assert ids(log, Window(START + 4 * HOUR, START + 6 * HOUR)) == []


@pytest.mark.parametrize("own", [new_prediction_id(START), "theirs"], ids=["ours", "theirs"])
def test_given_an_outcome_before_its_prediction_when_read_then_they_are_joined(
    log: Log, own: str
) -> None:
    log.record([an_outcome(own, actual=0)])
    before = log.events.counts("flights")
    log.record([made(own)])

    assert (before.predictions, before.outcomes, before.labelled) == (0, 1, 0)
    assert actuals(log) == {own: 0.0}
    assert log.events.counts("flights").labelled == 1


@pytest.mark.parametrize("own", [new_prediction_id(START), "theirs"], ids=["ours", "theirs"])
def test_given_outcomes_that_differ_when_read_then_the_latest_by_its_own_time_holds(
    log: Log, own: str
) -> None:
    log.record([made(own), an_outcome(own, actual=1, timestamp=START + 30 * HOUR)])
    log.record([an_outcome(own, actual=0, timestamp=START + 20 * HOUR)])
    log.record([an_outcome(own, actual=0, timestamp=START + 10 * HOUR)])

    assert actuals(log) == {own: 1.0}
    assert log.events.counts("flights").outcomes == 1


def test_given_outcomes_of_one_time_when_read_then_the_last_that_arrived_holds(log: Log) -> None:
    for actual in (0, 1, 0):
        log.record([an_outcome("a", actual=actual, timestamp=START, arrived_at=START)])
    log.record([made("a")])

    assert actuals(log) == {"a": 0.0}


def test_given_an_outcome_of_an_unknown_prediction_when_counted_then_it_counts_as_unlabelled(
    log: Log,
) -> None:
    log.record([made("a"), an_outcome("a"), an_outcome("nobody"), an_outcome("nobody", actual=0)])

    counts = log.events.counts("flights")

    assert (counts.predictions, counts.outcomes, counts.labelled) == (1, 2, 1)


@pytest.mark.parametrize("own", [new_prediction_id(START), "theirs"], ids=["ours", "theirs"])
def test_given_values_of_metrics_when_read_then_each_has_its_latest_beside_the_truth(
    log: Log, own: str
) -> None:
    late = START + 30 * HOUR
    log.record([made(own), made("another"), an_outcome(own, actual=1)])
    log.record([an_outcome(own, actual=20.5, metric="revenue", timestamp=late)])
    log.record([an_outcome(own, actual=3, metric="revenue", timestamp=START)])
    log.record([an_outcome(own, actual=True, metric="clicked", timestamp=START)])
    log.record([an_outcome("nobody", actual=1.0, metric="clicked")])

    rows = log.events.read("flights").rows.to_pylist()
    by_id = {row["prediction_id"]: row for row in rows}
    counts = log.events.counts("flights")

    assert by_id[own]["actual"] == 1.0
    assert by_id[own]["metric.revenue"] == 20.5
    assert by_id[own]["metric_timestamp.revenue"] == late
    assert by_id[own]["metric.clicked"] == 1.0
    assert by_id[own]["as_text"] is None
    assert by_id["another"]["metric.revenue"] is None
    assert (counts.outcomes, counts.labelled, counts.metric_values) == (1, 1, 3)


def test_given_only_a_value_of_a_metric_when_read_then_the_truth_is_not_known(log: Log) -> None:
    log.record([made("a"), an_outcome("a", actual=1.0, metric="revenue")])

    rows = log.events.read("flights", columns=["prediction_id", "actual", "metric.revenue"]).rows

    assert rows.to_pylist() == [{"prediction_id": "a", "actual": None, "metric.revenue": 1.0}]
    assert log.events.counts("flights").labelled == 0


def test_given_a_bulk_of_truths_and_values_when_read_then_each_is_where_it_belongs(
    log: Log,
) -> None:
    log.record([made("a")])
    times = [START, START]
    columns = {"prediction_id": ["a", "a"], "timestamp": times, "arrived_at": times,
               "actual": [1.0, 9.5], "metric": [None, "revenue"]}  # fmt: skip
    log.record_table("outcome", "flights", pa.table(columns))

    (row,) = log.events.read("flights").rows.to_pylist()

    assert (row["actual"], row["metric.revenue"], row["as_text"]) == (1.0, 9.5, None)


def test_given_windows_when_read_then_start_is_in_and_end_is_not(log: Log) -> None:
    log.record([made(n, hours=12 * n) for n in range(5)])

    assert ids(log, Window(START, START + 24 * HOUR)) == ["0", "1"]
    assert ids(log, Window(START + 12 * HOUR, START + 36 * HOUR)) == ["1", "2"]
    assert ids(log, Window(None, START + 1 * HOUR)) == ["0"]
    assert ids(log, Window(START + 47 * HOUR, None)) == ["4"]


def test_given_an_empty_window_when_read_then_it_has_columns_and_no_rows(log: Log) -> None:
    log.record([made("a"), an_outcome("a")])

    window = log.events.read("flights", Window(START + 240 * HOUR))

    assert window.rows.num_rows == 0
    assert {"prediction", "actual", "feature.distance"} <= set(window.rows.schema.names)
    assert list(log.events.days("flights", Window(START + 240 * HOUR))) == []


def test_given_only_outcomes_when_read_then_there_are_no_predictions(log: Log) -> None:
    log.record([an_outcome("a")])

    assert log.events.models() == ["flights"]
    assert ids(log) == []


def test_given_any_order_when_read_then_rows_are_by_event_time(log: Log) -> None:
    log.record([made(n, hours=n) for n in (30, 2, 50)])
    log.record([made(n, hours=n) for n in (1, 40)])

    assert ids(log) == ["1", "2", "30", "40", "50"]


def test_given_an_event_when_read_then_every_field_comes_back(log: Log) -> None:
    log.record(
        [
            made("a", model_version="2", variant="canary", experiment="exp/1", unit_id="u",
                 request_id="r", score=0.25, latency_ms=1.5, tags={"site": "x"}, prediction="late",
                 features={"n": 1.5, "w": "UA", "t": True}),
            made("b", 1, status="error", error="it hung", prediction=None, score=None),
        ]
    )  # fmt: skip
    log.record(
        [an_outcome("a", actual="late", timestamp=START + HOUR, arrived_at=START + 2 * HOUR)]
    )

    first, second = log.events.read("flights").rows.to_pylist()

    assert {**first, "tags": dict(first["tags"])} == {
        "prediction_id": "a", "unit_id": "u", "request_id": "r", "model_version": "2",
        "variant": "canary", "experiment": "exp/1", "timestamp": START, "arrived_at": START,
        "status": "success", "error": None, "latency_ms": 1.5, "prediction": "late", "score": 0.25,
        "tags": {"site": "x"}, "as_text": None, "feature.n": 1.5, "feature.w": "UA",
        "feature.t": True, "feature.distance": None, "feature.carrier": None, "actual": "late",
        "actual_timestamp": START + HOUR, "actual_arrived_at": START + 2 * HOUR,
    }  # fmt: skip
    assert (second["status"], second["error"], second["prediction"]) == ("error", "it hung", None)
    assert (second["variant"], second["experiment"]) == ("production", None)


def test_given_values_that_do_not_fit_when_read_then_they_are_kept_as_text_and_counted(
    log: Log,
) -> None:
    log.record([made(n, n, features={"x": 1.0}) for n in range(4)])
    log.record([an_outcome(str(n), actual=1) for n in range(2)])
    log.record([made(5, 5, features={"x": "high"}), an_outcome("5", actual="maybe")])
    log.record([made(6, 6, features={"x": None}), made(7, 7, features={})])

    rows = log.events.read("flights").rows

    assert [dict(row or ()) for row in rows["as_text"].to_pylist()[4:]] == [
        {"feature.x": '"high"', "actual": '"maybe"'},
        {"feature.x": "null"},
        {},
    ]
    assert log.events.counts("flights").kept_as_text == 2


def test_given_columns_when_read_then_only_they_come_in_any_state(log: Log) -> None:
    log.record([made("a"), an_outcome("a")])
    wanted = ["feature.carrier", "prediction", "actual"]

    for window in (
        log.events.read("flights", columns=wanted),
        *log.events.days("flights", columns=wanted),
        log.events.read("flights", Window(START + 240 * HOUR), columns=wanted),
    ):
        assert sorted(window.rows.schema.names) == sorted(wanted)


def test_given_words_when_read_then_they_are_dictionary_coded(log: Log) -> None:
    log.record([made("a", features={"carrier": "UA"})])
    log.record([made("b", 30, features={"carrier": "DL"})])

    rows = log.events.read("flights").rows

    assert pa.types.is_dictionary(rows["feature.carrier"].type)
    assert rows["feature.carrier"].to_pylist() == ["UA", "DL"]
    assert log.events.read("flights").features == ["carrier"]


def test_given_a_bulk_table_when_read_then_it_is_as_if_recorded_one_by_one(log: Log) -> None:
    count = 1_200
    times = pa.array([START + n * HOUR / 20 for n in range(count)], pa.timestamp("us", "UTC"))
    about = {"prediction_id": [f"{n:04}" for n in range(count)], "timestamp": times,
             "arrived_at": times}  # fmt: skip
    log.record_table(
        "prediction", "flights", pa.table({**about, "prediction": [n % 2 for n in range(count)],
                                           "feature.x": [0.5] * count}))  # fmt: skip
    log.record_table("outcome", "flights", pa.table({**about, "actual": [True] * count}))

    counts = log.events.counts("flights")

    assert (counts.predictions, counts.outcomes, counts.labelled) == (count, count, count)
    assert set(actuals(log).values()) == {1.0}
    assert [each.rows.num_rows for each in log.events.days("flights")] == [480, 480, 240]


def keys(log: Log) -> dict[str, str]:
    return {str(day): key for day, key in log.events.day_keys("flights").keys.items()}


def test_given_nothing_when_keys_of_days_are_asked_then_it_says_so(log: Log) -> None:
    with pytest.raises(NotFoundError, match="flights"):
        log.events.day_keys("flights")


def test_given_days_when_one_gets_more_then_only_its_key_changes(log: Log) -> None:
    log.record([made("a"), made("b", 30), an_outcome("nobody")])
    before = keys(log)
    assert list(before) == ["2013-01-01", "2013-01-02"]
    assert keys(log) == before

    log.record([made("c", 31), made("d", 50), made("e", model="taxis")])
    after = keys(log)

    assert list(after) == ["2013-01-01", "2013-01-02", "2013-01-03"]
    assert after["2013-01-01"] == before["2013-01-01"]
    assert after["2013-01-02"] != before["2013-01-02"]


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_given_days_when_an_outcome_comes_late_then_the_key_of_its_predictions_day_changes(
    log: Log, whose: str
) -> None:
    own = new_prediction_id(START + HOUR) if whose == "ours" else "theirs"
    log.record([made(own, 1), made("b", 30), an_outcome("nobody")])
    before = keys(log)

    log.record([an_outcome(own, timestamp=START + 90 * HOUR)])
    after = keys(log)

    assert after.keys() == before.keys()
    assert after["2013-01-01"] != before["2013-01-01"]
    assert (after["2013-01-02"] == before["2013-01-02"]) or log.kind == "compacted"
    log.record([an_outcome(own, timestamp=START + 99 * HOUR, actual=0)])
    assert keys(log)["2013-01-01"] != after["2013-01-01"]


def test_given_only_outcomes_when_keys_are_asked_then_there_are_none(log: Log) -> None:
    log.record([an_outcome("a")])

    assert keys(log) == {}


moments = st.integers(0, 71).map(lambda hours: START + hours * HOUR)
names = st.sampled_from("abcde")
histories = st.lists(st.tuples(st.sampled_from("po"), names, moments), min_size=1, max_size=12)


def events_of(history: list[tuple[str, str, datetime]]) -> list[Event]:
    """Return events that arrive a second one after the other."""
    events: list[Event] = []
    born: dict[str, datetime] = {}
    for number, (what, name, at) in enumerate(history):
        arrived = START + timedelta(days=9, seconds=number)
        if what == "p":  # the same id is the same prediction: its event time does not change
            same = born.setdefault(name, at)
            events.append(a_prediction(name, timestamp=same, arrived_at=arrived, score=number))
        else:
            events.append(an_outcome(name, timestamp=at, arrived_at=arrived, actual=number))
    return events


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, seconds=st.integers(-1, 12), kind=st.sampled_from(IMPLEMENTATIONS[1:]))
def test_given_any_history_when_read_as_of_a_moment_then_what_arrived_later_is_not_there(
    history: list[tuple[str, str, datetime]],
    seconds: int,
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    events, at = events_of(history), START + timedelta(days=9, seconds=seconds)
    memory = InMemoryEvents()
    memory.record([each for each in events if each.arrived_at <= at])
    expected = [] if not memory.recorded else memory.read("flights").rows.to_pylist()
    with open_log(kind, tmp_path_factory.mktemp("data")) as log:
        for each in events:
            log.record([each])
        known = log.events.as_of(at)
        found = known.read("flights").rows.to_pylist()
        for row, due in zip(found, expected, strict=True):
            if row["actual"] != due["actual"]:  # the later one replaced it, and was filed alone
                assert (kind, row["actual"]) == ("compacted", None)
        if kind != "compacted":
            assert found == expected
            if expected:
                assert known.counts("flights") == memory.counts("flights")
        measured = known.read("flights", columns=MEASURED).rows.to_pylist()
        assert measured == [{name: row.get(name) for name in MEASURED} for row in found]
        days = [
            row for day in known.days("flights", columns=MEASURED) for row in day.rows.to_pylist()
        ]
        assert days == measured
        later = log.events.as_of(at + timedelta(days=1))
        assert later.read("flights").rows.equals(log.events.read("flights").rows)
        assert later.day_keys("flights") == log.events.day_keys("flights")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, batch=st.integers(1, 12), kind=st.sampled_from(IMPLEMENTATIONS[1:]),
       bounds=st.tuples(moments, st.integers(1, 72)))  # fmt: skip
def test_given_any_history_when_on_disk_then_it_reads_as_in_memory(
    history: list[tuple[str, str, datetime]],
    batch: int,
    kind: str,
    bounds: tuple[datetime, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    events = events_of(history)
    memory = InMemoryEvents()
    memory.record(events)
    with open_log(kind, tmp_path_factory.mktemp("data")) as log:
        seen: dict[tuple[date, str], list[dict[str, Any]]] = {}
        for start in range(0, len(events), batch):
            log.record(events[start : start + batch])
            for day, key in log.events.day_keys("flights").keys.items():
                midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
                window = Window(midnight, midnight + 24 * HOUR)
                rows = log.events.read("flights", window, columns=MEASURED).rows.to_pylist()
                assert seen.setdefault((day, key), rows) == rows
        window = Window(bounds[0], bounds[0] + bounds[1] * HOUR)
        for each in (Window(), window):
            assert (
                log.events.read("flights", each).rows.to_pylist()
                == memory.read("flights", each).rows.to_pylist()
            )
            assert [day.rows.to_pylist() for day in log.events.days("flights", each)] == [
                day.rows.to_pylist() for day in memory.days("flights", each)
            ]
        assert log.events.counts("flights") == memory.counts("flights")


def test_given_outcomes_when_asked_what_arrived_then_they_are_counted_by_day_of_the_prediction(
    log: Log,
) -> None:
    own = [new_prediction_id(START + day * 24 * HOUR) for day in (0, 0, 1, 2)]
    log.record([made(each, hours=24 * day) for each, day in zip(own, (0, 0, 1, 2), strict=True)])
    came = [START + hours * HOUR for hours in (50, 60, 61, 70)]
    log.record(
        [an_outcome(i, timestamp=at, arrived_at=at) for i, at in zip(own, came, strict=True)]
    )
    about = {"metric": "revenue", "actual": 2.0, "timestamp": came[3], "arrived_at": came[3]}
    log.record([an_outcome(own[0], **about)])
    arrivals = log.events.arrivals  # type: ignore[attr-defined]

    day = START.date()
    found = [arrivals("flights", at) for at in (START, came[0], came[1], came[3])]

    one, two = day + timedelta(days=1), day + timedelta(days=2)
    assert found == [{day: 2, one: 1, two: 1}, {day: 1, one: 1, two: 1}, {one: 1, two: 1}, {}]
    with pytest.raises(NotFoundError):
        arrivals("nobody", START)
    assert log.events.as_of(came[2]).arrivals("flights", came[0]) == {day: 1, one: 1}  # type: ignore[attr-defined]


def test_given_ids_of_somebody_else_when_asked_what_arrived_then_the_day_may_not_be_known(
    log: Log,
) -> None:
    log.record([made("a"), an_outcome("a", timestamp=START, arrived_at=START + HOUR)])

    found = log.events.arrivals("flights", START)  # type: ignore[attr-defined]

    assert found in ({None: 1}, {START.date(): 1})


def test_given_events_of_several_days_when_read_by_day_then_each_window_is_one_day(
    log: Log,
) -> None:
    log.record([made(n, hours=10 * n) for n in range(8)])

    days = list(log.events.days("flights", Window(START + 15 * HOUR)))

    found = [[at.day for at in day.rows["timestamp"].to_pylist()] for day in days]
    assert found == [[1], [2, 2], [3, 3, 3]]
