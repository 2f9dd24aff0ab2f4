"""Debian's Firefox, driven by what it speaks itself: messages of JSON, each after its length.

Playwright drives only a Firefox of its own, and the Python package for Marionette brings a dozen
others; five commands are all that is asked here.
"""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.parts import free_port, program, started

_STARTS_WITHIN = 60.0  # seconds
_ALONE = {  # it asks nobody but the server that it is sent to
    "app.normandy.enabled": False,
    "app.update.auto": False,
    "browser.safebrowsing.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}
_LOGGED = """return Services.console.getMessageArray()
  .filter((each) => each instanceof Ci.nsIScriptError && each.sourceName.startsWith(arguments[0]))
  .map((each) => each.toString());"""


class Firefox:
    """A Firefox that does what it is told."""

    def __init__(self, port: int) -> None:
        self._socket = _connected(port)
        self._stream = self._socket.makefile("rb")
        self._number = 0
        self._read()  # which protocol it speaks
        self._ask("WebDriver:NewSession", {})

    def open(self, address: str) -> None:
        """Open a page, and wait until it is loaded."""
        self._ask("WebDriver:Navigate", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a script returns on the page."""
        return self._ask("WebDriver:ExecuteScript", {"script": script, "args": arguments})["value"]

    def errors(self, home: str) -> list[str]:
        """Return what it has logged of the pages of a server: exceptions, and broken policies."""
        self._ask("Marionette:SetContext", {"value": "chrome"})
        found: list[str] = self.run(_LOGGED, home)
        self._ask("Marionette:SetContext", {"value": "content"})
        return found

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self._socket.close()

    def _ask(self, command: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        said = json.dumps([0, self._number, command, parameters])
        self._socket.sendall(f"{len(said.encode())}:{said}".encode())
        _, _, error, found = self._read()
        assert error is None, (command, error)
        return found

    def _read(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            length += self._stream.read(1)
        return json.loads(self._stream.read(int(length[:-1])))


@contextmanager
def firefox(folder: Path) -> Iterator[Firefox]:
    """Run Debian's Firefox, with a profile of its own in `folder`."""
    port = free_port()
    settings = {"marionette.port": port, **_ALONE}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(to)});" for name, to in settings.items()]
    folder.joinpath("user.js").write_text("\n".join(lines))
    options = ("--headless", "--marionette", "--remote-allow-system-access", "--profile")
    command = (program("firefox-esr"), *options, str(folder))
    with started(folder / "firefox.log", *command):
        browser = Firefox(port)
        try:
            yield browser
        finally:
            browser.close()


def _connected(port: int) -> socket.socket:
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=_STARTS_WITHIN)
        except OSError:
            if time.monotonic() > deadline:
                raise
