"""The demo for real: a few days, the real server, its real end."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pyarrow.compute as pc
import pytest

from watchkeeper.app import App
from watchkeeper.cli import main
from watchkeeper.config import load_settings
from watchkeeper.demo.flights import FEATURES


def own_servers(folder: Path) -> list[int]:
    """Return the processes that serve from `folder`."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(folder / "watchkeeper.toml") in (process.info["cmdline"] or [])
    ]


def test_given_a_few_days_when_played_then_every_flight_is_recorded_and_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"

    assert main(["demo", "--days", "3", "--dir", str(folder), "--json"]) == 0

    shown = json.loads(capsys.readouterr().out)
    (january,) = shown["months"]
    assert shown["predictions"] == january["predictions"] > 300
    assert 0.5 < shown["auc"] < january["auc"] < 1.0
    with App(load_settings(folder / "watchkeeper.toml")) as app:
        rows = app.events.read("flights").rows
    labelled = rows.filter(rows["actual"].is_valid())
    assert rows.num_rows == shown["predictions"]
    assert labelled.num_rows == shown["outcomes"]
    assert {f"feature.{name}" for name in FEATURES} <= set(rows.schema.names)
    assert pc.all(pc.greater(labelled["actual_timestamp"], labelled["timestamp"])).as_py()
    assert pc.max(rows["timestamp"]).as_py().year == 2013
    assert own_servers(folder) == []


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_given_a_demo_that_serves_when_told_to_end_then_its_server_ends_too(
    tmp_path: Path, signal_number: int
) -> None:
    folder = tmp_path / "demo"
    command = ["demo", "--days", "1", "--dir", str(folder), "--serve"]
    demo = subprocess.Popen(
        [sys.executable, "-m", "watchkeeper", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert demo.stdout is not None
    said = next((line for line in demo.stdout if "The server is up" in line), "")
    assert re.search(r"http://127.0.0.1:\d+", said)
    assert len(own_servers(folder)) == 1

    demo.send_signal(signal_number)

    assert demo.wait(60) == 0
    demo.stdout.close()
    assert own_servers(folder) == []


def test_given_a_server_that_dies_when_replaying_then_the_error_has_its_last_words(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "demo"
    demo = subprocess.Popen(
        [sys.executable, "-m", "watchkeeper", "demo", "--full", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stderr is not None
    next(line for line in demo.stderr if line.startswith("Replaying"))
    (server,) = own_servers(folder)

    os.kill(server, signal.SIGKILL)

    _, err = demo.communicate(timeout=60)
    assert demo.returncode == 2
    assert "the server ended with exit code -9" in err
    assert str(folder / "server.log") in err


def test_given_a_folder_with_something_else_when_played_then_it_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").touch()

    assert main(["demo", "--dir", str(tmp_path)]) == 2

    assert "not a demo" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]
