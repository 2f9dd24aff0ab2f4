"""The registry's rows in the control database: the only part of it that touches the store."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from watchkeeper.errors import ConflictError, NotFoundError
from watchkeeper.registry.signature import Signature
from watchkeeper.registry.versions import ModelVersion, Status
from watchkeeper.store.database import ControlDatabase, audit, model_versions, note, promotions

__all__ = ["Repository"]

_versions = model_versions.c


class Repository:
    """Versions, their promotions and the audit trail.

    Parameters
    ----------
    url : str
        Of the control database.
    folder : callable
        Where the files of a model's version lie.
    """

    def __init__(self, url: str, folder: Callable[[str, str], Path]) -> None:
        self._database = ControlDatabase(url)
        self._folder = folder

    def close(self) -> None:
        self._database.close()

    def get(self, model_id: str) -> ModelVersion:
        with self._database.read() as connection:
            return self._get(connection, model_id)

    def find(
        self, status: Status | None, model_name: str | None, version: str | None = None
    ) -> list[ModelVersion]:
        """Return versions, the newest first."""
        query = sa.select(model_versions).order_by(_versions.id.desc())
        if status is not None:
            query = query.where(_versions.status == status)
        if model_name is not None:
            query = query.where(_versions.model_name == model_name)
        if version is not None:
            query = query.where(_versions.version == version)
        with self._database.read() as connection:
            return [self._version(row) for row in connection.execute(query)]

    def production(self) -> dict[str, str]:
        query = sa.select(_versions.model_name, _versions.model_id).where(
            _versions.status == Status.PRODUCTION
        )
        with self._database.read() as connection:
            return {row.model_name: row.model_id for row in connection.execute(query)}

    def generation(self) -> int:
        """Return a number that grows with every change."""
        return self._database.generation()

    def add(
        self,
        row: Mapping[str, Any],
        publish: Callable[[], None],
        *,
        at: datetime,
        actor: str,
        evidence: Mapping[str, Any],
    ) -> None:
        """Add a version; `publish` puts its files in place before the row is committed.

        Raises
        ------
        ConflictError
            If the model has this version already.
        """
        try:
            with self._database.write() as connection:
                connection.execute(model_versions.insert().values(**row, registered_at=at))
                publish()
                note(connection, at, actor, "register", row["model_id"], "", evidence)
        except sa.exc.IntegrityError:
            raise ConflictError(
                f"model {row['model_name']!r} has a version {row['version']!r} already, and "
                "versions never change",
                "Register under a new version.",
            ) from None

    def promote(self, model_id: str, *, at: datetime, actor: str, reason: str) -> str | None:
        """Put a version in production; return which one it took the place of."""
        with self._database.write() as connection:
            version = self._get(connection, model_id)
            if version.status is Status.PRODUCTION:
                return None
            former = self._current(connection, version.model_name)
            self._put_in_production(connection, version, former, at)
            if former is not None:
                connection.execute(
                    promotions.update().where(promotions.c.id == former.id).values(current=False)
                )
            connection.execute(
                promotions.insert().values(
                    model_name=version.model_name,
                    model_id=model_id,
                    former=None if former is None else former.id,
                    current=True,
                    at=at,
                )
            )
            was = None if former is None else former.model_id
            note(connection, at, actor, "promote", model_id, reason, {"former": was})
            return was

    def roll_back(
        self,
        model_name: str,
        check: Callable[[ModelVersion], None],
        *,
        at: datetime,
        actor: str,
        reason: str,
    ) -> ModelVersion:
        """Put the version in production that was there before; `check` may refuse it.

        Promotions form a stack: rolling back twice goes back two, and never forward.
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
            note(
                connection, at, actor, "rollback", version.model_id, reason,
                {"from": current.model_id},
            )  # fmt: skip
            return self._get(connection, version.model_id)

    def earlier(self, model_name: str) -> ModelVersion:
        """Return the version that `roll_back` would put in production."""
        with self._database.read() as connection:
            _, earlier = self._last_two(connection, model_name)
            return self._get(connection, earlier.model_id)

    def archive(self, model_id: str, *, at: datetime, actor: str, reason: str) -> None:
        with self._database.write() as connection:
            version = self._get(connection, model_id)
            if version.status is Status.PRODUCTION:
                raise ConflictError(
                    f"{model_id} is in production", "Promote another version first, or roll back."
                )
            self._set_status(connection, model_id, Status.ARCHIVED)
            note(connection, at, actor, "archive", model_id, reason, {})

    def history(self, model_name: str) -> list[dict[str, Any]]:
        """Return the audit trail of a model, the oldest entry first."""
        query = (
            sa.select(audit)
            .where(audit.c.subject.startswith(f"{model_name}:", autoescape=True))
            .order_by(audit.c.id)
        )
        with self._database.read() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def _get(self, connection: Connection, model_id: str) -> ModelVersion:
        query = sa.select(model_versions).where(_versions.model_id == model_id)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(
                "model version", model_id, "A model id is NAME:VERSION; list_models() has them all."
            )
        return self._version(row)

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
        if current.former is None:
            raise NotFoundError(
                "earlier production version of model",
                model_name,
                f"{current.model_id} is the first that was promoted. Promote another one.",
            )
        query = sa.select(promotions).where(promotions.c.id == current.former)
        return current, connection.execute(query).one()

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

    def _version(self, row: Row[Any]) -> ModelVersion:
        return ModelVersion(
            model_id=row.model_id,
            model_name=row.model_name,
            version=row.version,
            status=Status(row.status),
            file_path=str(self._folder(row.model_name, row.version) / row.file_name),
            file_hash=row.file_hash,
            metrics=row.metrics,
            description=row.description,
            tags=row.tags,
            registered_at=row.registered_at,
            promoted_at=row.promoted_at,
            demoted_at=row.demoted_at,
            format=row.format,
            unsafe=row.unsafe,
            trusted=tuple(row.trusted),
            signature=None if row.signature is None else Signature.from_dict(row.signature),
            files=row.files,
            about=row.about,
        )
