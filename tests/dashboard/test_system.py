"""The page of the system about itself, with what it may not show."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sklearn.dummy import DummyClassifier
from tests.dashboard.conftest import Site, token_of
from tests.dashboard.reader import HOSTILE, evidence, said

from watchkeeper.cli import main
from watchkeeper.clock import system_clock
from watchkeeper.events import Prediction
from watchkeeper.identity import By
from watchkeeper.readiness.evidence import BACKUP, BACKUP_CHECK

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)


def test_given_a_new_server_when_looked_then_it_says_how_it_is_and_what_is_missing(
    start: Callable[..., Site],
) -> None:
    site = start()

    told = said(site.client, "/system")

    assert "ready It serves and records" in told
    for job in ("landing", "compaction", "notifications"):
        assert job in told
    assert "No event is recorded, and no model is in production." in told
    assert "No receiver is configured." in told
    assert "Set backup.target" in told
    assert "No entry yet." in told
    assert evidence(site.client, "/system")


def test_given_secrets_in_the_settings_when_looked_then_none_is_on_the_page(
    start: Callable[..., Site], tmp_path: Path
) -> None:
    site = start(
        server={"api_keys": ["hunter2"], "read_keys": ["hunter3"]},
        backup={"target": "s3://hunter4:hunter5@bucket/place?secret=hunter6"},
        notifications={
            "receivers": {
                "chat": {"url": "slack://hunter7/hunter8"},
                "pager": {"url_file": tmp_path / "lost"},
            }
        },
    )
    token = token_of(site.client.get("/sign-in").text)
    site.client.post("/sign-in", data={"token": token, "name": "maria", "key": "hunter2"})

    told = said(site.client, "/system")

    assert "s3://bucket/place" in told
    assert "1 keys may act, 1 may read" in told
    assert "notifications.receivers.pager.url_file" in told  # why nobody can be told
    assert "hunter" not in site.client.get("/system").text


def test_given_events_and_jobs_when_looked_then_their_figures_are_there(
    start: Callable[..., Site],
) -> None:
    site = start(backup={"target": "/elsewhere", "hours": 1.0})
    app = site.app
    made = DummyClassifier(strategy="constant", constant=1).fit([[0.0]], [1])
    app.registry.promote_to_production(app.registry.register_model(made, "late", "1", {}))
    app.recorder.record(
        [
            Prediction(
                prediction_id=f"{number}", model="late", model_version="1", features={},
                timestamp=NOW, arrived_at=NOW, prediction=1, latency_ms=1.0,
            )
            for number in range(7)
        ]
    )  # fmt: skip
    app.timelines.refresh("late")
    for action, passed, hours in ((BACKUP, True, 5), (BACKUP_CHECK, False, 4)):
        app.audit.note(
            at=system_clock() - timedelta(hours=hours), action=action, subject="system:backup",
            by=By("maria", f"{action} {HOSTILE}"), evidence={"passed": passed},
        )  # fmt: skip

    told = said(site.client, "/system")

    assert "late 7 0 2026-03-10 06:00 UTC" in told
    assert "every 1 h" in told
    assert "late" in told[told.index("Last one") : told.index("Last verification")]
    assert "failed" in told[told.index("Last verification") : told.index("Last restore test")]
    assert HOSTILE not in site.client.get("/system").text


def test_given_a_receiver_that_does_not_answer_when_looked_then_what_waits_for_it_is_told(
    start: Callable[..., Site],
) -> None:
    site = start(notifications={"receivers": {"chat": {"url": "json://127.0.0.1:1/x"}}})
    app = site.app
    place = app.places.get("chat", "warning", beginning=0)
    app.incidents.open(
        model="late", title="it drifts", severity="warning", source="finding:drift",
        evidence={}, at=NOW,
    )  # fmt: skip
    app.places.save(place, place.failed(NOW, "refused"))

    told = said(site.client, "/system")

    assert "chat warning ▲ failing 1 1" in told
    assert "refused" in told


def test_given_the_doctor_is_asked_when_looked_then_each_check_is_told(
    start: Callable[..., Site],
) -> None:
    site = start()
    assert "Run the checks" in said(site.client, "/system")
    damaged = site.app.settings.data_dir / "journal" / "damaged" / "x.jsonl"
    damaged.parent.mkdir(parents=True)
    damaged.touch()

    told = said(site.client, "/system?doctor=1")

    assert "control database ● passed 0 versions" in told
    assert "journal ▲ failed" in told


def test_given_a_long_trail_when_read_then_it_comes_in_pages_by_page_api_and_command(
    start: Callable[..., Site],
) -> None:
    site = start()
    for number in range(60):
        site.app.audit.note(
            at=NOW + timedelta(minutes=number), by=By("maria", f"why {number:03} {HOSTILE}"),
            action="promote" if number % 2 else "load test", subject=f"late:{number}",
        )  # fmt: skip

    newest, older = said(site.client, "/system"), said(site.client, "/system?before=11")
    assert ("why 059" in newest, "why 009" in newest) == (True, False)
    assert ("why 009" in older, "why 010" in older) == (True, False)
    assert HOSTILE not in site.client.get("/system").text
    chosen = said(site.client, "/system?action=promote&model=late")
    assert ("why 059" in chosen, "why 058" in chosen) == (True, False)
    assert site.client.get("/system?before=x").status_code == 400
    assert evidence(site.client, "/system?before=11&action=promote")
    found = site.client.get("/v1/audit?action=promote&before=11&limit=2").json()["entries"]
    assert [each["number"] for each in found] == [10, 8]
    assert site.client.get("/v1/audit?limit=0").status_code == 400
    where = ["--data-dir", str(site.app.settings.data_dir)]
    assert main(["audit", "--model", "late", "--limit", "3", *where]) == 0
    assert main(["audit", "--limit", "0", *where]) == 2
