"""Time lines of recorded events, from cells that are kept: only days that changed are read again.

Of each UTC day it is remembered what its cells were counted from. Cells are in memory, and on disk
for the next process; what lies there is derived, and may be deleted at any time.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.clock import Clock, system_clock
from watchkeeper.errors import NotFoundError
from watchkeeper.events import EventLog, Window, check_name
from watchkeeper.labelling import Labelling
from watchkeeper.monitoring.timeline_files import (
    ModelCells,
    Refreshed,
    read_cells,
    write_cells,
)
from watchkeeper.results import Result
from watchkeeper.rollouts.shadow import stream_of
from watchkeeper.timelines import Timeline, cells_of, empty_cells, timeline_of, timelines_by
from watchkeeper.timelines.cells import COLUMNS, FORMAT, hours_of

__all__ = ["ModelTimeline", "Timelines"]

log = logging.getLogger(__name__)

_DAY = timedelta(days=1)
_EPOCH = date(1970, 1, 1)
_SHADOW = stream_of("")
_BATCH = 100_000  # rows that are counted at once
_GAP = 3  # days that are read along, since to begin anew costs more
_KEEP_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, eq=False)
class ModelTimeline(Result):
    """A time line of a model.

    Attributes
    ----------
    model : str
    version, variant : str or None
        Of which version and which part of the traffic; None for all.
    as_of : Refreshed
    timeline : Timeline
    """

    model: str
    version: str | None
    variant: str | None
    as_of: Refreshed
    timeline: Timeline


@dataclass(slots=True)
class _State:
    """What is known of one model, and who is at it."""

    known: ModelCells | None = None
    looked: bool = False  # whether on disk
    kept: ModelCells | None = None  # there
    begun: int = 0
    ended: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Timelines:
    """The time lines of all models; several threads may ask at once.

    Parameters
    ----------
    events : EventLog
    folder : Path
        Where cells are kept for the next process: a file a model.
    labelling : callable
        Given the name of a model: how its answers are held against their outcomes. The shadow of a
        model is measured as the model, by the outcomes of its predictions.
    clock : Clock
        By which it is told how old an answer is: the system's, even where events are replayed.
    """

    def __init__(
        self,
        events: EventLog,
        folder: Path,
        *,
        labelling: Callable[[str], Labelling],
        clock: Clock = system_clock,
    ) -> None:
        self._events, self._folder = events, folder
        self._labelling, self._clock = labelling, clock
        self._states: dict[str, _State] = {}
        self._lock = threading.Lock()

    def timeline(
        self,
        model: str,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        points: int = 120,
        version: str | None = None,
        variant: str | None = None,
        fresh: timedelta | None = None,
    ) -> ModelTimeline:
        """Return a time line of a model; see `watchkeeper.timelines.timeline_of`.

        Parameters
        ----------
        model : str
        start, end : datetime, optional
        points : int
            At most so many buckets, from 1 to 2,000.
        version, variant : str, optional
            By default all.
        fresh : timedelta, optional
            How old what is known may be: if it is older, it is refreshed first. By default what is
            known is good however old it is. Where nothing is known, everything is read.

        Returns
        -------
        ModelTimeline

        Raises
        ------
        NotFoundError
            If nothing is recorded of the model.
        InvalidValueError
            As `timeline_of`.
        """
        current = self._current(model, fresh)
        line = timeline_of(
            current.cells, start, end, points=points, version=version, variant=variant
        )
        return ModelTimeline(model, version, variant, current.as_of, line)

    def by_version(
        self,
        model: str,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        points: int = 120,
        fresh: timedelta | None = None,
    ) -> dict[str, ModelTimeline]:
        """Return a time line of each version that has predictions in the window.

        Parameters
        ----------
        model : str
        start, end : datetime, optional
        points : int
            At most so many buckets, from 1 to 2,000.
        fresh : timedelta, optional
            As in `timeline`.

        Returns
        -------
        dict of str to ModelTimeline
            By version.
        """
        current = self._current(model, fresh)
        apart = timelines_by(current.cells, "model_version", start, end, points=points)
        return {
            version: ModelTimeline(model, version, None, current.as_of, line)
            for version, line in apart.items()
        }

    def by_variant(
        self,
        model: str,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        points: int = 120,
        fresh: timedelta | None = None,
    ) -> dict[str, ModelTimeline]:
        """Return a time line of each part of the traffic that has predictions in the window.

        Parameters
        ----------
        model : str
        start, end : datetime, optional
        points : int
            At most so many buckets, from 1 to 2,000.
        fresh : timedelta, optional
            As in `timeline`.

        Returns
        -------
        dict of str to ModelTimeline
            By variant.
        """
        current = self._current(model, fresh)
        apart = timelines_by(current.cells, "variant", start, end, points=points)
        return {
            variant: ModelTimeline(model, None, variant, current.as_of, line)
            for variant, line in apart.items()
        }

    def cells(self, model: str, *, fresh: timedelta | None = None) -> pa.Table:
        """Return the cells of a model, by time; see `watchkeeper.timelines.cells_of`.

        Parameters
        ----------
        model : str
        fresh : timedelta, optional
            As in `timeline`.

        Returns
        -------
        pyarrow.Table
        """
        return self._current(model, fresh).cells

    def known(self, model: str) -> Refreshed | None:
        """Return as of when an answer without waiting would be; None if there would be none.

        Parameters
        ----------
        model : str

        Returns
        -------
        Refreshed or None
        """
        state = self._state(model)
        if state.known is None and state.lock.acquire(blocking=False):
            try:
                self._look(model, state)
            finally:
                state.lock.release()
        return None if state.known is None else state.known.as_of

    def refresh(self, model: str) -> Refreshed:
        """Bring a model up to date with what is recorded now, and tell as of when it is.

        Parameters
        ----------
        model : str

        Returns
        -------
        Refreshed

        Raises
        ------
        NotFoundError
            If nothing is recorded of the model; what was known of it is forgotten.
        """
        return self._refresh(model, None).as_of

    def _current(self, model: str, fresh: timedelta | None) -> ModelCells:
        state = self._state(model)
        if state.known is None:
            with state.lock:  # a thread that reads everything now is waited for
                self._look(model, state)
        current = state.known
        if current is None:
            return self._refresh(model, datetime.min.replace(tzinfo=UTC))
        if fresh is not None and current.as_of.at < (since := self._clock() - fresh):
            return self._refresh(model, since)
        return current

    def _refresh(self, model: str, since: datetime | None) -> ModelCells:
        """Refresh, unless another thread has since this was asked, or since a given moment."""
        state = self._state(model)
        begun = state.begun
        with state.lock:
            self._look(model, state)
            current = state.known
            enough = since is not None and current is not None and current.as_of.at >= since
            if current is not None and (enough or state.ended > begun):
                return current
            state.begun += 1
            try:
                state.known = self._brought_up(model, current)
            except NotFoundError:
                state.known, state.kept = None, None
                with self._lock:  # anybody can ask for any name
                    self._states.pop(model, None)
                self._path(model).unlink(missing_ok=True)
                raise
            state.ended = state.begun
            self._keep(model, state, state.known)
            return state.known

    def _state(self, model: str) -> _State:
        check_name(model, "model")  # it names a file
        with self._lock:
            return self._states.setdefault(model, _State())

    def _brought_up(self, model: str, current: ModelCells | None) -> ModelCells:
        """Return what is known after the days that have changed were read."""
        at = self._clock()
        keys, versions = self._keys(model)
        task = self._labelling_of(model).task
        before = {} if current is None else current.keys
        changed = {day for day, key in keys.items() if before.get(day) != key}
        as_of = Refreshed(at, versions)
        if current is not None and not changed and before.keys() == keys.keys():
            return ModelCells(current.cells, keys, as_of)
        parts = [empty_cells(task), *self._counted(model, changed)]
        if current is not None and current.cells.schema.equals(
            parts[0].schema, check_metadata=True
        ):
            parts.append(_of_days(current.cells, keys.keys() - changed))
        cells = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
        hours = hours_of(cells)
        if (np.diff(hours) < 0).any():
            cells = cells.take(pa.array(np.argsort(hours, kind="stable")))
        return ModelCells(cells.combine_chunks(), keys, as_of)

    def _keys(self, model: str) -> tuple[dict[date, str], dict[str, int]]:
        """Return what the cells of each day would be made of now."""
        day_keys = self._events.day_keys(model)
        labelling = self._labelling_of(model)
        how = f"{FORMAT} {labelling.task} {labelling.positive!r}"
        source = self._told_by(model)
        source_keys: Mapping[date, str] = {}
        if source is not None:
            source_keys = self._events.day_keys(source).keys
        return {
            day: " ".join(
                [
                    how,
                    key,
                    *(
                        source_keys.get(source_day, "")
                        for source_day in (day, day - _DAY)
                        if source
                    ),
                ]
            )
            for day, key in day_keys.keys.items()
        }, day_keys.versions

    def _counted(self, model: str, days: Collection[date]) -> Iterator[pa.Table]:
        """Yield the cells of days, some at a time."""
        labelling = self._labelling_of(model)
        batch: list[pa.Table] = []
        for start, end in _runs(days):
            for rows in self._rows(model, Window(_midnight(start), _midnight(end + _DAY))):
                if rows["timestamp"][0].as_py().date() in days:
                    batch.append(rows)
                if sum(rows.num_rows for rows in batch) >= _BATCH:
                    yield _cells(batch, labelling)
                    batch = []
        if batch:
            yield _cells(batch, labelling)

    def _rows(self, model: str, window: Window) -> Iterator[pa.Table]:
        """Yield the events of a window a day at a time."""
        source = self._told_by(model)
        if source is None:
            for read in self._events.days(model, window, columns=COLUMNS):
                yield read.rows
            return
        # A copy is answered a moment after the original, which may have been yesterday.
        wider = Window(window.start and window.start - timedelta(hours=1), window.end)
        columns = ("prediction_id", "actual", "actual_timestamp")
        came = self._events.read(source, wider, columns=columns).rows
        for read in self._events.days(model, window, columns=["prediction_id", *COLUMNS]):
            yield _with_outcomes(read.rows, came)

    def _told_by(self, model: str) -> str | None:
        """Return the model whose outcomes are those of this one too, for a shadow."""
        name = model.removesuffix(_SHADOW)
        return name if name != model and name in self._events.models() else None

    def _labelling_of(self, model: str) -> Labelling:
        return self._labelling(model.removesuffix(_SHADOW) or model)

    def _path(self, model: str) -> Path:
        return self._folder / f"{model}.arrow"

    def _look(self, model: str, state: _State) -> None:
        """Take what an earlier process has kept, if nothing is known yet."""
        if state.known is None and not state.looked:
            state.looked = True
            state.known = state.kept = read_cells(self._path(model), model, self._how(model))

    def _how(self, model: str) -> list[Any]:
        labelling = self._labelling_of(model)
        return [FORMAT, labelling.task, repr(labelling.positive)]

    def _keep(self, model: str, state: _State, current: ModelCells) -> None:
        """Keep what is known for the next process, if it has changed, now and then."""
        stored = state.kept
        if stored is not None and (
            stored.keys == current.keys or current.as_of.at - stored.as_of.at < _KEEP_EVERY
        ):
            return
        try:
            write_cells(self._path(model), model, self._how(model), current)
        except OSError as error:  # they are as good in memory
            log.warning("the cells of the time lines of %s cannot be stored: %s", model, error)
        state.kept = current


def _cells(batch: list[pa.Table], labelling: Labelling) -> pa.Table:
    rows = pa.concat_tables(batch, promote_options="default").unify_dictionaries()
    return cells_of(rows, task=labelling.task, positive=labelling.positive)


def _with_outcomes(rows: pa.Table, came: pa.Table) -> pa.Table:
    """Return the predictions of a shadow with the outcomes of the ones that they are copies of."""
    if rows["actual"].null_count < rows.num_rows:  # a client posts outcomes for it itself
        return rows
    row_of_prediction = pc.index_in(rows["prediction_id"], value_set=came["prediction_id"])
    for name in ("actual", "actual_timestamp"):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, name, came[name].take(row_of_prediction))
    return rows


def _of_days(cells: pa.Table, days: Collection[date]) -> pa.Table:
    numbers = np.array([(day - _EPOCH).days for day in days], dtype=np.int64)
    return cells.filter(pa.array(np.isin(hours_of(cells) // 24, numbers)))


def _runs(days: Collection[date]) -> Iterator[tuple[date, date]]:
    """Yield the first and the last day of each stretch that is read at once."""
    first = last = None
    for day in sorted(days):
        if first is None or last is None:
            first = day
        elif day - last > _GAP * _DAY:
            yield first, last
            first = day
        last = day
    if first is not None and last is not None:
        yield first, last


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
