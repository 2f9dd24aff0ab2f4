"""Events as they were known at a moment.

What arrived later is left out, so that a decision can be made again from what it was made of.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.clock import as_utc
from watchkeeper.events import DayKeys, EventCounts, EventLog, EventWindow, Window

__all__ = ["AsOf"]

_ALL = Window()
_ARRIVALS = ("arrived_at", "actual_arrived_at")


class AsOf:
    """An `watchkeeper.events.EventLog` that ends at a moment, by the times of arrival.

    An outcome that a later one has replaced is not known any more: it counts as not there.

    Parameters
    ----------
    events : EventLog
    at : datetime
    """

    def __init__(self, events: EventLog, at: datetime) -> None:
        self._events, self._at = events, pa.scalar(as_utc(at), pa.timestamp("us", "UTC"))

    def models(self) -> list[str]:
        """Return the names of the models with events."""
        return self._events.models()

    def counts(self, model: str) -> EventCounts:
        """Return how much is kept of `model` by now."""
        return self._events.counts(model)

    def read(
        self, model: str, window: Window = _ALL, *, columns: Sequence[str] | None = None
    ) -> EventWindow:
        """Return the predictions of `window` that were known, with the outcomes that were."""
        found = self._events.read(model, window, columns=_with_arrivals(columns))
        return EventWindow(model, window, self._known(found.rows, columns), found.versions)

    def days(
        self, model: str, window: Window = _ALL, *, columns: Sequence[str] | None = None
    ) -> Iterator[EventWindow]:
        """Yield the same a UTC day at a time."""
        for day in self._events.days(model, window, columns=_with_arrivals(columns)):
            yield EventWindow(model, window, self._known(day.rows, columns), day.versions)

    def day_keys(self, model: str) -> DayKeys:
        """Return by what to tell the days that have changed, at this moment."""
        found = self._events.day_keys(model)
        keys = {day: f"{key} as of {self._at.as_py()}" for day, key in found.keys.items()}
        return DayKeys(keys, found.versions)

    def _known(self, rows: pa.Table, columns: Sequence[str] | None) -> pa.Table:
        rows = rows.filter(pc.less_equal(rows["arrived_at"], self._at))
        if "actual" in rows.column_names:
            came = pc.fill_null(pc.less_equal(rows["actual_arrived_at"], self._at), False)
            for name in ("actual", "actual_timestamp", "actual_arrived_at"):
                if name in rows.column_names:
                    place = rows.schema.get_field_index(name)
                    kept = pc.if_else(came, rows[name], pa.scalar(None, rows[name].type))
                    rows = rows.set_column(place, name, kept)
        if columns is None:
            return rows
        extra = [name for name in _ARRIVALS if name in rows.column_names and name not in columns]
        return rows.drop_columns(extra)


def _with_arrivals(columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else list(dict.fromkeys([*columns, *_ARRIVALS]))
