"""Events in memory: a `Recorder` and an `EventLog` without a disk."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import pyarrow as pa

from watchkeeper.errors import NotFoundError
from watchkeeper.events import (
    DayKeys,
    Event,
    EventCounts,
    EventKind,
    EventWindow,
    Outcome,
    Prediction,
    Window,
    event_day,
)
from watchkeeper.store.columns import outcome_rows, prediction_rows
from watchkeeper.store.recorder import events_of_table
from watchkeeper.store.rows import count_texts, first_arrived, in_order, joined, latest, truths

__all__ = ["InMemoryEvents"]

_ALL = Window()


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

    def as_of(self, at: datetime) -> "InMemoryEvents":
        """Return those that had arrived by a moment."""
        known = InMemoryEvents()
        known.recorded = [event for event in self.recorded if event.arrived_at <= at]
        return known

    def models(self) -> list[str]:
        """Return the names of the models with events, sorted."""
        return sorted({event.model for event in self.recorded})

    def counts(self, model: str) -> EventCounts:
        """Return how much is kept of `model`."""
        made, outcomes = self._rows_of(model)
        known = truths(outcomes)
        ids, named = set(made["prediction_id"].to_pylist()), set(known["prediction_id"].to_pylist())
        times: list[datetime] = made["timestamp"].to_pylist()
        return EventCounts(
            predictions=len(ids),
            outcomes=len(named),
            labelled=len(ids & named),
            oldest=min(times, default=None),
            newest=max(times, default=None),
            kept_as_text=count_texts(made["as_text"]) + count_texts(known["as_text"]),
            metric_values=outcomes.num_rows - known.num_rows,
        )

    def read(
        self, model: str, window: Window = _ALL, *, columns: Sequence[str] | None = None
    ) -> EventWindow:
        """Return the predictions of `window` with their outcomes."""
        made, known = self._rows_of(model)
        inside = [at in window for at in made["timestamp"].to_pylist()]
        made = in_order(made.filter(pa.array(inside, pa.bool_())))
        return EventWindow(model, window, joined(made, known, columns), {})

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

    def day_keys(self, model: str) -> DayKeys:
        """Return by what to tell the days that have changed."""
        self._rows_of(model)  # says so if there are none
        own = [each for each in self.recorded if each.model == model]
        days: dict[date, list[Event]] = defaultdict(list)
        of_id: dict[str, set[date]] = defaultdict(set)
        for each in own:
            if isinstance(each, Prediction):
                day = each.timestamp.astimezone(UTC).date()
                days[day].append(each)
                of_id[each.prediction_id].add(day)
        for each in own:
            if isinstance(each, Outcome):
                for day in of_id.get(each.prediction_id, ()):
                    days[day].append(each)
        keys = {day: sha256(repr(these).encode()).hexdigest() for day, these in days.items()}
        return DayKeys(keys, {})

    def arrivals(self, model: str, since: datetime) -> dict[date | None, int]:
        """Return how many outcomes came after a moment, by the UTC day of their prediction."""
        self._rows_of(model)
        days = [
            event_day(event.prediction_id)
            for event in self.recorded
            if isinstance(event, Outcome)
            and event.model == model
            and event.metric is None
            and event.arrived_at > since
        ]
        return dict(Counter(days))

    def _rows_of(self, model: str) -> tuple[pa.Table, pa.Table]:
        events = [event for event in self.recorded if event.model == model]
        if not events:
            known = ", ".join(self.models()) or "none yet"
            raise NotFoundError("model with events", model, f"There are events of: {known}.")
        made = prediction_rows([each for each in events if isinstance(each, Prediction)], {})
        truth = outcome_rows([each for each in events if isinstance(each, Outcome)], {})
        return first_arrived(made), latest(truth)
