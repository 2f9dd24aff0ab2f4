"""The causes that migration 0011 names in what earlier versions stored."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import watchkeeper.store
from watchkeeper.identity import RecordId
from watchkeeper.incidents import IncidentRepository
from watchkeeper.records import AuditTrail
from watchkeeper.store import ControlDatabase

AT = "2026-03-01 00:00:00.000000"


def insert(connection: sa.Connection, table: str, **values: object) -> None:
    columns, names = (
        ", ".join(f'"{name}"' for name in values),
        ", ".join(f":{name}" for name in values),
    )
    connection.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({names})"), values)


def at_0010(url: str) -> sa.Engine:
    """Return a database as the program before migration 0011 left it."""
    engine = sa.create_engine(url)
    config = Config()
    folder = Path(watchkeeper.store.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0010")
    return engine


def test_given_what_an_earlier_version_stored_when_opened_then_causes_and_kinds_are_named_once(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'control.db'}"
    engine = at_0010(url)
    titles = ("later rows", "rows", "gain of accuracy", "segment gain=rows", "latency", "size")
    with engine.begin() as connection:
        for actor, reason in (("watchkeeper", "rollout june"), ("maria", "rollout june")):
            insert(
                connection, "audit", at=AT, actor=actor, action="promote", subject="late:2",
                reason=reason, evidence="{}",
            )  # fmt: skip
        for reference in ("the training data of late:1.0.0", "a recorded window"):
            insert(
                connection, "findings", model="late", kind="drift", bad=True, summary="drift",
                at=AT, table_versions="{}", evidence=json.dumps({"reference": reference}),
            )  # fmt: skip
        run = {"follows": "", "gate": {"checks": [{"check": title} for title in titles]}}
        insert(
            connection, "retraining_runs", name="r1", model="late", state="kept", active=False,
            document=json.dumps(run),
        )  # fmt: skip
    engine.dispose()

    database = ControlDatabase(url)

    with database.read() as connection:
        causes = connection.execute(sa.text("SELECT cause FROM audit ORDER BY id")).scalars().all()
        evidence = connection.execute(sa.text("SELECT evidence FROM findings ORDER BY id"))
        versions = [json.loads(text)["reference_version"] for text in evidence.scalars()]
        document = connection.execute(sa.text("SELECT document FROM retraining_runs")).scalar_one()
    database.close()
    assert causes == ["rollout:june", None]
    assert versions == ["1.0.0", None]
    kinds = [check["kind"] for check in json.loads(document)["gate"]["checks"]]
    assert kinds == ["later rows", "rows", "gain", "segment", "latency", "size"]


THEN = "2026-03-01T00:00:00+00:00"
TEXTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("watchkeeper", "resolved: everything fails", {}),  # what opens it may read like anything
    ("watchkeeper", "it fails more", {"rate": 0.3}),
    ("maria", "acknowledged: looking", {}),
    ("maria", "assigned to the weather team", {}),
    ("maria", "they send Celsius", {}),
    ("watchkeeper", "the last check was well: 98 % are right", {}),
    ("maria", "resolved: mended", {}),
    ("maria", "post-mortem finished", {}),
)
STEPS = [
    "reported", "reported", "acknowledged", "assigned", "noted", "recovered", "resolved",
    "finished",
]  # fmt: skip


def stored(source: str, evidence: dict[str, Any]) -> str:
    """Return an incident as it was stored."""
    timeline = [
        {"at": THEN, "actor": actor, "what": text, "evidence": shown}
        for actor, text, shown in TEXTS
    ]
    timeline[0]["evidence"] = evidence
    return json.dumps(
        {
            "name": "old", "model": "late", "title": "it fails", "severity": "critical",
            "source": source, "state": "resolved", "opened_at": THEN, "ended_at": THEN, "owner": "",
            "runbook": "", "timeline": timeline, "post_mortem": "",
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source", "evidence", "cause"),
    [
        ("finding:quality", {"finding": 7, "table_versions": {}}, RecordId("finding", "7")),
        ("alert:HighErrorRate", {"fingerprint": "8d1c"}, RecordId("alert", "8d1c")),
        ("rollout:june", {"rollout": "june", "step": 2}, RecordId("rollout", "june")),
        ("hold:june:1:approval", {"rollout": "june", "step": 2}, RecordId("rollout", "june")),
        ("retraining", {"run": "late-1"}, RecordId("retraining", "late-1")),
        ("online", {}, None),
    ],
)
def test_given_an_incident_of_before_when_upgraded_then_its_cause_and_steps_are_typed(
    tmp_path: Path, source: str, evidence: dict[str, Any], cause: RecordId | None
) -> None:
    url = f"sqlite:///{tmp_path / 'control.db'}"
    engine = at_0010(url)
    with engine.begin() as connection:
        insert(
            connection, "incidents", name="old", model="late", source=source, state="resolved",
            active=False, document=stored(source, evidence),
        )  # fmt: skip
        insert(
            connection, "audit", at=AT, actor="watchkeeper", action="incident create",
            subject="late:incidents/old", reason="it fails", evidence="{}",
        )  # fmt: skip
    engine.dispose()

    database = ControlDatabase(url)
    incident = IncidentRepository(database).get("old")
    (entry,) = AuditTrail(database).entries(subject="late:incidents/old")
    database.close()

    assert incident.cause == entry.cause == cause
    assert [moment.step.value for moment in incident.timeline] == STEPS
