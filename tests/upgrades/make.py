"""Make the data directory of the newest migration: ``python tests/upgrades/make.py NNNN.tar.xz``.

Run it by the last commit before another migration is added, and keep what it makes in ``data``.
"""

import shutil
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient

from watchkeeper.app import App
from watchkeeper.cli import main
from watchkeeper.config import load_settings
from watchkeeper.registry import ModelRegistry
from watchkeeper.server import create_asgi

MODELS = ("late", "tried", "rolled", "back", "copied")
LEFT_OUT = ("timelines", ".backup", "session.secret")
SETTINGS = """
data_dir = "{data}"
[models.late.retraining]
min_rows = 20
min_holdout = 10
min_segment = 5
max_relative_drop = 0.2
on_success = "shadow"
[models.rolled]
task = "regression"
"""
TRIAL = {"conversion_window": 3600, "coverage": 80, "secondary": ["latency"]}
CAREFUL = {
    "max_prediction_shift": 0.4, "on_inconclusive": "rollback", "require_evidence": True,
    "bake_time": 172_800, "label_delay": 21_600, "error_tolerance": 1.5,
}  # fmt: skip


class Traffic:
    """Requests to a server, 20 seconds apart."""

    def __init__(self, client: TestClient) -> None:
        self._client, self._rng = client, np.random.default_rng(1)
        self._at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)

    def post(self, path: str, body: Any) -> Any:
        answer = self._client.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        return self._client.get(path).raise_for_status().json()

    def predict(self, model: str, count: int, shift: float = 0.0) -> list[dict[str, Any]]:
        """Make predictions; return their outcomes."""
        outcomes = []
        for number in range(count):
            self._at += timedelta(seconds=20)
            a = round(float(self._rng.normal()) + shift, 2)
            columns = [
                {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
                for name, value in (("a", a), ("b", 0.5))
            ]
            unit = {"unit_id": f"{model}{number}", "timestamp": self._at.isoformat()}
            answer = self.post(f"/v2/models/{model}/infer", {"inputs": columns, "parameters": unit})
            outcomes.append(
                {
                    "prediction_id": answer["parameters"]["prediction_id"],
                    "actual": int(a + 0.3 * self._rng.normal() > 0),
                    "timestamp": (self._at + timedelta(minutes=1)).isoformat(),
                }
            )
        return outcomes


def register(data: Path) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({name: rng.normal(size=120).round(2) for name in "ab"})
    labels = (frame["a"] + 0.3 * rng.normal(size=120) > 0).astype(int)
    model = LogisticRegression().fit(frame, labels)
    with ModelRegistry(data / "registry") as registry:
        for name in MODELS:
            for version in ("1.0.0", "1.1.0"):
                metrics = {"accuracy": 0.9, "auc": 0.95}
                registry.register_model(model, name, version, metrics, training_data=frame)
            registry.promote_to_production(f"{name}:1.0.0")
        registry.promote_to_production("late:1.1.0")
        registry.rollback("late")
        registry.set_alias("late:1.1.0", "challenger")


def operate(traffic: Traffic) -> None:
    """Leave one of each kind that goes on, and one that is over."""
    traffic.post("/v1/models/late/outcomes", traffic.predict("late", 60, shift=0.8)[:50])
    for name in ("stopped", "running"):
        body = {"arms": {"control": "1.0.0", "new": "1.1.0"}, "guardrails": {"error-rate": 0.02}}
        traffic.post(
            "/v1/experiments",
            {"name": name, "model": "tried", "planned_units": 60, **body, **TRIAL},
        )
        traffic.post(f"/v1/experiments/{name}/start", {"reason": "try it"})
        traffic.post("/v1/models/tried/outcomes", traffic.predict("tried", 40))
        if name == "stopped":
            traffic.post("/v1/experiments/stopped/stop", {"reason": "enough"})
    plan = {"steps": [50, 100], "window_minutes": 60, "min_samples": 20, **CAREFUL}
    for name, model in (("ended", "rolled"), ("running", "rolled"), ("rolled-back", "back")):
        body = {"name": name, "model": model, "version": "1.1.0", "plan": plan}
        traffic.post("/v1/rollouts", body)
        traffic.predict(model, 30)
        traffic.post(f"/v1/rollouts/{name}/look", {})
        for action in {"ended": ("abort",), "rolled-back": ("step", "promote", "look")}.get(
            name, ()
        ):
            traffic.post(f"/v1/rollouts/{name}/{action}", {"reason": "to be sure"})
    for name in ("shadow-unheard", "shadow-running"):
        traffic.post("/v1/shadows", {"name": name, "model": "copied", "version": "1.1.0"})
        traffic.predict("copied", 20)
        if name == "shadow-unheard":
            traffic.post(f"/v1/shadows/{name}/stop", {"reason": "heard"})
    for name, status in (("Rises", "firing"), ("Ends", "firing"), ("Ends", "resolved")):
        traffic.post("/v1/alerts/alertmanager", {"alerts": [alert(name, status)]})
    for incident in traffic.get("/v1/incidents")["incidents"]:
        action = {"open": "acknowledge", "resolved": "finish"}[incident["state"]]
        traffic.post(f"/v1/incidents/{incident['name']}/{action}", {"text": "# Learned"})


def alert(name: str, status: str) -> dict[str, Any]:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0).isoformat()
    labels = {"alertname": name, "severity": "critical", "model": "late"}
    return {
        "status": status, "fingerprint": name, "labels": labels, "startsAt": now, "endsAt": now,
        "annotations": {"summary": f"late: {name}"}, "generatorURL": "",
    }  # fmt: skip


def tidy(data: Path) -> None:
    """Remove what is derived, and leave the database as one file."""
    for name in LEFT_OUT:
        shutil.rmtree(data / name, ignore_errors=True)
        (data / name).unlink(missing_ok=True)
    for folder in data.glob("events/*/joined"):
        shutil.rmtree(folder)
    database, copy = data / "registry" / "control.db", data / "registry" / "copy.db"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
    for path in [*data.rglob("*lock"), *database.parent.glob("control.db*")]:
        path.unlink()
    copy.rename(database)


def make(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data, config = Path(folder, "data"), Path(folder, "watchkeeper.toml")
        config.write_text(SETTINGS.format(data=data))
        register(data)
        with App(load_settings(config)) as app, TestClient(create_asgi(app)) as client:
            operate(Traffic(client))
        for command in (
            ["events", "compact"], ["drift", "--model", "late"], ["quality", "--model", "late"],
            ["retrain", "late", "--reason", "to see"],
        ):  # fmt: skip
            assert main([*command, "--config", str(config)]) in {0, 1}
        tidy(data)
        with tarfile.open(target, "w:xz") as packed:
            packed.add(data, "data")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
