"""Tables that a user has in a file, by its ending."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.json
import pyarrow.parquet

from watchkeeper.errors import InvalidValueError, NotFoundError

__all__ = ["read_table"]

_READERS = {
    ".csv": pyarrow.csv.read_csv,
    ".parquet": pyarrow.parquet.read_table,
    ".arrow": pyarrow.feather.read_table,
    ".feather": pyarrow.feather.read_table,
    ".ndjson": pyarrow.json.read_json,
    ".jsonl": pyarrow.json.read_json,
}


def read_table(path: Path) -> pa.Table:
    """Return the table in a file.

    Parameters
    ----------
    path : Path
        Its ending says what it is.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidValueError
        If its ending is unknown, or it is not what its ending says.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidValueError("file", str(path), f"a name that ends in {', '.join(_READERS)}")
    try:
        return reader(str(path))
    except FileNotFoundError:
        raise NotFoundError("file", str(path)) from None
    except (pa.ArrowException, OSError) as error:
        message = " ".join(str(error).split())[:200]
        raise InvalidValueError(
            "file", str(path), f"a {path.suffix[1:]} file ({message})"
        ) from None
