import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.monitoring.report_cache import Reports
from watchkeeper.server import create_asgi

_PATIENCE = 60.0  # seconds: a page of a test waits for what it shows


class Site:
    """A server within this process, and its parts."""

    def __init__(self, app: App, client: TestClient) -> None:
        self.app, self.client = app, client


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Start a server within this process; ``start(server={...}, models={...}, clock=...)``."""
    with ExitStack() as stack:

        def begin(*, clock: Any = None, **sections: Any) -> Site:
            settings = Settings(data_dir=tmp_path / "data", **sections)
            app = stack.enter_context(App(settings, clock=clock))
            app.reports = Reports(patience=_PATIENCE)
            return Site(app, stack.enter_context(TestClient(create_asgi(app))))

        yield begin


def token_of(html: str) -> str:
    """Return what the forms of a page carry."""
    found = re.search(r'name="token" value="([^"]+)"', html)
    assert found, html
    return found[1]
