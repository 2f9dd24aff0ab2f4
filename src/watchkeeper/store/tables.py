"""One Delta Lake table of events: appended to with the numbers of the segments it came from.

Beside Delta's own log the folder holds ``_last_version``, the newest version that was committed: a
log that lost its newest entries would otherwise pass for an older table, and what was acknowledged
would be gone without a word. It is written when that version is synced to disk: segments, which are
synced, are deleted because of it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError

from watchkeeper.clock import as_utc
from watchkeeper.durable import sync
from watchkeeper.errors import IntegrityError
from watchkeeper.events import EventKind
from watchkeeper.store.columns import Kind, disk_name, empty_table, event_name, kinds_of

__all__ = ["DataFile", "EventTable", "event_tables", "log_stamps"]

_LAST_VERSION = "_last_version"
_FOLDERS = {"prediction": "predictions", "outcome": "outcomes"}
_NEWEST = "max.arrived_at"
_COMMITS_A_CHECKPOINT = 100  # Delta's default
_SETTINGS = {
    # Versions older than this could not be read anyway: their files are vacuumed after a week.
    "delta.logRetentionDuration": "interval 7 days",
}


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of the table.

    `day` is None where outcomes wait for their prediction's day; none of its rows arrived after
    `newest`, and None is not known.
    """

    path: str
    day: date | None
    rows: int
    size: int
    newest: datetime | None = None

    def has_all_by(self, moment: datetime) -> bool:
        """Return whether all of its rows are known to have arrived by a moment.

        Parameters
        ----------
        moment : datetime

        Returns
        -------
        bool
        """
        return self.newest is not None and self.newest <= moment


class EventTable:
    """The state of one table when it was opened.

    Parameters
    ----------
    folder : Path
        Of the model, under ``events``.
    event : {"prediction", "outcome"}

    Raises
    ------
    IntegrityError
        If the table's log is damaged; a table is never taken for empty because of that.
    """

    def __init__(self, folder: Path, event: EventKind) -> None:
        self.path = folder / _FOLDERS[event]
        self.event = event
        self._delta = self._open()

    def _open(self) -> DeltaTable | None:
        committed = self._last_version()  # before the log, which others go on writing
        if not any((self.path / "_delta_log").glob("*.json")):
            if committed >= 0:
                raise self._damaged("its log is missing while there are files in it")
            return None  # files without a log are of a first commit that is not there yet
        try:
            delta = DeltaTable(self.path)
        except (DeltaError, OSError, ValueError) as error:
            raise self._damaged(_first_line(error)) from error
        version = delta.version()
        for number in range(max(0, version - _COMMITS_A_CHECKPOINT), version + 1):
            entry = self._entry(number)
            if entry.exists() and not entry.stat().st_size:  # for Delta, a commit of nothing
                raise self._damaged(f"its log entry {entry.name} is empty")
        if version < committed:
            raise self._damaged(
                f"its log ends at version {version} and version {committed} was committed"
            )
        return delta

    def _entry(self, version: int) -> Path:
        return self.path / "_delta_log" / f"{version:020d}.json"

    def _last_version(self) -> int:
        try:
            return int((self.path / _LAST_VERSION).read_text())
        except FileNotFoundError:
            return -1
        except ValueError as error:
            raise self._damaged(f"{_LAST_VERSION} holds no number") from error

    def _damaged(self, fault: str) -> IntegrityError:
        return IntegrityError(
            f"the table {self.path.parent.name}/{self.path.name} is damaged: {fault}",
            f"Restore {self.path} from a backup; segments wait in the journal until then.",
        )

    @property
    def version(self) -> int:
        """Version of the table; -1 before the first commit."""
        return -1 if self._delta is None else int(self._delta.version())

    def landed(self, journal_id: str) -> int:
        """Return the number of the last segment of a journal that the table has; -1 if none.

        Parameters
        ----------
        journal_id : str

        Returns
        -------
        int
        """
        number = None if self._delta is None else self._delta.transaction_version(journal_id)
        return -1 if number is None else int(number)

    @cached_property
    def _disk_schema(self) -> pa.Schema:
        if self._delta is None:
            return empty_table(self.event, {}).schema
        return pa.schema(self._delta.schema().to_arrow())

    @cached_property
    def _disk_names(self) -> dict[str, str]:
        return {event_name(name): name for name in self._disk_schema.names}

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """What the features and labels hold, by column name, in the order of the columns."""
        return kinds_of(pa.schema([f.with_name(event_name(f.name)) for f in self._disk_schema]))

    @cached_property
    def files(self) -> list[DataFile]:
        """The table's files, the first written first."""
        if self._delta is None:
            return []
        actions = pa.table(self._delta.get_add_actions(flatten=True))
        columns = ["path", "partition.day", "num_records", "size_bytes", "modification_time"]
        if _NEWEST in actions.column_names:
            columns.append(_NEWEST)
        root = str(self.path)  # a path is put together faster as text, and there are thousands
        return [
            DataFile(f"{root}/{row['path']}", row["partition.day"], row["num_records"],
                     row["size_bytes"], _not_before(row.get(_NEWEST)))
            for row in actions.select(columns).sort_by("modification_time").to_pylist()
        ]  # fmt: skip

    def files_since(self, moment: datetime) -> list[DataFile]:
        """Return the files that may have rows that arrived after a moment.

        Parameters
        ----------
        moment : datetime

        Returns
        -------
        list of DataFile
        """
        return [file for file in self.files if not file.has_all_by(moment)]

    def read(self, files: Iterable[DataFile], columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of `files` under the names events have; words stay dictionary-coded.

        Parameters
        ----------
        files : iterable of DataFile
        columns : sequence of str, optional
            Those that are wanted; all by default.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        IntegrityError
            If a file is missing or damaged.
        """
        blank = empty_table(self.event, self.kinds).schema
        wanted = [f for f in blank if columns is None or f.name in columns]
        names = {field.name: self._disk_names.get(field.name, field.name) for field in wanted}
        paths = [file.path for file in files]
        if not paths:
            return pa.schema(wanted).empty_table()
        coded = {names[f.name] for f in wanted if pa.types.is_dictionary(f.type)}
        day = pa.field("day", pa.date32())
        stored = pa.schema(
            [pa.field(names[f.name], f.type) for f in wanted if f.name != "day"]
        )  # "day" lies in the names of the folders
        import pyarrow.dataset as ds  # here: it imports pandas wherever that is installed

        options = ds.ParquetReadOptions(dictionary_columns=coded)
        try:
            dataset = ds.dataset(
                paths,
                schema=pa.schema([*stored, day]),
                format=ds.ParquetFileFormat(read_options=options),
                partitioning=ds.HivePartitioning(
                    pa.schema([day]), null_fallback="__HIVE_DEFAULT_PARTITION__"
                ),
                partition_base_dir=str(self.path),
            )
            rows = dataset.to_table(columns=[names[field.name] for field in wanted])
        except FileNotFoundError as error:
            raise self._damaged(f"{_first_line(error)} is missing") from error
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(_first_line(error)) from error
        return rows.rename_columns([field.name for field in wanted])

    def append(self, rows: pa.Table, landed: Mapping[str, int]) -> None:
        """Append `rows` and, in the same commit, the numbers of the segments they came from.

        Parameters
        ----------
        rows : pyarrow.Table
        landed : mapping of str to int
        """
        self._write(
            rows,
            mode="append",
            commit_properties=CommitProperties(
                app_transactions=[
                    Transaction(journal_id, number) for journal_id, number in landed.items()
                ]
            ),
        )

    def replace(self, rows: pa.Table, where: str) -> None:
        """Put `rows` in place of all rows that satisfy `where`, in one commit.

        Parameters
        ----------
        rows : pyarrow.Table
        where : str
        """
        self._write(rows, mode="overwrite", predicate=where)

    def delete(self, where: str) -> None:
        """Delete the rows that satisfy `where`, in one commit.

        Parameters
        ----------
        where : str
        """
        if self._delta is not None:
            self._delta.delete(where)
            self._committed()

    def tidy(self) -> None:
        """Remove files that no version within the retention of the table's log needs."""
        if self._delta is not None:
            self._delta.vacuum(dry_run=False)
            self._committed()

    def _write(self, rows: pa.Table, **how: Any) -> None:
        taken = list(self._disk_schema.names)
        names = []
        for name in rows.schema.names:
            names.append(disk_name(name, taken))
            if names[-1] not in taken:
                taken.append(names[-1])
        write_deltalake(
            self.path,
            rows.rename_columns(names),
            partition_by=["day"],
            schema_mode="merge",
            configuration=_SETTINGS if self._delta is None else None,
            **how,
        )
        self._committed()

    def _committed(self) -> None:
        self._delta = DeltaTable(self.path)
        for cached in ("_disk_schema", "_disk_names", "kinds", "files"):
            self.__dict__.pop(cached, None)
        self.make_durable()

    def make_durable(self) -> None:
        """Sync to disk what has been committed, if the process that committed it died before."""
        last = self._last_version()
        if self.version <= last:
            return
        folders = {self.path / "_delta_log", self.path, self.path.parent, self.path.parents[1]}
        for version in range(last + 1, self.version + 1):
            for path in self._written_by(version):
                sync(path)
                folders.add(path.parent)
        for folder in folders:
            sync(folder)
        partial = self.path / (_LAST_VERSION + ".partial")
        partial.write_text(str(self.version))
        sync(partial)
        partial.replace(self.path / _LAST_VERSION)

    def _written_by(self, version: int) -> list[Path]:
        entry = self._entry(version)
        if not entry.exists():  # of so long ago that Delta has cleaned it up
            return []
        actions = map(json.loads, entry.read_bytes().splitlines())
        added = [action["add"]["path"] for action in actions if "add" in action]
        return [*(self.path / unquote(path) for path in added), entry]


def _not_before(newest: datetime | None) -> datetime | None:
    """Return a time that no row is after; statistics may be cut to milliseconds."""
    return None if newest is None else as_utc(newest) + timedelta(seconds=1)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200].rstrip(".")


def event_tables(root: Path) -> list[str]:
    """Return the names of the models that have a table under `root`, sorted.

    Parameters
    ----------
    root : Path

    Returns
    -------
    list of str
    """
    return sorted(
        folder.name
        for folder in root.glob("*")
        if folder.is_dir() and any((folder / name).is_dir() for name in _FOLDERS.values())
    )


def log_stamps(folder: Path) -> list[int]:
    """Return when the logs of a model's tables last got an entry, in nanoseconds; 0 for never.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of int
    """
    stamps = []
    for name in _FOLDERS.values():
        try:
            stamps.append((folder / name / "_delta_log").stat().st_mtime_ns)
        except FileNotFoundError:
            stamps.append(0)
    return stamps
