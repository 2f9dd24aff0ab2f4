"""Compaction and backups on schedule: when it is time, in a process of their own, once."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.test_health import fill
from tests.servers import tensor

from watchkeeper.clock import system_clock
from watchkeeper.config import BackupSettings
from watchkeeper.identity import By


def look(client: TestClient) -> bool:
    server: Any = client.app.application  # type: ignore[attr-defined]
    return bool(client.portal.call(server.controller.maintenance.look))  # type: ignore[union-attr]


def land(client: TestClient, data_dir: Path, hours_ago: float) -> None:
    """Let what is recorded land, as if the table had been made some hours ago."""
    server: Any = client.app.application  # type: ignore[attr-defined]
    server.app.recorder.journal.seal()
    server.app.landing.land()
    at = (system_clock() - timedelta(hours=hours_ago)).timestamp()
    for entry in (data_dir / "events").glob(f"*/predictions/_delta_log/{0:020}.json"):
        os.utime(entry, (at, at))


def test_given_tables_when_it_is_time_then_they_are_compacted_once_and_the_trail_has_it(
    start: Callable[..., TestClient], tmp_path: Path
) -> None:
    client = start(store={"retention_days": 30, "compaction_hours": 12})
    server: Any = client.app.application  # type: ignore[attr-defined]
    assert not look(client)  # there is nothing yet
    fill(client, 5)  # of a day in March, long past what is kept
    client.post("/v2/models/lr/infer", json={"inputs": [tensor([3.0, 0.0, 1.0, 0.0])]})
    land(client, tmp_path, hours_ago=11)
    assert not look(client)
    land(client, tmp_path, hours_ago=13)
    assert server.app.events.counts("lr").predictions == 6

    assert look(client)
    assert server.app.events.counts("lr").predictions == 1
    (entry,) = server.app.audit.entries("system", action="compact")
    assert entry.reason == "its time has come"
    assert entry.evidence
    assert not look(client)  # a restart, or another replica, finds that it was done


def test_given_a_model_of_which_all_is_dropped_when_asked_for_health_then_it_is_unknown(
    start: Callable[..., TestClient], tmp_path: Path
) -> None:
    client = start(store={"retention_days": 30, "compaction_hours": 1})
    fill(client, 5)
    land(client, tmp_path, hours_ago=2)
    assert look(client)
    found = client.get("/v1/models/lr/health")
    assert found.status_code == 200, found.text
    assert found.json()["status"]["components"]["latency"]["condition"] == "unknown"
    assert client.get("/v1/checklist/lr").status_code == 200


def test_given_no_interval_when_looked_then_nothing_is_compacted(
    start: Callable[..., TestClient], tmp_path: Path
) -> None:
    client = start(store={"compaction_hours": None})
    fill(client, 5)
    land(client, tmp_path, hours_ago=10_000)
    assert not look(client)


def test_given_tables_that_cannot_be_compacted_when_it_is_time_then_it_is_told_and_put_off(
    start: Callable[..., TestClient], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = start(store={"compaction_hours": 1})
    fill(client, 5)
    land(client, tmp_path, hours_ago=2)
    for file in (tmp_path / "events" / "lr" / "predictions").rglob("*.parquet"):
        file.write_bytes(b"torn")
    for entry in (tmp_path / "events" / "lr" / "predictions" / "_delta_log").glob("*.json"):
        entry.write_text("torn")
    at = (system_clock() - timedelta(hours=2)).timestamp()
    os.utime(tmp_path / "events" / "lr" / "predictions" / "_delta_log" / f"{0:020}.json", (at, at))

    assert look(client)
    assert "the compaction failed" in caplog.text
    assert not look(client)


def test_given_a_target_when_it_is_time_then_a_backup_is_taken_once_and_a_failure_is_tried_again(
    start: Callable[..., TestClient], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    client = start(store={"compaction_hours": None})
    server: Any = client.app.application  # type: ignore[attr-defined]
    target = tmp_path_factory.mktemp("target") / "backups"
    target.write_text("a file, where a folder should be")
    settings = server.app.settings.model_copy(
        update={"backup": BackupSettings(target=str(target), hours=12, keep=1)}
    )
    server.app.settings = settings
    fill(client, 5)
    land(client, tmp_path, hours_ago=13)

    assert look(client)
    (entry,) = server.app.audit.entries(subject="system:backup", action="backup")
    assert not entry.evidence["passed"]
    assert "could not be written" in entry.evidence["error"]
    assert not look(client)
    target.unlink()
    server.app.audit.note(
        at=system_clock() - timedelta(hours=2), by=By(""), action="backup",
        subject="system:backup", evidence={"passed": False},
    )  # fmt: skip
    assert look(client)
    (made,) = server.app.backups.find()
    entry = server.app.audit.entries(subject="system:backup", action="backup", limit=1)[0]
    assert entry.evidence["passed"]
    assert entry.evidence["name"] == made.name
    assert not look(client)
