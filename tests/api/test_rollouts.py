"""Rollouts of real versions on a server: the traffic, the decisions, what people do, what fails."""

import json
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient
from tests.server.odd_models import Raises
from tests.servers import LABELS, ROWS, server_process, tensor

from watchkeeper.app import App
from watchkeeper.cli import main
from watchkeeper.config import Settings
from watchkeeper.identity import By
from watchkeeper.registry import ModelRegistry
from watchkeeper.rollouts import Event

START = datetime(2026, 3, 1, tzinfo=UTC)
PLAN: dict[str, Any] = {"steps": [20, 50, 100], "window_minutes": 10, "min_samples": 20}
GOOD, BAD, OTHER = "2", "3", "4"


class Served:
    """A server whose time is that of the events, and what a team does with it."""

    def __init__(self, client: TestClient, data_dir: Path) -> None:
        self.client, self.data_dir, self.now = client, data_dir, START
        self.server: Any = client.app.application  # type: ignore[attr-defined]

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.client.post(path, json=body or {})
        assert answer.status_code == status, answer.text
        return answer.json()

    def ask(self, unit: str) -> str:
        """Ask the model once; return who answered, or ``error``."""
        return str(self._answer(unit).get("variant", "error"))

    def asked(self, unit: str) -> str:
        """Ask the model once; return the id of the prediction."""
        return str(self._answer(unit)["prediction_id"])

    def _answer(self, unit: str) -> dict[str, Any]:
        parameters = {
            "unit_id": unit, "timestamp": self.now.isoformat(), "tags": {"site": "web"},
        }  # fmt: skip
        body = {"inputs": [tensor([3.0, 0.0, 1.0, 0.0])], "parameters": parameters}
        answer = self.client.post("/v2/models/lr/infer", json=body)
        told: dict[str, Any] = answer.json().get("parameters", {})
        return told

    def pass_minutes(self, minutes: int, requests: int = 12) -> Counter[str]:
        """Let time pass, with requests of new units in each minute."""
        given: Counter[str] = Counter()
        for _ in range(minutes):
            self.now += timedelta(minutes=1)
            given.update(self.ask(f"{self.now:%H%M}-{number}") for number in range(requests))
        return given

    def begin(self, version: str = GOOD, status: int = 201, **plan: Any) -> Any:
        self.ask("first")  # the clock of a replay begins with the events
        body = {"name": "june", "model": "lr", "version": version, "plan": {**PLAN, **plan}}
        return self.post("/v1/rollouts", body, status)

    def look(self) -> Any:
        self.client.portal.call(self.server.controller.rollouts.look)  # type: ignore[union-attr]
        return self.rollout()

    def rollout(self) -> Any:
        return self.client.get("/v1/rollouts/june").json()["rollout"]

    def incidents(self) -> list[Any]:
        """Return those of the rollout: the server may measure in between, and open others."""
        listed = self.client.get("/v1/incidents").json()["incidents"]
        return [incident for incident in listed if "june" in incident["title"]]

    def history(self) -> list[str]:
        entries = self.client.get("/v1/rollouts/june/history").json()["history"]
        return [each["action"].removeprefix("rollout ") for each in entries]

    @property
    def production(self) -> Any:
        return self.client.get("/v1/models/lr").json()["production"]


@pytest.fixture
def served(tmp_path: Path, start: Callable[..., TestClient]) -> Served:
    client = start(server={"clock": "events", "rollout_interval": 3_600})
    with ModelRegistry(tmp_path / "registry") as registry:
        good = LogisticRegression().fit(ROWS, LABELS)  # answers as the one in production does
        registry.register_model(good, "lr", GOOD, {}, training_data=ROWS)
        other = DummyClassifier(strategy="constant", constant=0).fit(ROWS, LABELS)
        registry.register_model(other, "lr", OTHER, {}, training_data=ROWS)
        registry.register_model(Raises(), "lr", BAD, {}, allow_unsafe=True)
    return Served(client, tmp_path)


def test_given_a_good_version_when_rolled_out_then_it_takes_each_step_and_production(
    served: Served,
) -> None:
    served.begin()
    answered = []
    for percent in (20, 50, 100):
        share = 'model_rollout_traffic_percentage{model="lr",rollout="june",variant="canary"}'
        assert f"{share} {percent}.0" in served.client.get("/metrics").text
        answered.append(served.pass_minutes(11))
        served.look()

    assert set(answered[0]) == {"production", "canary"} == set(answered[1])
    assert answered[0]["canary"] < answered[1]["canary"] < answered[2]["canary"] == 132
    assert served.rollout()["state"] == "completed"
    assert served.production == "lr:2"
    assert served.history() == ["create", "step", "step", "promote", "promoted"]
    entries = served.client.get("/v1/rollouts/june/history").json()["history"]
    assert "errors: 0.00% (0 of" in entries[1]["reason"]
    assert entries[1]["evidence"]["seen"]["steps"][0]["requests"] == answered[0]["canary"]

    served.now += timedelta(days=2)  # nobody watches it any more
    served.ask("somebody")
    served.client.portal.call(served.server.controller.follow)  # type: ignore[union-attr]
    assert served.ask("somebody") == "production"
    assert served.client.post("/v1/rollouts/june/abort", json={}).status_code == 409


def test_given_a_version_that_fails_when_rolled_out_then_it_is_gone_before_its_window_ends(
    served: Served,
) -> None:
    served.begin(BAD)
    first = served.pass_minutes(3)
    assert first["error"] > 3

    assert served.look()["state"] == "rolled_back"
    told = served.client.get("/metrics").text
    assert 'model_rollout_rollbacks_total{model="lr"} 1.0' in told
    assert served.production == "lr:1"
    assert set(served.pass_minutes(2)) == {"production"}
    assert served.history() == ["create", "breach", "rolled_back"]
    entries = served.client.get("/v1/rollouts/june/history").json()["history"]
    assert "over all steps this is significant" in entries[1]["reason"]

    again = served.post("/v1/rollouts", {"name": "july", "model": "lr", "version": BAD}, 201)
    assert again["retries"] == "june"


def test_given_failover_when_the_canary_fails_then_production_answers_and_the_canary_is_blamed(
    served: Served,
) -> None:
    served.begin(BAD, failover=True)

    assert set(served.pass_minutes(3)) == {"production", "failover"}
    assert served.look()["state"] == "rolled_back"


def test_given_a_version_that_answers_otherwise_when_rolled_out_then_a_person_has_to_look(
    served: Served,
) -> None:
    served.begin(OTHER, quality_margin=None)
    served.pass_minutes(11, requests=60)
    held = served.look()
    assert (held["state"], held["hold"], held["step"]) == ("holding", "signal", 0)
    decision = served.client.get("/v1/rollouts/june").json()["decision"]
    assert "the prediction distributions of the two versions differ" in decision["reason"]
    resumed = served.post("/v1/rollouts/june/resume", {"reason": "it is meant to"})
    assert (resumed["state"], resumed["step"]) == ("running", 0)
    served.pass_minutes(11, requests=12)
    looked = served.post("/v1/rollouts/june/look")
    assert (looked["rollout"]["step"], looked["decision"]["event"]) == (1, "step")


def test_given_outcomes_that_come_when_the_canary_is_wrong_then_it_is_taken_back(
    served: Served,
) -> None:
    served.begin(OTHER, max_prediction_shift=None, segments=["tag.site=web"], label_delay=180)
    outcomes = []
    for number in range(400):
        served.now += timedelta(seconds=1)
        ids, actual = served.asked(f"u{number}"), 1 if number % 5 else 0
        outcomes.append(
            {"prediction_id": ids, "actual": actual, "timestamp": served.now.isoformat()}
        )
    assert served.look()["state"] == "running"  # nothing is known yet
    served.post("/v1/models/lr/outcomes", outcomes)

    assert served.look()["state"] == "rolled_back"
    entry = served.client.get("/v1/rollouts/june/history").json()["history"][1]
    assert entry["reason"].startswith("wrong: ")
    assert "above production at the same time" in entry["reason"]
    counted = entry["evidence"]["seen"]["steps"][0]
    assert counted["of"]["wrong"] < counted["requests"]  # the last three minutes are too young
    assert counted["of"]["wrong.tag.site-web"] == counted["of"]["wrong"]


def test_given_a_promoted_version_when_it_fails_while_watched_then_the_former_one_is_back(
    served: Served,
) -> None:
    served.begin(BAD)
    served.post("/v1/rollouts/june/promote", {"reason": "we are sure"})
    assert served.production == "lr:3"
    served.pass_minutes(3)

    assert served.look()["state"] == "rolled_back"
    assert served.production == "lr:1"
    assert set(served.pass_minutes(1)) == {"production"}


def test_given_units_that_come_again_when_the_share_grows_then_who_had_the_canary_keeps_it(
    served: Served,
) -> None:
    served.begin()
    units = [f"user-{number}" for number in range(60)]
    sides = []
    for _ in range(3):
        sides.append({unit for unit in units if served.ask(unit) == "canary"})
        change = "step" if len(sides) < 3 else "promote"
        served.post(f"/v1/rollouts/june/{change}", {"reason": "the test"})
    assert sides[0] < sides[1] < sides[2] == set(units)


@pytest.mark.parametrize("acts", [(), ("pause",), ("step",), ("promote",)])
def test_given_any_state_when_aborted_then_production_is_what_it_was(
    served: Served, acts: tuple[str, ...]
) -> None:
    served.begin()
    for act in acts:
        served.post(f"/v1/rollouts/june/{act}", {"reason": "we try"})

    served.post("/v1/rollouts/june/abort", {"reason": "no"})

    assert served.rollout()["state"] == "rolled_back"
    assert served.production == "lr:1"
    assert set(served.pass_minutes(1)) == {"production"}


def test_given_a_pause_when_time_passes_then_nothing_is_passed_but_harm_still_takes_it_back(
    served: Served,
) -> None:
    served.begin(BAD)
    served.post("/v1/rollouts/june/pause")
    served.pass_minutes(3)
    assert served.look()["state"] == "rolled_back"


def test_given_no_traffic_when_the_window_ends_then_it_holds_and_expires_at_the_deadline(
    served: Served,
) -> None:
    served.begin(deadline_hours=1)
    served.now += timedelta(minutes=20)
    served.post("/v1/models/lr/outcomes", [
        {"prediction_id": "x", "actual": 1, "timestamp": served.now.isoformat()}
    ])  # fmt: skip
    held = served.look()
    assert (held["state"], held["hold"]) == ("holding", "no_data")
    assert served.look()["number"] == held["number"]  # said once

    served.now += timedelta(hours=1)
    served.ask("late")
    assert served.look()["state"] == "rolled_back"
    assert served.history()[-2:] == ["expire", "rolled_back"]


def test_given_traffic_that_stops_when_the_window_ends_then_the_gap_is_no_healthy_time(
    served: Served,
) -> None:
    served.begin()
    served.pass_minutes(5, requests=40)
    served.now += timedelta(minutes=10)
    served.ask("back again")
    held = served.look()
    assert (held["state"], held["hold"]) == ("holding", "no_data")

    served.pass_minutes(6)
    assert (served.look()["step"], served.rollout()["state"]) == (1, "running")


def test_given_traffic_of_one_side_only_when_looked_at_then_it_holds(served: Served) -> None:
    served.begin()
    split = served.server.gateway.router._splits["lr"]
    for number in range(400):
        if not split.takes(f"u{number}"):
            served.now += timedelta(seconds=3)
            served.ask(f"u{number}")
    held = served.look()
    assert (held["state"], held["hold"], held["step"]) == ("holding", "srm", 0)


def test_given_nobody_who_looks_for_two_windows_then_production_answers_until_somebody_does(
    served: Served,
) -> None:
    served.begin()
    assert "canary" in served.pass_minutes(3)
    served.now += timedelta(minutes=30)
    served.ask("the clock")

    assert set(served.pass_minutes(2)) == {"production"}
    rows = served.server.app.events.read("lr").rows.to_pylist()
    assert rows[-1]["experiment"] is None  # it is compared with nothing

    served.look()
    served.client.portal.call(served.server.controller.follow)  # type: ignore[union-attr]
    assert "canary" in served.pass_minutes(3)


def test_given_somebody_who_puts_another_version_in_production_then_that_holds_at_once(
    served: Served,
) -> None:
    served.begin()
    with ModelRegistry(served.data_dir / "registry") as registry:
        other = DummyClassifier(strategy="constant", constant=0).fit(ROWS, LABELS)
        registry.promote_to_production(registry.register_model(other, "lr", "9", {}))
    served.client.portal.call(served.server.controller.follow)  # type: ignore[union-attr]

    assert set(served.pass_minutes(2)) == {"production"}
    assert served.look()["state"] == "rolled_back"
    assert served.production == "lr:9"
    reasons = served.client.get("/v1/rollouts/june/history").json()["history"]
    assert "lr:9 is in production" in reasons[1]["reason"]


def test_given_files_that_were_tampered_with_when_promoted_then_it_is_taken_back(
    served: Served,
) -> None:
    served.begin()
    (file,) = (served.data_dir / "registry").glob("**/lr/2/model.*")
    file.write_bytes(file.read_bytes() + b"x")

    served.post("/v1/rollouts/june/promote", {"reason": "the test"})

    assert served.rollout()["state"] == "rolled_back"
    assert served.production == "lr:1"
    assert served.history() == ["create", "promote", "breach", "rolled_back"]
    served.ask("next")
    refused = served.post("/v1/rollouts", {"name": "july", "model": "lr", "version": GOOD}, 503)
    assert refused["error"]["code"] == "integrity"


def test_given_a_canary_whose_files_are_gone_when_a_server_starts_then_it_is_taken_back(
    served: Served, start: Callable[..., TestClient]
) -> None:
    served.begin()
    (folder,) = (served.data_dir / "registry").glob("**/lr/2")
    shutil.rmtree(folder)
    served.server.gateway.router._table.rolling["lr:2"].close()
    served.server.gateway.router._table = type(served.server.gateway.router._table)(
        {}, {}, {}, {}
    )  # as at a start
    served.client.portal.call(served.server.controller.follow)  # type: ignore[union-attr]

    assert set(served.pass_minutes(1)) == {"production"}
    assert served.look()["state"] == "rolled_back"
    assert "cannot be loaded" in served.client.get("/v1/rollouts/june/history").text


def test_given_events_that_cannot_be_read_when_looked_at_often_then_it_holds_and_is_not_judged(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.begin()
    real = served.server.app.events.days

    def fails(*_: Any, **__: Any) -> Any:
        raise OSError("the disk is gone")

    monkeypatch.setattr(served.server.app.events, "days", fails)
    for _ in range(5):
        assert served.server.controller.rollouts.rest >= 3_600
        served.client.portal.call(served.server.controller.rollouts.look)  # type: ignore[union-attr]
    monkeypatch.setattr(served.server.app.events, "days", real)
    held = served.rollout()
    assert (held["state"], held["hold"]) == ("holding", "analysis_error")

    served.pass_minutes(11)
    assert (served.look()["state"], served.rollout()["step"]) == ("running", 1)


def test_given_a_control_database_that_is_gone_when_asked_then_the_shares_hold(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.begin()

    def gone(*_: Any, **__: Any) -> Any:
        raise sa.exc.OperationalError("select", {}, Exception("locked"))

    for name in ("splits", "latest"):
        monkeypatch.setattr(served.server.app.rollouts.repository, name, gone)
    served.client.portal.call(served.server.controller.rollouts.look)  # type: ignore[union-attr]
    served.client.portal.call(served.server.controller.follow)  # type: ignore[union-attr]

    assert "canary" in served.pass_minutes(3)
    assert (
        'watchkeeper_job_failures_total{task="rollouts"} 1.0' in served.client.get("/metrics").text
    )


def test_given_a_database_file_that_is_away_when_it_is_back_then_the_rollout_goes_on(
    served: Served,
) -> None:
    served.begin()
    file = served.data_dir / "registry" / "control.db"
    away = file.rename(file.with_name("away.db"))  # as when a volume is not there for a minute
    served.server.app.control_database.close()
    served.client.portal.call(served.server.controller.rollouts.look)  # type: ignore[union-attr]
    served.client.portal.call(served.server.controller.follow)  # type: ignore[union-attr]

    assert set(served.pass_minutes(11)) == {"production", "canary"}
    refused = served.client.post("/v1/rollouts/june/abort", json={})
    assert refused.status_code == 503, refused.text
    assert not file.exists()  # no empty one is begun in its place

    away.rename(file)
    assert (served.look()["state"], served.rollout()["step"]) == ("running", 1)


@pytest.mark.parametrize("kind", ["rollouts", "shadows"])
def test_given_one_that_is_stored_wrongly_when_another_version_is_promoted_then_it_answers(
    served: Served, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    served.begin()
    body = {"name": "s", "model": "lr", "version": OTHER}
    served.post("/v1/shadows", body, 201)
    with sa.create_engine(served.server.app.registry.control_url).begin() as connection:
        connection.execute(sa.text(f"UPDATE {kind} SET document = '{{\"of\": 2030}}'"))
    with ModelRegistry(served.data_dir / "registry") as registry:
        registry.promote_to_production(f"lr:{OTHER}")
    served.client.portal.call(served.server.controller.follow)  # type: ignore[union-attr]

    assert served.pass_minutes(1) == {"production": 12}
    assert served.production == f"lr:{OTHER}"
    assert "cannot be read" in caplog.text


def test_given_a_second_rollout_or_an_experiment_when_begun_then_it_is_refused(
    served: Served,
) -> None:
    arms = {"control": "1", "new": "2"}
    experiment = {"name": "ab", "model": "lr", "arms": arms, "mode": "anytime"}
    served.post("/v1/experiments", experiment, 201)
    served.begin()

    second = served.post("/v1/rollouts", {"name": "july", "model": "lr", "version": BAD}, 409)
    assert "june of lr is under way" in second["error"]["message"]
    same = served.post("/v1/rollouts", {"name": "june", "model": "lr", "version": BAD}, 409)
    assert "june" in same["error"]["message"]
    refused = served.post("/v1/experiments/ab/start", {"reason": "now"}, 409)
    assert "rollout june" in refused["error"]["message"]
    for change in ("archive", "delete"):
        assert main(["models", change, "lr:2", "--data-dir", str(served.data_dir)]) == 2

    served.post("/v1/rollouts/june/abort")
    served.post("/v1/experiments/ab/start", {"reason": "now"})
    third = served.post("/v1/rollouts", {"name": "july", "model": "lr", "version": GOOD}, 409)
    assert "experiment ab" in third["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"version": "7"}, 404, "lr:7"),
        ({"version": "1"}, 409, "in production already"),
        ({"model": "nobody"}, 404, "nobody"),
        ({"plan": {"steps": [50, 20]}}, 400, "rising percentages"),
        ({"plan": {"max_error_rate": 1.5}}, 400, "max_error_rate"),
        ({"plan": {"windows": 5}}, 400, "window_minutes"),
        ({"plan": {"watch_hours": 2, "off_by": 1}}, 400, "watch_hours = 2 is now bake_time = 7200"),
        ({"plan": {"watch_hours": 2, "off_by": 1}}, 400, "off_by = 1 is now error_tolerance = 1"),
        ({"name": "no/name"}, 400, "no/name"),
    ],
)
def test_given_bad_input_when_a_rollout_is_begun_then_it_is_refused_and_nothing_is_kept(
    served: Served, body: dict[str, Any], status: int, said: str
) -> None:
    given = {"name": "june", "model": "lr", "version": GOOD, **body}
    assert said in json.dumps(served.post("/v1/rollouts", given, status))
    assert served.client.get("/v1/rollouts").json() == {"rollouts": []}


def test_given_the_command_line_when_it_acts_then_the_server_follows(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        assert main(["rollouts", *arguments, "--data-dir", str(served.data_dir)]) == code
        return capsys.readouterr().out

    begun = run("start", "june", "--model", "lr", "--version", GOOD, "--steps", "50,100",
                "--reason", "it learned more")  # fmt: skip
    assert begun.startswith("june: running, 50 %\nhow long it takes depends on the traffic")
    served.client.portal.call(served.server.controller.follow)  # type: ignore[union-attr]
    assert "canary" in served.pass_minutes(1)
    assert "running, 50 %" in run("status", "june")
    assert run("pause", "june") == "june: paused, 50 %\n"
    assert run("resume", "june") == "june: running, 50 %\n"
    assert run("promote", "june", "--step", "--reason", "quick") == "june: running, 100 %\n"
    assert run("promote", "june", "--reason", "now") == "june: completed\n"
    assert served.production == "lr:2"
    assert run("abort", "june", "--reason", "no") == "june: rolled back\n"
    assert served.production == "lr:1"
    assert "rolled back" in run("status", "june", code=1)
    assert [each for each in ("create", "pause", "resume", "step", "promoted", "abort")
            if each not in run("history", "june")] == []  # fmt: skip
    assert "rolled back" in run("list")


# What is written of a rollout before its server dies, the state that leaves, and what comes of it.
LIVES: dict[str, tuple[tuple[str, ...], str]] = {
    "scheduled": (("later",), "scheduled"),
    "running": ((), "running"),
    "holding": (("hold",), "holding"),
    "paused": ((Event.PAUSE,), "paused"),
    "promoting": ((Event.PROMOTE,), "completed"),
    "completed": ((Event.PROMOTE, "settle"), "completed"),
    "rolling_back": ((Event.ABORT,), "rolled_back"),
}
ANSWER = {
    "scheduled": {"1"},
    "running": {"1", GOOD},
    "holding": {"1", GOOD},
    "paused": {"1", GOOD},
    "completed": {GOOD},
    "rolled_back": {"1"},
}


def test_given_a_server_that_is_killed_in_any_state_when_it_starts_again_then_it_goes_on_from_there(
    tmp_path: Path,
) -> None:
    with App(Settings(data_dir=tmp_path)) as app:
        registry = app.registry
        model = LogisticRegression().fit(ROWS, LABELS)
        constant = DummyClassifier(strategy="constant", constant=1).fit(ROWS, LABELS)
        for name in LIVES:  # a model of its own for each state: all are in one server's life
            own = registry.register_model(model, name, "1", {}, training_data=ROWS)
            registry.promote_to_production(own)
            registry.register_model(constant, name, GOOD, {}, training_data=ROWS)
        quick = {"WATCHKEEPER_STORE__LANDING_INTERVAL": "0.1",
                 "WATCHKEEPER_SERVER__ROLLOUT_INTERVAL": "0.1"}  # fmt: skip
        with server_process(tmp_path, **quick) as server:
            with httpx.Client(base_url=server.url) as client:
                for name, (acts, _) in LIVES.items():
                    body: dict[str, Any] = {
                        "name": name, "model": name, "version": GOOD, "plan": {"steps": [50, 100]},
                    }  # fmt: skip
                    if "later" in acts:
                        body["begins_at"] = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
                    assert client.post("/v1/rollouts", json=body).status_code == 201
            server.end(signal.SIGKILL)
        for name, (acts, _) in LIVES.items():
            _written(app, name, acts)
        left = {name: app.rollouts.get(name).state for name in LIVES}
        assert left == {name: name for name in LIVES}

        expected = {name: then for name, (_, then) in LIVES.items()}
        with server_process(tmp_path, **quick) as server:
            with httpx.Client(base_url=server.url) as client:
                answers = {name: _versions(client, name) for name in LIVES}
                for _ in range(5_000):
                    states = {name: app.rollouts.get(name).state for name in LIVES}
                    if states == expected:
                        break
                    client.get("/v1/rollouts")
            assert states == expected
            assert server.end() == 0
    assert answers == {name: ANSWER[then] for name, then in expected.items()}


def _written(app: App, name: str, acts: tuple[str, ...]) -> None:
    """Write what was written before the process died, and no more."""
    for event in acts:
        now = datetime.now(UTC)
        if event == "later":
            continue
        if event == "hold":
            app.rollouts.hold_unreadable(name, "the disk is gone")
        elif event == "settle":
            app.rollouts.settle(name)
        else:
            before = app.rollouts.get(name)
            after, by = before.moved(Event(event), now), By("ada", "the test")
            app.rollouts.repository.save(before, after, action=event, at=now, by=by, evidence=after)


def _versions(client: httpx.Client, model: str) -> set[str]:
    """Return which versions answer twenty users."""
    found = set()
    for number in range(20):
        asked = {"inputs": [tensor([3.0, 0.0, 1.0, 0.0])],
                 "parameters": {"unit_id": f"user-{number}"}}  # fmt: skip
        found.add(client.post(f"/v2/models/{model}/infer", json=asked).json()["model_version"])
    return found


def test_given_a_step_that_needs_approval_when_held_then_an_incident_tells_until_it_is_over(
    served: Served,
) -> None:
    served.begin(approval=True)
    served.pass_minutes(11)
    held = served.look()
    assert (held["state"], held["hold"]) == ("holding", "approval")
    (incident,) = served.incidents()
    assert (incident["state"], incident["severity"]) == ("open", "warning")

    served.post("/v1/rollouts/june/abort", {"reason": "not in June"})
    served.look()
    (incident,) = served.incidents()
    assert incident["state"] == "resolved"
