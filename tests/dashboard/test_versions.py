"""Pages of the registry: what is in production and why, and what can be done about it."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient
from tests.dashboard.reading import read, send

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.dashboard.paging import leaf_of
from watchkeeper.identity import RecordId
from watchkeeper.registry import Lineage, Signature
from watchkeeper.registry.signature import Feature
from watchkeeper.server import create_asgi
from watchkeeper.store.database import model_versions
from watchkeeper.testing import FixedClock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS = np.array([[0.0, 1.0], [3.0, 0.0]] * 10)
LABELS = np.array([0, 1] * 10)
HOSTILE = "<script>alert(1)</script>"


def registered(app: App, version: str, parent: str = "", **more: Any) -> str:
    model = LogisticRegression(C=more.pop("strength", 1.0)).fit(ROWS, LABELS)
    more.setdefault("training_data", {"distance": ROWS[:, 0], "night": ROWS[:, 1]})
    metrics = more.pop("metrics", {"accuracy": 0.9})
    return app.registry.register_model(
        model, "late", version, metrics, more.pop("description", ""), more.pop("tags", None),
        lineage=Lineage(parent=parent, evaluated_on=more.pop("on", "June")), actor="ada", **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with three versions, which tests copy."""
    folder = tmp_path_factory.mktemp("versions")
    with App(Settings(data_dir=folder), clock=FixedClock(NOW)) as app:
        first = registered(app, "1.0.0")
        app.registry.promote_to_production(first, reason="the first", actor="ada")
        app.clock.advance(timedelta(hours=1))  # type: ignore[attr-defined]
        second = registered(
            app, "1.0.1", first, strength=0.5, metrics={"accuracy": 0.925, "auc": 0.8},
            tags={"retraining": "late-20260301"}, on="July",
        )  # fmt: skip
        app.registry.promote_to_production(
            second, reason="better on March", actor="bob",
            cause=RecordId("retraining", "late-20260301"),
        )  # fmt: skip
        registered(app, "1.1.0", "late:0.9")
    return folder


@pytest.fixture
def app(tmp_path: Path, filled: Path) -> Iterator[App]:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    with App(Settings(data_dir=tmp_path), clock=FixedClock(NOW + timedelta(hours=1))) as app:
        yield app


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    with TestClient(create_asgi(app), raise_server_exceptions=False) as client:
        yield client


def test_given_versions_when_looked_then_production_says_since_when_by_whom_and_why(
    client: TestClient,
) -> None:
    page = read(client, "/models/late/versions")

    told = "late:1.0.1 ● production since 2026-03-01 13:00 UTC, by bob: better on March"
    assert told in page.text
    assert page.links["better on March"] == "/retraining/late-20260301"
    assert "late:1.0.0 was promoted by ada: the first" in page.text
    assert "0.9 -0.025" in page.text  # beside the champion's
    assert "@champion" in page.text
    assert page.links["compare 1.1.0 with production"] == "/models/late/diff?a=1.0.1&b=1.1.0"
    assert not page.inline
    lineage = client.get("/models/late/versions?csv=lineage").text.splitlines()
    row = '1.0.0,"staging, 01 Mar 2026",info,20260301: retraining late-20260301,1.0.1'
    assert row in lineage
    assert any(line.startswith("0.9,not in the registry,mute,,1.1.0") for line in lineage)


def test_given_thousands_of_versions_when_looked_then_fifty_a_page_and_few_are_drawn(
    app: App, client: TestClient
) -> None:
    with app.control_database.write() as connection:
        like = sa.select(model_versions).where(model_versions.c.version == "1.1.0")
        row = {k: v for k, v in connection.execute(like).mappings().one().items() if k != "id"}
        more = [
            {"version": f"2.0.{n}", "model_id": f"late:2.0.{n}",
             "lineage": {**row["lineage"], "parent": f"late:2.0.{n - 1}" if n else "late:1.0.1"}}
            for n in range(60)
        ]  # fmt: skip
        connection.execute(model_versions.insert(), [{**row, **each} for each in more])

    newest, older = (read(client, f"/models/late/versions?page={n}") for n in (1, 2))

    assert newest.links["2.0.59"] == "/models/late/versions/2.0.59"
    assert "1 to 50 of 63" in newest.text
    assert newest.links["older"] == "?page=2"
    assert "2.0.59" not in older.links
    assert "51 to 63 of 63" in older.text
    rows = client.get("/models/late/versions?csv=lineage").text.splitlines()
    assert len(rows) < 30
    staged = read(client, "/models/late/versions?status=staging")
    assert "1.0.0" in staged.links
    assert "1.1.0" not in staged.links
    assert read(client, "/models/late/versions?status=odd").status == 400


def test_given_no_such_model_when_looked_then_the_page_says_so(client: TestClient) -> None:
    assert read(client, "/models/early/versions").status == 404
    assert read(client, "/models/late/versions/9").status == 404


def test_given_a_version_when_looked_then_all_that_is_known_of_it_is_there(
    client: TestClient,
) -> None:
    page = read(client, "/models/late/versions/1.0.1")

    assert page.links["late:1.0.0"] == "/models/late/versions/1.0.0"
    assert page.links["late-20260301"] == "/retraining/late-20260301"
    for told in ("Measured on July", "accuracy 0.925", "distance number", "skops: loading it runs"):
        assert told in page.text, told
    assert "promote by bob: better on March" in page.text
    assert page.links["GET /v1/models/late/versions/1.0.1"] == "/v1/models/late/versions/1.0.1"
    told = client.get("/v1/models/late/versions/1.0.1").json()
    assert [each["action"] for each in told["history"]] == ["register", "promote"]
    assert "file_path" not in told
    assert "# late:1.0.1" in client.get("/v1/models/late/versions/1.0.1/card").json()["card"]


def test_given_files_when_verified_then_the_page_tells_whether_they_are_as_registered(
    app: App, client: TestClient, tmp_path: Path
) -> None:
    assert "are what was registered" in read(client, "/models/late/versions/1.1.0?verify=1").text
    Path(app.registry.get("late:1.1.0").file_path).write_bytes(b"another")

    page = read(client, "/models/late/versions/1.1.0?verify=1")

    assert "not as registered late/1.1.0/model.skops has SHA-256" in page.text
    assert str(tmp_path) not in page.text
    assert "registered" in read(client, "/models/late/versions/1.1.0").text


def test_given_hostile_words_when_looked_then_they_are_text(app: App, client: TestClient) -> None:
    registered(
        app, "6.6.6", HOSTILE, description=HOSTILE, tags={HOSTILE: HOSTILE}, on=HOSTILE,
        metrics={HOSTILE: 1.0}, card=f"# Of {HOSTILE}\n\n[x](javascript:alert(1)) <b>bold</b>",
        training_data=None, signature=Signature((Feature(HOSTILE), Feature("b"))),
    )  # fmt: skip
    app.registry.promote_to_production("late:6.6.6", reason=HOSTILE, actor=HOSTILE)

    for address in (
        "/models/late/versions",
        "/models/late/versions/6.6.6",
        "/models/late/diff?a=1.0.1&b=6.6.6",
    ):
        answer = client.get(address)
        page = read(client, address)
        assert page.status == 200
        assert HOSTILE in page.text
        assert HOSTILE not in answer.text
        assert "b" not in page.tags
        assert not any("javascript" in each for each in page.links.values())
        assert not page.inline
    assert answer.text.count("<h1") == 1


def test_given_two_versions_when_compared_then_each_difference_is_told(client: TestClient) -> None:
    page = read(client, "/models/late/diff?a=1.0.0&b=@champion")

    assert "late:1.0.0 and late:1.0.1" in page.text
    assert "accuracy 0.9 0.925 +0.025" in page.text
    assert "auc - 0.8 only in 1.0.1" in page.text
    assert "C 1 0.5 -0.5" in page.text
    assert "late:1.0.0 was measured on June, late:1.0.1 on July" in page.text
    found = client.get("/v1/models/late/diff?a=1.0.0&b=@champion").json()
    assert found["to"] == "late:1.0.1"
    assert {"what": "lineage.parameters.C", "before": 1.0, "after": 0.5, "change": -0.5} in found[
        "differences"
    ]
    assert "It is the same version" in read(client, "/models/late/diff?a=1.0.0&b=1.0.0").text
    assert read(client, "/models/late/diff").status == 200
    assert read(client, "/models/late/diff?a=1.0.0&b=7").status == 404


def test_given_inputs_that_differ_when_compared_then_added_removed_and_retyped_are_told(
    app: App, client: TestClient
) -> None:
    signature = Signature((Feature("night", "string"), Feature("wind")))
    registered(app, "2", training_data=None, signature=signature)

    page = read(client, "/models/late/diff?a=1.0.0&b=2")

    for told in (
        "distance number, nullable - ◆ removed",
        "wind - number, nullable ◆ added",
        "night number, nullable string ◆ retyped",
        "order distance, night night, wind",
    ):
        assert told in page.text, told


def test_given_a_version_when_promoted_on_the_page_then_the_trail_has_who_and_why(
    app: App, client: TestClient
) -> None:
    form = read(client, "/models/late/versions/1.1.0").form("promote")

    answer = send(client, form, actor="eve", reason="it is better")

    assert (answer.status_code, answer.headers["location"]) == (303, "/models/late/versions/1.1.0")
    assert app.registry.get_production_model("late") == "late:1.1.0"
    (entry,) = app.audit.entries(subject="late:1.1.0", action="promote")
    assert (entry.actor, entry.reason) == ("eve", "it is better")
    page = read(client, "/models/late/versions/1.1.0")
    assert "late:1.1.0 is in production." in page.text
    back = page.form("rollback")
    assert "Roll back to late:1.0.1" in page.text

    assert send(client, back, reason="it is not").status_code == 303

    assert app.registry.get_production_model("late") == "late:1.0.1"
    assert "was rolled back to by eve: it is not" in read(client, "/models/late/versions").text


def test_given_a_version_when_rolled_out_on_the_page_then_its_rollout_begins_and_no_other(
    app: App, client: TestClient
) -> None:
    page = read(client, "/models/late/versions/1.1.0")
    assert "It gets 5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 100 % of the traffic" in page.text
    assert "5 h 30 min at the least" in page.text

    answer = send(client, page.form("roll-out"), actor="eve", reason="try it", name="spring")

    assert answer.status_code == 303
    assert app.rollouts.get("spring").version == "1.1.0"
    after = read(client, "/models/late/versions/1.0.0")
    assert "It cannot start: the rollout spring has the traffic." in after.text
    assert "The rollout spring is aborted" in after.text
    assert [each for each in after.forms if each.get("do") == "roll-out"] == []


def test_given_no_reason_or_a_foreign_token_when_sent_then_nothing_happens(
    app: App, client: TestClient
) -> None:
    form = read(client, "/models/late/versions/1.1.0").form("promote")

    assert send(client, form, actor="eve", reason=" ").status_code == 400
    assert send(client, form, actor="eve", reason="so", token="x").status_code == 403
    assert app.registry.get_production_model("late") == "late:1.0.1"


def test_given_the_first_version_when_looked_then_a_rollback_says_why_it_cannot_be(
    app: App, client: TestClient
) -> None:
    model = LogisticRegression().fit(ROWS, LABELS)
    app.registry.register_model(model, "early", "1", {}, allow_unsafe=True, format="joblib")
    assert "No version is in production" in read(client, "/models/early/versions").text
    app.registry.promote_to_production("early:1")

    page = read(client, "/models/early/versions/1")

    assert "early:1 is the first that was promoted" in page.text
    assert "can run code when it is loaded" in page.text
    assert [each for each in page.forms if each.get("do") == "rollback"] == []


def test_given_a_checklist_that_is_required_when_promoted_then_the_error_says_what_is_missing(
    tmp_path: Path, app: App
) -> None:
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "models": {"late": {"promotion_requires_checklist": True}}}
    )
    with App(settings, clock=app.clock) as strict, TestClient(create_asgi(strict)) as client:
        page = read(client, "/models/late/versions/1.1.0")
        assert "refused unless the readiness checklist passes" in page.text
        answer = send(client, page.form("promote"), actor="eve", reason="now")
        assert answer.status_code == 409
        assert "eve" in answer.text
    assert app.registry.get_production_model("late") == "late:1.0.1"


def test_given_a_key_that_may_only_read_when_looked_then_there_is_nothing_to_send(
    tmp_path: Path, app: App
) -> None:
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "server": {"api_keys": ["k" * 20], "read_keys": ["r" * 20]}}
    )
    with App(settings, clock=app.clock) as closed, TestClient(create_asgi(closed)) as client:
        (door,) = [each for each in read(client, "/sign-in").forms if "key" in each]
        assert send(client, door, name="rob", key="r" * 20).status_code == 303
        page = read(client, "/models/late/versions/1.1.0")
        assert page.status == 200
        assert [each for each in page.forms if "do" in each] == []
        sent = {"to": "/models/late/versions/1.1.0", "do": "promote", "token": door["token"]}
        assert send(client, sent, reason="so").status_code == 403


@pytest.mark.parametrize(
    ("asked", "count", "first", "until"),
    [("1", 0, 0, 0), ("2", 51, 51, 51), ("9", 60, 51, 60), ("-1", 60, 1, 50), ("x", 7, 1, 7)],
)
def test_given_any_page_when_asked_then_the_nearest_one_there_is(
    asked: str, count: int, first: int, until: int
) -> None:
    leaf = leaf_of({"page": asked}, count, 50)
    assert (leaf.first, leaf.until) == (first, until)
