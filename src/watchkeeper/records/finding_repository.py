"""Findings in the control database: the only part of them that touches the store."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from watchkeeper.errors import NotFoundError
from watchkeeper.identity import RecordId
from watchkeeper.records.finding import Finding, Unread
from watchkeeper.results import KeptJson, strict_json
from watchkeeper.store.database import ControlDatabase, findings

__all__ = ["FindingRepository"]

_columns = findings.c
_OWN = tuple(name for name in Finding.__dataclass_fields__ if name not in {"number", "cause"})
_STORED = sa.select(
    *(each for each in _columns if each.name != "evidence"),
    sa.cast(_columns.evidence, sa.Text).label("evidence"),
)


class FindingRepository:
    """The findings that were kept.

    Parameters
    ----------
    database : ControlDatabase
        The caller closes it.
    """

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    def add(self, finding: Finding) -> Finding:
        """Keep a finding and return it with its number.

        Parameters
        ----------
        finding : Finding

        Returns
        -------
        Finding
        """
        row = {name: finding[name] for name in _OWN}
        row["cause"] = None if finding.cause is None else str(finding.cause)
        row["evidence"] = json.loads(strict_json(finding.evidence))  # NaN is null
        with self._database.write() as connection:
            added = connection.execute(sa.insert(findings).values(row))
            key = added.inserted_primary_key
        return replace(finding, number=None if key is None else int(key[0]))

    def get(self, number: int) -> Finding:
        """Return one.

        Parameters
        ----------
        number : int

        Returns
        -------
        Finding

        Raises
        ------
        NotFoundError
            If there is none of this number.
        """
        query = _STORED.where(_columns.id == number)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFoundError("finding", str(number), "`watchkeeper history MODEL` lists them.")
        return _finding(row)

    def find(
        self,
        model: str | None = None,
        kind: str | None = None,
        *,
        bad: bool | None = None,
        limit: int = 100,
    ) -> list[Finding]:
        """Return findings, the newest first; what they found is decoded when it is read.

        Parameters
        ----------
        model : str, optional
            Only of this model.
        kind : str, optional
            Only of this kind, as ``drift``.
        bad : bool, optional
            Only those that are bad, or are not.
        limit : int
            At most so many.

        Returns
        -------
        list of Finding
        """
        query = _STORED.order_by(_columns.id.desc()).limit(limit)
        if model is not None:
            query = query.where(_columns.model == model)
        if kind is not None:
            query = query.where(_columns.kind == kind)
        if bad is not None:
            query = query.where(_columns.bad == bad)
        with self._database.read() as connection:
            return [_finding(row) for row in connection.execute(query).mappings()]

    def unread(
        self,
        model: str,
        kind: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 500,
    ) -> list[Unread]:
        """Return findings without decoding their evidence, the newest first.

        Parameters
        ----------
        model, kind : str
        after, before : int
            Only those whose numbers lie between, neither of them included.
        limit : int
            At most so many.

        Returns
        -------
        list of Unread
        """
        query = (
            sa.select(
                _columns.id,
                _columns.bad,
                _columns.at,
                _columns.end,
                sa.cast(_columns.evidence, sa.Text).label("evidence"),
            )
            .where(_columns.model == model, _columns.kind == kind, _columns.id > after)
            .order_by(_columns.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(_columns.id < before)
        with self._database.read() as connection:
            return [
                Unread(number=row.id, bad=row.bad, at=row.at, end=row.end, evidence=row.evidence)
                for row in connection.execute(query)
            ]


def _finding(row: Mapping[Any, Any]) -> Finding:
    own = {name: row[name] for name in _OWN}
    cause = None if row["cause"] is None else RecordId.parse(row["cause"])
    evidence = KeptJson(row["evidence"])
    return Finding(**{**own, "evidence": evidence}, cause=cause, number=row["id"])
