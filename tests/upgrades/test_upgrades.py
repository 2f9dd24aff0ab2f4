"""A data directory of each earlier migration is upgraded, read by all, and goes on.

``data/NNNN.tar.xz`` was made by ``make.py`` with the last code whose newest migration was NNNN.
"""

import json
import logging
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from watchkeeper.app import App
from watchkeeper.cli import main
from watchkeeper.cli.root import COMMANDS, load_command
from watchkeeper.config import Settings
from watchkeeper.server import create_asgi
from watchkeeper.store import upgrade
from watchkeeper.store.database import HEAD

DATA = Path(__file__).parent / "data"
BEFORE = [revision for revision in upgrade.revisions() if revision != HEAD]
CHANGES = {
    "backup create", "backup restore", "backup test", "backup verify", "demo", "events compact",
    "experiments create", "experiments start", "experiments stop", "experiments weights",
    "incidents acknowledge", "incidents assign", "incidents note", "incidents resolve", "loadtest",
    "models alias", "models archive", "models delete", "models import", "models promote",
    "models register", "models rollback", "notifications list", "notifications test",
    "retrain abort", "retrain model", "retrain online", "rollouts abort", "rollouts pause",
    "rollouts promote", "rollouts resume", "rollouts start", "serve",
    "shadows start", "shadows stop", "telemetry test-alert",
}  # fmt: skip
"""Commands that change something, or need what a data directory has not."""
OF_FILES = {"experiments plan", "rollouts plan", "telemetry export", "models export", "backup list"}
"""Commands that read, and nothing of the data directory, or write a file of it."""


QUERIES = {
    "/v1/models/{model}/diff": "?a=1.0.0&b=1.1.0",
    "/v1/retraining/check": "?model=late",
}


class Upgraded:
    """A data directory of a migration, unpacked."""

    def __init__(self, revision: str, folder: Path) -> None:
        self.revision, self.path = revision, folder / "data"
        with tarfile.open(DATA / f"{revision}.tar.xz") as packed:
            packed.extractall(folder, filter="data")
        self.database = self.path / "registry" / "control.db"
        self.before = rows_of(self.database)

    def names(self, table: str) -> list[str]:
        """Return the names of the documents that a table had."""
        return [row["name"] for row in self.before.get(table, []) if "name" in row]

    @property
    def last_change(self) -> datetime:
        return datetime.fromisoformat(f"{self.before['audit'][-1]['at']}+00:00")


def rows_of(database: Path) -> dict[str, list[dict[str, Any]]]:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        names = "SELECT name FROM sqlite_master WHERE type = 'table'"
        return {
            name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]
            for (name,) in connection.execute(names).fetchall()
        }


def revision_of(database: Path) -> str:
    return str(rows_of(database)["alembic_version"][0]["version_num"])


@pytest.fixture(scope="module", params=BEFORE)
def upgraded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Upgraded:
    return Upgraded(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def client(upgraded: Upgraded) -> Iterator[TestClient]:
    """Return a server over the directory, a minute after its last change."""
    models = {"rolled": {"task": "regression"}}
    settings = Settings.model_validate({"data_dir": upgraded.path, "models": models})
    now = upgraded.last_change + timedelta(minutes=1)
    with App(settings, clock=lambda: now) as app, TestClient(create_asgi(app)) as client:
        yield client


def test_given_the_migrations_when_listed_then_each_but_the_newest_has_a_directory() -> None:
    assert sorted(path.name[:4] for path in DATA.iterdir()) == BEFORE


def test_given_a_directory_when_opened_then_a_copy_from_before_is_there_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for revision in BEFORE:
        old = Upgraded(revision, tmp_path / revision)
        caplog.clear()
        with caplog.at_level(logging.WARNING), App(Settings(data_dir=old.path)) as app:
            app.control_database.version()
        assert revision_of(old.database) == HEAD
        assert rows_of(upgrade.copy_path(old.database, HEAD)) == old.before
        (said,) = [each.getMessage() for each in caplog.records if "upgraded" in each.getMessage()]
        assert f"from migration {revision} to {HEAD}" in said
        assert f"control.db.before-{HEAD}" in said
        with App(Settings(data_dir=old.path)) as app:
            app.control_database.version()
        copies = [path.name for path in old.database.parent.glob("*before*")]
        assert copies == [f"control.db.before-{HEAD}"]


def test_given_the_commands_when_listed_then_each_that_reads_is_tried_below(
    tmp_path: Path,
) -> None:
    every = set()
    for lines in COMMANDS.values():
        for name in lines:
            inner = getattr(load_command(name), "commands", None)
            every |= {name} if inner is None else {f"{name} {each}" for each in inner}
    tried = {spoken(each) for each in reading(Upgraded(BEFORE[-1], tmp_path))}
    assert every == tried | CHANGES | OF_FILES


def spoken(arguments: list[str]) -> str:
    """Return the command that arguments call."""
    group = {"models", "retrain", "rollouts", "experiments", "shadows", "incidents", "events"}
    return " ".join(arguments[: 2 if arguments[0] in group else 1])


def reading(old: Upgraded) -> list[list[str]]:
    """Return all commands that read something of the directory."""
    commands = [
        ["doctor"], ["audit"], ["events", "stats"], ["models", "list"], ["models", "verify"],
        ["health"], ["experiments", "list"], ["rollouts", "list"], ["shadows", "list"],
        ["incidents", "list"], ["retrain", "runs"], ["history", "late"],
        ["timeline", "late"], ["checklist", "late"], ["drift", "--model", "late"],
        ["quality", "--model", "late"], ["models", "history", "late"],
        ["models", "show", "late:1.0.0"], ["models", "card", "late:1.0.0"],
        ["models", "diff", "late:1.0.0", "late:1.1.0"],
        ["events", "export", "late", "--out", str(old.path.parent / "late.parquet")],
    ]  # fmt: skip
    for group, table, actions in (
        ("experiments", "experiments", ("status", "report")),
        ("rollouts", "rollouts", ("status", "history")),
        ("shadows", "shadows", ("report",)),
        ("retrain", "retraining_runs", ("show", "log")),
        ("incidents", "incidents", ("show", "post-mortem")),
    ):
        commands += [[group, action, name] for name in old.names(table) for action in actions]
    return commands


def test_given_a_directory_when_commands_read_it_then_each_can(
    upgraded: Upgraded, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {}
    for arguments in reading(upgraded):
        code = main([*arguments, "--data-dir", str(upgraded.path)])
        said = capsys.readouterr()
        if code not in {0, 1}:  # 1 is a verdict, such as drift
            failed[" ".join(arguments)] = said.err
    assert failed == {}


def test_given_a_directory_when_pages_are_followed_from_the_first_then_each_is_shown(
    client: TestClient,
) -> None:
    ahead, seen, failed = ["/"], {"/"}, {}
    while ahead:
        path = ahead.pop()
        answer = client.get(path)
        if answer.status_code != 200:
            failed[path] = answer.text[:1000]
        for link in re.findall(r'href="(/[^"#?]*)', answer.text):
            if link not in seen and not link.startswith(("/v1", "/static", "/docs")):
                seen.add(link)
                ahead.append(link)
    assert failed == {}
    assert {"/models/late", "/system", "/incidents"} <= seen


def test_given_a_directory_when_read_over_http_then_each_answer_is_given(
    client: TestClient, upgraded: Upgraded
) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    failed = {}
    for path, methods in paths.items():
        if "get" not in methods or not path.startswith("/v1"):
            continue
        for filled in filled_in(path, upgraded, client):
            answer = client.get(filled)
            if answer.status_code != 200:
                failed[filled] = answer.text[:500]
    assert failed == {}


def filled_in(path: str, old: Upgraded, client: TestClient) -> list[str]:
    """Return the addresses of a path of OpenAPI, one for each thing that there is."""
    noun = path.split("/")[2]
    tables = {"retraining": "retraining_runs"}
    history = client.get("/v1/models/late/history").json()["history"]
    records = [record["id"] for record in history if record["replayable"]]
    values = {
        "model": ["late"], "version": ["1.0.0", "1.1.0"], "record": records, "item": ["backup"],
        "name": old.names(tables.get(noun, noun)),
    }  # fmt: skip
    filled = [path + QUERIES.get(path, "")]
    for parameter in re.findall(r"{(\w+)[^}]*}", path):
        filled = [
            re.sub(rf"{{{parameter}[^}}]*}}", value, each, count=1)
            for each in filled
            for value in values[parameter]
        ]
    return filled


def predict(client: TestClient, model: str, unit: str) -> dict[str, Any]:
    columns = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [0.5]} for name in ("a", "b")
    ]
    body = {"inputs": columns, "parameters": {"unit_id": unit}}
    answer = client.post(f"/v2/models/{model}/infer", json=body)
    assert answer.status_code == 200, answer.text
    parameters: dict[str, Any] = answer.json()["parameters"]
    return parameters


def test_given_what_was_running_when_upgraded_then_it_goes_on_and_can_be_ended(
    client: TestClient, upgraded: Upgraded
) -> None:
    if "experiments" in upgraded.before:
        variants = {predict(client, "tried", f"unit-{n}").get("variant") for n in range(30)}
        assert {"control", "new"} <= variants
        stopped = client.post("/v1/experiments/running/stop", json={"reason": "enough"})
        assert stopped.status_code == 200, stopped.text
        assert client.get("/v1/experiments/running/report").json()["decision"]["verdict"]
    if "rollouts" in upgraded.before:
        variants = {predict(client, "rolled", f"unit-{n}").get("variant") for n in range(30)}
        assert variants == {"production", "canary"}
        looked = client.post("/v1/rollouts/running/look")
        assert looked.status_code == 200, looked.text
        assert looked.json()["rollout"]["state"] in {"running", "holding"}
        aborted = client.post("/v1/rollouts/running/abort", json={"reason": "enough"})
        assert aborted.status_code == 200, aborted.text
        predict(client, "copied", "unit")
        ended = client.post("/v1/shadows/shadow-running/stop", json={"reason": "enough"})
        assert ended.status_code == 200, ended.text


CAREFUL = {
    "max_prediction_shift": 0.4, "on_inconclusive": "rollback", "require_evidence": True,
    "bake_time": 172_800.0,
}  # fmt: skip
OLD_NAMES = re.compile(
    r'"(max_answer_shift|on_unproven|require_proof|watch|off_by|maturity|retrain_threshold|then)":'
)


def test_given_values_other_than_the_defaults_when_fields_are_renamed_then_each_is_carried_over(
    tmp_path: Path,
) -> None:
    old = Upgraded("0011", tmp_path)
    with App(Settings(data_dir=old.path)) as app:
        rollout = app.rollouts.get("running")
        begun, *_ = app.rollouts.history("running")
        experiment = app.experiments.get("running")
        (run,) = app.retraining.find("late")

    assert {name: rollout.plan[name] for name in CAREFUL} == CAREFUL
    wrong = rollout.plan.limits[-1]
    assert (wrong.name, wrong.error_tolerance, wrong.label_delay) == ("wrong", 1.5, 21_600.0)
    assert begun.evidence["plan"] == rollout.plan.to_dict()
    guarded = [guardrail.metric for guardrail in experiment.guardrails]
    metrics = [experiment.metric, *experiment.secondary, *guarded]
    assert [metric.conversion_window for metric in metrics] == [3_600.0] * 3
    assert experiment.allocation.included_bp == 8_000
    assert (run.policy.max_relative_drop, run.policy.on_success) == (0.2, "shadow")


def test_given_a_directory_when_upgraded_then_no_document_has_a_field_of_before(
    client: TestClient, upgraded: Upgraded
) -> None:
    assert client.get("/v1/models").status_code == 200
    after = rows_of(upgraded.database)
    for table in ("rollouts", "experiments", "retraining_runs", "audit"):
        for row in after[table]:
            assert OLD_NAMES.search(row.get("document") or row["evidence"]) is None


DIES = """
import os, signal, sys
from pathlib import Path
from watchkeeper.store import ControlDatabase, upgrade

database, step, after = sys.argv[1:]
whole = getattr(upgrade, step)

def dying(*arguments):
    result = whole(*arguments) if after else None
    os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(upgrade, step, dying)
ControlDatabase(f"sqlite:///{database}")
"""


@pytest.mark.parametrize(
    ("step", "after"), [("sync", ""), ("sync", "x"), ("migrate", ""), ("migrate", "x")]
)
def test_given_a_death_in_an_upgrade_when_opened_again_then_it_is_upgraded(
    tmp_path: Path, step: str, after: str
) -> None:
    old = Upgraded(BEFORE[-1], tmp_path)
    command = [sys.executable, "-c", DIES, str(old.database), step, after]
    died = subprocess.run(command, check=False, env=os.environ, timeout=300)
    assert died.returncode == -signal.SIGKILL

    assert rows_of(old.database) == old.before
    with App(Settings(data_dir=old.path)) as app:
        assert app.registry.get_production_model("late") == "late:1.0.0"
    assert revision_of(old.database) == HEAD
    assert rows_of(upgrade.copy_path(old.database, HEAD)) == old.before
    assert not list(old.database.parent.glob("*.partial"))


def test_given_no_room_for_the_copy_when_opened_then_nothing_is_changed_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Upgraded(BEFORE[-1], tmp_path)
    upgrade.copy_path(old.database, HEAD).mkdir()  # a file cannot take its name
    assert main(["models", "list", "--data-dir", str(old.path)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"is not upgraded to migration {HEAD}" in said
    assert "Nothing was changed" in said
    assert rows_of(old.database) == old.before


def test_given_a_directory_of_a_newer_program_when_opened_then_each_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Upgraded(BEFORE[-1], tmp_path)
    with closing(sqlite3.connect(old.database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert main(["models", "list", "--data-dir", str(old.path)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"is at migration 9999; this Watchkeeper knows the migrations 0001 to {HEAD}" in said
    assert json.dumps(rows_of(old.database)["alembic_version"]) == '[{"version_num": "9999"}]'
