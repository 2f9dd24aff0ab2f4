"""Online learning on a server: in a process of its own, followed by the traffic."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import linear_model, preprocessing
from sklearn.linear_model import SGDClassifier
from starlette.testclient import TestClient
from tests.servers import tensor

from watchkeeper.cli import main
from watchkeeper.clock import system_clock
from watchkeeper.jobs import online_learning as learner
from watchkeeper.jobs.online_learning import Learner
from watchkeeper.registry import ModelRegistry

RNG = np.random.default_rng(4)
ROWS = RNG.normal(size=(240, 2))
LATE = (ROWS[:, 0] > 0).astype(int)
BY_WIND = (ROWS[:, 1] > 0).astype(int)
ONLINE = {"enabled": True, "snapshot_every": 100, "then": "direct"}


@pytest.fixture(autouse=True)
def looks_of_the_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only a test look, since a look beside the server's own finds it busy; let none wait."""
    monkeypatch.setattr("watchkeeper.jobs.controller._LEARN", 3_600.0)
    monkeypatch.setattr(learner, "CHILD", learner.CHILD.replace("os.nice(10)", "os.nice(0)"))


def estimator() -> SGDClassifier:
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.05, random_state=1)
    return model.partial_fit(ROWS[:60], BY_WIND[:60], classes=[0, 1])


def by_river() -> Any:
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    for row, label in zip(ROWS[:60], BY_WIND, strict=False):
        model.learn_one({"distance": row[0], "wind": row[1]}, bool(label))
    return model


def put(data_dir: Path, model: Any, version: str = "1.0.0", **more: Any) -> None:
    with ModelRegistry(data_dir / "registry") as registry:
        names = {"distance": ROWS[:60, 0], "wind": ROWS[:60, 1]}
        model_id = registry.register_model(model, "late", version, {}, training_data=names, **more)
        registry.promote_to_production(model_id)


def told(client: TestClient, model: str, rows: list[list[float]], actual: list[int]) -> None:
    """Let the server predict rows, and tell it what came true."""
    said = client.post(f"/v2/models/{model}/infer", json={"inputs": [tensor(*rows)]})
    assert said.status_code == 200, said.text
    now = system_clock().isoformat()
    outcomes = [
        {"prediction_id": own, "timestamp": now, "actual": true}
        for own, true in zip(said.json()["parameters"]["prediction_ids"], actual, strict=True)
    ]
    assert client.post(f"/v1/models/{model}/outcomes", json=outcomes).status_code == 200


def answer(client: TestClient, first: int, last: int, true: Any = LATE) -> None:
    told(client, "late", ROWS[first:last].tolist(), true[first:last].tolist())


def look(client: TestClient) -> dict[str, Any]:
    server: Any = client.app.application  # type: ignore[attr-defined]
    server.controller.online_learning.labelled.add("late")
    found: dict[str, Any] = client.portal.call(server.controller.online_learning.look)  # type: ignore[union-attr]
    return found


def begin(start: Callable[..., TestClient], **changes: Any) -> TestClient:
    return start(models={"late": {"online": {**ONLINE, **changes}}})


def incidents(client: TestClient) -> list[Any]:
    """Return those of online learning: the server may measure in between, and open others."""
    listed: list[Any] = client.get("/v1/incidents").json()["incidents"]
    return [incident for incident in listed if incident["source"] == "online learning"]


def test_given_outcomes_when_the_server_looks_then_the_model_has_learned_and_the_new_one_answers(
    start: Callable[..., TestClient],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put(tmp_path, estimator())
    client = begin(start)
    answer(client, 0, 90)
    assert look(client) == {}
    answer(client, 90, 120)

    found = look(client)["late"]

    (step,) = found["steps"]
    assert step["kept"], step["reason"]
    assert step["promoted"] == "late:1.0.0-online.1", step["reason"]
    body = {"inputs": [tensor([2.0, 0.0])]}
    said = client.post("/v2/models/late/infer", json=body).json()
    assert said["model_version"] == "1.0.0-online.1"
    assert look(client) == {}
    metrics = client.get("/metrics").text
    assert 'watchkeeper_job_runs_total{task="online"} 1.0' in metrics
    assert 'watchkeeper_job_failures_total{task="online"} 0.0' in metrics
    assert not incidents(client)
    kinds = {each["kind"] for each in client.get("/v1/models/late/history").json()["history"]}
    assert {"online", "promote"} <= kinds

    where = ["--data-dir", str(tmp_path)]
    assert main(["history", "late", *where]) == 0
    assert "online learning: kept" in capsys.readouterr().out


def test_given_a_model_of_river_when_outcomes_land_then_the_server_lets_it_learn_by_itself(
    start: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchkeeper.jobs.controller._LEARN", 0.02)
    put(tmp_path, by_river(), allow_unsafe=True)
    quick = {"segment_max_age": 0.02, "fsync_interval": 0.02, "landing_interval": 0.02}
    learned = threading.Event()
    real = Learner.look

    async def look(learner: Learner) -> Any:
        found = await real(learner)
        if found:
            learned.set()
        return found

    monkeypatch.setattr(Learner, "look", look)
    client = start(models={"late": {"online": ONLINE}}, store=quick)

    answer(client, 0, 120)

    assert learned.wait(200)
    assert client.get("/v1/models/late").json()["production"] == "late:1.0.0-online.1"
    said = client.post("/v2/models/late/infer", json={"inputs": [tensor([2.0, 0.0])]}).json()
    assert said["model_version"] == "1.0.0-online.1"
    assert said["outputs"][0]["data"] == [True]


def test_given_the_policy_is_off_when_the_server_looks_then_nothing_is_learned(
    start: Callable[..., TestClient], tmp_path: Path
) -> None:
    put(tmp_path, estimator())
    client = begin(start, enabled=False)
    answer(client, 0, 120)
    assert look(client) == {}


def test_given_a_model_that_cannot_learn_when_the_server_looks_then_an_incident_says_so(
    start: Callable[..., TestClient], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = start(models={"lr": {"online": {**ONLINE, "snapshot_every": 30}}})
    server: Any = client.app.application  # type: ignore[attr-defined]
    told(client, "lr", [[0.0, 1.0, 0.0, 2.0]] * 40, [0] * 40)

    assert look(client) == {}

    (found,) = incidents(client)
    assert "partial_fit" in found["title"]
    assert "lr could not learn online" in caplog.text
    assert 'watchkeeper_job_failures_total{task="online"} 1.0' in client.get("/metrics").text
    assert look(client) == {}  # it rests: no second run
    assert 'watchkeeper_job_failures_total{task="online"} 1.0' in client.get("/metrics").text
    server.controller.online_learning._rests.clear()
    better = SGDClassifier(loss="log_loss", random_state=1).fit(np.eye(4), [0, 1, 0, 1])
    with ModelRegistry(tmp_path / "registry") as registry:
        registry.promote_to_production(registry.register_model(better, "lr", "2", {}))
    told(client, "lr", [[0.0, 1.0, 0.0, 2.0]] * 30, [0] * 30)
    assert look(client)["lr"]["steps"]
    assert incidents(client)[0]["state"] == "resolved"


def test_given_a_look_that_takes_too_long_when_it_is_ended_then_predictions_never_waited(
    start: Callable[..., TestClient], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, estimator())
    client = begin(start, time_limit=0.05)
    answer(client, 0, 120)

    assert look(client) == {}

    assert "it took more than 0.05 seconds" in caplog.text
    assert incidents(client)
    answer(client, 120, 125)
    assert client.get("/v1/models/late").json()["production"] == "late:1.0.0"


def hungry(at_once: bool) -> Any:
    """Return a model that learns nothing, and holds ever more; or asks for much that it leaves."""

    class Hungry:  # of a function, so that it is pickled with its code
        def predict(self, rows: Any) -> Any:
            return np.zeros(len(rows))

        __call__ = predict

        def partial_fit(self, rows: Any, labels: Any) -> None:
            held = [np.zeros(2**31)] if at_once else []
            while not at_once:
                held.append(np.ones(2**21))

    return Hungry()


@pytest.mark.parametrize(("at_once", "why"), [(False, "it held"), (True, "it needed more memory")])
def test_given_a_model_that_eats_memory_when_it_is_ended_then_all_is_as_before(
    start: Callable[..., TestClient],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    at_once: bool,
    why: str,
) -> None:
    put(tmp_path, hungry(at_once), format="cloudpickle", allow_unsafe=True)
    client = begin(start, memory_limit="1GiB")
    answer(client, 0, 120)

    assert look(client) == {}

    (found,) = incidents(client)
    assert why in found["title"]
    assert "1,073,741,824" in found["title"]
    assert "raise its memory_limit" in caplog.text
    assert 'watchkeeper_job_failures_total{task="online"} 1.0' in client.get("/metrics").text
    with ModelRegistry(tmp_path / "registry") as registry:
        assert [each.model_id for each in registry.list_models(model_name="late")] == ["late:1.0.0"]
        assert not registry.history("late", "online learning")
    begun = tmp_path / "retraining" / "online" / "late"
    assert [path.name for path in begun.iterdir()] == ["next.arrow"]  # nothing has taught
    server: Any = client.app.application  # type: ignore[attr-defined]
    server.controller.online_learning._rests.clear()
    put(tmp_path, estimator(), "2.0.0")  # which learns within the same limit
    answer(client, 120, 240)
    steps = look(client)["late"]["steps"]
    assert steps
    assert all(step["kept"] for step in steps), steps
    assert incidents(client)[0]["state"] == "resolved"


def test_given_labels_that_turn_when_the_server_looks_then_it_is_back_and_an_incident_says_so(
    start: Callable[..., TestClient], tmp_path: Path
) -> None:
    put(tmp_path, estimator())
    client = begin(start)
    answer(client, 0, 200, np.where(np.arange(240) < 100, LATE, 1 - LATE))

    first, step = look(client)["late"]["steps"]

    assert first["promoted"] == "late:1.0.0-online.1"

    assert step["returned"] == "late:1.0.0", step["reason"]
    assert client.get("/v1/models/late").json()["production"] == "late:1.0.0"
    (found,) = incidents(client)
    assert "late:1.0.0 is in production again" in found["title"]


def test_given_the_command_line_when_asked_to_learn_then_it_looks_now_and_says_what_came(
    start: Callable[..., TestClient], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, estimator())
    client = begin(start, enabled=False)
    config = tmp_path / "watchkeeper.toml"
    config.write_text("[models.late.online]\nsnapshot_every = 100\n")
    where = ["--data-dir", str(tmp_path), "--config", str(config)]
    assert main(["retrain", "online", "late", *where]) == 0
    assert "late: 100 more outcomes make the next snapshot" in capsys.readouterr().out
    answer(client, 0, 120)
    early = (system_clock() - timedelta(hours=1)).isoformat()
    assert main(["retrain", "online", "late", "--until", early, *where]) == 0
    assert "100 more" in capsys.readouterr().out

    assert main(["retrain", "online", "late", *where]) == 0
    said = capsys.readouterr().out
    assert "late:1.0.0-online.1" in said
    assert "80 more outcomes" in said
    assert main(["retrain", "online", "late", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == 80
    assert main(["retrain", "online", "nobody", *where]) == 2
    assert "nobody" in capsys.readouterr().err
    assert main(["retrain", "online", "lr", *where]) == 2
    assert "partial_fit" in capsys.readouterr().err
