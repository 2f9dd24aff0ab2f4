"""Servers that tests start: within this process, or as a process of their own."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from starlette.testclient import TestClient

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.registry import ModelRegistry
from watchkeeper.server import create_asgi

ROWS = np.array([[0.0, 1.0, 0.0, 2.0], [3.0, 0.0, 1.0, 0.0]] * 10)
LABELS = np.array([0, 1] * 10)
FLIGHTS = pd.DataFrame(
    {"distance": [100.0, 900.0] * 10, "carrier": ["UA", "AA"] * 10, "night": [True, False] * 10}
)


def fill_registry(data_dir: Path, **odd: Any) -> None:
    """Put a matrix model, a frame model and whatever `odd` names in production."""
    if (data_dir / "registry").exists():  # a test has put a model of its own there
        _register(data_dir)
    else:
        shutil.copytree(_filled().name, data_dir, dirs_exist_ok=True)
    if not odd:
        return
    with ModelRegistry(data_dir / "registry") as registry:
        for name, model in odd.items():
            registry.promote_to_production(
                registry.register_model(model, name, "1", {}, allow_unsafe=True)
            )


@cache
def _filled() -> "TemporaryDirectory[str]":
    """Return a data directory with both models in production, which is gone when tests end."""
    folder = TemporaryDirectory()
    _register(Path(folder.name))
    return folder


def _register(data_dir: Path) -> None:
    with ModelRegistry(data_dir / "registry") as registry:
        plain = LogisticRegression().fit(ROWS, LABELS)
        encoder = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["carrier"]), remainder="passthrough"
        )
        frame = make_pipeline(encoder, LogisticRegression()).fit(FLIGHTS, LABELS)
        ids = [
            registry.register_model(plain, "lr", "1", {"accuracy": 0.9}, training_data=ROWS),
            registry.register_model(frame, "flights", "1.0.0", {}, training_data=FLIGHTS),
        ]
        for model_id in ids:
            registry.promote_to_production(model_id)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Start servers within this process; ``start(hang=Hangs(), store={...})``."""
    with ExitStack() as stack:

        def begin(
            server: dict[str, Any] | None = None,
            store: dict[str, Any] | None = None,
            models: dict[str, Any] | None = None,
            **odd: Any,
        ) -> TestClient:
            fill_registry(tmp_path, **odd)
            settings = Settings.model_validate(
                {
                    "data_dir": tmp_path,
                    "server": server or {},
                    "store": store or {},
                    "models": models or {},
                }
            )
            app = stack.enter_context(App(settings))
            client = TestClient(create_asgi(app), raise_server_exceptions=False)
            client.app_state = {"app": app}
            return stack.enter_context(client)

        yield begin


@pytest.fixture
def client(start: Callable[..., TestClient]) -> TestClient:
    return start()


class ServerProcess:
    """A ``watchkeeper serve`` of its own."""

    def __init__(self, data_dir: Path, *options: str, **environment: str) -> None:
        self.data_dir = data_dir
        command = [sys.executable, "-m", "watchkeeper", "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--data-dir", str(data_dir), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found is None:
            _, error = self.process.communicate()
            raise AssertionError(f"it did not start: {line}{error}")
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode


@contextmanager
def server_process(data_dir: Path, *options: str, **environment: str) -> Iterator[ServerProcess]:
    running = ServerProcess(data_dir, *options, **environment)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data_dir = tmp_path_factory.mktemp("server")
    fill_registry(data_dir)
    with server_process(data_dir) as process:
        yield process
        assert process.end() == 0


def tensor(*rows: list[Any], name: str = "x", datatype: str = "FP64") -> dict[str, Any]:
    return {
        "name": name,
        "shape": [len(rows), len(rows[0])],
        "datatype": datatype,
        "data": [value for row in rows for value in row],
    }
