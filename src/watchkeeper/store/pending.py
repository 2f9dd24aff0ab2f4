"""What waits in the journal, as typed rows: a line is read once, however often it is asked for.

A segment grows until it is sealed, and those who look at a model look again every few seconds. What
was read of a segment is kept as rows, and the next look reads what came since. A checksum of what
was read tells whether it is still there: a write that failed is cut off again.
"""

import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from watchkeeper.events import EventKind
from watchkeeper.store.columns import Kind, TypeSource
from watchkeeper.store.committer import (
    ColumnsChangedError,
    RowsOfTable,
    Table,
    rows_of_model,
    table_of,
    tables_of,
)
from watchkeeper.store.segments import (
    JournalSegment,
    SegmentContents,
    list_segments,
    read_lines,
    read_segment,
)

__all__ = ["Unlanded", "UnlandedSegment"]

_KINDS: tuple[EventKind, ...] = ("prediction", "outcome")
_MOST_BYTES = 128 << 20  # of segments; what is read of those beyond is not kept


@dataclass(frozen=True, slots=True)
class UnlandedSegment:
    """What a segment had of one model when it was read.

    Attributes
    ----------
    segment : JournalSegment
    rows : callable
        Given the kind of events and what columns hold: the rows, or None without any.
    """

    segment: JournalSegment
    rows: Callable[[EventKind, Mapping[str, Kind]], pa.Table | None]


class Unlanded:
    """The segments of a data directory that wait; threads may share it.

    Parameters
    ----------
    journal : Path
        The folder of all journals.
    types : TypeSource
    """

    def __init__(self, journal: Path, types: TypeSource) -> None:
        self._journal, self._types = journal, types
        self._lock = threading.Lock()
        self._models: set[str] = set()  # that were asked for
        self._read: dict[tuple[str, int], _Lines] = {}

    def models(self) -> set[str]:
        """Return the names of the models with events here.

        Returns
        -------
        set of str
        """
        with self._lock:
            return {model for _, contents in self._look() for _, model in contents.tables}

    def of_model(self, model: str) -> list[UnlandedSegment]:
        """Return what there is of a model now; nothing that comes later is among its rows.

        Parameters
        ----------
        model : str

        Returns
        -------
        list of UnlandedSegment
        """
        with self._lock:
            return [
                UnlandedSegment(
                    segment, partial(self._rows, contents, model, contents.counts(model))
                )
                for segment, contents in self._look_for(model)
            ]

    def _look_for(self, model: str) -> "list[tuple[JournalSegment, _Lines | _Bulk]]":
        """Read what is new, and all again for a model that is asked for the first time."""
        if model in self._models:
            return self._look()
        if self._read and not _any_of(model, contents := self._look()):
            return contents  # a client can ask for any name
        self._models.add(model)
        self._read.clear()
        contents = self._look()
        if not _any_of(model, contents):
            self._models.discard(model)
        return contents

    def _look(self) -> list[tuple[JournalSegment, "_Lines | _Bulk"]]:
        """Read what is new; a segment that landed meanwhile makes it look again."""
        while True:
            try:
                contents = [
                    (segment, self._contents_of(segment))
                    for segment in list_segments(self._journal)
                ]
            except FileNotFoundError:
                continue
            self._read.clear()
            room = _MOST_BYTES
            for segment, read in contents:
                if isinstance(read, _Lines) and (room := room - read.size) >= 0:
                    self._read[segment.journal_id, segment.number] = read
            return contents

    def _contents_of(self, segment: JournalSegment) -> "_Lines | _Bulk":
        if segment.path.suffix == ".arrow":
            return _Bulk(read_segment(segment), self._types)
        data = segment.path.read_bytes()
        read = self._read.get((segment.journal_id, segment.number))
        if read is None or not read.begins(data):
            read = _Lines(self._models, self._types)
        read.read_on(data)
        return read

    def _rows(
        self,
        contents: "_Lines | _Bulk",
        model: str,
        counts: Mapping[EventKind, int],
        event: EventKind,
        kinds: Mapping[str, Kind],
    ) -> pa.Table | None:
        if not counts[event]:
            return None
        with self._lock:
            try:
                return contents.rows((event, model), kinds).slice(0, counts[event])
            except ColumnsChangedError:
                self._read.clear()  # the next look makes all rows anew
                raise


def _any_of(model: str, contents: "list[tuple[JournalSegment, _Lines | _Bulk]]") -> bool:
    return any(name == model for _, read in contents for _, name in read.tables)


class _Lines:
    """A segment of lines, as far as it was read; the rows of some models are kept."""

    def __init__(self, models: set[str], types: TypeSource) -> None:
        self._models, self._types = models, types
        self.size = self._crc32 = 0
        self.tables: set[Table] = set()
        self._rows: dict[Table, RowsOfTable] = {}

    def begins(self, data: bytes) -> bool:
        """Return whether `data` begins with what was read."""
        return zlib.crc32(memoryview(data)[: self.size]) == self._crc32

    def read_on(self, data: bytes) -> None:
        """Read what is new, up to the last whole line."""
        new = memoryview(data)[self.size : data.rfind(b"\n") + 1]
        for event in read_lines(new)[0]:
            table = table_of(event)
            self.tables.add(table)
            if event.model in self._models:
                if table not in self._rows:
                    self._rows[table] = RowsOfTable(table, self._types)
                self._rows[table].add(event)
        self.size += len(new)
        self._crc32 = zlib.crc32(new, self._crc32)

    def counts(self, model: str) -> dict[EventKind, int]:
        return {event: len(self._rows.get((event, model), ())) for event in _KINDS}

    def rows(self, table: Table, kinds: Mapping[str, Kind]) -> pa.Table:
        return self._rows[table].table(kinds)


class _Bulk:
    """A segment that is one table; it is read from the disk each time."""

    def __init__(self, contents: SegmentContents, types: TypeSource) -> None:
        self._contents, self._types = contents, types
        self.tables = tables_of(contents)

    def counts(self, model: str) -> dict[EventKind, int]:
        count = 0 if self._contents.table is None else self._contents.table[2].num_rows
        return {event: count if (event, model) in self.tables else 0 for event in _KINDS}

    def rows(self, table: Table, kinds: Mapping[str, Kind]) -> pa.Table:
        return rows_of_model(self._contents, *table, kinds, self._types)
