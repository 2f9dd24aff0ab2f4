"""Documents in the control database: named things whose every change has its reason."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, Protocol, Self, TypeVar

import sqlalchemy as sa

from watchkeeper.errors import ConflictError, NotFoundError
from watchkeeper.identity import By
from watchkeeper.results import Result, strict_json
from watchkeeper.store.database import ControlDatabase, audit, note

__all__ = ["Document", "DocumentEntry", "Documents"]


class Document(Protocol):
    """What is kept: it describes itself, and is what it was when it is read from that."""

    @property
    def name(self) -> str:
        """Its name, which no other has."""
        ...

    @property
    def model(self) -> str:
        """The model that it is of."""
        ...

    @property
    def state(self) -> Any:
        """Where it is; an enumeration of words."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads.

        Returns
        -------
        dict of str to object
        """
        ...

    @classmethod
    def from_dict(cls, stored: Any, /) -> Self:
        """Return what `to_dict` described.

        Parameters
        ----------
        stored : object

        Returns
        -------
        Document
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEntry(Result):
    """An audit entry of a document.

    Attributes
    ----------
    at : datetime
    actor, action, reason : str
        The action is the kind of the document and a verb, such as ``rollout abort``.
    cause : str or None
        The record that led to it, as ``KIND:ID``.
    evidence : mapping of str to Any
    """

    at: datetime
    actor: str
    action: str
    reason: str
    cause: str | None
    evidence: Mapping[str, Any]

    @property
    def verb(self) -> str:
        """The action without the kind of the document: ``abort`` of ``rollout abort``."""
        return self.action.partition(" ")[2]


_ENTRY = tuple(field.name for field in fields(DocumentEntry))

T = TypeVar("T", bound=Document)


class Documents(Generic[T]):
    """The documents of one kind that were ever added.

    Parameters
    ----------
    database : ControlDatabase
        The caller that opened it closes it.
    table : sqlalchemy.Table
        With ``id``, ``name``, ``model``, ``state`` and ``document``.
    kind : str
        The noun for one, in errors.
    read : callable
        A stored document to one of these.
    """

    def __init__(
        self, database: ControlDatabase, table: sa.Table, kind: str, read: Callable[[Any], T]
    ) -> None:
        self._database, self._table, self._kind, self._read = database, table, kind, read

    def add(
        self, document: T, *, at: datetime, by: By, check: Callable[[], object] | None = None
    ) -> None:
        """Keep a new one.

        Parameters
        ----------
        document : T
        at : datetime
            When it is done.
        by : By
            Actor, reason and cause, for the audit trail.
        check : callable, optional
            Called when no other process can write; what it raises keeps all as it is.

        Raises
        ------
        ConflictError
            If there is one of this name.
        """
        try:
            with self._database.write() as connection:
                connection.execute(self._table.insert().values(self._stored(document)))
                if check is not None:
                    check()
                self._note(connection, document, "create", at, by, document.to_dict())
        except sa.exc.IntegrityError:
            raise self._refused(document) from None

    def get(self, name: str) -> T:
        """Return one.

        Parameters
        ----------
        name : str

        Returns
        -------
        T

        Raises
        ------
        NotFoundError
            If there is none of this name.
        """
        query = sa.select(self._table.c.document).where(self._table.c.name == name)
        with self._database.read() as connection:
            document = connection.execute(query).scalar()
        if document is None:
            names = ", ".join(document.name for document in self.find()[:20]) or "none yet"
            raise NotFoundError(self._kind, name, f"There are: {names}.")
        return self._read(document)

    def find(
        self,
        model: str | None = None,
        state: str | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[T]:
        """Return several, the newest first: all, or `limit` of them after the first `offset`.

        Parameters
        ----------
        model, state : str, optional
        limit : int, optional
            How many at most; all by default.
        offset : int
            How many to pass over first.

        Returns
        -------
        list of T
        """
        columns = self._table.c
        query = sa.select(columns.document).order_by(columns.id.desc())
        query = query.where(*self._of(model, state)).limit(limit).offset(offset or None)
        with self._database.read() as connection:
            return [self._read(document) for document in connection.execute(query).scalars()]

    def count(self, model: str | None = None, state: str | None = None) -> int:
        """Return how many `find` would return without a limit.

        Parameters
        ----------
        model, state : str, optional

        Returns
        -------
        int
        """
        query = sa.select(sa.func.count()).where(*self._of(model, state))
        with self._database.read() as connection:
            return connection.execute(query.select_from(self._table)).scalar() or 0

    def _of(self, model: str | None, state: str | None) -> list[sa.ColumnElement[bool]]:
        columns = self._table.c
        conditions = [] if model is None else [columns.model == model]
        return conditions if state is None else [*conditions, columns.state == str(state)]

    def generation(self) -> int:
        """Return a number that grows with every change.

        Returns
        -------
        int
        """
        return self._database.generation()

    def save(
        self,
        before: T,
        after: T,
        *,
        action: str,
        at: datetime,
        by: By,
        evidence: Mapping[str, Any],
        check: Callable[[], object] | None = None,
    ) -> None:
        """Keep a change, with its reason and its evidence, or nothing.

        Parameters
        ----------
        before : T
            The state that is expected.
        after : T
            The new state.
        action : str
        at : datetime
            When it is done.
        by : By
            Actor, reason and cause, for the audit trail.
        evidence : mapping of str to object
        check : callable, optional
            As `add` has it.

        Raises
        ------
        ConflictError
            If it is no longer as it was `before`, or another one is in its way.
        """
        same_name = self._table.c.name == before.name
        try:
            with self._database.write() as connection:
                query = sa.select(self._table.c.document).where(same_name).with_for_update()
                stored = connection.execute(query).scalar_one()
                if self._read(stored) != before:
                    raise ConflictError(
                        f"the {self._kind} {before.name} was changed meanwhile",
                        "Read it again.",
                    )
                if check is not None:
                    check()
                connection.execute(
                    self._table.update().where(same_name).values(self._stored(after))
                )
                self._note(connection, after, action, at, by, evidence)
        except sa.exc.IntegrityError:
            raise self._refused(after) from None

    def history(self, name: str) -> list[DocumentEntry]:
        """Return its audit trail, the oldest entry first.

        Parameters
        ----------
        name : str

        Returns
        -------
        list of DocumentEntry
        """
        query = (
            sa.select(audit)
            .where(audit.c.subject == self._subject(self.get(name)))
            .order_by(audit.c.id)
        )
        with self._database.read() as connection:
            return [
                DocumentEntry(**{name: row[name] for name in _ENTRY})
                for row in connection.execute(query).mappings()
            ]

    def _stored(self, document: T) -> dict[str, Any]:
        return {
            "name": document.name,
            "model": document.model,
            "state": str(document.state),
            "document": json.loads(strict_json(document.to_dict())),
        }

    def _refused(self, document: T) -> ConflictError:
        """Return why one cannot be added."""
        return ConflictError(
            f"there is {_an(self._kind)} {document.name!r} already, and {self._kind}s keep their "
            "evidence",
            "Choose another name.",
        )

    def _subject(self, document: T) -> str:
        return f"{document.model}:{self._kind}s/{document.name}"

    def _note(
        self,
        connection: sa.Connection,
        document: T,
        action: str,
        at: datetime,
        by: By,
        evidence: Mapping[str, Any],
    ) -> None:
        evidence_json = json.loads(strict_json(evidence))
        subject = self._subject(document)
        note(connection, at, by, f"{self._kind} {action}", subject, evidence_json)


def _an(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
