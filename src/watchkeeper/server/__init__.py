"""The server: predictions, ingest and the control API over HTTP.

>>> import tempfile
>>> from pathlib import Path
>>> from fastapi.testclient import TestClient
>>> from watchkeeper.app import App
>>> from watchkeeper.config import Settings
>>> from watchkeeper.server import create_asgi
>>> with tempfile.TemporaryDirectory() as folder, App(Settings(data_dir=Path(folder))) as app:
...     with TestClient(create_asgi(app)) as client:
...         client.get("/v2/health/ready").json()
{'ready': True}
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchkeeper.server.lifecycle import create_asgi, serve

__all__ = ["create_asgi", "serve"]


def __getattr__(name: str) -> object:
    # Loaded when first used: the process that takes a backup needs no web server.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.lifecycle"), name)
