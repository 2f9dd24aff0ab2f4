"""The registry's rows in the control database: what is registered, and what is in production."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from watchkeeper.errors import ConflictError, NotFoundError
from watchkeeper.identity import By
from watchkeeper.registry.decoding import TIMES, decoded
from watchkeeper.registry.trail import DELETE, REGISTER, VersionTrail
from watchkeeper.registry.versions import ModelVersion, Status
from watchkeeper.store.database import (
    ControlDatabase,
    aliases,
    audit,
    model_versions,
    note,
    promotions,
)

__all__ = ["CHAMPION", "Repository"]

Check = Callable[[ModelVersion], None]

CHAMPION = "champion"
"""The alias of what is in production."""

_versions = model_versions.c


def _as_text(column: sa.Column[Any]) -> bool:
    """Return whether a column is read as text, which is decoded when it is read."""
    return isinstance(column.type, sa.JSON) or column.name in TIMES


# Written out, so that the database sees that the index of what is in production has it.
_IN_PRODUCTION = _versions.status == sa.literal_column(f"'{Status.PRODUCTION}'")

_read = sa.select(
    *(
        sa.cast(column, sa.Text).label(column.name) if _as_text(column) else column
        for column in _versions
    )
)


class Repository:
    """Versions and their promotions.

    Parameters
    ----------
    url : str
        Of the control database.
    folder : callable
        Where the files of a model's version lie.

    Attributes
    ----------
    trail : VersionTrail
    """

    def __init__(self, url: str, folder: Callable[[str, str], Path]) -> None:
        self._database = ControlDatabase(url)
        self._folder = folder
        self.trail = VersionTrail(self._database)

    def close(self) -> None:
        self._database.close()

    def get(self, model_id: str) -> ModelVersion:
        with self._database.read() as connection:
            return self._get(connection, model_id)

    def find(
        self,
        status: Status | None,
        model_name: str | None,
        version: str | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[ModelVersion]:
        """Return versions, the newest first.

        Parameters
        ----------
        status : Status or None
        model_name : str or None
        version : str, optional
        limit : int, optional
            At most so many.
        offset : int
            How many of the newest are left out.

        Returns
        -------
        list of ModelVersion
        """
        query = _read.order_by(_versions.id.desc())
        conditions = _of(status, model_name)
        if version is not None:
            conditions.append(_versions.version == version)
        if limit is not None:  # by their numbers first: rows are wide, and most are not wanted
            numbers = sa.select(_versions.id).where(*conditions).order_by(_versions.id.desc())
            conditions = [_versions.id.in_(numbers.limit(limit).offset(offset))]
        query = query.where(*conditions)
        with self._database.read() as connection:
            names = _aliases(connection, model_name)
            rows = connection.execute(query).all()
        field = partial(self._field, names)
        return [ModelVersion.deferred(field, row) for row in rows]

    def count(self, status: Status | None, model_name: str | None) -> int:
        """Return how many versions there are.

        Parameters
        ----------
        status : Status or None
        model_name : str or None

        Returns
        -------
        int
        """
        query = sa.select(sa.func.count()).select_from(model_versions)
        with self._database.read() as connection:
            return connection.execute(query.where(*_of(status, model_name))).scalar() or 0

    def production(self) -> dict[str, str]:
        query = sa.select(_versions.model_name, _versions.model_id).where(_IN_PRODUCTION)
        with self._database.read() as connection:
            return {row.model_name: row.model_id for row in connection.execute(query)}

    def generation(self) -> int:
        """Return a number that grows with every change.

        Returns
        -------
        int
        """
        return self._database.generation()

    def add(
        self,
        row: Mapping[str, Any],
        publish: Callable[[], None],
        *,
        at: datetime,
        by: By,
        evidence: Mapping[str, Any],
    ) -> None:
        """Add a version with its files.

        Parameters
        ----------
        row : mapping of str to object
            Values of the columns, but for the time.
        publish : callable
            Puts the files in place, before the row is committed.
        at : datetime
        by : By
        evidence : mapping of str to object

        Raises
        ------
        ConflictError
            If the model has this version already, or had it.
        """
        gone = sa.select(audit.c.at).where(
            audit.c.subject == row["model_id"], audit.c.action == DELETE
        )
        try:
            with self._database.write() as connection:
                deleted = connection.execute(gone).scalar()
                if deleted is not None:
                    raise ConflictError(
                        f"{row['model_id']} was deleted on {deleted:%Y-%m-%d}, and its recorded "
                        "events keep its name",
                        "Register under a new version.",
                    )
                connection.execute(model_versions.insert().values(**row, registered_at=at))
                publish()
                note(connection, at, by, REGISTER, row["model_id"], evidence)
        except sa.exc.IntegrityError:
            raise ConflictError(
                f"model {row['model_name']!r} has a version {row['version']!r} already, and "
                "versions never change",
                "Register under a new version.",
            ) from None

    def promote(
        self, model_id: str, instead_of: str | None = None, *, at: datetime, by: By
    ) -> str | None:
        """Put a version in production; return which one it took the place of.

        Parameters
        ----------
        model_id : str
        instead_of : str, optional
            The id of what is expected in production; by default anything.
        at : datetime
        by : By

        Returns
        -------
        str or None
            The id of that version; None where there was none, or it is in production already.

        Raises
        ------
        NotFoundError
            If there is no such version.
        ConflictError
            If another version than the expected one is in production.
        """
        with self._database.write() as connection:
            version = self._get(connection, model_id)
            if version.status is Status.PRODUCTION:
                return None
            former = self._current(connection, version.model_name)
            if instead_of is not None and (former is None or former.model_id != instead_of):
                raise ConflictError(f"{instead_of} is not in production any more", "Read what is.")
            self._put_in_production(connection, version, former, at)
            if former is not None:
                connection.execute(
                    promotions.update().where(promotions.c.id == former.id).values(current=False)
                )
            connection.execute(
                promotions.insert().values(
                    model_name=version.model_name,
                    model_id=version.model_id,
                    former=None if former is None else former.id,
                    current=True,
                    at=at,
                )
            )
            was = None if former is None else former.model_id
            note(connection, at, by, "promote", version.model_id, {"former": was})
            return was

    def roll_back(self, model_name: str, check: Check, *, at: datetime, by: By) -> ModelVersion:
        """Put the version in production that was there before; `check` may refuse it.

        Promotions form a stack: rolling back twice goes back two, and never forward.

        Parameters
        ----------
        model_name : str
        check : callable
            Called with the version that is to be in production; what it raises keeps all as it is.
        at : datetime
        by : By

        Returns
        -------
        ModelVersion
            The one that is in production now.

        Raises
        ------
        NotFoundError
            If there is no earlier version.
        """
        with self._database.write() as connection:
            current, earlier = self._last_two(connection, model_name)
            version = self._get(connection, earlier.model_id)
            check(version)
            self._put_in_production(connection, version, current, at)
            for row, is_current in ((current, False), (earlier, True)):
                connection.execute(
                    promotions.update().where(promotions.c.id == row.id).values(current=is_current)
                )
            note(connection, at, by, "rollback", version.model_id, {"from": current.model_id})
            return self._get(connection, version.model_id)

    def earlier(self, model_name: str) -> ModelVersion:
        """Return the version that `roll_back` would put in production.

        Parameters
        ----------
        model_name : str

        Returns
        -------
        ModelVersion

        Raises
        ------
        NotFoundError
            If there is none.
        """
        with self._database.read() as connection:
            _, earlier = self._last_two(connection, model_name)
            return self._get(connection, earlier.model_id)

    def archive(self, model_id: str, check: Check, *, at: datetime, by: By) -> None:
        with self._database.write() as connection:
            version = self._idle(connection, model_id)
            check(version)
            self._set_status(connection, version.model_id, Status.ARCHIVED)
            note(connection, at, by, "archive", version.model_id, {})

    def delete(self, model_id: str, check: Check, *, at: datetime, by: By) -> ModelVersion:
        """Forget a version and the aliases that point to it; return what it was.

        Parameters
        ----------
        model_id : str
        check : callable
            Called with the version; what it raises keeps all as it is.
        at : datetime
        by : By

        Returns
        -------
        ModelVersion

        Raises
        ------
        NotFoundError
            If there is no such version.
        ConflictError
            If it is in production, or a rollback may return to it.
        """
        with self._database.write() as connection:
            version = self._idle(connection, model_id)
            check(version)
            deleted = version.to_dict()  # all of it is read before it is gone
            connection.execute(
                model_versions.delete().where(_versions.model_id == version.model_id)
            )
            connection.execute(aliases.delete().where(aliases.c.model_id == version.model_id))
            note(connection, at, by, DELETE, version.model_id, {"version": deleted})
            return version

    def point(
        self,
        model_name: str,
        alias: str,
        model_id: str | None,
        *,
        at: datetime,
        by: By,
    ) -> None:
        """Let an alias of a model point to a version, or to none.

        Parameters
        ----------
        model_name, alias : str
        model_id : str or None
            None removes the alias.
        at : datetime
        by : By

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        this = (aliases.c.model_name == model_name) & (aliases.c.alias == alias)
        with self._database.write() as connection:
            was = connection.execute(sa.select(aliases.c.model_id).where(this)).scalar()
            if was == model_id:
                return
            connection.execute(aliases.delete().where(this))
            if model_id is not None:
                self._get(connection, model_id)  # it is there
                connection.execute(
                    aliases.insert().values(model_name=model_name, alias=alias, model_id=model_id)
                )
            subject = model_id or was or model_name
            evidence = {"alias": alias, "was": was, "is": model_id}
            note(connection, at, by, "alias", subject, evidence)

    def _get(self, connection: Connection, model_id: str) -> ModelVersion:
        name, at, alias = model_id.partition("@")
        names_by_id = _aliases(connection, name.partition(":")[0])
        if at:
            held = [of for of, names in names_by_id.items() if alias in names]
            if not held:
                taken = sorted({alias for names in names_by_id.values() for alias in names})
                raise NotFoundError(
                    "alias",
                    model_id,
                    f"{name} has {', '.join(taken) or 'none'}. Set it with models alias.",
                )
            model_id = held[0]
        row = connection.execute(_read.where(_versions.model_id == model_id)).one_or_none()
        if row is None:
            raise NotFoundError(
                "model version",
                model_id,
                "A model id is NAME:VERSION or NAME@ALIAS; list_models() has them all.",
            )
        return ModelVersion.deferred(partial(self._field, names_by_id), row)

    def _current(self, connection: Connection, model_name: str) -> Row[Any] | None:
        query = sa.select(promotions).where(
            promotions.c.model_name == model_name, promotions.c.current
        )
        return connection.execute(query).one_or_none()

    def _last_two(self, connection: Connection, model_name: str) -> tuple[Row[Any], Row[Any]]:
        """Return the promotion that holds and the one before it."""
        current = self._current(connection, model_name)
        if current is None:
            raise NotFoundError("production version of model", model_name)
        earlier = self._before(connection, current)
        if earlier is None:
            raise NotFoundError(
                "earlier production version of model",
                model_name,
                f"{current.model_id} is the first that was promoted. Promote another one.",
            )
        return current, earlier

    def _before(self, connection: Connection, current: Row[Any]) -> Row[Any] | None:
        """Return the promotion before one; what was deleted meanwhile is passed over."""
        former = current.former
        while former is not None:
            row = connection.execute(sa.select(promotions).where(promotions.c.id == former)).one()
            version = sa.select(_versions.id).where(_versions.model_id == row.model_id)
            if connection.execute(version).one_or_none() is not None:
                return row
            former = row.former
        return None

    def _idle(self, connection: Connection, model_id: str) -> ModelVersion:
        """Return a version; the one in production and the one before it are refused."""
        version = self._get(connection, model_id)
        if version.status is Status.PRODUCTION:
            raise ConflictError(
                f"{version.model_id} is in production",
                "Promote another version first, or roll back.",
            )
        current = self._current(connection, version.model_name)
        earlier = None if current is None else self._before(connection, current)
        if earlier is not None and earlier.model_id == version.model_id:
            raise ConflictError(
                f"{version.model_id} is what a rollback returns to",
                "Promote another version first.",
            )
        return version

    def _put_in_production(
        self, connection: Connection, version: ModelVersion, former: Row[Any] | None, at: datetime
    ) -> None:
        if former is not None:
            self._set_status(connection, former.model_id, Status.STAGING, demoted_at=at)
        self._set_status(connection, version.model_id, Status.PRODUCTION, promoted_at=at)

    def _set_status(
        self, connection: Connection, model_id: str, status: Status, **times: datetime
    ) -> None:
        connection.execute(
            model_versions.update()
            .where(_versions.model_id == model_id)
            .values(status=status, **times)
        )

    def _field(self, names_by_id: Mapping[str, tuple[str, ...]], row: Row[Any], name: str) -> Any:
        """Return a field of a version from its row."""
        if name == "file_path":
            return str(self._folder(row.model_name, row.version) / row.file_name)
        if name == "aliases":
            return names_by_id.get(row.model_id, ())
        return decoded(name, row._mapping[name])


def _of(status: Status | None, model_name: str | None) -> list[sa.ColumnElement[bool]]:
    """Return what is asked of the rows of versions."""
    conditions = [] if status is None else [_versions.status == status]
    if status is Status.PRODUCTION:
        conditions = [_IN_PRODUCTION]
    return conditions if model_name is None else [*conditions, _versions.model_name == model_name]


def _aliases(connection: Connection, model_name: str | None) -> dict[str, tuple[str, ...]]:
    """Return the names that point to versions, of one model or of all, by model id."""
    query = sa.union_all(
        sa.select(aliases.c.model_name, aliases.c.model_id, aliases.c.alias),
        sa.select(_versions.model_name, _versions.model_id, sa.literal(CHAMPION)).where(
            _IN_PRODUCTION
        ),
    ).subquery()
    selection = sa.select(query.c.model_id, query.c.alias).order_by(query.c.alias)
    if model_name is not None:
        selection = selection.where(query.c.model_name == model_name)
    names_by_id: dict[str, tuple[str, ...]] = {}
    for model_id, alias in connection.execute(selection):
        names_by_id[model_id] = (*names_by_id.get(model_id, ()), alias)
    return names_by_id
