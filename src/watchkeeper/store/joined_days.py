"""Days as they are read again and again: predictions beside their outcomes, as numbers.

Reading ten million ids and units as text, and joining outcomes by id, takes longer than all that
is then computed. So compaction keeps, beside the tables, one Arrow file a day with the columns that
measurements take, already joined; units and ids are fingerprints there. It is derived: its name is
made of the names of the data files that it was made of, so that it is either exactly what those
files say or it is not found, and the day is read from the tables.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.durable import sync
from watchkeeper.events import METRIC, METRIC_TIMESTAMP, UNIT_HASH
from watchkeeper.fingerprints import fingerprints
from watchkeeper.store.columns import Kind
from watchkeeper.store.rows import first_arrived, in_order, joined, latest
from watchkeeper.store.tables import DataFile, EventTable

__all__ = ["JoinedDay", "has_columns", "keep_joined"]

_FORMAT = 1  # another one makes all of them anew
_ID_HASH = "prediction_id_hash"
_COLUMNS = (
    UNIT_HASH,
    "model_version",
    "variant",
    "experiment",
    "timestamp",
    "status",
    "latency_ms",
    "prediction",
    "score",
    "actual",
    "actual_timestamp",
)


def has_columns(columns: Sequence[str] | None) -> bool:
    """Return whether joined days have all that is wanted; None is every column of a window.

    Parameters
    ----------
    columns : sequence of str or None
        Those that are wanted; all by default.

    Returns
    -------
    bool
    """
    return columns is not None and all(
        name in _COLUMNS or name.startswith((METRIC, METRIC_TIMESTAMP)) for name in columns
    )


class JoinedDay:
    """What is kept of one day of one model, if it is.

    Parameters
    ----------
    day : date
    predictions, outcomes : EventTable
    kinds : pair of mapping of str to Kind
        What the columns of predictions and of outcomes hold.
    """

    def __init__(
        self,
        day: date,
        predictions: EventTable,
        outcomes: EventTable,
        kinds: tuple[Mapping[str, Kind], Mapping[str, Kind]],
    ) -> None:
        self._tables = (predictions, outcomes)
        self._files = tuple([f for f in table.files if f.day == day] for table in self._tables)
        names = [sorted(Path(file.path).name for file in files) for files in self._files]
        of_labels = (kinds[0].get("prediction"), kinds[1].get("actual"))
        key = sha256(repr((_FORMAT, names, of_labels)).encode()).hexdigest()[:32]
        self.path = predictions.path.parent / "joined" / f"{day}-{key}.arrow"

    def read(self, columns: Sequence[str], unplaced: pa.Array) -> pa.Table | None:
        """Return the rows by event time, or None where the tables have to be read.

        Parameters
        ----------
        columns : sequence of str
            See `has_columns`.
        unplaced : pyarrow.Array of uint64
            Fingerprints of the ids of outcomes that are filed under no day yet: with one of its own
            among them, the day is not what it was.

        Returns
        -------
        pyarrow.Table or None
        """
        if not self.path.exists() or not all(map(_intact, self._files)):
            return None
        try:
            rows = self._rows([*columns, *([_ID_HASH] if len(unplaced) else [])])
        except (OSError, pa.ArrowException):
            with suppress(OSError):  # it is rebuilt; the tables have what it had
                self.path.unlink()
            return None
        if len(unplaced):
            if pc.any(pc.is_in(rows[_ID_HASH], value_set=unplaced)).as_py():
                return None
            rows = rows.drop_columns(_ID_HASH)
        return rows

    def ids(self) -> pa.Array | None:
        """Return the fingerprints of the ids of its predictions, or None as `read` does.

        Returns
        -------
        pyarrow.Array or None
        """
        rows = self.read([_ID_HASH], pa.array([], pa.uint64()))
        return None if rows is None else rows[_ID_HASH].combine_chunks()

    def _rows(self, wanted: Sequence[str]) -> pa.Table:
        with pa.memory_map(str(self.path)) as source:
            names = pa.ipc.open_file(source).schema.names
            places = [at for at, name in enumerate(names) if name in wanted]
            options = pa.ipc.IpcReadOptions(included_fields=places)
            return pa.ipc.open_file(source, options=options).read_all()

    def keep(self) -> None:
        """Make it, if it is not there."""
        if self.path.exists() or not self._files[0]:
            return
        predictions, outcomes = (
            table.read(files, None if table.event == "outcome" else _READ)
            for table, files in zip(self._tables, self._files, strict=True)
        )
        unique, labels = in_order(first_arrived(predictions)), latest(outcomes)
        posted = pc.drop_null(pc.unique(labels["metric"])).to_pylist()
        more = [of + name for name in posted for of in (METRIC, METRIC_TIMESTAMP)]
        rows = joined(unique, labels, [*_COLUMNS, *more])
        rows = rows.append_column(_ID_HASH, fingerprints(unique["prediction_id"]))
        rows = rows.unify_dictionaries().combine_chunks()
        self.path.parent.mkdir(exist_ok=True)
        partial = self.path.with_suffix(".partial")
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(str(partial), rows.schema, options=options) as target:
            target.write_table(rows)
        sync(partial)
        partial.replace(self.path)


_READ = ("prediction_id", "arrived_at", "unit_id", *_COLUMNS)


def keep_joined(days: Iterable[date], predictions: EventTable, outcomes: EventTable) -> None:
    """Make the joined days that are not there, and remove those of files that were replaced.

    Parameters
    ----------
    days : iterable of date
    predictions, outcomes : EventTable
    """
    folder = predictions.path.parent / "joined"
    current = set()
    for day in sorted(days):
        joined_day = JoinedDay(day, predictions, outcomes, (predictions.kinds, outcomes.kinds))
        joined_day.keep()
        current.add(joined_day.path)
    for path in folder.glob("*"):
        if path not in current:
            path.unlink(missing_ok=True)


def _intact(files: Iterable[DataFile]) -> bool:
    """Return whether data files are there, whole: if not, their reader says so."""
    try:
        return all(Path(file.path).stat().st_size == file.size for file in files)
    except OSError:
        return False
