import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.odd_models import NeedsSetting

from watchkeeper.cli import main
from watchkeeper.registry import ModelRegistry


def examine(capsys: pytest.CaptureFixture[str], data_dir: Path) -> tuple[int, dict[str, bool]]:
    code = main(["doctor", "--json", "--data-dir", str(data_dir)])
    shown = json.loads(capsys.readouterr().out)
    return code, {check["name"]: check["ok"] for check in shown["checks"]}


def test_given_recorded_events_when_examined_then_all_is_good(
    data_dir: Path, record: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    record(4)

    code, checks = examine(capsys, data_dir)

    assert code == 0
    assert all(checks.values())
    assert "events of flights" in checks


def test_given_a_wrong_setting_when_examined_then_that_is_what_is_bad(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("watchkeeper.toml").write_text("[server]\nprot = 1", encoding="utf-8")

    assert examine(capsys, data_dir) == (1, {"settings": False})


def test_given_a_file_in_its_place_when_examined_then_the_data_directory_is_bad(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data_dir.touch()

    code, checks = examine(capsys, data_dir)

    assert (code, checks["data directory"]) == (1, False)


def test_given_a_damaged_segment_when_examined_then_the_journal_is_bad(
    data_dir: Path, record: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    record(4)
    damaged = data_dir / "journal" / "damaged" / "x.jsonl"
    damaged.parent.mkdir()
    damaged.touch()

    code, checks = examine(capsys, data_dir)

    assert (code, checks["journal"]) == (1, False)


def test_given_a_production_version_that_cannot_be_loaded_when_examined_then_it_is_bad(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRICE_LIST", "prices.csv")
    with ModelRegistry(data_dir / "registry") as registry:
        registry.promote_to_production(
            registry.register_model(NeedsSetting(), "late", "1", {}, allow_unsafe=True)
        )
    assert examine(capsys, data_dir)[0] == 0
    monkeypatch.delenv("PRICE_LIST")

    assert main(["doctor", "--data-dir", str(data_dir)]) == 1
    assert "late:1 cannot be loaded: KeyError: 'PRICE_LIST'" in capsys.readouterr().out


def test_given_a_control_database_that_is_none_when_examined_then_it_is_bad(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "registry").mkdir(parents=True)
    (data_dir / "registry" / "control.db").write_bytes(b"this is no database" * 100)

    code, checks = examine(capsys, data_dir)

    assert (code, checks["control database"]) == (1, False)
