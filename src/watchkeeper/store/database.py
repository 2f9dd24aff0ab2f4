"""The control database: what is in production, and who changed it when and why.

One schema for SQLite (the default) and PostgreSQL. It is brought up to date when it is opened;
Alembic is loaded only when there is something to do. The migrations make the tables; here the
conditions of indexes are those of SQLite alone, since one of PostgreSQL's imports its dialect.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.types import TypeDecorator

from watchkeeper.clock import as_utc
from watchkeeper.errors import ConflictError, UnavailableError
from watchkeeper.identity import By
from watchkeeper.results import finite
from watchkeeper.store import upgrade
from watchkeeper.store.locks import locked

__all__ = [
    "HEAD",
    "ControlDatabase",
    "alerts",
    "aliases",
    "audit",
    "experiments",
    "findings",
    "incidents",
    "metadata",
    "model_versions",
    "note",
    "notification_places",
    "promotions",
    "retraining_fires",
    "retraining_runs",
    "rollouts",
    "shadows",
]

log = logging.getLogger(__name__)

HEAD = "0012"
"""The newest migration."""

_BUSY = 30.0  # seconds that a writer waits for another


class _UtcTime(TypeDecorator[datetime]):
    """Aware times, kept as UTC where the database has no time zones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        return None if value is None else as_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        return None if value is None else as_utc(value)


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # so that SQLite counts by itself

model_versions = sa.Table(
    "model_versions",
    metadata,
    sa.Column("id", _number, primary_key=True, autoincrement=True),
    sa.Column("model_id", sa.Text, nullable=False, unique=True),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("unsafe", sa.Boolean, nullable=False),
    sa.Column("trusted", sa.JSON, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("file_hash", sa.Text, nullable=False),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("signature", sa.JSON, nullable=True),
    sa.Column("about", sa.JSON, nullable=False),
    sa.Column("lineage", sa.JSON, nullable=False, server_default="{}"),
    sa.Column("registered_at", _UtcTime, nullable=False),
    sa.Column("promoted_at", _UtcTime, nullable=True),
    sa.Column("demoted_at", _UtcTime, nullable=True),
    sa.UniqueConstraint("model_name", "version"),
)
sa.Index(
    "ix_one_production_a_model",
    model_versions.c.model_name,
    unique=True,
    sqlite_where=model_versions.c.status == "production",
)

aliases = sa.Table(
    "aliases",
    metadata,
    sa.Column("model_name", sa.Text, primary_key=True),
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("model_id", sa.Text, nullable=False),
)

promotions = sa.Table(
    "promotions",
    metadata,
    sa.Column("id", _number, primary_key=True, autoincrement=True),
    sa.Column("model_name", sa.Text, nullable=False, index=True),
    sa.Column("model_id", sa.Text, nullable=False),
    sa.Column("former", _number, nullable=True),
    sa.Column("current", sa.Boolean, nullable=False),
    sa.Column("at", _UtcTime, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", _number, primary_key=True, autoincrement=True),
    sa.Column("at", _UtcTime, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=True, index=True),
    sa.Column("evidence", sa.JSON, nullable=False),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", _number, primary_key=True, autoincrement=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, index=True),
    sa.Column("starts_at", _UtcTime, nullable=False),
    sa.Column("ends_at", _UtcTime, nullable=True),
    sa.Column("received_at", _UtcTime, nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("annotations", sa.JSON, nullable=False),
    sa.Column("receiver", sa.Text, nullable=False),
    sa.Column("generator_url", sa.Text, nullable=False),
    sa.UniqueConstraint("fingerprint", "starts_at"),
)

findings = sa.Table(
    "findings",
    metadata,
    sa.Column("id", _number, primary_key=True, autoincrement=True),
    sa.Column("model", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("bad", sa.Boolean, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("at", _UtcTime, nullable=False),
    sa.Column("start", _UtcTime, nullable=True),
    sa.Column("end", _UtcTime, nullable=True),
    sa.Column("table_versions", sa.JSON, nullable=False),
    sa.Column("cause", sa.Text, nullable=True),
    sa.Column("evidence", sa.JSON, nullable=False),
)


def _documents(name: str, *more: sa.Column[Any], indexed: Sequence[str] = ("model",)) -> sa.Table:
    """Return a table of `watchkeeper.store.documents.Documents`, with what is looked for in SQL."""
    table = sa.Table(
        name,
        metadata,
        sa.Column("id", _number, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        *more,
        sa.Column("document", sa.JSON, nullable=False),
    )
    for column in indexed:
        sa.Index(None, table.c[column])
    return table


def _active() -> sa.Column[bool]:
    """Return the column that says whether a document is not over."""
    return sa.Column("active", sa.Boolean, nullable=False)


def _one(name: str, *columns: sa.Column[Any], where: str = "active") -> None:
    """Let no two rows with equal `columns` be there of those of which `where` is true."""
    sa.Index(name, *columns, unique=True, sqlite_where=sa.text(where))


experiments = _documents("experiments", indexed=("model", "state"))

rollouts = _documents("rollouts", _active(), sa.Column("watched_until", _UtcTime, nullable=True))
_one("ix_one_active_rollout_a_model", rollouts.c.model)

shadows = _documents("shadows", indexed=())
_one("ix_one_shadow_a_model", shadows.c.model, where="state = 'running'")

retraining_runs = _documents("retraining_runs", _active())
_one("ix_one_active_retraining_a_model", retraining_runs.c.model)

incidents = _documents("incidents", sa.Column("source", sa.Text, nullable=False), _active())
_one("ix_one_active_incident_a_source", incidents.c.model, incidents.c.source)

retraining_fires = sa.Table(
    "retraining_fires",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("fire_at", _UtcTime, primary_key=True),
    sa.Column("claimed_at", _UtcTime, nullable=False),
)


notification_places = sa.Table(
    "notification_places",
    metadata,
    sa.Column("receiver", sa.Text, primary_key=True),
    sa.Column("severity", sa.Text, primary_key=True),
    sa.Column("told", _number, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try", _UtcTime, nullable=True),
    sa.Column("error", sa.Text, nullable=False),
)


def note(
    connection: Connection,
    at: datetime,
    by: By,
    action: str,
    subject: str,
    evidence: Mapping[str, Any],
) -> int:
    """Add an entry to the audit trail, in the transaction of the change; return its number.

    Parameters
    ----------
    connection : Connection
    at : datetime
        When it is done.
    by : By
        Actor, reason and cause, for the audit trail.
    action, subject : str
    evidence : mapping of str to object

    Returns
    -------
    int
    """
    added = connection.execute(
        audit.insert().values(
            at=at, actor=by.actor, action=action, subject=subject, reason=by.reason,
            cause=None if by.cause is None else str(by.cause), evidence=dict(evidence),
        )
    )  # fmt: skip
    key = added.inserted_primary_key
    assert key is not None
    return int(key[0])


class ControlDatabase:
    """The control database at `url`, brought up to date.

    Parameters
    ----------
    url : str
        Of SQLAlchemy, such as ``sqlite:///control.db``.

    Raises
    ------
    ConflictError
        If it was written by a newer Watchkeeper.
    UnavailableError
        If it cannot be opened, or not be copied aside before it is upgraded.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._engine = sa.create_engine(
            self._url, json_serializer=lambda value: json.dumps(finite(value), sort_keys=True)
        )
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        self._migrate()
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "do_connect", _require_file)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection whose statements see one state.

        Yields
        ------
        Connection

        Raises
        ------
        UnavailableError
            If the database cannot be used now: it is gone, locked for long, or takes no writes.
        """
        with self._available(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection that commits when the block ends well and rolls back when not.

        Of several writers one at a time has it; the others wait.

        Yields
        ------
        Connection

        Raises
        ------
        UnavailableError
            As `read`; nothing was changed then.
        """
        with self._available():
            writer = self._engine.connect().execution_options(writes=True)
            with writer as connection, connection.begin():
                yield connection

    @contextmanager
    def _available(self) -> Iterator[None]:
        """Say which database cannot be used, and what to look at."""
        try:
            yield
        except sa.exc.OperationalError as error:
            raise UnavailableError(
                f"the control database {self._url.render_as_string()} cannot be used: {error.orig}",
                "Check that its folder exists and can be written, or that its server runs.",
            ) from error

    def generation(self) -> int:
        """Return a number that grows with every change that the audit trail has.

        Returns
        -------
        int
        """
        with self.read() as connection:
            return connection.execute(sa.select(sa.func.max(audit.c.id))).scalar() or 0

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def version(self) -> str | None:
        """Return the migration that the database is at; None if it is new.

        Returns
        -------
        str or None
        """
        with self.read() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()

    def _migrate(self) -> None:
        if self.version() == HEAD:
            return
        if self._file is not None:
            with locked(self._file.with_name(f"{self._file.name}.migrating"), wait=True):
                self._upgrade()
        else:
            self._upgrade()

    def _upgrade(self) -> None:
        version = self.version()
        if version == HEAD:
            return  # another process was faster
        if version is not None:
            self._require_known(version)
        with self.write() as connection:  # the copy has all that was written before
            if version is not None and self._file is not None:
                copy = upgrade.keep_copy(self._file, HEAD)
                log.warning(
                    "the control database %s is upgraded from migration %s to %s; a copy of it as "
                    "it was is %s", self._file, version, HEAD, copy.name,
                )  # fmt: skip
            upgrade.migrate(connection)

    def _require_known(self, version: str) -> None:
        revisions = upgrade.revisions()
        if version in revisions:
            return
        hint = "Install the Watchkeeper that wrote it, or a newer one."
        copy = None if self._file is None else upgrade.copy_path(self._file, version)
        if copy is not None and copy.exists():
            hint += f" The copy {copy} has it as it was before that migration."
        raise ConflictError(
            f"the control database {self._url.render_as_string()} is at migration {version}; "
            f"this Watchkeeper knows the migrations {revisions[0]} to {revisions[-1]}",
            hint,
        )

    @property
    def _file(self) -> Path | None:
        """The file of a SQLite database; None for one in memory or on a server."""
        name = self._url.database
        if self._engine.dialect.name != "sqlite" or not name or name == ":memory:":
            return None
        return Path(name)


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(_BUSY * 1000)}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _require_file(dialect: Any, record: Any, arguments: Any, named: Any) -> None:  # noqa: ARG001
    """Refuse to begin an empty database in place of one whose volume is gone for a while."""
    path = arguments[0] if arguments else ""
    if path and not path.startswith((":memory:", "file:")) and not Path(path).exists():
        raise sqlite3.OperationalError(f"the database file {path} is gone")


def _write_ahead(cursor: Any) -> None:
    """Turn a new database to write-ahead logging, for which SQLite itself does not wait."""
    deadline = time.monotonic() + _BUSY
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its place at once: two that read first and then write would block each other.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
