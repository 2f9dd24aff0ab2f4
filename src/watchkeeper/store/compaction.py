"""Compaction: few files a day, late outcomes beside their predictions, nothing beyond the budgets.

Each change is one commit of one table, so readers see the table before it or after it, and a death
in between leaves the rest for the next time. What a reader would not show is not kept: of a
repeated prediction the first, of several outcomes the latest remains.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.results import Result
from watchkeeper.store.joined_days import keep_joined
from watchkeeper.store.locks import locked
from watchkeeper.store.rows import first_arrived, latest
from watchkeeper.store.tables import EventTable, event_tables

__all__ = ["CompactionReport", "Dropped", "compact"]

_DAYS_A_COMMIT = 31
_TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class CompactionReport(Result):
    """What a compaction did.

    Attributes
    ----------
    files_before, files_after : int
    bytes_before, bytes_after : int
    repeated : int
        Rows of repeated predictions and superseded outcomes that were left out.
    placed : int
        Outcomes that were filed beside their prediction.
    days_dropped : int
        Days of models that were older or more than the budgets allow.
    """

    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    repeated: int = 0
    placed: int = 0
    days_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Dropped(Result):
    """Days of one model that a compaction drops.

    Attributes
    ----------
    model : str
    reason : {"age", "size"}
        Older than the retention, or more than the byte budget.
    first, last : date or None
        The oldest and the newest of the days; None where only outcomes without a prediction go.
    days : int
    predictions, outcomes, size : int
        Rows of the tables, and the bytes of their files.
    """

    model: str
    reason: Literal["age", "size"]
    first: date | None
    last: date | None
    days: int
    predictions: int
    outcomes: int
    size: int


def compact(
    events: Path,
    models: Iterable[str] | None,
    *,
    retention: timedelta | None,
    max_bytes: int | None,
    now: datetime,
    dropping: Callable[[Dropped], object],
) -> CompactionReport:
    """Compact the tables under `events`; landing waits until it is done.

    Parameters
    ----------
    events : Path
    models : iterable of str or None
        None for all.
    retention : timedelta or None
        Whole days of event time older than this are dropped.
    max_bytes : int or None
        The oldest days are dropped until the tables together are not larger.
    now : datetime
    dropping : callable
        Called with what is dropped, before it is; what it raises keeps the days.

    Returns
    -------
    CompactionReport

    Raises
    ------
    IntegrityError
        If a table is damaged.
    """
    events.mkdir(parents=True, exist_ok=True)
    with locked(events / ".landing.lock", wait=True):
        names = event_tables(events) if models is None else list(models)
        pairs = [_Pair(events / name) for name in names]
        before = [file for pair in pairs for table in pair.tables for file in table.files]
        dropped = repeated = placed = 0
        for pair in pairs:
            if retention is not None:
                dropped += pair.drop_before((now - retention).date(), dropping)
            placed += pair.place_outcomes()
            repeated += pair.merge()
        if max_bytes is not None:
            dropped += _drop_oldest(pairs, max_bytes, dropping)
        for pair in pairs:
            keep_joined(pair.days(), pair.predictions, pair.outcomes)
            for table in pair.tables:
                table.tidy()
        after = [file for pair in pairs for table in pair.tables for file in table.files]
    return CompactionReport(
        files_before=len(before),
        files_after=len(after),
        bytes_before=sum(file.size for file in before),
        bytes_after=sum(file.size for file in after),
        repeated=repeated,
        placed=placed,
        days_dropped=dropped,
    )


class _Pair:
    """The two tables of one model."""

    def __init__(self, folder: Path) -> None:
        self.model = folder.name
        self.predictions = EventTable(folder, "prediction")
        self.outcomes = EventTable(folder, "outcome")
        self.tables = (self.predictions, self.outcomes)

    def days(self) -> set[date]:
        return {f.day for table in self.tables for f in table.files if f.day is not None}

    def size_of(self, day: date) -> int:
        return sum(f.size for table in self.tables for f in table.files if f.day == day)

    def drop_before(self, first: date, dropping: Callable[[Dropped], object]) -> int:
        """Drop the days before one, and outcomes without a prediction of that time."""
        old = {day for day in self.days() if day < first}
        loose = _rows(self.outcomes, {None})
        moment = pa.scalar(datetime(first.year, first.month, first.day, tzinfo=UTC), _TIME)
        recent = loose.filter(pc.greater_equal(loose["timestamp"], moment))
        expired = loose.num_rows - recent.num_rows
        if old or expired:
            dropping(self.dropped(old, "age", expired))
        for table in self.tables:
            if any(file.day in old for file in table.files):
                table.delete(f"day < '{first}'")
        if expired:
            self.outcomes.replace(recent, "day IS NULL")
        return len(old)

    def drop(self, days: set[date]) -> None:
        listed = ", ".join(f"'{day}'" for day in sorted(days))
        for table in self.tables:
            if any(file.day in days for file in table.files):
                table.delete(f"day IN ({listed})")

    def dropped(self, days: set[date], reason: Literal["age", "size"], loose: int = 0) -> Dropped:
        """Return what goes with some days, and so many outcomes without a prediction."""
        predictions, outcomes = ([f for f in t.files if f.day in days] for t in self.tables)
        return Dropped(
            model=self.model,
            reason=reason,
            first=min(days, default=None),
            last=max(days, default=None),
            days=len(days),
            predictions=sum(file.rows for file in predictions),
            outcomes=sum(file.rows for file in outcomes) + loose,
            size=sum(file.size for file in [*predictions, *outcomes]),
        )

    def place_outcomes(self) -> int:
        """File the outcomes whose prediction's day was not known beside their predictions."""
        loose = _rows(self.outcomes, {None})
        if not loose.num_rows:
            return 0
        ids_by_day = self._days_of(loose["prediction_id"])
        placed = 0
        order = sorted(ids_by_day)
        for start in range(0, len(order), _DAYS_A_COMMIT):
            days = order[start : start + _DAYS_A_COMMIT]
            moved = pa.concat_tables(
                [_with_day(_only(loose, ids_by_day[day]), day) for day in days]
            )
            for day in days:
                loose = _without(loose, ids_by_day[day])
            filed = _rows(self.outcomes, set(days))
            rows = latest(pa.concat_tables([filed, moved], promote_options="default"))
            listed = ", ".join(f"'{day}'" for day in days)
            # One commit: never filed twice, never nowhere.
            self.outcomes.replace(
                pa.concat_tables([rows, loose], promote_options="default"),
                f"day IN ({listed}) OR day IS NULL",
            )
            placed += moved.num_rows
        return placed

    def merge(self) -> int:
        """Leave one file a day, without repetitions; return how many rows those were."""
        left_out = 0
        for table, unique, key in (
            (self.predictions, first_arrived, "timestamp"),
            (self.outcomes, latest, "prediction_id"),  # in the order of the predictions
        ):
            for day in sorted(day for day in self.days() if _files(table, {day}) > 1):
                rows = _rows(table, {day})
                merged = unique(rows)
                merged = merged.take(pc.sort_indices(merged, [(key, "ascending")]))
                table.replace(merged, f"day = '{day}'")
                left_out += rows.num_rows - merged.num_rows
        return left_out

    def _days_of(self, ids: pa.ChunkedArray) -> dict[date, pa.Array]:
        """Return by day which of `ids` its predictions have; the newest days are read first."""
        ids_by_day: dict[date, pa.Array] = {}
        wanted = pc.unique(ids)
        for day in sorted({f.day for f in self.predictions.files if f.day}, reverse=True):
            if not len(wanted):
                break
            ids_of_day = _rows(self.predictions, {day}, ["prediction_id"])["prediction_id"]
            here = pc.is_in(wanted, value_set=ids_of_day)
            if pc.any(here).as_py():
                ids_by_day[day] = wanted.filter(here)
                wanted = wanted.filter(pc.invert(here))
        return ids_by_day


def _drop_oldest(pairs: list[_Pair], max_bytes: int, dropping: Callable[[Dropped], object]) -> int:
    size = sum(file.size for pair in pairs for table in pair.tables for file in table.files)
    excess: dict[str, set[date]] = {}
    oldest = sorted(((day, pair) for pair in pairs for day in pair.days()), key=_first)
    for day, pair in oldest:
        if size <= max_bytes:
            break
        size -= pair.size_of(day)
        excess.setdefault(pair.model, set()).add(day)
    for pair in pairs:
        if days := excess.get(pair.model):
            dropping(pair.dropped(days, "size"))
            pair.drop(days)
    return sum(map(len, excess.values()))


def _first(pair: tuple[date, _Pair]) -> date:
    return pair[0]


def _files(table: EventTable, days: set[date | None]) -> int:
    return sum(file.day in days for file in table.files)


def _rows(
    table: EventTable, days: Iterable[date | None], columns: list[str] | None = None
) -> pa.Table:
    wanted = set(days)
    return table.read([file for file in table.files if file.day in wanted], columns)


def _only(rows: pa.Table, ids: pa.Array) -> pa.Table:
    return rows.filter(pc.is_in(rows["prediction_id"], value_set=ids))


def _without(rows: pa.Table, ids: pa.Array) -> pa.Table:
    return rows.filter(pc.invert(pc.is_in(rows["prediction_id"], value_set=ids)))


def _with_day(rows: pa.Table, day: date) -> pa.Table:
    at = rows.schema.get_field_index("day")
    return rows.set_column(at, "day", pa.array([day] * rows.num_rows, pa.date32()))
