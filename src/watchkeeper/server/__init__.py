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

from watchkeeper.server.lifecycle import create_asgi, serve

__all__ = ["create_asgi", "serve"]
