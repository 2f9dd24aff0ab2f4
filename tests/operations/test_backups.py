"""Backups and compactions as services: each leaves its own entry in the audit trail."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from watchkeeper.app import App
from watchkeeper.config import BackupSettings, Settings
from watchkeeper.errors import IntegrityError, InvalidValueError
from watchkeeper.events import Prediction
from watchkeeper.identity import CONTROLLER, By

MARIA = By("maria")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    backup = BackupSettings(target=str(tmp_path / "backups"), keep=1)
    with App(Settings(data_dir=tmp_path / "data", backup=backup)) as app:
        app.recorder.record(
            [
                Prediction(
                    prediction_id=f"p{number}", model="late", model_version="1", features={},
                    timestamp=NOON, arrived_at=NOON, prediction=1,
                )
                for number in range(3)
            ]
        )  # fmt: skip
        yield app


def outcomes(app: App, action: str) -> list[tuple[str, bool]]:
    """Return who did something and whether it went well, the newest first."""
    return [
        (entry.actor, entry.evidence["passed"])
        for entry in app.audit.entries(subject="system:backup", action=action)
    ]


def test_given_a_backup_when_taken_checked_and_restored_aside_then_each_is_an_entry(
    app: App, tmp_path: Path
) -> None:
    first = app.backups.create(by=MARIA)
    second = app.backups.create(by=By(CONTROLLER, "its time has come"))
    assert second["removed"] == [first["name"]]
    assert app.backups.verify(by=MARIA).name == second["name"]
    evidence, reason = app.backups.rehearse(by=MARIA)

    assert (evidence["passed"], evidence["predictions"]) == (True, 3)
    assert "3 predictions" in reason
    assert outcomes(app, "backup") == [(CONTROLLER, True), ("maria", True)]
    assert outcomes(app, "backup check") == outcomes(app, "restore test") == [("maria", True)]


def test_given_a_backup_that_is_torn_when_checked_or_tried_then_the_trail_says_so(
    app: App, tmp_path: Path
) -> None:
    app.backups.create(by=MARIA)
    for path in (tmp_path / "backups").rglob("*.open"):
        path.write_bytes(b"torn")

    with pytest.raises(IntegrityError):
        app.backups.verify(by=MARIA)
    evidence, _ = app.backups.rehearse(by=MARIA)

    assert not evidence["passed"]
    assert outcomes(app, "backup check") == outcomes(app, "restore test") == [("maria", False)]


def test_given_no_target_when_backed_up_then_the_error_names_the_setting(tmp_path: Path) -> None:
    with (
        App(Settings(data_dir=tmp_path)) as app,
        pytest.raises(InvalidValueError, match="backup"),
    ):
        app.backups.create(by=MARIA)


def test_given_all_models_or_one_when_compacted_then_only_all_count_for_the_schedule(
    app: App,
) -> None:
    app.recorder.journal.seal()
    app.landing.land()
    app.compactions.run("late", by=MARIA)
    assert app.audit.entries(action="compact") == []

    app.compactions.run(by=MARIA)

    (entry,) = app.audit.entries(subject="system:events", action="compact")
    assert (entry.actor, entry.evidence["passed"]) == ("maria", True)
