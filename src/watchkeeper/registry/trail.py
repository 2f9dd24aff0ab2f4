"""What the audit trail says of versions, those that were deleted included."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from watchkeeper.identity import By
from watchkeeper.store.database import ControlDatabase, audit, model_versions, note, promotions

__all__ = ["DELETE", "REGISTER", "VersionTrail"]

REGISTER, DELETE = "register", "delete"
_versions = model_versions.c


class VersionTrail:
    """Entries of versions in the audit trail.

    Parameters
    ----------
    database : ControlDatabase
        The caller that opened it closes it.
    """

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    def taken(self, model_name: str) -> set[str]:
        """Return the versions that a model has, and those that were deleted.

        Parameters
        ----------
        model_name : str

        Returns
        -------
        set of str
        """
        existing = sa.select(_versions.model_id).where(_versions.model_name == model_name)
        gone = sa.select(audit.c.subject).where(
            audit.c.subject.startswith(f"{model_name}:", autoescape=True),
            audit.c.action == DELETE,
        )
        with self._database.read() as connection:
            model_ids = connection.execute(sa.union(existing, gone)).scalars()
            return {model_id.partition(":")[2] for model_id in model_ids}

    def note(self, model_id: str, action: str, *, at: datetime, by: By) -> None:
        """Keep an entry of what changed nothing else in the control database.

        Parameters
        ----------
        model_id, action : str
        at : datetime
        by : By
        """
        with self._database.write() as connection:
            note(connection, at, by, action, model_id, {})

    def history(self, model_name: str, version: str | None = None) -> list[dict[str, Any]]:
        """Return the audit trail of a model, or of one version, the oldest entry first.

        Parameters
        ----------
        model_name : str
        version : str, optional

        Returns
        -------
        list of dict of str to object
        """
        condition = audit.c.subject == f"{model_name}:{version}"
        if version is None:
            condition = audit.c.subject.startswith(f"{model_name}:", autoescape=True)
        query = sa.select(audit).where(condition).order_by(audit.c.id)
        with self._database.read() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def registered_with(self, model_id: str) -> dict[str, Any] | None:
        """Return what the audit trail says of a version's registration; None if nothing.

        Parameters
        ----------
        model_id : str

        Returns
        -------
        dict of str to object or None
        """
        condition = (audit.c.subject == model_id) & (audit.c.action == REGISTER)
        query = sa.select(audit.c.evidence).where(condition).order_by(audit.c.id).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def moves(self, model_name: str, limit: int) -> list[dict[str, Any]]:
        """Return the entries by which versions came into production, the newest first.

        Parameters
        ----------
        model_name : str
        limit : int
            At most so many.

        Returns
        -------
        list of dict of str to object
        """
        ever = sa.select(promotions.c.model_id).where(promotions.c.model_name == model_name)
        query = (
            sa.select(audit)
            .where(audit.c.subject.in_(ever), audit.c.action.in_(("promote", "rollback")))
            .order_by(audit.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]
