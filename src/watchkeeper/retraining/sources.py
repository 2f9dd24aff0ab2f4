"""Training data that a user has: a file, a folder, a table, an address, or a query."""

import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from watchkeeper.errors import InvalidValueError, MissingExtraError, NotFoundError

__all__ = ["query_table", "read_training_data"]

_READERS: dict[str, Any] = {
    ".csv": pyarrow.csv.read_csv,
    ".parquet": pyarrow.parquet.read_table,
    ".arrow": pyarrow.feather.read_table,
    ".feather": pyarrow.feather.read_table,
}
_WAIT = 60.0  # seconds for an address to answer


def read_training_data(source: object) -> pa.Table:
    """Return a table.

    Parameters
    ----------
    source : path, str or data frame
        A CSV, Parquet or Arrow file, a folder of Parquet files, a Delta table; or the address of
        one: ``https://``, ``file://``, ``s3://``, ``gs://``. Data frames are taken as they are.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    NotFoundError
        If nothing is there.
    InvalidValueError
        If it is none of these.
    """
    if not isinstance(source, str | Path):
        return _table_of(source)
    address = str(source)
    scheme = urlsplit(address).scheme if "://" in address else ""
    if scheme in {"http", "https"}:
        return _downloaded(address)
    if scheme == "file":
        return _read(Path(urllib.request.url2pathname(urlsplit(address).path)))
    if scheme:
        return _remote(address)
    return _read(Path(address))


def query_table(query: str, events: pa.Table) -> pa.Table:
    """Return what a query in SQL gives, over the table ``events``, by DuckDB.

    Parameters
    ----------
    query : str
        It can read this table alone, and no file.
    events : pyarrow.Table

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    MissingExtraError
        Without DuckDB.
    InvalidValueError
        If it cannot be run.
    """
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("a query for training data", "duckdb") from None
    with duckdb.connect() as connection:
        connection.execute("SET enable_external_access = false")
        connection.register("events", events)
        try:
            return connection.execute(query).to_arrow_table()
        except duckdb.Error as error:
            message = " ".join(str(error).split())[:200]
            raise InvalidValueError(
                "query", query, f"SQL over the table events ({message})"
            ) from None


def _table_of(source: object) -> pa.Table:
    import narwhals as nw

    if isinstance(source, dict):
        return pa.table(source)
    try:
        frame = nw.from_native(source, eager_only=True)  # type: ignore[call-overload]
    except TypeError:
        raise InvalidValueError(
            "training_data_path", type(source).__name__, "a path, an address or a data frame"
        ) from None
    return frame.to_arrow()


def _read(path: Path) -> pa.Table:
    if not path.exists():
        raise NotFoundError(
            "file", str(path), "The path of CSV, Parquet or a Delta table is asked."
        )
    if (path / "_delta_log").is_dir():
        return _delta(str(path))
    reader = _READERS[".parquet"] if path.is_dir() else _READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidValueError("file", str(path), f"a name that ends in {', '.join(_READERS)}")
    try:
        return reader(str(path))
    except (pa.ArrowException, OSError) as error:
        message = " ".join(str(error).split())[:200]
        raise InvalidValueError(
            "file", str(path), f"a {path.suffix[1:]} file ({message})"
        ) from None


def _downloaded(url: str) -> pa.Table:
    suffix = Path(urlsplit(url).path).suffix.lower()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"data{suffix}"
        try:
            with urllib.request.urlopen(url, timeout=_WAIT) as answer:  # noqa: S310 - http(s) only
                path.write_bytes(answer.read())
        except (urllib.error.URLError, OSError) as error:
            raise NotFoundError("training data", url, f"It cannot be fetched: {error}.") from None
        return _read(path)


def _remote(url: str) -> pa.Table:
    suffix = Path(urlsplit(url).path).suffix.lower()
    if suffix not in _READERS:
        return _delta(url)
    try:
        from pyarrow.fs import FileSystem

        files, path = FileSystem.from_uri(url)
        with files.open_input_file(path) as file:
            return _READERS[suffix](file)
    except (pa.ArrowException, OSError) as error:
        message = " ".join(str(error).split())[:200]
        raise InvalidValueError("training data", url, f"a {suffix[1:]} file ({message})") from None


def _delta(address: str) -> pa.Table:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return pa.table(DeltaTable(address).to_pyarrow_table())
    except (DeltaError, OSError) as error:
        message = " ".join(str(error).split())[:200]
        raise InvalidValueError("training data", address, f"a Delta table ({message})") from None
