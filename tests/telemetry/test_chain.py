"""The whole chain with real parts: two servers, Prometheus, Alertmanager, and back to our webhook.

Faults are made in models under load; each must be heard of once, whatever the number of replicas,
and be over when it is over. The exported configuration is used as it is, minutes read as seconds.
"""

import contextlib
import functools
import http.client
import importlib
import json
import re
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.parts import free_port, program, started
from tests.servers import LABELS, ROWS, ServerProcess, server_process

from watchkeeper.alerting.dashboards import Panel, dashboards
from watchkeeper.app import App
from watchkeeper.cli import main
from watchkeeper.config import Settings
from watchkeeper.registry import ModelRegistry

_MODELS = ("raising", "slow", "wrong", "lr")
_WITHIN = 90.0  # seconds for an alert to arrive; it takes some ten

_MOODY = '''
import threading
from pathlib import Path

import numpy as np


class Moody:
    """Answers 0; raises, or takes its time, while a file of its name says so."""

    def __init__(self, folder, mood):
        self.folder, self.mood = folder, mood

    def predict(self, rows):
        if (Path(self.folder) / self.mood).exists():
            if self.mood == "raising":
                raise RuntimeError("the weights are gone")
            if self.mood == "slow":
                threading.Event().wait(0.3)
        return np.zeros(len(rows))
'''

_SETTINGS = """
[store]
landing_interval = 1
segment_max_age = 1

[telemetry]
environment = "test"
url = "{url}"
targets = {targets}
alertmanagers = ["127.0.0.1:{alertmanager}"]

[telemetry.alerts]
latency_p95 = 0.25

[models.wrong]
positive = 0
[models.wrong.quality]
window_size = 40
min_samples = 20
interval = 2

[models.lr]
[models.lr.quality]
min_samples = 20
interval = 2
[models.lr.drift]
interval = 5
"""


@dataclass
class Chain:
    """The running parts."""

    folder: Path
    replicas: list[ServerProcess]
    prometheus: str
    broken: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    pause: threading.Event = field(default_factory=threading.Event)

    def query(self, expr: str) -> list[dict[str, Any]]:
        asked = urllib.parse.urlencode({"query": expr})
        with urllib.request.urlopen(
            f"{self.prometheus}/api/v1/query?{asked}", timeout=10
        ) as answer:
            result: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
        return result

    def received(self, **asked: str) -> list[dict[str, Any]]:
        told = urllib.parse.urlencode(asked)
        with urllib.request.urlopen(
            f"{self.replicas[0].url}/v1/alerts?{told}", timeout=10
        ) as answer:
            alerts: list[dict[str, Any]] = json.loads(answer.read())["alerts"]
        return alerts

    def fires(self, name: str) -> bool:
        return bool(self.received(name=name, status="firing"))

    def break_models(self) -> None:
        for mood in _MODELS:
            (self.folder / mood).touch()
        self.broken.set()

    def heal_models(self) -> None:
        for mood in _MODELS:
            (self.folder / mood).unlink()
        self.broken.clear()

    def until(self, told: str, holds: Callable[[], bool]) -> None:
        """Wait until `holds()`, looking a few times a second."""
        for _ in range(int(_WITHIN * 4)):
            if holds():
                return
            self.pause.wait(0.25)
        raise AssertionError(f"not within {_WITHIN:g} s: {told}; alerts: {self.received()}")


def call(chain: Chain, replica: ServerProcess, model: str) -> None:
    """Predict with `model` again and again, and post what came true."""
    rng = np.random.default_rng(replica.port)
    with (
        contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", replica.port, timeout=30)
        ) as connection,
        contextlib.suppress(OSError, http.client.HTTPException),
    ):  # until it is gone
        while not chain.ended.wait(0.1):
            data = rng.normal(size=4).tolist()
            tensor = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": data}
            body = json.dumps({"inputs": [tensor]})
            connection.request("POST", f"/v2/models/{model}/infer", body)
            told = json.loads(connection.getresponse().read())
            if "parameters" not in told:
                continue
            (predicted,) = told["outputs"][0]["data"]
            actual = 1 - predicted if model == "wrong" and chain.broken.is_set() else predicted
            own = told["parameters"]["prediction_id"]
            outcome = json.dumps([{"prediction_id": own, "actual": actual}])
            connection.request("POST", f"/v1/models/{model}/outcomes", outcome)
            connection.getresponse().read()


def quick(text: str) -> str:
    """Return a configuration in which a minute takes a second."""
    text = re.sub(r"\b\d+s\b", "1s", text)
    text = re.sub(r"\b(\d+)m\b", lambda found: f"{found[1]}s", text)
    return re.sub(r"\b(\d+)h\b", lambda found: f"{found[1]}m", text)


def fill(data_dir: Path, folder: Path) -> None:
    (folder / "moody.py").write_text(_MOODY)
    sys.path.insert(0, str(folder))
    try:
        moody = importlib.import_module("moody")
        from sklearn.linear_model import LogisticRegression

        with ModelRegistry(data_dir / "registry") as registry:
            plain = LogisticRegression().fit(ROWS, LABELS)
            ids = [registry.register_model(plain, "lr", "1", {}, training_data=ROWS)]
            ids += [
                registry.register_model(
                    moody.Moody(str(folder), mood), mood, "1", {}, allow_unsafe=True
                )
                for mood in _MODELS[:3]
            ]
            for model_id in ids:
                registry.promote_to_production(model_id)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("moody", None)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("chain")
    data_dir = folder / "data"
    fill(data_dir, folder)
    ports = {name: free_port() for name in ("a", "b", "prometheus", "alertmanager")}
    config = folder / "watchkeeper.toml"
    targets = [f"127.0.0.1:{ports[name]}" for name in ("a", "b")]
    config.write_text(
        _SETTINGS.format(
            url=f"http://{targets[0]}",
            targets=json.dumps(targets),
            alertmanager=ports["alertmanager"],
        )
    )
    exported = folder / "exported"
    assert main(["telemetry", "export", str(exported), "--config", str(config)]) == 0
    for name in ("prometheus.yml", "alerts.yml", "alertmanager.yml"):
        path = exported / name
        path.write_text(quick(path.read_text()))
    with ExitStack() as stack:
        replicas = [
            stack.enter_context(
                server_process(
                    data_dir, "--config", str(config), "--port", str(ports[name]),
                    PYTHONPATH=str(folder),
                )
            )
            for name in ("a", "b")
        ]  # fmt: skip
        stack.enter_context(
            started(
                folder / "alertmanager.log",
                program("prometheus-alertmanager"),
                f"--config.file={exported / 'alertmanager.yml'}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{ports['alertmanager']}",
                "--cluster.listen-address=",
            )
        )
        stack.enter_context(
            started(
                folder / "prometheus.log",
                program("prometheus"),
                f"--config.file={exported / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
                "--rules.alert.resend-delay=1s",  # a minute, too
            )
        )
        running = Chain(folder, replicas, f"http://127.0.0.1:{ports['prometheus']}")
        threads = [
            threading.Thread(target=call, args=(running, replica, model))
            for replica in replicas
            for model in _MODELS
        ]
        for thread in threads:
            thread.start()
        try:
            running.until("Prometheus answers", lambda: answers(running))
            yield running
        finally:
            running.ended.set()
            for thread in threads:
                thread.join(60)


def answers(chain: Chain) -> bool:
    try:
        return len(chain.query("up == 1")) == 2
    except OSError:
        return False


def firing(chain: Chain, name: str) -> list[dict[str, str]]:
    found = chain.query(f'ALERTS{{alertname="{name}",alertstate="firing"}}')
    return [each["metric"] for each in found]


FAULTS = {
    "HighErrorRate": "raising",
    "HighPredictionLatency": "slow",
    "ModelAccuracyDrop": "wrong",
}


def test_given_two_replicas_when_models_fail_under_load_then_each_is_heard_of_once_until_it_heals(
    chain: Chain,
) -> None:
    chain.until("the watchdog arrives", lambda: bool(chain.received(name="Watchdog")))
    chain.until(
        "all is measured",
        lambda: (
            len(chain.query('model:model_accuracy:newest{model="wrong"} == 1')) == 1
            and len(chain.query("model:model_predictions:rate5m > 1")) == len(_MODELS)
        ),
    )
    before = {alert["name"] for alert in chain.received(status="firing")}
    assert not before & set(FAULTS), "nothing is wrong yet"

    chain.break_models()
    for alert, model in FAULTS.items():
        chain.until(f"{alert} arrives", functools.partial(chain.fires, alert))
        (told,) = chain.received(name=alert, status="firing")
        assert told["labels"]["model"] == model
        assert told["labels"]["model_version"] == "1"
        assert told["labels"]["environment"] == "test"
        assert f"{model} 1" in told["annotations"]["summary"]
        assert told["annotations"]["runbook_url"].endswith(f"/runbook#{alert.lower()}")
        assert re.search(r"\d", told["annotations"]["description"].replace(f"{model} 1", ""))
        assert len(firing(chain, alert)) == 1
    page, ticket = (
        chain.received(name=name)[0]["receiver"]
        for name in ("HighErrorRate", "HighPredictionLatency")
    )
    assert (page, ticket) == ("page", "ticket")

    chain.heal_models()
    for alert in FAULTS:
        chain.until(f"{alert} is over", lambda: not chain.fires(alert))  # noqa: B023
        (over,) = chain.received(name=alert)
        assert over["status"] == "resolved"
        assert over["ends_at"] > over["starts_at"]


PANELS = [
    (board.uid, panel, expr) for board in dashboards() for panel in board.panels
    for expr, _ in panel.queries
]  # fmt: skip


def test_given_panels_when_their_queries_are_asked_then_each_returns_data(chain: Chain) -> None:
    def missing() -> list[str]:
        return [
            f"{uid}: {panel.title}: {expr}" for uid, panel, expr in PANELS if not data(panel, expr)
        ]

    def data(panel: Panel, expr: str) -> bool:
        asked = expr.replace("$__rate_interval", "10s").replace("$model_version", ".*")
        found = chain.query(asked.replace("$model", "lr"))
        return any(each["value"][1] != "NaN" for each in found)

    chain.until("each panel has data", lambda: not missing())
    assert len(PANELS) > 30
    assert missing() == []


def test_given_a_runbook_link_when_it_is_opened_then_the_page_has_that_section(
    chain: Chain,
) -> None:
    with urllib.request.urlopen(f"{chain.replicas[0].url}/runbook", timeout=10) as answer:
        page = answer.read().decode()

    assert 'id="higherrorrate"' in page
    assert "<script" not in page


def test_given_a_synthetic_alert_when_sent_then_it_comes_back_and_that_is_evidence(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["telemetry", "test-alert", "--config", str(chain.folder / "watchkeeper.toml")]
    common = ["--data-dir", str(chain.folder / "data")]
    assert main([*told, *common]) == 0
    assert "a synthetic alert arrived after" in capsys.readouterr().out
    assert main([*told, *common, "--alertmanager", "http://127.0.0.1:9"]) == 2
    assert "did not take the alert" in capsys.readouterr().err
    with App(Settings(data_dir=chain.folder / "data")) as app:
        failed, arrived = app.audit.entries(subject="system:alerts", action="alert test")
        assert (arrived.evidence["passed"], failed.evidence["passed"]) == (True, False)
        assert not [each for each in app.incidents.find() if "synthetic" in each.title]


def test_given_a_replica_that_dies_when_prometheus_asks_it_then_that_replica_is_named(
    chain: Chain,
) -> None:
    gone = chain.replicas[1]
    gone.end(9)

    def heard() -> list[dict[str, Any]]:
        down = chain.received(name="WatchkeeperDown", status="firing")
        return [each for each in down if each["labels"]["instance"] == f"127.0.0.1:{gone.port}"]

    chain.until("it is heard of", lambda: bool(heard()))
    (told,) = heard()
    assert told["receiver"] == "page"
    assert told["ends_at"] is None
