"""Pages of retraining: why a model was trained, what the gate said, and what followed."""

import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient
from tests.dashboard.reading import Read, read, send

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.config.models import ModelPolicy
from watchkeeper.dashboard.pages.retraining import decision_of, evidence_of
from watchkeeper.events import Event, Outcome, Prediction
from watchkeeper.identity import By
from watchkeeper.records import Finding
from watchkeeper.results import plain
from watchkeeper.retraining import Facts, Policy, RetrainingDecision, Run, RunState, Trigger
from watchkeeper.retraining.job import LOG
from watchkeeper.retraining.worker import work
from watchkeeper.server import create_asgi
from watchkeeper.testing import FixedClock

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=10)
RNG = np.random.default_rng(3)
COUNT = 400
FEATURES = RNG.normal(size=(COUNT, 2))
LATE = (FEATURES[:, 0] + 0.5 * RNG.normal(size=COUNT) > 0).astype(int)
HOSTILE = "<script>alert(1)</script>"
RUN = "late-20260311-000000"


def here(folder: Path, job: Any, watch: Any) -> None:
    """Train in this process, which is quicker; what is done is the same."""
    with (folder / LOG).open("a") as log, redirect_stdout(log):
        print(HOSTILE)
        work(folder)


def events() -> Iterator[Event]:
    for number in range(COUNT):
        at = START + timedelta(minutes=30 * number)
        row = {f"x{i}": float(FEATURES[number, i]) for i in range(2)} | {"gate": number % 2}
        yield Prediction(
            prediction_id=str(number), model="late", model_version="1.0.0", timestamp=at,
            arrived_at=at, features=row, prediction=int(1 - LATE[number]), score=0.5,
        )  # fmt: skip
        yield Outcome(
            prediction_id=str(number), model="late", timestamp=at, arrived_at=at,
            actual=int(LATE[number]),
        )  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory where drift has led to a better version; tests copy it."""
    folder = tmp_path_factory.mktemp("retraining")
    with App(Settings(data_dir=folder), clock=FixedClock(NOW)) as app:
        columns = {"x0": FEATURES[:100, 0], "x1": FEATURES[:100, 1], "gate": np.arange(100) % 2}
        poor = LogisticRegression().fit(np.column_stack(list(columns.values())), 1 - LATE[:100])
        model_id = app.registry.register_model(
            poor, "late", "1.0.0", {"accuracy": 0.9}, training_data=columns
        )
        app.registry.promote_to_production(model_id, reason="the first", actor="ada")
        app.recorder.record(list(events()))
        app.findings.add(
            Finding(
                model="late", kind="drift", bad=True, summary="drift in 1 of 3 features: x0",
                at=NOW, start=START, end=NOW, table_versions={"predictions": 1}, evidence={},
            )
        )  # fmt: skip
        policy = Policy(
            enabled=True, on_success="direct", segments=("gate",), min_segment=10, min_holdout=50
        )
        app.settings.models["late"] = ModelPolicy(retraining=policy)
        found = app.retraining.advance("late", NOW, launch=here)
        assert found.run is not None
        assert found.run.state is RunState.PROMOTED, found.run.reason
        assert found.run.name == RUN
    return folder


@pytest.fixture
def app(tmp_path: Path, filled: Path) -> Iterator[App]:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "models": {"late": {"retraining": {"on_success": "direct"}}}}
    )
    with App(settings, clock=FixedClock(NOW + timedelta(hours=1))) as app:
        yield app


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    with TestClient(create_asgi(app), raise_server_exceptions=False) as client:
        server: Any = client.app.application  # type: ignore[attr-defined]
        server.controller.retraining.wanted.set = lambda: None  # nobody begins it meanwhile
        yield client


def decided(name: str, reason: str = "asked for by ada", model: str = "late") -> Run:
    trigger = Trigger(kind="hand", reason=reason)
    return Run(
        name=name, model=model, policy=Policy(), facts=Facts(champion=f"{model}:1.0.1"),
        decision=RetrainingDecision(train=True, reason=reason, triggers=(trigger,)), decided_at=NOW,
        reason=reason, champion=f"{model}:1.0.1", table_versions={}, trained={}, actor="ada",
    )  # fmt: skip


def begin(app: App, run: Run, ended: RunState | None = None, reason: str = "") -> None:
    app.retraining.repository.begin(run, None, at=NOW, by=By(run.actor, run.reason))
    if ended is not None:
        later = NOW + timedelta(minutes=5)
        after = run.moved(ended, later, reason)
        app.retraining.repository.save(
            run, after, action=ended.value, at=later, by=By("ada", reason), evidence={}
        )


def asked(page: Read, do: str) -> list[dict[str, str]]:
    return [each for each in page.forms if each.get("do") == do]


def test_given_a_run_when_looked_then_its_story_is_told_from_the_trigger_to_what_followed(
    client: TestClient,
) -> None:
    page = read(client, f"/retraining/{RUN}")

    assert "late:1.0.1 is better than late:1.0.0, and went to production." in page.text
    assert "drift: drift in 1 of 3 features: x0. Finding 1" in page.text
    assert page.links["Finding 1"] == "/models/late/drift?finding=1"
    assert "320 rows, 2026-03-01 00:00 UTC to" in page.text
    assert "gain of accuracy +0." in page.text
    assert "segment gate=0" in page.text
    assert "Champion and candidate on the same 80 rows" in page.text
    assert page.links["late:1.0.1"] == "/models/late/versions/1.0.1"
    assert page.links["Replay the gate from stored events, and compare"] == (
        f"/v1/models/late/history/gate:{RUN}"
    )
    assert f"{HOSTILE} watchkeeper: training on 320 rows" in page.text
    assert HOSTILE not in client.get(f"/retraining/{RUN}").text
    assert page.links["All of it"] == f"/v1/retraining/runs/{RUN}/log"
    order = ["Decision", "Training", "Evaluation gate", "Result"]
    assert sorted(order, key=page.text.index) == order
    assert "promoted by watchkeeper: late:1.0.1 is in production" in page.text
    assert asked(page, "abort") == []
    assert not page.inline
    steps = client.get(f"/retraining/{RUN}?csv=steps").text.splitlines()
    assert steps[1:] == [
        "1,decided,done,drift", "2,trained,done,320 rows", "3,judged,done,passed",
        "4,promoted,done,late:1.0.1",
    ]  # fmt: skip


def test_given_evidence_when_followed_then_the_api_and_the_command_give_it(
    client: TestClient,
) -> None:
    for address in ("/retraining", f"/retraining/{RUN}", "/models/late/versions/1.0.1"):
        page = read(client, address)
        apis = {each for each in page.links.values() if each.startswith("/v1/")}
        assert apis
        for each in apis:
            assert client.get(each).status_code == 200, each


def test_given_runs_when_listed_then_they_are_told_newest_first_and_by_model(
    app: App, client: TestClient
) -> None:
    begin(app, decided("second"), RunState.FAILED, "it held too much memory")
    begin(app, decided("third", model="early"), RunState.CANCELLED, "not now")

    page = read(client, "/retraining")

    assert page.text.index("third early") < page.text.index("second late") < page.text.index(RUN)
    assert "it held too much memory" in page.text
    assert "3 retrainings" in page.text
    assert f"{RUN} late ● promoted drift drift in 1 of 3 features: x0 320 ● passed 1.0.1" in (
        page.text
    )
    early = read(client, "/retraining?model=early")
    assert "1 retraining of early" in early.text
    assert "second" not in early.links
    assert "second" in read(client, "/retraining?state=failed").links
    assert read(client, "/retraining?state=odd").status == 400
    assert "No retraining run matches the filter" in read(client, "/retraining?model=nobody").text


def test_given_a_hundred_runs_when_listed_then_fifty_a_page(app: App, client: TestClient) -> None:
    for number in range(60):
        begin(app, decided(f"r{number}", model=f"m{number}"))

    page = read(client, "/retraining?page=2")

    assert "51 to 61 of 61" in page.text
    assert page.links["newer"] == "?page=1"
    assert RUN in page.links


def test_given_nothing_when_looked_then_it_says_what_to_do_first(tmp_path: Path) -> None:
    with (
        App(Settings(data_dir=tmp_path), clock=FixedClock(NOW)) as empty,
        TestClient(create_asgi(empty)) as client,
    ):
        page = read(client, "/retraining")
        assert "No model is in production." in page.text
        assert "watchkeeper models promote" in page.text
        assert "No retraining run yet." in page.text
        assert read(client, "/retraining/nothing").status == 404


def test_given_a_model_when_checked_then_the_page_tells_what_would_be_decided(
    client: TestClient,
) -> None:
    assert "retraining due" not in read(client, "/retraining").text

    page = read(client, "/retraining?check=late")

    assert "no retraining due" in page.text
    assert "nothing asks for a training" in page.text
    assert "Retraining is not enabled." in page.text
    assert client.get(page.links["GET /v1/retraining/check?model=late"]).status_code == 200


def test_given_a_person_when_training_again_then_it_is_decided_and_can_be_given_up(
    app: App, client: TestClient
) -> None:
    form = read(client, "/retraining").form("retrain", to="/models/late")

    answer = send(client, form, actor="eve", reason="a new runway")

    assert (answer.status_code, answer.headers["location"]) == (303, "/retraining")
    run = app.retraining.find("late")[0]
    assert (run.state, run.actor) == (RunState.DECIDED, "eve")
    listed = read(client, "/retraining")
    assert f"One run at a time: {run.name} is under way." in listed.text
    assert asked(listed, "retrain") == []
    page = read(client, f"/retraining/{run.name}")
    assert "Nothing is decided yet: the candidate is not judged." in page.text
    assert page.links["Facts"] == f"/models/late/history/decision:{run.name}"

    given_up = send(client, page.form("abort"), reason=f"no, {HOSTILE}")

    assert given_up.status_code == 303
    assert app.retraining.get(run.name).state is RunState.CANCELLED
    entry = app.audit.entries("late", action="retraining cancelled", limit=1)[0]
    assert (entry.actor, entry.reason) == ("eve", f"no, {HOSTILE}")
    ended = client.get(f"/retraining/{run.name}")
    assert HOSTILE not in ended.text
    told = read(client, f"/retraining/{run.name}")
    assert f"late:1.0.1 stays in production: no, {HOSTILE}." in told.text
    assert "cancelled by eve" in told.text
    assert asked(told, "abort") == []
    again = send(client, page.form("abort"), reason="again")
    assert again.status_code == 409


def test_given_a_hostile_trigger_when_looked_then_it_is_text(app: App, client: TestClient) -> None:
    begin(app, decided("odd", HOSTILE), RunState.FAILED, HOSTILE)
    for address in ("/retraining", "/retraining/odd"):
        assert HOSTILE not in client.get(address).text
        assert HOSTILE in read(client, address).text


@pytest.mark.parametrize(
    ("kind", "finding", "address"),
    [
        ("drift", 7, "/models/late/drift?finding=7"),
        ("quality", 8, "/models/late/history/finding:8"),
        ("schedule", None, "/models/late/history/decision:r"),
    ],
)
def test_given_a_trigger_when_followed_then_it_leads_to_what_it_rests_on(
    kind: str, finding: int | None, address: str
) -> None:
    trigger = Trigger(kind=kind, reason="so", finding=finding)
    assert evidence_of(decided("r"), trigger) == address


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("gating", "and what its policy asks for is being done."),
        ("rolling_out", "and is rolled out."),
        ("shadowing", "and gets mirrored traffic."),
        ("kept", "and did not stay in its place: the rollout r was rolled back."),
    ],
)
def test_given_a_better_candidate_in_any_state_when_told_then_the_sentence_fits(
    app: App, state: str, told: str
) -> None:
    run = app.retraining.get(RUN)
    stored = {**plain(run), "state": state, "reason": "the rollout r was rolled back"}
    better = "late:1.0.1 is better than late:1.0.0, "
    assert decision_of(Run.from_dict(stored)) == better + told
    worse = {**stored["gate"], "passed": False}
    kept = Run.from_dict({**stored, "state": "kept", "gate": worse})
    assert decision_of(kept) == "late:1.0.1 is not better, and late:1.0.0 stays in production."


def test_given_a_long_log_when_asked_for_its_end_then_it_begins_with_a_line(app: App) -> None:
    (app.retraining.repository.folder / RUN / LOG).write_text(
        "".join(f"line {n}\n" for n in range(1000))
    )
    assert app.retraining_monitor.log(RUN, last=20) == "line 998\nline 999\n"
    assert app.retraining_monitor.log(RUN, last=18) == "line 998\nline 999\n"
    assert app.retraining_monitor.log(RUN, last=17) == "line 999\n"
    assert len(app.retraining_monitor.log(RUN).splitlines()) == 1000


@pytest.mark.parametrize("before", [True, False])
def test_given_a_log_when_it_moves_at_the_end_of_its_run_while_it_is_read_then_it_is_shown(
    app: App, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    log = app.retraining.repository.folder / RUN / LOG
    unfinished = log.parent / "work" / LOG
    unfinished.parent.mkdir(parents=True)
    unfinished.write_text("learned\n")
    log.unlink(missing_ok=True)
    whole = Path.open

    def moving(path: Path, *arguments: Any) -> Any:
        if before and unfinished.exists():
            unfinished.replace(log)
        try:
            return whole(path, *arguments)
        finally:
            if unfinished.exists():
                unfinished.replace(log)

    monkeypatch.setattr(Path, "open", moving)
    assert app.retraining_monitor.log(RUN) == "learned\n"
