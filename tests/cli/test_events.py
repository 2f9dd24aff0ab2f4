import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from watchkeeper.app import App
from watchkeeper.cli import main
from watchkeeper.config import Settings
from watchkeeper.events import Event, Prediction

NOON = datetime(2013, 1, 30, 12, tzinfo=UTC)

Record = Callable[[int], None]

COLUMNS = [
    "prediction_id",
    "unit_id",
    "model_version",
    "variant",
    "experiment",
    "timestamp",
    "status",
    "error",
    "latency_ms",
    "prediction",
    "score",
    "tags",
    "feature.distance",
    "feature.carrier",
    "actual",
]


def test_given_events_in_journal_and_tables_when_counted_then_both_are_in_the_figures(
    data_dir: Path, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    record(10)
    with App(Settings(data_dir=data_dir)) as app:
        app.landing.land()
    record(12)  # the first ten again, and two more

    assert main(["events", "stats", "--json", "--data-dir", str(data_dir)]) == 0

    counted = json.loads(capsys.readouterr().out)["models"]["flights"]
    assert counted["predictions"] == 12
    assert counted["outcomes"] == counted["labelled"] == 6
    assert counted["oldest"] == "2013-01-30T12:00:00+00:00"
    assert counted["newest"] == "2013-01-30T23:00:00+00:00"


def test_given_a_model_all_of_whose_events_are_dropped_when_counted_then_the_trail_says_why(
    data_dir: Path, record: Record, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record(10)
    config = tmp_path / "watchkeeper.toml"
    config.write_text(f"data_dir = {str(data_dir)!r}\n[store]\nretention_days = 2\n")
    settings = ["--config", str(config)]
    assert main(["events", "compact", *settings]) == 0
    capsys.readouterr()

    assert main(["events", "stats", "--json", *settings]) == 0
    assert json.loads(capsys.readouterr().out)["models"]["flights"]["predictions"] == 0
    assert main(["audit", "--json", *settings]) == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    (entry,) = [entry for entry in entries if entry["action"] == "retention"]
    assert {each["action"] for each in entries} == {"retention", "compact"}
    assert entry["subject"] == "flights:events"
    assert "10 predictions and 5 outcomes are dropped: store.retention_days is 2" in entry["reason"]
    assert entry["actor"] != "watchkeeper"
    assert main(["events", "compact", *settings]) == 0
    with App(Settings(data_dir=data_dir)) as app:
        assert len(app.audit.entries(action="retention")) == 1


def test_given_a_model_without_events_when_counted_then_it_is_an_error(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "stats", "none", "--data-dir", str(data_dir)]) == 2
    assert "'none'" in capsys.readouterr().err


READERS = {
    "parquet": pa.parquet.read_table,
    "arrow": lambda path: pa.ipc.open_file(path).read_all(),
    "feather": lambda path: pa.ipc.open_file(path).read_all(),
    "csv": pa.csv.read_csv,
}


@pytest.mark.parametrize("suffix", READERS)
def test_given_events_of_several_days_when_exported_then_each_is_one_row(
    data_dir: Path, record: Record, suffix: str
) -> None:
    record(50)
    out = data_dir.parent / f"flights.{suffix}"

    code = main(["events", "export", "flights", "--out", str(out), "--data-dir", str(data_dir)])

    assert code == 0
    rows = READERS[suffix](str(out))
    assert rows.schema.names[:9] == COLUMNS[:9]
    assert sorted(rows.schema.names) == sorted(COLUMNS)
    assert rows["prediction_id"].to_pylist() == [f"p{i}" for i in range(50)]
    assert rows["feature.distance"].to_pylist() == list(range(50))
    assert rows["actual"].null_count == 25
    assert {each.name for each in out.parent.iterdir()} == {"data", out.name}


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_given_values_of_several_types_when_exported_then_all_are_there_as_text(
    data_dir: Path, suffix: str
) -> None:
    values: list[Any] = [1.5, "x", True, [1, "a"], 2**60, None]
    events: list[Event] = [
        Prediction(
            prediction_id=f"p{number}", model="flights", timestamp=NOON, arrived_at=NOON,
            features={"a": value, "nested": [number], "plain": 1.0}, prediction=value,
        )
        for number, value in enumerate(values)
    ]  # fmt: skip
    with App(Settings(data_dir=data_dir)) as app:
        app.recorder.record(events)
    out = data_dir.parent / f"flights.{suffix}"

    assert (
        main(["events", "export", "flights", "--out", str(out), "--data-dir", str(data_dir)]) == 0
    )

    options = pa.csv.ConvertOptions(strings_can_be_null=True)
    rows = READERS[suffix](str(out), **({"convert_options": options} if suffix == "csv" else {}))
    texts = ["1.5", "x", "true", '[1, "a"]', str(2**60), None]
    assert rows["feature.a"].to_pylist() == texts
    assert rows["feature.nested"].to_pylist() == [f"[{number}]" for number in range(6)]
    assert rows["feature.plain"].to_pylist() == [1.0] * 6


def test_given_a_prediction_that_failed_when_exported_then_its_error_and_tags_are_there(
    data_dir: Path,
) -> None:
    failed = Prediction(
        prediction_id="p", model="flights", timestamp=NOON, arrived_at=NOON, features={},
        status="error", error="out of range", tags={"gate": "B2"},
    )  # fmt: skip
    with App(Settings(data_dir=data_dir)) as app:
        app.recorder.record([failed])

    assert main(["events", "export", "flights", "--out", "f.csv", "--data-dir", str(data_dir)]) == 0

    (row,) = pa.csv.read_csv("f.csv").to_pylist()
    assert (row["error"], row["tags"]) == ("out of range", '{"gate": "B2"}')


def test_given_a_window_when_exported_then_its_end_is_not_in_it(
    data_dir: Path, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    record(30)
    window = ["--start", "2013-01-30T13:00:00Z", "--end", "2013-01-31"]

    arguments = ["events", "export", "flights", "--out", "f.parquet", *window, "--json"]
    assert main([*arguments, "--data-dir", str(data_dir)]) == 0

    assert json.loads(capsys.readouterr().out)["rows"] == 11
    assert pa.parquet.read_table("f.parquet").num_rows == 11


def test_given_an_empty_window_when_exported_then_the_file_has_the_columns_and_no_row(
    data_dir: Path, record: Record
) -> None:
    record(3)
    arguments = ["events", "export", "flights", "--out", "f.parquet", "--start", "2014-01-01"]

    assert main([*arguments, "--data-dir", str(data_dir)]) == 0

    rows = pa.parquet.read_table("f.parquet")
    assert (rows.num_rows, sorted(rows.schema.names)) == (0, sorted(COLUMNS))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flights", "--out", "f.xlsx"], "f.xlsx"),
        (["flights", "--out", "nowhere/f.csv"], "nowhere"),
        (["flights", "--out", "f.csv", "--start", "soon"], "--start is 'soon'"),
        (["fligths", "--out", "f.csv"], "fligths"),
    ],
)
def test_given_a_wrong_export_when_asked_for_then_it_says_so_and_leaves_nothing(
    data_dir: Path,
    record: Record,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    record(3)

    assert main(["events", "export", *arguments, "--data-dir", str(data_dir)]) == 2

    assert message in capsys.readouterr().err
    assert [each.name for each in Path().iterdir()] == ["data"]


def test_given_events_when_compacted_then_none_is_lost(
    data_dir: Path, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    record(30)

    assert main(["events", "compact", "--data-dir", str(data_dir)]) == 0

    assert main(["events", "stats", "--json", "--data-dir", str(data_dir)]) == 0
    counted = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]["flights"]
    assert (counted["predictions"], counted["labelled"]) == (30, 15)
