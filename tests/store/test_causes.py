"""The causes that migration 0011 names in what earlier versions stored."""

import json
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import watchkeeper.store
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
