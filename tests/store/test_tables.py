import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchkeeper.errors import IntegrityError
from watchkeeper.events import FEATURE
from watchkeeper.store.columns import outcome_rows, prediction_rows
from watchkeeper.store.tables import EventTable, event_tables
from watchkeeper.testing import a_prediction, an_outcome


def rows(*ids: str, **changes: object) -> pa.Table:
    return prediction_rows([a_prediction(own, **changes) for own in ids], {})


def opened(folder: Path) -> EventTable:
    return EventTable(folder, "prediction")


def ids(table: EventTable) -> list[str]:
    found: list[str] = table.read(table.files, ["prediction_id"])["prediction_id"].to_pylist()
    return sorted(found)


def test_given_no_folder_when_opened_then_the_table_is_empty_and_nothing_is_made(
    tmp_path: Path,
) -> None:
    table = opened(tmp_path / "m")

    assert (table.version, table.landed("j"), table.files, table.kinds) == (-1, -1, [], {})
    assert list(tmp_path.iterdir()) == []


def test_given_rows_of_several_segments_when_appended_then_one_commit_has_them_and_their_numbers(
    tmp_path: Path,
) -> None:
    table = opened(tmp_path / "m")
    table.append(rows("a", "b"), {"one": 3, "two": 9})

    for each in (table, opened(tmp_path / "m")):
        assert (each.version, each.landed("one"), each.landed("two")) == (0, 3, 9)
        assert each.landed("three") == -1
        assert ids(each) == ["a", "b"]
    assert event_tables(tmp_path) == ["m"]


def test_given_files_when_asked_for_late_rows_then_the_log_says_which_may_have_some(
    tmp_path: Path,
) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    table = opened(tmp_path / "m")
    assert table.files_since(noon) == []
    for hours, own in enumerate("abc"):
        came = noon + timedelta(hours=hours, microseconds=1_999)  # cut to milliseconds in the log
        table.append(rows(own, arrived_at=came), {"one": hours})

    def found(moment: datetime) -> list[str]:
        late = table.read(table.files_since(moment), ["prediction_id"])
        return sorted(late["prediction_id"].to_pylist())

    assert found(noon) == ["a", "b", "c"]
    assert found(noon + timedelta(hours=1)) == ["b", "c"]
    assert found(noon + timedelta(hours=2, microseconds=1_998)) == ["c"]
    assert found(noon + timedelta(hours=3)) == []


def test_given_many_commits_when_opened_after_a_checkpoint_then_old_numbers_are_still_known(
    tmp_path: Path,
) -> None:
    table = opened(tmp_path / "m")
    table.append(rows("a"), {"long gone": 7})
    for number in range(101):
        table.append(rows(str(number)), {"busy": number})

    again = opened(tmp_path / "m")
    log = again.path / "_delta_log"
    assert list(log.glob("*.checkpoint.parquet"))
    for entry in sorted(log.glob("*.json"))[:100]:  # as Delta does once they are old
        entry.unlink()
    assert (opened(tmp_path / "m").landed("long gone"), again.landed("busy")) == (7, 100)
    assert len(ids(again)) == 102


def test_given_a_part_is_replaced_when_opened_then_numbers_and_other_days_are_still_there(
    tmp_path: Path,
) -> None:
    table = EventTable(tmp_path / "m", "outcome")
    own = "wk-013c90e0ec00-0123456789abcdef0123"
    table.append(outcome_rows([an_outcome("a"), an_outcome("b"), an_outcome(own)], {}), {"j": 5})

    table.replace(outcome_rows([an_outcome("b")], {}), "day IS NULL")
    table.replace(outcome_rows([], {}), "day = '2013-01-31'")

    again = EventTable(tmp_path / "m", "outcome")
    assert (ids(again), again.landed("j")) == (["b"], 5)
    assert [file.day for file in again.files] == [None]


feature_names = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
    | st.sampled_from(["Age", "age", "AGE", "a b", "a.b", "a%20b", "x,y;{z}=(1)", "day", "é" * 99]),
    min_size=1, max_size=5, unique=True,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names=feature_names, later=feature_names)
def test_given_any_feature_names_when_stored_then_they_come_back_as_they_were(
    names: list[str], later: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("m")
    table = opened(folder)
    table.append(rows("a", features={name: float(n) for n, name in enumerate(names)}), {"j": 1})
    table.append(rows("b", features={name: -float(n) for n, name in enumerate(later)}), {"j": 2})

    back = opened(folder).read(table.files).sort_by("prediction_id")

    for name in {*names, *later}:
        assert back[FEATURE + name].to_pylist() == [
            float(names.index(name)) if name in names else None,
            -float(later.index(name)) if name in later else None,
        ]


def test_given_words_when_read_then_they_are_dictionary_coded_and_only_wanted_columns_come(
    tmp_path: Path,
) -> None:
    table = opened(tmp_path / "m")
    table.append(rows("a"), {"j": 1})

    carrier = table.read(table.files, ["feature.carrier"])

    assert carrier.schema.names == ["feature.carrier"]
    assert pa.types.is_dictionary(carrier["feature.carrier"].type)


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (lambda log: entry(log, 2).unlink(), "gap"),
        (lambda log: entry(log, 3).unlink(), "version 3 was committed"),
        (lambda log: entry(log, 0).unlink(), "metadata"),
        (lambda log: entry(log, 1).write_text("not JSON"), "Json"),
        (lambda log: entry(log, 1).write_text(""), "is empty"),
        (lambda log: entry(log, 1).write_bytes(entry(log, 1).read_bytes()[:99]), "Json"),
        (shutil.rmtree, "log is missing"),
        (lambda log: (log.parent / "_last_version").write_text("?"), "_last_version"),
    ],
)
def test_given_a_damaged_log_when_opened_then_it_is_named_and_never_taken_for_an_empty_table(
    tmp_path: Path, harm: Callable[[Path], object], named: str
) -> None:
    table = opened(tmp_path / "flights")
    for number in range(4):
        table.append(rows(str(number)), {"j": number})
    harm(table.path / "_delta_log")

    with pytest.raises(IntegrityError, match=named) as caught:
        opened(tmp_path / "flights")

    assert "flights/predictions" in caught.value.message
    assert "backup" in caught.value.hint


@pytest.mark.parametrize("log_is_there", [True, False])
def test_given_a_first_commit_that_died_before_it_was_one_when_opened_then_the_table_is_empty(
    tmp_path: Path, log_is_there: bool
) -> None:
    table = opened(tmp_path / "m")
    table.append(rows("a"), {"j": 1})
    (file,) = table.files
    orphan = Path(file.path).read_bytes()
    shutil.rmtree(table.path)
    left = table.path / "day=2013-01-31" / "part.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(orphan)
    if log_is_there:
        (table.path / "_delta_log").mkdir()

    again = opened(tmp_path / "m")
    assert (again.version, again.files) == (-1, [])
    again.append(rows("b"), {"j": 1})

    assert ids(opened(tmp_path / "m")) == ["b"]


def test_given_a_commit_between_two_looks_at_a_table_when_opened_then_it_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path / "m").append(rows("a"), {"j": 1})
    real = EventTable._entry

    def committed_meanwhile(self: EventTable, version: int) -> Path:
        monkeypatch.undo()  # once, after the log was read
        opened(tmp_path / "m").append(rows("b"), {"j": 2})
        return real(self, version)

    monkeypatch.setattr(EventTable, "_entry", committed_meanwhile)

    assert ids(opened(tmp_path / "m")) == ["a"]
    assert ids(opened(tmp_path / "m")) == ["a", "b"]


def entry(log: Path, version: int) -> Path:
    return log / f"{version:020d}.json"


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: file.write_bytes(file.read_bytes()[:50]),
        lambda file: file.write_bytes(b"\0" * file.stat().st_size),
        os.remove,
    ],
)
def test_given_a_damaged_file_when_read_then_the_table_is_named(
    tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    table = opened(tmp_path / "flights")
    table.append(rows("a"), {"j": 1})
    harm(Path(table.files[0].path))

    with pytest.raises(IntegrityError, match="flights/predictions"):
        table.read(table.files)


def test_given_a_writer_that_died_before_it_synced_when_asked_then_it_is_made_up_for(
    tmp_path: Path,
) -> None:
    table = opened(tmp_path / "m")
    table.append(rows("a"), {"j": 1})
    table.append(rows("b"), {"j": 2})
    noted = table.path / "_last_version"
    noted.write_text("0")

    opened(tmp_path / "m").make_durable()

    assert noted.read_text() == "1"


def test_given_a_vacuum_when_done_then_what_we_keep_beside_the_log_is_still_there(
    tmp_path: Path,
) -> None:
    table = opened(tmp_path / "m")
    table.append(rows("a"), {"j": 1})
    os.utime(table.path / "_last_version", (1, 1))

    table.tidy()

    assert int((table.path / "_last_version").read_text()) == table.version
    assert ids(opened(tmp_path / "m")) == ["a"]


def test_given_a_new_table_when_made_then_its_log_does_not_grow_for_ever(tmp_path: Path) -> None:
    table = opened(tmp_path / "m")
    table.append(rows("a"), {"j": 1})

    settings = DeltaTable(table.path).metadata().configuration
    assert settings["delta.logRetentionDuration"] == "interval 7 days"
    assert "delta.setTransactionRetentionDuration" not in json.dumps(settings)
