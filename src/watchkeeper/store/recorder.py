"""The recorder: events in, kept when it returns."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from watchkeeper.clock import as_utc
from watchkeeper.events import FEATURE, Event, EventKind, Outcome, Prediction
from watchkeeper.store.journal import Journal, JournalFullError
from watchkeeper.store.lines import encode

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["JournalRecorder", "WhenFull", "events_of_table"]

log = logging.getLogger(__name__)

WhenFull = Literal["refuse", "answer"]

_FEW_ROWS = 1_000  # fewer rows than this are lines among others and not a segment of their own


class JournalRecorder:
    """A `watchkeeper.events.Recorder` that writes to a journal.

    Parameters
    ----------
    journal : Journal
    when_full : {"refuse", "answer"}
        What happens to an event that is not `required` when the journal is full: the caller gets
        the error, or goes on unrecorded, which is counted and logged.
    on_dropped : callable, optional
        Told how many events were just dropped.

    Attributes
    ----------
    dropped : int
        Events that were let go unrecorded so far.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        when_full: WhenFull = "refuse",
        on_dropped: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.journal = journal
        self.dropped = 0
        self.on_dropped = on_dropped
        self._when_full = when_full
        self._dropping = False
        self._lock = threading.Lock()

    def record(self, events: Sequence[Event], *, required: bool = True) -> bool:
        """Keep `events`; see `watchkeeper.events.Recorder.record`.

        Parameters
        ----------
        events : sequence of Event
        required : bool

        Returns
        -------
        bool
        """
        lines = encode(events[0]) if len(events) == 1 else b"".join(map(encode, events))
        try:
            self.journal.append(lines, len(events))
        except JournalFullError as error:
            if required or self._when_full == "refuse":
                raise
            self._drop(len(events), error)
            return False
        if self._dropping:
            self._resume()
        return True

    def record_table(self, event: EventKind, model: str, rows: "pa.Table") -> None:
        """Keep a table of events; see `watchkeeper.events.Recorder.record_table`.

        Parameters
        ----------
        event : EventKind
        model : str
        rows : pyarrow.Table
        """
        if rows.num_rows >= _FEW_ROWS:
            self.journal.append_table(event, model, rows)
        elif rows.num_rows:
            self.record(events_of_table(event, model, rows))

    def close(self) -> None:
        """Seal the journal."""
        self.journal.close()

    def _drop(self, count: int, error: JournalFullError) -> None:
        with self._lock:
            self.dropped += count
            began, self._dropping = not self._dropping, True
        self.on_dropped(count)
        if began:
            log.error("predictions are served and not recorded: %s", error)

    def _resume(self) -> None:
        with self._lock:
            ended, self._dropping = self._dropping, False
        if ended:
            log.warning("predictions are recorded again; dropped so far: %d", self.dropped)


def events_of_table(event: EventKind, model: str, rows: "pa.Table") -> list[Event]:
    """Return the rows of a bulk ingest as events.

    Parameters
    ----------
    event : EventKind
    model : str
    rows : pyarrow.Table

    Returns
    -------
    list of Event
    """
    events: list[Event] = []
    for row in rows.to_pylist(maps_as_pydicts="lossy"):
        fields: dict[str, Any] = {"model": model}
        features: dict[str, Any] = {}
        for name, value in row.items():
            if name.startswith(FEATURE):
                features[name.removeprefix(FEATURE)] = value
            elif value is not None:
                fields[name] = as_utc(value) if isinstance(value, datetime) else value
        events.append(
            Outcome(**{"actual": None, **fields})
            if event == "outcome"
            else Prediction(features=features, **fields)
        )
    return events
