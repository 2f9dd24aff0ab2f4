"""One model's events at one moment: what has landed and what waits, joined a UTC day at a time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.events import (
    METRIC,
    METRIC_TIMESTAMP,
    UNIT_HASH,
    EventCounts,
    EventKind,
    Window,
)
from watchkeeper.fingerprints import fingerprints
from watchkeeper.store.columns import Kind, empty_table, kinds_of
from watchkeeper.store.joined_days import JoinedDay, has_columns
from watchkeeper.store.pending import UnlandedSegment
from watchkeeper.store.rows import (
    OUTCOME_COLUMNS,
    count_texts,
    first_arrived,
    in_order,
    joined,
    latest,
    truths,
)
from watchkeeper.store.tables import EventTable

__all__ = ["EventSide", "ModelView"]

_ALL = Window()
_NEEDED = ("prediction_id", "timestamp", "arrived_at")
_OUTCOME_NEEDED = (*_NEEDED, "actual", "metric", "value", "as_text")
_OF_OUTCOMES = frozenset({*OUTCOME_COLUMNS.values(), "as_text"})


class EventSide:
    """The predictions, or the outcomes, of one model: table and journal as one.

    Parameters
    ----------
    event : {"prediction", "outcome"}
    model : str
    events : Path
        The folder of all tables.
    waiting : iterable of UnlandedSegment
        What the journal has of the model; it was read before the table is opened.
    until : datetime or None
        Rows that arrived later do not count.
    """

    def __init__(
        self,
        event: EventKind,
        model: str,
        events: Path,
        waiting: Iterable[UnlandedSegment],
        until: datetime | None,
    ) -> None:
        self.table, self._until = EventTable(events / model, event), until
        kinds: dict[str, Kind] = dict(self.table.kinds)
        parts = []
        self._numbers: list[tuple[str, int]] = []  # of the segments that the parts are of
        for unlanded in waiting:
            segment = unlanded.segment
            if segment.number <= self.table.landed(segment.journal_id):
                continue
            rows = unlanded.rows(event, kinds)
            if rows is not None:
                parts.append(self.arrived(rows))
                self._numbers.append((segment.journal_id, segment.number))
                kinds = {**kinds_of(rows.schema), **kinds}
        self.kinds, self._parts = kinds, parts
        self.waiting = (
            pa.concat_tables(parts, promote_options="default").unify_dictionaries()
            if parts
            else empty_table(event, kinds)
        )
        self.event = event

    @property
    def exists(self) -> bool:
        return self.table.version >= 0 or self.waiting.num_rows > 0

    def all_days(self) -> set[date | None]:
        """Return the UTC days that have rows.

        Returns
        -------
        set of date or None
            None for rows whose day is not known.
        """
        return {file.day for file in self.table.files}.union(
            self.waiting["day"].unique().to_pylist()
        )

    def marks(self) -> Iterator[tuple[date | None, tuple[object, ...]]]:
        """Yield for each day what its rows are made of.

        A file is written once and its name is never used again; a segment only grows, so that how
        many rows of a day it has tells which they are.

        Yields
        ------
        tuple of (date or None, tuple of object)
        """
        for file in self.table.files:
            whole = self._until is None or file.has_all_by(self._until)
            cut = () if whole else (self._until,)
            yield file.day, (self.event, file.path.rpartition("/")[2], *cut)
        for number, rows in zip(self._numbers, self._parts, strict=True):
            for counted in pc.value_counts(rows["day"]).to_pylist():
                yield counted["values"], (self.event, *number, counted["counts"])

    def arrived(self, rows: pa.Table) -> pa.Table:
        """Return the rows that count: those that had arrived.

        Parameters
        ----------
        rows : pyarrow.Table

        Returns
        -------
        pyarrow.Table
        """
        if self._until is None:
            return rows
        return rows.filter(pc.less_equal(rows["arrived_at"], _moment(self._until)))

    def has_all_of(self, days: set[date | None]) -> bool:
        """Return whether all that has landed under `days` counts.

        Parameters
        ----------
        days : set of date or None

        Returns
        -------
        bool
        """
        until = self._until
        return until is None or all(
            file.has_all_by(until) for file in self.table.files if file.day in days
        )

    def of_days(self, days: set[date | None], columns: Sequence[str] | None) -> pa.Table:
        """Return the rows filed under `days`, repeated ones included.

        Parameters
        ----------
        days : set of date or None
        columns : sequence of str or None
            Those that are wanted; all by default.

        Returns
        -------
        pyarrow.Table
        """
        files = [file for file in self.table.files if file.day in days]
        if self.has_all_of(days):
            stored = self.table.read(files, columns)
        else:
            wanted = None if columns is None else [*columns, "arrived_at"]
            stored = self.arrived(self.table.read(files, wanted))
        if not self.waiting.num_rows:
            return stored
        mask = pc.is_in(self.waiting["day"], pa.array(list(days - {None}), pa.date32()))
        if None in days:
            mask = pc.or_(mask, self.waiting["day"].is_null())
        rows = self.waiting.filter(mask)
        if columns is not None:
            rows = rows.select([name for name in rows.schema.names if name in columns])
        return pa.concat_tables([stored, rows], promote_options="default").unify_dictionaries()


class ModelView:
    """One model as it was when it was opened.

    Parameters
    ----------
    predictions, outcomes : EventSide
    """

    def __init__(self, predictions: EventSide, outcomes: EventSide) -> None:
        self._predictions, self._outcomes = predictions, outcomes

    @property
    def exists(self) -> bool:
        """Whether there ever was an event of it; they may all have been dropped since."""
        return self._predictions.exists or self._outcomes.exists

    @property
    def versions(self) -> dict[str, int]:
        sides = (self._predictions, self._outcomes)
        return {side.table.path.name: side.table.version for side in sides}

    def empty(self, columns: Sequence[str] | None) -> pa.Table:
        """Return a table of predictions with their outcomes that has no rows.

        Parameters
        ----------
        columns : sequence of str or None
            None for all.

        Returns
        -------
        pyarrow.Table
        """
        rows = empty_table("prediction", self._predictions.kinds)
        return joined(rows, empty_table("outcome", self._outcomes.kinds), columns)

    def days(self, window: Window, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        """Yield the rows of each day that has any, sorted by time.

        Parameters
        ----------
        window : Window
            Event time; all by default.
        columns : sequence of str or None
            Those that are wanted; all by default.

        Yields
        ------
        pyarrow.Table
        """
        first = None if window.start is None else window.start.date()
        last = None if window.end is None else (window.end - timedelta(microseconds=1)).date()
        for day in sorted(day for day in self._predictions.all_days() if day is not None):
            if (first is not None and day < first) or (last is not None and day > last):
                continue
            rows = self._joined_of(day, window, columns)
            if rows is None:
                predictions = self._predictions_on(day, window, columns)
                rows = joined(predictions, self._outcomes_of(day, predictions, columns), columns)
            if rows.num_rows:
                yield rows

    def day_keys(self) -> dict[date, str]:
        """Return what the days of predictions are made of, as one word each.

        Returns
        -------
        dict of date to str
        """
        sides = (self._predictions, self._outcomes)
        marks: dict[date | None, list[tuple[object, ...]]] = defaultdict(list)
        for side in sides:
            for day, mark in side.marks():
                marks[day].append(mark)
        kinds = (self._predictions.kinds.get("prediction"), self._outcomes.kinds.get("actual"))
        loose = bool(marks.pop(None, ()))
        days = [day for day in self._predictions.all_days() if day is not None]
        return {
            day: sha256(
                repr((kinds, sorted(marks[day], key=repr), self._loose_of(day) if loose else b""))
                .encode()
            ).hexdigest()[:32]
            for day in sorted(days)
        }  # fmt: skip

    def _loose_of(self, day: date) -> bytes:
        """Return what outcomes that are filed under no day tell of the predictions of one."""
        predictions, outcomes = self._predictions, self._outcomes
        ids = JoinedDay(
            day, predictions.table, outcomes.table, (predictions.kinds, outcomes.kinds)
        ).ids()
        if ids is None or day in self._days_that_wait or not predictions.has_all_of({day}):
            ids = fingerprints(predictions.of_days({day}, ["prediction_id"])["prediction_id"])
        return self._loose.digest_of(ids)

    def counts(self) -> EventCounts:
        predictions = outcomes = labelled = values = as_text = 0
        oldest: datetime | None = None
        newest: datetime | None = None
        wanted = [*_NEEDED, "as_text"]
        days = self._predictions.all_days() | self._outcomes.all_days()
        for day in sorted(day for day in days if day is not None):
            predicted = self._predictions_on(day, _ALL, wanted)
            outcomes_of_day = self._outcomes_of(day, predicted, ["as_text"])
            labels = truths(outcomes_of_day)
            values += outcomes_of_day.num_rows - labels.num_rows
            predictions += predicted.num_rows
            outcomes += labels.num_rows
            labelled += (
                pc.sum(pc.is_in(predicted["prediction_id"], labels["prediction_id"])).as_py() or 0
            )
            as_text += count_texts(predicted["as_text"]) + count_texts(labels["as_text"])
            if predicted.num_rows:
                times = pc.min_max(predicted["timestamp"]).as_py()
                oldest = times["min"] if oldest is None else min(oldest, times["min"])
                newest = times["max"] if newest is None else max(newest, times["max"])
        left_over = self._loose.left_over()
        unknown = truths(left_over)
        return EventCounts(
            predictions=predictions,
            outcomes=outcomes + unknown.num_rows,
            labelled=labelled,
            oldest=oldest,
            newest=newest,
            kept_as_text=as_text + count_texts(unknown["as_text"]),
            metric_values=values + left_over.num_rows - unknown.num_rows,
        )

    def arrivals(self, since: datetime) -> dict[date | None, int]:
        side = self._outcomes
        columns = ["day", "arrived_at", "metric"]
        rows = [side.table.read(side.table.files_since(since), columns).select(columns)]
        if side.waiting.num_rows:
            rows.append(side.waiting.select(columns))
        labels = truths(pa.concat_tables(rows, promote_options="default").unify_dictionaries())
        labels = labels.filter(pc.greater(labels["arrived_at"], _moment(since)))
        days = side.arrived(labels)["day"]
        return {count["values"]: count["counts"] for count in pc.value_counts(days).to_pylist()}

    def _joined_of(
        self, day: date, window: Window, columns: Sequence[str] | None
    ) -> pa.Table | None:
        """Return a day as compaction joined it; None where that is not what it is now."""
        if columns is None or not has_columns(columns) or day in self._days_that_wait:
            return None
        predictions, outcomes = self._predictions, self._outcomes
        if not (predictions.has_all_of({day}) and outcomes.has_all_of({day})):
            return None
        joined_day = JoinedDay(
            day, predictions.table, outcomes.table, (predictions.kinds, outcomes.kinds)
        )
        of_outcomes = any(_of_outcomes(name) for name in columns)
        unplaced = self._loose.hashes if of_outcomes else pa.array([], pa.uint64())
        rows = joined_day.read([*columns, "timestamp"], unplaced)
        if rows is None:
            return None
        rows = _inside(rows, day, window)
        return rows if "timestamp" in columns else rows.drop_columns("timestamp")

    @cached_property
    def _days_that_wait(self) -> set[date | None]:
        sides = (self._predictions, self._outcomes)
        return {day for side in sides for day in side.waiting["day"].unique().to_pylist()}

    def _predictions_on(self, day: date, window: Window, columns: Sequence[str] | None) -> pa.Table:
        """Return the predictions of a day within the window, one row an id."""
        wanted = None if columns is None else [*_NEEDED, *columns]
        if wanted is not None and UNIT_HASH in wanted:
            wanted.append("unit_id")
        rows = first_arrived(self._predictions.of_days({day}, wanted))
        return in_order(_inside(rows, day, window))

    def _outcomes_of(
        self, day: date, predictions: pa.Table, columns: Sequence[str] | None
    ) -> pa.Table:
        """Return the outcomes filed under a day, or belonging to `made`, one row an id."""
        if columns is not None and not any(_of_outcomes(name) for name in columns):
            return empty_table("outcome", self._outcomes.kinds)
        filed = self._outcomes.of_days({day}, _OUTCOME_NEEDED)
        loose = self._loose.of(predictions["prediction_id"])
        return latest(pa.concat_tables([filed, loose], promote_options="default"))

    @cached_property
    def _loose(self) -> "_Loose":
        return _Loose(self._outcomes.of_days({None}, _OUTCOME_NEEDED))


class _Loose:
    """Outcomes whose prediction's day was unknown at their arrival, by the prediction's id."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = latest(rows).combine_chunks()
        self._rows_of: dict[str, list[int]] = defaultdict(list)  # one a metric
        for row, prediction_id in enumerate(self._rows["prediction_id"].to_pylist()):
            self._rows_of[prediction_id].append(row)
        self._used: set[int] = set()

    @cached_property
    def hashes(self) -> pa.Array:
        """Fingerprints of the ids."""
        return fingerprints(self._rows["prediction_id"]).combine_chunks()

    @cached_property
    def _in_order(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """The fingerprints in order, and the row of each."""
        hashes = self.hashes.to_numpy()
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order

    def digest_of(self, ids: pa.Array) -> bytes:
        """Return what those of the predictions with these fingerprints tell; empty if nothing."""
        hashes, row = self._in_order
        wanted = np.unique(ids.to_numpy())
        begin, end = (np.searchsorted(hashes, wanted, side) for side in ("left", "right"))
        matching = np.flatnonzero(begin < end)
        if not matching.size:
            return b""
        rows = np.concatenate([row[begin[at] : end[at]] for at in matching])
        outcomes = self._rows.take(pa.array(rows)).to_pylist()
        return sha256(repr(outcomes).encode()).digest()

    def of(self, ids: pa.ChunkedArray) -> pa.Table:
        """Return those of the predictions `ids`."""
        if not self._rows_of:
            return self._rows
        rows = [
            row for prediction_id in ids.to_pylist() for row in self._rows_of.get(prediction_id, ())
        ]
        self._used.update(rows)
        return self._rows.take(pa.array(rows, pa.int64()))

    def left_over(self) -> pa.Table:
        """Return those of predictions that were not asked for so far."""
        unused = [row for row in range(self._rows.num_rows) if row not in self._used]
        return self._rows.take(pa.array(unused, pa.int64()))


def _of_outcomes(column: str) -> bool:
    return column in _OF_OUTCOMES or column.startswith((METRIC, METRIC_TIMESTAMP))


def _inside(rows: pa.Table, day: date, window: Window) -> pa.Table:
    """Return those of the rows of a day that are in a window."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if window.start is not None and window.start > midnight:
        rows = rows.filter(pc.greater_equal(rows["timestamp"], _moment(window.start)))
    if window.end is not None and window.end < midnight + timedelta(days=1):
        rows = rows.filter(pc.less(rows["timestamp"], _moment(window.end)))
    return rows


def _moment(at: datetime) -> pa.Scalar:
    return pa.scalar(at, pa.timestamp("us", "UTC"))
