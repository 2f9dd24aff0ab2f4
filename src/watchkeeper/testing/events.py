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
        """Keep `events`; memory is never full.

        Parameters
        ----------
        events : sequence of Event
        required : bool
            Without effect.

        Returns
        -------
        bool
            Always True.
        """
        self.recorded.extend(events)
        return True

    def record_table(self, event: EventKind, model: str, rows: pa.Table) -> None:
        """Keep each row as an event.

        Parameters
        ----------
        event : EventKind
        model : str
        rows : pyarrow.Table
            A column for each field of the event.
        """
        self.recorded.extend(events_of_table(event, model, rows))

    def as_of(self, at: datetime) -> "InMemoryEvents":
        """Return those that had arrived by a moment.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        InMemoryEvents
        """
        events = InMemoryEvents()
        events.recorded = [event for event in self.recorded if event.arrived_at <= at]
        return events

    def models(self) -> list[str]:
        """Return the names of the models with events, sorted.

        Returns
        -------
        list of str
        """
        return sorted({event.model for event in self.recorded})

    def counts(self, model: str) -> EventCounts:
        """Return how much is kept of `model`.

        Parameters
        ----------
        model : str

        Returns
        -------
        EventCounts

        Raises
        ------
        NotFoundError
            If there are no events of the model.
        """
        predictions, outcomes = self._rows_of(model)
        labels = truths(outcomes)
        ids, named = (
            set(predictions["prediction_id"].to_pylist()),
            set(labels["prediction_id"].to_pylist()),
        )
        times: list[datetime] = predictions["timestamp"].to_pylist()
        return EventCounts(
            predictions=len(ids),
            outcomes=len(named),
            labelled=len(ids & named),
            oldest=min(times, default=None),
            newest=max(times, default=None),
            kept_as_text=count_texts(predictions["as_text"]) + count_texts(labels["as_text"]),
            metric_values=outcomes.num_rows - labels.num_rows,
        )

    def read(
        self, model: str, window: Window = _ALL, *, columns: Sequence[str] | None = None
    ) -> EventWindow:
        """Return the predictions of `window` with their outcomes.

        Parameters
        ----------
        model : str
        window : Window
        columns : sequence of str, optional
            By default all.

        Returns
        -------
        EventWindow

        Raises
        ------
        NotFoundError
            If there are no events of the model.
        """
        predictions, labels = self._rows_of(model)
        inside = [at in window for at in predictions["timestamp"].to_pylist()]
        predictions = in_order(predictions.filter(pa.array(inside, pa.bool_())))
        return EventWindow(model, window, joined(predictions, labels, columns), {})

    def days(
        self, model: str, window: Window = _ALL, *, columns: Sequence[str] | None = None
    ) -> Iterator[EventWindow]:
        """Return the same a UTC day at a time, oldest first.

        Parameters
        ----------
        model : str
        window : Window
        columns : sequence of str, optional
            By default all.

        Yields
        ------
        EventWindow

        Raises
        ------
        NotFoundError
            If there are no events of the model.
        """
        times = self.read(model, window, columns=["timestamp"]).rows["timestamp"].to_pylist()
        for day in sorted({at.replace(hour=0, minute=0, second=0, microsecond=0) for at in times}):
            end = day + timedelta(days=1)
            part = Window(max(day, window.start or day), min(end, window.end or end))
            rows = self.read(model, part, columns=columns).rows
            yield EventWindow(model, window, rows, {})

    def day_keys(self, model: str) -> DayKeys:
        """Return by what to tell the days that have changed.

        Parameters
        ----------
        model : str

        Returns
        -------
        DayKeys

        Raises
        ------
        NotFoundError
            If there are no events of the model.
        """
        self._rows_of(model)  # says so if there are none
        events = [event for event in self.recorded if event.model == model]
        days: dict[date, list[Event]] = defaultdict(list)
        of_id: dict[str, set[date]] = defaultdict(set)
        for event in events:
            if isinstance(event, Prediction):
                day = event.timestamp.astimezone(UTC).date()
                days[day].append(event)
                of_id[event.prediction_id].add(day)
        for event in events:
            if isinstance(event, Outcome):
                for day in of_id.get(event.prediction_id, ()):
                    days[day].append(event)
        keys = {day: sha256(repr(these).encode()).hexdigest() for day, these in days.items()}
        return DayKeys(keys, {})

    def arrivals(self, model: str, since: datetime) -> dict[date | None, int]:
        """Return how many outcomes came after a moment, by the UTC day of their prediction.

        Parameters
        ----------
        model : str
        since : datetime

        Returns
        -------
        dict of date or None to int
            None for outcomes whose prediction is not known.

        Raises
        ------
        NotFoundError
            If there are no events of the model.
        """
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
            names = ", ".join(self.models()) or "none yet"
            raise NotFoundError("model with events", model, f"There are events of: {names}.")
        predictions = prediction_rows(
            [event for event in events if isinstance(event, Prediction)], {}
        )
        truth = outcome_rows([event for event in events if isinstance(event, Outcome)], {})
        return first_arrived(predictions), latest(truth)
