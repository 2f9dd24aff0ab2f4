"""The real programs that tests start, how to wait for them and how to end them."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


PROGRAMS = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "chromium": "chromium",
    "firefox-esr": "firefox-esr",
    "java": "openjdk-17-jre-headless",
}
"""The package of Debian that brings each program."""


def program(name: str) -> str:
    """Return where a program of Debian's packages is."""
    path = shutil.which(name)
    assert path, f"{name} is not installed: apt-get install {PROGRAMS[name]} (`make test` does)"
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def until(holds: Callable[[], bool], within: float = 60.0) -> None:
    """Return when something holds that another process or thread brings about; fail in the end."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"it does not hold within {within:g} seconds"
        time.sleep(0.02)  # others need the processor to bring it about


@contextmanager
def started(log: Path, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until the end of the context; what it prints goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
