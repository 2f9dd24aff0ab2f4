"""What is about to teach a model online, and which predictions did.

A batch is written down before anything is learned from it, so that the process that goes on
after a death learns from the same rows. Afterwards the fingerprints of its
predictions are kept, by the day of the prediction: an outcome that comes again,
or is corrected, does not teach again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather

from watchkeeper.durable import write_whole
from watchkeeper.errors import IntegrityError
from watchkeeper.fingerprints import fingerprints

__all__ = ["ARRIVED", "Batch", "Taught"]

ARRIVED = "actual_arrived_at"
_NEXT, _ABOUT, _PRINT = "next.arrow", b"watchkeeper", "fingerprint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that a model learns together.

    Attributes
    ----------
    number : int
        Batches of a model are numbered from 1.
    champion, snapshot, production : str
        Model ids of the frozen champion, of where learning goes on, and of what was in production.
    version : str
        What the snapshot will be called.
    attempts : int
        How often a process began to train on it.
    table_versions : dict of str to int
    cursor : str
        Until when outcomes have arrived, when these have taught.
    at_cursor : int
        How many of those that arrived at that very moment have taught by then.
    rows : pyarrow.Table
        ``prediction_id``, ``timestamp``, ``actual``, ``actual_arrived_at`` and the features, in the
        order of arrival.
    """

    number: int
    champion: str
    snapshot: str
    production: str
    version: str
    attempts: int
    table_versions: dict[str, int]
    cursor: str
    at_cursor: int
    rows: pa.Table


class Taught:
    """The files of one model.

    Parameters
    ----------
    folder : Path
        Made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begun(self) -> Batch | None:
        """Return the batch that was begun and not settled.

        Returns
        -------
        Batch or None

        Raises
        ------
        IntegrityError
            If its file was changed.
        """
        try:
            table = pa.feather.read_table(self._folder / _NEXT)
            about = json.loads(table.schema.metadata[_ABOUT])
            return Batch(**about, rows=table.replace_schema_metadata(None))
        except FileNotFoundError:
            return None
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise _damaged(self._folder / _NEXT, error) from error

    def begin(self, batch: Batch) -> None:
        """Write down what is learned next.

        Parameters
        ----------
        batch : Batch
        """
        about: Mapping[str, Any] = {
            name: getattr(batch, name) for name in Batch.__slots__ if name != "rows"
        }
        self._write(_NEXT, batch.rows.replace_schema_metadata({_ABOUT: json.dumps(about)}))

    def settle(self, batch: Batch) -> None:
        """Keep that the predictions of a batch have taught, whatever came of it.

        Parameters
        ----------
        batch : Batch
        """
        days = batch.rows["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.date32())
        prints = fingerprints(batch.rows["prediction_id"])
        for day in pc.unique(days).to_pylist():
            both = [self.of_day(day), prints.filter(pc.equal(days, day)).combine_chunks()]
            fingerprints_of_day = pc.unique(pa.concat_arrays(both))
            self._write(_name(day), pa.table({_PRINT: fingerprints_of_day}))
        self.drop()

    def drop(self) -> None:
        """Forget what was begun."""
        (self._folder / _NEXT).unlink(missing_ok=True)

    def of_day(self, day: date) -> pa.Array:
        """Return the fingerprints of the predictions of a UTC day that have taught.

        Parameters
        ----------
        day : date
            In UTC.

        Returns
        -------
        pyarrow.Array
            uint64, in no order; empty for a day of which nothing is stored.

        Raises
        ------
        IntegrityError
            If they were changed.
        """
        path = self._folder / _name(day)
        try:
            return pa.feather.read_table(path)[_PRINT].combine_chunks()
        except FileNotFoundError:
            return pa.array([], pa.uint64())
        except (pa.ArrowException, OSError, KeyError) as error:
            raise _damaged(path, error) from error

    def new(self, rows: pa.Table) -> pa.Table:
        """Return the rows, all of one UTC day, whose predictions have not taught.

        Parameters
        ----------
        rows : pyarrow.Table
            With the columns ``prediction_id`` and ``timestamp``.

        Returns
        -------
        pyarrow.Table
        """
        if not rows.num_rows:
            return rows
        day = rows["timestamp"][0].as_py().astimezone(UTC).date()
        is_consumed = pc.is_in(fingerprints(rows["prediction_id"]), value_set=self.of_day(day))
        return rows.filter(pc.invert(is_consumed))

    def forget(self, before: date) -> None:
        """Remove what is known of days before one.

        Parameters
        ----------
        before : date
            In UTC; this day itself stays.
        """
        for path in self._folder.glob("????-??-??.arrow"):
            if path.name < _name(before):
                path.unlink(missing_ok=True)

    def _write(self, name: str, table: pa.Table) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        sink = pa.BufferOutputStream()
        pa.feather.write_feather(table, sink, compression="uncompressed")
        write_whole(self._folder / name, sink.getvalue().to_pybytes())


def _name(day: date) -> str:
    return f"{day.isoformat()}.arrow"


def _damaged(path: Path, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"{path} cannot be read: {str(error).splitlines()[0][:200]}",
        "Restore it from a backup, or remove it: outcomes that it knew may then teach again.",
    )
