"""Tables that live in an engine: what is asked of a column is computed there, through Ibis.

A column of words comes back as its counts, a column of numbers as a sample that is asked for ranks:
the engine sorts and adds up, and a few numbers return. Small columns are fetched.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from watchkeeper.errors import InvalidValueError, MissingExtraError
from watchkeeper.profiles.columns import Categories, Column, Numbers, column_of, frame_of
from watchkeeper.stats.sample import Counts, Floats, Sample

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

__all__ = ["QueriedColumn", "QueriedFrame", "QueriedSample", "duckdb_table", "queried"]

_SMALL = 50_000  # values up to which a column is fetched
_FEW = 64  # points that are counted in one pass, without sorting
_BATCH = 1_000_000  # rows of a part that is profiled at once
_MEMORY = "1GB"  # of DuckDB, beyond which it spills


def queried(data: object) -> "QueriedFrame | None":
    """Return a table of Ibis as a frame whose columns are asked for; None for anything else.

    Parameters
    ----------
    data : object

    Returns
    -------
    QueriedFrame or None
    """
    if type(data).__module__.partition(".")[0] != "ibis":
        return None
    import ibis.expr.types as ir

    return QueriedFrame(data) if isinstance(data, ir.Table) else None


def duckdb_table(files: str, *, scratch: str) -> "ir.Table":
    """Return Parquet or CSV files as a table of DuckDB, which spills to disk what is too large.

    Parameters
    ----------
    files : str
        A path, or a pattern.
    scratch : str
        Folder for what is spilled.

    Returns
    -------
    ir.Table

    Raises
    ------
    MissingExtraError
        If the extra ``duckdb`` is not installed.
    InvalidValueError
        If DuckDB cannot read them.
    """
    try:
        import duckdb
        import ibis

        engine = ibis.duckdb.connect(temp_directory=scratch, memory_limit=_MEMORY)
    except ImportError:
        raise MissingExtraError("a table that does not fit in memory", "duckdb") from None
    try:
        if files.lower().endswith((".csv", ".csv.gz")):
            return engine.read_csv(files)
        return engine.read_parquet(files, union_by_name=True)
    except duckdb.Error as error:
        message = " ".join(str(error).split())[:200]
        raise InvalidValueError("file", files, f"Parquet or CSV ({message})") from None


@dataclass(frozen=True)
class QueriedFrame:
    """A table of Ibis, as the drift detector reads frames.

    Attributes
    ----------
    table : ibis.Table
    """

    table: "ir.Table"

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.table.columns)

    @cached_property
    def _rows(self) -> int:
        return int(self.table.count().to_pyarrow().as_py())

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, name: str) -> "QueriedColumn":
        return QueriedColumn(self.table, name)

    def parts(self) -> Iterator["pa.Table"]:
        """Yield the rows in parts that fit in memory.

        Yields
        ------
        pyarrow.Table
        """
        import pyarrow as pa

        reader = self.table.to_pyarrow_batches(chunk_size=_BATCH)
        with warnings.catch_warnings():  # Ibis begins with a name that DuckDB has left
            warnings.filterwarnings("ignore", "fetch_record_batch", DeprecationWarning)
            batch = next(reader, None)
        while batch is not None:
            yield pa.Table.from_batches([batch])
            batch = next(reader, None)


@dataclass(frozen=True)
class QueriedColumn:
    """A column of a table of Ibis."""

    table: "ir.Table"
    name: str

    def column(self) -> Column:
        """Return the column as drift tests take it.

        Returns
        -------
        Column

        Raises
        ------
        InvalidValueError
            If its type is neither numbers, words, truth values nor times.
        """
        column = self.table[self.name]
        kind = column.type()
        if kind.is_string():
            return _counted(self.table.select(v=column))
        if kind.is_boolean():
            return _counted(self._floats())
        if kind.is_numeric():
            return self._numbers(kind.is_integer())
        if kind.is_temporal() or kind.is_null():
            return column_of(self._fetched())
        raise InvalidValueError(self.name, str(kind), "numbers, strings, booleans or times")

    def _numbers(self, whole: bool) -> Numbers:
        values = self._floats()
        present = values.filter(values.v.notnull())
        totals = values.aggregate(rows=values.count(), known=values.v.count()).to_pyarrow()
        rows, size = (int(totals[name][0].as_py()) for name in ("rows", "known"))
        sample: Sample = QueriedSample(present, size)
        if size <= _SMALL:
            sample = Sample(sample.values)
        return Numbers(sample, rows - size, whole)

    def _floats(self) -> "ir.Table":
        """Return the column as floats: NaN is null, and minus zero is zero."""
        import ibis

        value = self.table[self.name].cast("float64")
        if self.table[self.name].type().is_floating():
            value = ibis.ifelse(value.isnan(), ibis.null("float64"), value)
        return self.table.select(v=value + 0.0)

    def _fetched(self) -> nw.Series[Any]:
        return frame_of(self.table.select(self.name).to_pyarrow(), self.name)[self.name]


class QueriedSample(Sample):
    """Values in an engine.

    Parameters
    ----------
    table : ibis.Table
        One column, ``v``, without nulls and NaN.
    size : int
    """

    at_hand = False

    def __init__(self, table: "ir.Table", size: int) -> None:
        super().__init__(np.empty(0))
        self._table, self._size = table, size

    def __len__(self) -> int:
        return self._size

    @cached_property
    def values(self) -> Floats:
        """The values, fetched and sorted."""
        fetched = self._table.to_pyarrow()["v"].to_numpy()
        return np.sort(np.asarray(fetched, dtype=np.float64))

    def counts(self) -> tuple[Floats, Counts]:
        """Return the different values, rising, and how often each occurs.

        Returns
        -------
        tuple of (numpy.ndarray of float, Counts)
        """
        import ibis

        counted = self._table.group_by("v").aggregate(n=ibis._.count()).order_by("v").to_pyarrow()
        return counted["v"].to_numpy(), counted["n"].to_numpy()

    def ranks(self, points: Floats) -> tuple[Counts, Counts]:
        """Return how many values lie below each point, and up to and with it.

        Parameters
        ----------
        points : numpy.ndarray of float

        Returns
        -------
        tuple of (Counts, Counts)
        """
        if len(points) <= _FEW:
            return self._few_ranks(points)
        import ibis
        import pyarrow as pa

        counted = self._table.group_by("v").aggregate(n=ibis._.count().cast("int64"))
        wanted = ibis.memtable(pa.table({"v": np.asarray(points, dtype=np.float64)}))
        both = counted.mutate(asked=ibis.literal(0, "int64")).union(
            wanted.mutate(n=ibis.literal(0, "int64"), asked=ibis.literal(1, "int64"))
        )
        merged = both.group_by("v").aggregate(n=ibis._.n.sum(), asked=ibis._.asked.max())
        so_far = ibis.window(order_by="v", preceding=None, following=0)
        running = merged.mutate(upto=merged.n.sum().over(so_far))
        ranked = running.filter(running.asked == 1).order_by("v").to_pyarrow()
        upto = ranked["upto"].to_numpy().astype(np.int64)
        return upto - ranked["n"].to_numpy().astype(np.int64), upto

    def _few_ranks(self, points: Floats) -> tuple[Counts, Counts]:
        values = self._table.v
        sums = {
            f"{side}{at}": ((values < point) if side == "b" else (values <= point)).sum()
            for at, point in enumerate(np.asarray(points, dtype=np.float64).tolist())
            for side in ("b", "u")
        }
        if not sums:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        (row,) = self._table.aggregate(**sums).to_pyarrow().to_pylist()
        ranks_by_side = [
            [row[f"{side}{at}"] or 0 for at in range(len(points))] for side in ("b", "u")
        ]
        below, upto = np.array(ranks_by_side, dtype=np.int64)
        return below, upto


def _counted(column: "ir.Table") -> Categories:
    """Return how often each value of a column ``v`` occurs."""
    import ibis

    groups = column.group_by("v").aggregate(n=ibis._.count()).to_pyarrow().to_pylist()
    counts = {row["v"]: int(row["n"]) for row in groups}
    missing = counts.pop(None, 0)
    return Categories(counts, missing)
