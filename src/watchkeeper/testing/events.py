"""Events in memory: a `Recorder` and an `EventLog` without a disk."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import NotFoundError
from watchkeeper.events import Event, EventCounts, EventKind, EventWindow, Outcome, Window
from watchkeeper.store.columns import outcome_rows, prediction_rows
from watchkeeper.store.recorder import events_of_table
from watchkeeper.store.rows import first_arrived, latest

__all__ = ["InMemoryEvents"]

_ALL = Window()
_OUTCOME_COLUMNS = {
    "actual": "actual",
    "timestamp": "actual_timestamp",
    "arrived_at": "actual_arrived_at",
}


class InMemoryEvents:
    """Both protocols of `watchkeeper.events`; what was recorded is in `recorded`."""

    def __init__(self) -> None:
        self.recorded: list[Event] = []

    def record(self, events: Sequence[Event], *, required: bool = True) -> bool:  # noqa: ARG002
        """Keep `events`; memory is never full."""
        self.recorded.extend(events)
        return True

    def record_table(self, event: EventKind, model: str, rows: pa.Table) -> None:
        """Keep each row as an event."""
        self.recorded.extend(events_of_table(event, model, rows))

    def models(self) -> list[str]:
        """Return the names of the models with events, sorted."""
        return sorted({event.model for event in self.recorded})

    def counts(self, model: str) -> EventCounts:
        """Return how much is kept of `model`."""
        rows = self.read(model).rows
        made = set(rows["prediction_id"].to_pylist())
        named = {e.prediction_id for e in self._of(model) if isinstance(e, Outcome)}
        times: list[datetime] = rows["timestamp"].to_pylist()
        texts = [text for row in rows["as_text"].to_pylist() for _, text in row or ()]
        return EventCounts(
            predictions=len(made),
            outcomes=len(named),
            labelled=len(made & named),
            oldest=min(times, default=None),
            newest=max(times, default=None),
            kept_as_text=sum(text != "null" for text in texts),
        )

    def read(
        self, model: str, window: Window = _ALL, *, columns: Sequence[str] | None = None
    ) -> EventWindow:
        """Return the predictions of `window` with their outcomes."""
        events = self._of(model)
        made = first_arrived(prediction_rows([e for e in events if not isinstance(e, Outcome)], {}))
        inside = [at in window for at in made["timestamp"].to_pylist()]
        made = made.filter(pa.array(inside, pa.bool_())).sort_by("timestamp").drop_columns("day")
        known = latest(outcome_rows([e for e in events if isinstance(e, Outcome)], {}))
        truth = known.take(pc.index_in(made["prediction_id"], value_set=known["prediction_id"]))
        for name, shown in _OUTCOME_COLUMNS.items():
            made = made.append_column(shown, truth[name])
        if columns is not None:
            made = made.select([name for name in made.schema.names if name in columns])
        return EventWindow(model, window, made, {})

    def days(
        self, model: str, window: Window = _ALL, *, columns: Sequence[str] | None = None
    ) -> Iterator[EventWindow]:
        """Return the same a UTC day at a time, oldest first."""
        times = self.read(model, window, columns=["timestamp"]).rows["timestamp"].to_pylist()
        for day in sorted({at.replace(hour=0, minute=0, second=0, microsecond=0) for at in times}):
            end = day + timedelta(days=1)
            part = Window(max(day, window.start or day), min(end, window.end or end))
            rows = self.read(model, part, columns=columns).rows
            yield EventWindow(model, window, rows, {})

    def _of(self, model: str) -> list[Event]:
        events = [event for event in self.recorded if event.model == model]
        if not events:
            known = ", ".join(self.models()) or "none yet"
            raise NotFoundError("model with events", model, f"There are events of: {known}.")
        return events
