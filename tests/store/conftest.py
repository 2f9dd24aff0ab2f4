from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from watchkeeper.store import EventStore, Journal, JournalRecorder, Landing


class Kept:
    """A data directory with one writer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = Journal(path / "journal")
        self.recorder = JournalRecorder(self.journal)
        self.events = EventStore(path)
        self.landing = Landing(path)

    def land(self) -> None:
        self.journal.seal()
        report = self.landing.land()
        assert not report.busy
        assert report.failures == ()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    own = Kept(tmp_path)
    yield own
    own.journal.close()


def day(number: int, month: int = 1, hour: int = 12) -> datetime:
    return datetime(2013, month, number, hour, tzinfo=UTC)
