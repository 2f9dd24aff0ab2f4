"""Upgrades of the control database: which migrations there are, and a copy from before them."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import Connection

from watchkeeper.durable import sync
from watchkeeper.errors import UnavailableError

__all__ = ["copy_path", "keep_copy", "migrate", "revisions"]

_MIGRATIONS = Path(__file__).parent / "migrations"
_POSTGRESQL_LOCK = 7046029254386353131  # any number: of several processes one migrates


def revisions() -> list[str]:
    """Return the migrations that this program knows, the oldest first.

    Returns
    -------
    list of str
    """
    return sorted(path.name[1:5] for path in (_MIGRATIONS / "versions").glob("m[0-9]*.py"))


def copy_path(database: Path, revision: str) -> Path:
    """Return where the copy lies of a database as it was before the upgrade to a migration.

    Parameters
    ----------
    database : Path
    revision : str

    Returns
    -------
    Path
    """
    return database.with_name(f"{database.name}.before-{revision}")


def keep_copy(database: Path, revision: str) -> Path:
    """Copy a SQLite database aside before its upgrade to a migration; return the copy.

    The copy is durable when this returns, and is there whole or not at all. One of an upgrade that
    was begun before is replaced.

    Parameters
    ----------
    database : Path
    revision : str

    Returns
    -------
    Path

    Raises
    ------
    UnavailableError
        If the copy cannot be written. Nothing was changed then.
    """
    target = copy_path(database, revision)
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # of a process that died
        with (
            closing(sqlite3.connect(database)) as source,
            closing(sqlite3.connect(partial)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file
        partial.chmod(database.stat().st_mode & 0o777)
        sync(partial)
        partial.replace(target)
        sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise UnavailableError(
            f"the control database {database} is not upgraded to migration {revision}, since the "
            f"copy {target.name} could not be written before: {error}",
            "Make room in its folder. Nothing was changed.",
        ) from error
    return target


def migrate(connection: Connection) -> None:
    """Apply the migrations that a database lacks, in the transaction of the connection.

    Parameters
    ----------
    connection : Connection
    """
    import sqlalchemy as sa
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_POSTGRESQL_LOCK})"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
