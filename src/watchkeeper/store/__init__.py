"""What is kept: every event, exactly once, and the control database.

Events are appended to a journal before the caller is answered, and land in Delta Lake tables later;
a reader sees both as one.

>>> import tempfile
>>> from datetime import UTC, datetime
>>> from pathlib import Path
>>> from watchkeeper.events import Prediction
>>> from watchkeeper.store import EventStore, Journal, JournalRecorder
>>> noon = datetime(2013, 1, 31, 12, tzinfo=UTC)
>>> with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal") as journal:
...     kept = JournalRecorder(journal).record([
...         Prediction(prediction_id="a", model="flights", timestamp=noon, arrived_at=noon,
...                    features={"distance": 733.0}, prediction=1)])
...     EventStore(Path(folder)).counts("flights").predictions
1
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchkeeper.store.committer import Landing
    from watchkeeper.store.database import ControlDatabase
    from watchkeeper.store.event_store import EventStore
    from watchkeeper.store.journal import Journal, JournalFullError
    from watchkeeper.store.recorder import JournalRecorder

__all__ = [
    "ControlDatabase",
    "EventStore",
    "Journal",
    "JournalFullError",
    "JournalRecorder",
    "Landing",
]

_HOMES = {
    "ControlDatabase": "database",
    "EventStore": "event_store",
    "Journal": "journal",
    "JournalFullError": "journal",
    "JournalRecorder": "recorder",
    "Landing": "committer",
}


def __getattr__(name: str) -> object:
    # Loaded when first used: who records needs neither Delta Lake nor SQLAlchemy.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
