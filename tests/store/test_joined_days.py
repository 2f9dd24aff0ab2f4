"""What compaction keeps joined is what the tables say, or it is not read."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.conftest import Kept, day

from watchkeeper.errors import IntegrityError
from watchkeeper.events import Event, Window, new_prediction_id
from watchkeeper.experiments import Override
from watchkeeper.experiments.drafting import draft
from watchkeeper.labelling import Labelling
from watchkeeper.monitoring.experiments import report_of
from watchkeeper.store import joined_days
from watchkeeper.store.tables import EventTable
from watchkeeper.testing import InMemoryEvents, a_prediction, an_outcome

COLUMNS = [
    "unit_hash", "experiment", "variant", "timestamp", "status", "latency_ms", "prediction",
    "score", "actual", "actual_timestamp", "metric.revenue", "metric_timestamp.revenue",
]  # fmt: skip
AT = day(5)
IDS = [f"theirs-{n}" for n in range(6)] + [
    new_prediction_id(day(1 + n % 3, hour=2 * n)) for n in range(6)
]
OF = {own: day(1 + n % 3, hour=2 * (n % 6)) for n, own in enumerate(IDS)}

exposures = st.builds(
    lambda own, unit, arm, phase, status: a_prediction(
        own,
        timestamp=OF[own],
        unit_id=unit,
        variant=arm,
        experiment=f"august/{phase}",
        status=status,
        prediction=None if status == "error" else 1,
    ),
    st.sampled_from(IDS),
    st.sampled_from(["ann", "bob", "eve", "tester", None]),
    st.sampled_from(["january", "summer"]),
    st.integers(1, 2),
    st.sampled_from(["success", "success", "error"]),
)
outcomes = st.builds(
    lambda own, hours, actual, metric: an_outcome(
        own, timestamp=OF[own] + timedelta(hours=hours), actual=actual, metric=metric
    ),
    st.sampled_from([*IDS]),
    st.integers(0, 60),
    st.integers(0, 1),
    st.sampled_from([None, None, "revenue"]),
)
steps = st.lists(
    st.tuples(
        st.lists(st.one_of(exposures, outcomes), min_size=1, max_size=8),
        st.sampled_from(["wait", "land", "compact", "compact"]),
    ),
    min_size=1,
    max_size=4,
)


def an_experiment() -> Any:
    made = draft(
        "august", "flights", {"january": "1.0.0", "summer": "1.1.0"},
        secondary=["value:revenue"], guardrails={"error-rate": 0.01},
        conversion_window=86_400.0, planned_units=10,
    )  # fmt: skip
    allocation = replace(made.allocation, overrides=(Override("tester", "summer", "tries it"),))
    return replace(made, allocation=allocation).started(day(1, hour=0))


def columns_of(events: Any, window: Window = Window()) -> list[dict[str, Any]]:  # noqa: B008
    rows = events.read("flights", window, columns=COLUMNS).rows
    blank = dict.fromkeys(COLUMNS)
    return [blank | row for row in rows.to_pylist()]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(history=steps)
def test_given_any_history_when_reported_then_it_is_as_if_nothing_had_been_kept_joined(
    history: list[tuple[list[Event], str]],
) -> None:
    experiment, memory = an_experiment(), InMemoryEvents()
    with TemporaryDirectory() as folder:
        kept = Kept(Path(folder))
        for at, (given_events, then) in enumerate(history):
            events = [
                msgspec.structs.replace(each, arrived_at=day(6) + timedelta(hours=at, minutes=n))
                for n, each in enumerate(given_events)
            ]
            kept.recorder.record(events)
            memory.record(events)
            if then != "wait":
                kept.land()
            if then == "compact":
                kept.events.compact()
            joined = Path(folder) / "events" / "flights" / "joined"
            found = (
                columns_of(kept.events),
                report_of(kept.events, experiment, Labelling(), at=AT).to_dict(),
            )
            part = Window(day(1, hour=3), day(2, hour=7))
            found_part = columns_of(kept.events, part)
            if joined.exists():
                joined.rename(joined.with_name("aside"))
            slow = (
                columns_of(kept.events),
                report_of(kept.events, experiment, Labelling(), at=AT).to_dict(),
            )
            slow_part = columns_of(kept.events, part)
            if joined.with_name("aside").exists():
                joined.with_name("aside").rename(joined)
            of_memory = report_of(memory, experiment, Labelling(), at=AT).to_dict()
            assert found == slow
            assert found_part == slow_part
            assert {**found[1], "table_versions": {}} == {**of_memory, "table_versions": {}}
        kept.journal.close()


def filled(kept: Kept) -> None:
    kept.recorder.record(
        [each for own in IDS for each in (a_prediction(own, timestamp=OF[own], unit_id="ann"),
                                          an_outcome(own, timestamp=OF[own]))]
    )  # fmt: skip
    kept.land()
    kept.events.compact()


def files(kept: Kept) -> list[Path]:
    return sorted((kept.path / "events" / "flights" / "joined").iterdir())


def test_given_compacted_days_when_read_then_no_data_file_is(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(kept)
    expected = columns_of(kept.events)
    assert [path.name[:10] for path in files(kept)] == ["2013-01-01", "2013-01-02", "2013-01-03"]

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError

    read = EventTable.read
    monkeypatch.setattr(
        EventTable,
        "read",
        lambda table, of, columns=None: refused() if of else read(table, of, columns),
    )
    assert columns_of(kept.events) == expected


@pytest.mark.parametrize("left", [0, 100, -10])
def test_given_a_torn_file_when_read_then_the_tables_are_and_compaction_makes_it_again(
    kept: Kept, left: int
) -> None:
    filled(kept)
    expected, whole = columns_of(kept.events), {path: path.read_bytes() for path in files(kept)}
    for path, data in whole.items():
        path.write_bytes(data[:left])

    assert columns_of(kept.events) == expected
    assert files(kept) == []
    kept.events.compact()
    assert {path: path.read_bytes() for path in files(kept)} == whole


def test_given_days_joined_when_a_data_file_is_gone_then_that_is_still_told(kept: Kept) -> None:
    filled(kept)
    next((kept.path / "events" / "flights" / "predictions").glob("day=*/*.parquet")).unlink()

    with pytest.raises(IntegrityError, match="damaged"):
        columns_of(kept.events)


def test_given_days_that_go_when_compacted_then_what_was_kept_of_them_goes_too(kept: Kept) -> None:
    filled(kept)

    kept.events.compact(retention=timedelta(days=2), now=day(5, hour=0))

    assert [path.name[:10] for path in files(kept)] == ["2013-01-03"]


def test_given_a_table_restored_from_elsewhere_when_read_then_stale_files_are_not(
    kept: Kept, tmp_path: Path
) -> None:
    filled(kept)
    folder = kept.path / "events" / "flights"
    stale = tmp_path / "stale"
    shutil.copytree(folder / "joined", stale)
    kept.recorder.record([an_outcome(IDS[0], actual=0, timestamp=day(4))])
    kept.land()
    kept.events.compact()
    expected = columns_of(kept.events)
    shutil.rmtree(folder / "joined")
    shutil.copytree(stale, folder / "joined")

    assert columns_of(kept.events) == expected
    assert 0.0 in [row["actual"] for row in expected]


def test_given_columns_of_a_joined_day_when_asked_then_features_and_texts_are_not_among_them() -> (
    None
):
    assert joined_days.has_columns(COLUMNS)
    assert not joined_days.has_columns([*COLUMNS, "feature.x"])
    assert not joined_days.has_columns(["prediction_id"])
    assert not joined_days.has_columns(None)
