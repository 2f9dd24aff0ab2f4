"""The dashboard: what is happening, since when, and what to do, as pages that the server renders.

Every page works without scripts; one small script of ours keeps it fresh. A page is a function of
the app and of what was asked to what its template shows; its charts are drawn here, as SVG, and
each has its data as a table and as CSV.

>>> import tempfile
>>> from pathlib import Path
>>> from fastapi.testclient import TestClient
>>> from watchkeeper.app import App
>>> from watchkeeper.config import Settings
>>> from watchkeeper.server import create_asgi
>>> with tempfile.TemporaryDirectory() as folder, App(Settings(data_dir=Path(folder))) as app:
...     with TestClient(create_asgi(app)) as client:
...         "Nothing is served yet" in client.get("/").text
True
"""

from watchkeeper.dashboard.site import add_dashboard, is_page
from watchkeeper.dashboard.viewer import rights_in

__all__ = ["add_dashboard", "is_page", "rights_in"]
