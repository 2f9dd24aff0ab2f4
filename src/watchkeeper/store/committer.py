"""Landing: sealed journal segments become rows of tables, each exactly once.

Each table keeps the number of the last segment of each journal that it has. Every sealed segment is
offered to every table it has rows for, in order; a table that has its number skips it. A segment is
deleted when all its tables have it. Whatever dies when, doing it again is harmless.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake.exceptions import DeltaError

from watchkeeper.errors import IntegrityError
from watchkeeper.events import Event, EventKind, Prediction
from watchkeeper.interpreter import rest
from watchkeeper.results import Result
from watchkeeper.store.columns import (
    Kind,
    TypeSource,
    kinds_of,
    outcome_rows,
    outcome_rows_of_table,
    prediction_rows,
    prediction_rows_of_table,
)
from watchkeeper.store.locks import locked
from watchkeeper.store.segments import (
    JournalSegment,
    SegmentContents,
    adopt_abandoned,
    keep_damaged,
    list_segments,
    read_segment,
)
from watchkeeper.store.tables import EventTable

__all__ = [
    "ColumnsChangedError",
    "Landing",
    "LandingReport",
    "RowsOfTable",
    "Table",
    "no_types",
    "rows_of_model",
    "table_of",
    "tables_of",
]

_BYTES_A_COMMIT = 64 << 20  # of segments that are read, and committed, together
_AT_ONCE = 1_000  # events whose columns are made without a pause

Table = tuple[EventKind, str]
"""Of which events, of which model."""


@dataclass(frozen=True, slots=True)
class LandingReport(Result):
    """What one round of landing did.

    Attributes
    ----------
    busy : bool
        Another process was landing, so nothing was done here.
    segments : int
        That have landed everywhere and are gone from the journal.
    predictions, outcomes : dict of str to int
        Rows that were added, by model.
    failures : tuple of str
        Tables that could not be written; their segments wait.
    damage : tuple of str
        What could not be read, and where it is kept.
    """

    busy: bool = False
    segments: int = 0
    predictions: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()


def no_types(model: str, version: str) -> None:
    """Declare nothing, so that the first segment fixes the types.

    Parameters
    ----------
    model, version : str
    """


class ColumnsChangedError(Exception):
    """Columns have come to hold something else since rows were made of the first events."""


class RowsOfTable:
    """What a segment has for one table as typed rows; the segment, and they, may grow.

    Rows are made of a few events at a time: Arrow keeps the interpreter for as long as it makes a
    column of values. What was made stays, and the next call goes on from there.

    Parameters
    ----------
    table : tuple of (EventKind, str)
        Of which events, of which model.
    types : TypeSource
    """

    def __init__(self, table: Table, types: TypeSource) -> None:
        (self._event, self._model), self._types = table, types
        self._new: list[Any] = []  # events that are not rows yet
        self._parts: list[pa.Table] = []
        self._given: dict[str, Kind] = {}  # what columns held before the first part
        self._kinds: dict[str, Kind] = {}  # and after the last
        self._versions: dict[str, None] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, event: Event) -> None:
        """Take one more event of the table.

        Parameters
        ----------
        event : Event
        """
        self._new.append(event)
        self._count += 1
        if isinstance(event, Prediction):
            self._versions[event.model_version] = None

    def table(self, kinds: Mapping[str, Kind]) -> pa.Table | None:
        """Return all events as rows; None without any.

        Parameters
        ----------
        kinds : mapping of str to Kind
            What columns of the table hold already.

        Returns
        -------
        pyarrow.Table or None

        Raises
        ------
        ColumnsChangedError
            If `kinds` are not those of the calls before.
        """
        declared = _with_declared(kinds, self._model, self._versions, self._types)
        if not self._parts:
            self._given = self._kinds = declared
        elif declared != self._given:
            raise ColumnsChangedError
        make: Callable[..., pa.Table] = (
            prediction_rows if self._event == "prediction" else outcome_rows
        )
        while len(self._new) >= _AT_ONCE:
            part = make(self._new[:_AT_ONCE], self._kinds)
            self._kinds = {**kinds_of(part.schema), **self._kinds}
            self._parts.append(part)
            del self._new[:_AT_ONCE]
            rest()
        parts = [*self._parts, make(self._new, self._kinds)] if self._new else self._parts
        if len(parts) < 2:
            return parts[0] if parts else None
        return pa.concat_tables(parts, promote_options="default").unify_dictionaries()


def rows_of_model(
    contents: SegmentContents,
    event: EventKind,
    model: str,
    kinds: Mapping[str, Kind],
    types: TypeSource,
) -> pa.Table | None:
    """Return what a segment has of one model's events as typed rows, or None if nothing.

    Parameters
    ----------
    contents : SegmentContents
    event : EventKind
    model : str
    kinds : mapping of str to Kind
        What columns of the table hold already.
    types : TypeSource
        What the signatures of versions declare.

    Returns
    -------
    pyarrow.Table or None
    """
    if contents.table is None:
        rows = RowsOfTable((event, model), types)
        for entry in contents.events:
            if table_of(entry) == (event, model):
                rows.add(entry)
        return rows.table(kinds)
    kind, name, table = contents.table
    if (kind, name) != (event, model):
        return None
    if event == "outcome":
        return outcome_rows_of_table(table, kinds)
    named = "model_version" in table.schema.names
    versions = table["model_version"].unique().to_pylist() if named else []
    return prediction_rows_of_table(table, _with_declared(kinds, model, versions, types))


def _with_declared(
    kinds: Mapping[str, Kind], model: str, versions: Iterable[str], types: TypeSource
) -> dict[str, Kind]:
    """Add what the signatures of `versions` declare; what the table has already stays."""
    declared: dict[str, Kind] = {}
    for version in versions:
        declared = {**(types(model, version) or {}), **declared}
    return {**declared, **kinds}


def table_of(event: Event) -> Table:
    """Return which table an event is for.

    Parameters
    ----------
    event : Event

    Returns
    -------
    Table
    """
    return ("prediction" if isinstance(event, Prediction) else "outcome"), event.model


def tables_of(contents: SegmentContents) -> set[Table]:
    """Return which tables a segment has rows for.

    Parameters
    ----------
    contents : SegmentContents

    Returns
    -------
    set of Table
    """
    return set(map(table_of, contents.events)) if contents.table is None else {contents.table[:2]}


class Landing:
    """Turns the sealed segments of a data directory into its tables.

    Parameters
    ----------
    data_dir : Path
    types : TypeSource, optional
        What the signatures of registered versions declare.
    """

    def __init__(self, data_dir: Path, *, types: TypeSource = no_types) -> None:
        self._journal, self._events = data_dir / "journal", data_dir / "events"
        self._types = types

    def land(self) -> LandingReport:
        """Land what is sealed; return at once if another process is at it.

        Returns
        -------
        LandingReport
        """
        self._events.mkdir(parents=True, exist_ok=True)
        with locked(self._events / ".landing.lock") as ours:
            if not ours:
                return LandingReport(busy=True)
            return _Round(self._journal, self._events, self._types).run()


class _Round:
    """One round: the tables as they are opened, and who has to wait for whom."""

    def __init__(self, journal: Path, events: Path, types: TypeSource) -> None:
        self._journal, self._events, self._types = journal, events, types
        self._tables: dict[Table, EventTable] = {}
        self._waiting: set[tuple[Table, str]] = set()  # (table, journal): a segment failed there
        self._failures: dict[str, None] = {}
        self._damage: list[str] = []
        self._added: dict[EventKind, dict[str, int]] = {"prediction": {}, "outcome": {}}
        self._segments = 0

    def run(self) -> LandingReport:
        self._damage += adopt_abandoned(self._journal)
        for group in _groups(_sealed_in_order(self._journal)):
            self._land(group)
        return LandingReport(
            segments=self._segments,
            predictions=self._added["prediction"],
            outcomes=self._added["outcome"],
            failures=tuple(self._failures),
            damage=tuple(self._damage),
        )

    def _land(self, group: list[JournalSegment]) -> None:
        contents = {segment: self._read(segment) for segment in group}
        offers: dict[Table, list[JournalSegment]] = defaultdict(list)
        for segment, content in contents.items():
            for table in tables_of(content):
                offers[table].append(segment)
        kept_back: set[JournalSegment] = set()
        for table, segments in offers.items():
            free = [s for s in segments if (table, s.journal_id) not in self._waiting]
            kept_back.update(set(segments) - set(free))
            try:
                self._commit(table, free, contents)
            except (DeltaError, IntegrityError, OSError, pa.ArrowException) as error:
                self._failures[f"{table[1]}, {table[0]}s: {error}"] = None
                self._waiting.update((table, segment.journal_id) for segment in free)
                kept_back.update(free)
        for segment in group:
            if segment not in kept_back:
                segment.path.unlink()
                self._segments += 1

    def _read(self, segment: JournalSegment) -> SegmentContents:
        content = read_segment(segment)
        if content.damage:
            copy = keep_damaged(segment)
            self._damage.append(f"{content.damage}; a copy is {copy.parent.name}/{copy.name}")
        return content

    def _commit(
        self,
        table: Table,
        segments: list[JournalSegment],
        contents: dict[JournalSegment, SegmentContents],
    ) -> None:
        event, model = table
        target = self._tables.get(table) or EventTable(self._events / model, event)
        self._tables[table] = target
        parts: list[pa.Table] = []
        landed: dict[str, int] = {}
        kinds = dict(target.kinds)
        for segment in segments:
            if segment.number <= target.landed(segment.journal_id):
                continue
            rows = rows_of_model(contents[segment], event, model, kinds, self._types)
            if rows is not None:
                parts.append(rows)
                kinds = {**kinds_of(rows.schema), **kinds}
                landed[segment.journal_id] = segment.number
        if not parts:
            target.make_durable()  # before segments are deleted because it has them
            return
        rows = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
        try:
            target.append(rows, landed)
        except BaseException:
            del self._tables[table]  # its state is unknown: opened anew when it is needed again
            raise
        added = self._added[event]
        added[model] = added.get(model, 0) + rows.num_rows


def _sealed_in_order(journal: Path) -> Iterator[JournalSegment]:
    """Yield sealed segments up to the first of each journal that is not sealed yet.

    A later one must not land before it: the table would take it for landed.
    """
    sealed = {segment for segment in list_segments(journal) if segment.sealed}
    blocked: set[str] = set()
    # Listed once more, since a listing of a folder that changes meanwhile may miss a segment: what
    # came before a segment of the first listing is there when the second begins.
    for segment in list_segments(journal):
        if not segment.sealed:
            blocked.add(segment.journal_id)
        elif segment.journal_id not in blocked and segment in sealed:
            yield segment


def _groups(segments: Iterator[JournalSegment]) -> Iterator[list[JournalSegment]]:
    group: list[JournalSegment] = []
    size = 0
    for segment in segments:
        group.append(segment)
        size += segment.path.stat().st_size
        if size >= _BYTES_A_COMMIT:
            yield group
            group, size = [], 0
    if group:
        yield group
