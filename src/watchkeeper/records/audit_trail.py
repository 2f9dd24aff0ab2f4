"""The audit trail in the control database."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from watchkeeper.identity import By, RecordId
from watchkeeper.records.audit_entry import Entry
from watchkeeper.results import KeptJson, strict_json
from watchkeeper.store.database import ControlDatabase, audit, note
from watchkeeper.store.documents import DocumentEntry

__all__ = ["AuditTrail", "DocumentEntry"]

_columns = audit.c
_STORED = sa.select(
    *(each for each in _columns if each.name != "evidence"),
    sa.cast(_columns.evidence, sa.Text).label("evidence"),
)


class AuditTrail:
    """The entries that were kept; none is ever changed.

    Parameters
    ----------
    database : ControlDatabase
        The caller closes it.
    """

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    def note(
        self,
        *,
        at: datetime,
        by: By,
        action: str,
        subject: str,
        evidence: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Keep an entry of what changed nothing else in the control database.

        Parameters
        ----------
        at : datetime
        by : By
        action : str
        subject : str
        evidence : mapping of str to object, optional
            NaN and infinities are stored as null.

        Returns
        -------
        Entry
            With its number.
        """
        kept: dict[str, Any] = json.loads(strict_json(evidence or {}))  # NaN is null
        with self._database.write() as connection:
            number = note(connection, at, by, action, subject, kept)
        return Entry(
            at=at, actor=by.actor, action=action, subject=subject, reason=by.reason,
            evidence=kept, cause=by.cause, number=number,
        )  # fmt: skip

    def entries(
        self,
        model: str | None = None,
        *,
        subject: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        beginning: Sequence[str] = (),
        limit: int = 1000,
    ) -> list[Entry]:
        """Return entries, the newest first.

        Parameters
        ----------
        model : str, optional
            Only of this model, its versions, rollouts and so on; ``system`` for those of no model.
        subject, action : str, optional
            Only of this subject, of this action.
        since, until : datetime, optional
            Only from `since` on, and before `until`.
        before : int, optional
            Only those with a smaller number than this: the next page after an entry.
        beginning : sequence of str
            Only of actions that begin with one of these.
        limit : int
            At most so many.

        Returns
        -------
        list of Entry
        """
        query = _STORED.order_by(_columns.id.desc()).limit(limit)
        if model is not None:
            query = query.where(_columns.subject.startswith(f"{model}:", autoescape=True))
        if subject is not None:
            query = query.where(_columns.subject == subject)
        if action is not None:
            query = query.where(_columns.action == action)
        if beginning:
            like = (_columns.action.startswith(each, autoescape=True) for each in beginning)
            query = query.where(sa.or_(*like))
        if since is not None:
            query = query.where(_columns.at >= since)
        if until is not None:
            query = query.where(_columns.at < until)
        if before is not None:
            query = query.where(_columns.id < before)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def after(self, number: int, about: str, *, limit: int = 1000) -> list[Entry]:
        """Return the entries after one of a number whose subject has `about` in it, in order.

        Parameters
        ----------
        number : int
        about : str
            Part of a subject.
        limit : int
            At most so many.

        Returns
        -------
        list of Entry
        """
        query = (
            _STORED.where(_columns.id > number, _columns.subject.contains(about, autoescape=True))
            .order_by(_columns.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def actions(self) -> list[str]:
        """Return the actions that there ever were, sorted.

        Returns
        -------
        list of str
        """
        query = sa.select(_columns.action).distinct().order_by(_columns.action)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def last(self) -> int:
        """Return the number of the newest entry; 0 if there is none.

        Returns
        -------
        int
        """
        return self._database.generation()


def _entry(row: Mapping[Any, Any]) -> Entry:
    return Entry(
        at=row["at"],
        actor=row["actor"],
        action=row["action"],
        subject=row["subject"],
        reason=row["reason"],
        evidence=KeptJson(row["evidence"]),
        cause=None if row["cause"] is None else RecordId.parse(row["cause"]),
        number=row["id"],
    )
