"""A ``watchkeeper serve`` in a process of its own, which ends when the caller is done."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from watchkeeper.errors import UnavailableError
from watchkeeper.server.connection import Connection, RefusedError

__all__ = ["HOST", "Server", "ServerDiedError", "free_port", "serving"]

HOST = "127.0.0.1"
_READY_WITHIN = 60.0  # seconds
_GONE_WITHIN = 30.0  # seconds after SIGTERM
_LINES = 5  # of the log that an error repeats


class ServerDiedError(UnavailableError):
    """The server ended, or did not become ready."""

    def __init__(self, what: str, log: str) -> None:
        super().__init__(
            f"{what}. The end of its output: {_last_lines(Path(log))}", f"Its log: {log}"
        )
        self.args = (what, log)
        self.log = log


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes
    ----------
    process : subprocess.Popen
    port : int
    log : Path
        What it prints.
    """

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://{HOST}:{self.port}"

    async def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """Send a request on a connection of its own.

        Parameters
        ----------
        path : str
        body : mapping of str to object
            What JSON can hold.

        Returns
        -------
        bytes
            The body of the answer.

        Raises
        ------
        OSError
            If no server listens.
        RefusedError, UnavailableError
            As `Connection.send`.
        """
        async with await Connection.open(HOST, self.port) as connection:
            return await connection.send(path, msgspec.json.encode(body))

    def require_alive(self) -> None:
        """Make sure that it has not ended.

        Raises
        ------
        ServerDiedError
            If it has.
        """
        code = self.process.poll()
        if code is not None:
            raise ServerDiedError(f"the server ended with exit code {code}", str(self.log))

    async def ready(self) -> None:
        """Return when it answers predictions.

        Raises
        ------
        ServerDiedError
            If it has ended, or does not answer in time.
        """
        deadline = time.monotonic() + _READY_WITHIN
        while time.monotonic() < deadline:
            self.require_alive()
            try:
                async with await Connection.open(HOST, self.port) as connection:
                    await connection.send("/v2/health/ready", method="GET")
            except (OSError, RefusedError, UnavailableError):
                await asyncio.sleep(0.05)
            else:
                return
        raise ServerDiedError(f"the server was not ready within {_READY_WITHIN:g} s", str(self.log))


@contextmanager
def serving(config: Path, port: int) -> Iterator[Server]:
    """Run a server with the settings file `config` on `port`, and end it in the end.

    Parameters
    ----------
    config : Path
        Its log, ``server.log``, is written beside it.
    port : int

    Yields
    ------
    Server
    """
    log = config.with_name("server.log")
    command = [sys.executable, "-m", "watchkeeper", "serve", "--config", str(config)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={key: each for key, each in os.environ.items() if "WATCHKEEPER_" not in key},
            start_new_session=True,  # Ctrl-C is for the caller, who ends the server in turn
        )
    try:
        yield Server(process, port, log)
    finally:
        process.terminate()
        try:
            process.wait(_GONE_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a free port.

    Returns
    -------
    int
    """
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _last_lines(log: Path) -> str:
    with log.open(encoding="utf-8", errors="replace") as lines:
        return " / ".join(line.strip() for line in deque(lines, _LINES)) or "(none)"
