"""Training data: what is refused and why, the order of time, and where they come from."""

import http.server
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.registry import Feature, Signature
from watchkeeper.retraining import TrainingDataError
from watchkeeper.retraining.data import checked, split
from watchkeeper.retraining.sources import query_table, read_training_data

RNG = np.random.default_rng(5)
START = datetime(2026, 1, 1, tzinfo=UTC)
SIGNATURE = Signature((Feature("distance", "number"), Feature("carrier", "string")))


def rows(count: int = 300, **changes: Any) -> pa.Table:
    columns = {
        "distance": RNG.normal(size=count),
        "carrier": RNG.choice(["AA", "UA"], count),
        "actual": RNG.integers(0, 2, count).astype(float),
        "timestamp": [START + timedelta(hours=n) for n in range(count)],
        **changes,
    }
    return pa.table({name: values for name, values in columns.items() if values is not None})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"actual": None}, "target"),
        ({"actual": [None] * 300}, "rows whose outcome is known"),
        ({"actual": np.ones(300)}, "at least two classes"),
        ({"distance": None}, "distance is missing"),
        ({"weather": np.ones(300)}, "new column weather"),
        ({"distance": ["far"] * 300}, "numbers, as the champion takes them"),
    ],
)
def test_given_data_that_cannot_be_learned_from_when_checked_then_it_says_why(
    change: dict[str, Any], told: str
) -> None:
    with pytest.raises(TrainingDataError, match=told):
        checked(rows(**change), signature=SIGNATURE)


def test_given_no_rows_when_checked_then_it_says_so() -> None:
    with pytest.raises(TrainingDataError, match="0 rows"):
        checked(rows().slice(0, 0), signature=SIGNATURE)


ACTUAL = RNG.integers(0, 2, 300)
LEAKS: list[tuple[str, Any]] = [
    ("equals", ACTUAL.astype(float)),
    ("equals", ACTUAL),
    ("perfectly predicts", 1 - ACTUAL),
    ("perfectly predicts", ACTUAL * 10.0 + RNG.random(300)),
    ("perfectly predicts", np.where(ACTUAL == 1, "late", "punctual")),
]


@pytest.mark.parametrize(("told", "leak"), LEAKS)
def test_given_a_feature_that_tells_the_target_when_checked_then_it_is_refused(
    told: str, leak: Any
) -> None:
    table = rows(actual=ACTUAL, arrival=leak)

    with pytest.raises(TrainingDataError, match=f"arrival is .*{told} actual"):
        checked(table)
    assert len(checked(table, leak_check=False)) == 300


def test_given_a_regression_when_a_feature_is_its_target_in_other_units_then_it_is_refused() -> (
    None
):
    delay = RNG.normal(size=300)

    with pytest.raises(TrainingDataError, match="multiple of"):
        checked(rows(actual=delay, minutes=60 * delay + 3), task="regression")
    assert len(checked(rows(actual=delay), task="regression")) == 300


def test_given_rows_in_any_order_when_split_then_the_later_ones_judge() -> None:
    table = rows()
    shuffled = table.take(RNG.permutation(300))

    halves = split(checked(shuffled, signature=SIGNATURE), holdout=0.2)

    assert (len(halves.learned), len(halves.held_out)) == (240, 60)
    assert halves.boundary == START + timedelta(hours=240)
    assert halves.learned.table["timestamp"].to_pylist() == table["timestamp"].to_pylist()[:240]
    assert halves.learned.y.dtype == np.int64


def test_given_a_champion_that_learned_late_when_split_then_only_later_rows_judge() -> None:
    until = START + timedelta(hours=250, minutes=1)

    halves = split(checked(rows(), signature=SIGNATURE), holdout=0.2, not_before=until)

    assert halves.boundary == START + timedelta(hours=251)
    with pytest.raises(TrainingDataError, match="champion was trained on data until"):
        split(checked(rows(), signature=SIGNATURE), holdout=0.2, min_holdout=100, not_before=until)


def test_given_equal_times_at_the_boundary_when_split_then_none_is_on_both_sides() -> None:
    day = [START + timedelta(days=n // 50) for n in range(300)]

    halves = split(checked(rows(timestamp=day), signature=SIGNATURE), holdout=0.2)

    assert (len(halves.learned), halves.boundary) == (200, START + timedelta(days=4))


def test_given_one_class_to_learn_from_when_split_then_it_is_refused() -> None:
    late = [0] * 270 + [1] * 30

    with pytest.raises(TrainingDataError, match="at least two classes"):
        split(checked(rows(actual=late), signature=SIGNATURE), holdout=0.2)


def test_given_words_when_a_frame_is_taken_then_they_are_words() -> None:
    data = checked(rows(carrier=pa.array(["AA", "UA"] * 150).dictionary_encode()))

    assert data.X["carrier"].tolist() == ["AA", "UA"] * 150
    assert list(data.X.columns) == ["distance", "carrier"]


def _csv(table: pa.Table, folder: Path) -> str:
    table.to_pandas().to_csv(folder / "data.csv", index=False)
    return str(folder / "data.csv")


def _parquet(table: pa.Table, folder: Path) -> str:
    pq.write_table(table, folder / "data.parquet")
    return str(folder / "data.parquet")


def _address(table: pa.Table, folder: Path) -> str:
    return Path(_parquet(table, folder)).as_uri()


def _delta(table: pa.Table, folder: Path) -> str:
    write_deltalake(str(folder / "delta"), table)
    return str(folder / "delta")


@pytest.mark.parametrize("write", [_csv, _parquet, _address, _delta])
def test_given_data_anywhere_when_read_then_they_can_be_learned_from(
    write: Callable[[pa.Table, Path], str], tmp_path: Path
) -> None:
    found = checked(read_training_data(write(rows(), tmp_path)), signature=SIGNATURE)

    assert (len(found), found.time) == (300, "timestamp")


def test_given_data_on_a_web_server_when_read_then_they_are_fetched(tmp_path: Path) -> None:
    _parquet(rows(), tmp_path)
    handler = partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            assert read_training_data(f"{address}/data.parquet").num_rows == 300
            with pytest.raises(NotFoundError, match="404"):
                read_training_data(f"{address}/none.parquet")
        finally:
            server.shutdown()
            thread.join(60)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_given_what_is_no_table_when_read_then_the_error_says_what_is() -> None:
    with pytest.raises(NotFoundError, match=r"none\.csv"):
        read_training_data("none.csv")
    with pytest.raises(InvalidValueError, match="data frame"):
        read_training_data(7)
    assert read_training_data(pd.DataFrame({"a": [1]})).num_rows == 1


def test_given_a_query_when_run_then_it_sees_the_events_and_no_files(tmp_path: Path) -> None:
    found = query_table("SELECT distance, actual FROM events WHERE carrier = 'AA'", rows())

    assert found.column_names == ["distance", "actual"]
    path = _parquet(rows(), tmp_path)
    with pytest.raises(InvalidValueError, match="query"):
        query_table(f"SELECT * FROM '{path}'", rows())
    with pytest.raises(InvalidValueError, match="query"):
        query_table("SELECT nothing", rows())
