"""Alerts and incidents in the control database: the only part of them that touches the store."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from watchkeeper.incidents.alerts import Alert
from watchkeeper.incidents.incident import Incident
from watchkeeper.store.database import ControlDatabase, alerts, incidents
from watchkeeper.store.documents import Documents

__all__ = ["AlertRepository", "IncidentRepository"]

_columns, _own = alerts.c, incidents.c


class AlertRepository:
    """The alerts that were received.

    Parameters
    ----------
    database : ControlDatabase
        The caller closes it.
    """

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    def receive(self, received: Sequence[Alert], *, at: datetime) -> list[Alert]:
        """Keep alerts, all or none, and return those that are new or have changed their status.

        Alertmanager repeats itself: an alert of the same fingerprint and begin is the same one,
        and what was said of it last is true.

        Parameters
        ----------
        received : sequence of Alert
        at : datetime
            When they came.

        Returns
        -------
        list of Alert
        """
        with self._database.write() as connection:
            return [alert for alert in received if _keep(connection, alert, at)]

    def news(self, received: Sequence[Alert]) -> list[Alert]:
        """Return the alerts that are new or have changed their status, and keep nothing.

        Parameters
        ----------
        received : sequence of Alert

        Returns
        -------
        list of Alert
        """
        with self._database.read() as connection:
            return [alert for alert in received if _status(connection, alert) != alert.status]

    def find(
        self, status: str | None = None, name: str | None = None, limit: int = 1000
    ) -> list[Alert]:
        """Return alerts, those that began last first.

        Parameters
        ----------
        status : str, optional
            ``firing`` or ``resolved``; by default both.
        name : str, optional
            By default all.
        limit : int
            Most that are returned.

        Returns
        -------
        list of Alert
        """
        query = sa.select(alerts).order_by(_columns.starts_at.desc(), _columns.id.desc())
        if status is not None:
            query = query.where(_columns.status == status)
        if name is not None:
            query = query.where(_columns.name == name)
        with self._database.read() as connection:
            return [_alert(row) for row in connection.execute(query.limit(limit))]

    def last_received(self) -> tuple[datetime, str] | None:
        """Return when the last alert came, and its name.

        Returns
        -------
        tuple of datetime and str, or None
            None if none ever came.
        """
        query = sa.select(_columns.received_at, _columns.name).order_by(_columns.received_at.desc())
        with self._database.read() as connection:
            row = connection.execute(query.limit(1)).one_or_none()
        return None if row is None else (row[0], row[1])


class IncidentRepository(Documents[Incident]):
    """The incidents that were ever opened; of one source and model one at a time is not over.

    Parameters
    ----------
    database : ControlDatabase
        The caller closes it.
    """

    def __init__(self, database: ControlDatabase) -> None:
        super().__init__(database, incidents, "incident", Incident.from_dict)

    def find(
        self,
        model: str | None = None,
        state: str | None = None,
        *,
        severity: str | None = None,
        active: bool | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Incident]:
        """Return several, the newest first; `active` are those that are not over.

        Parameters
        ----------
        model, state, severity : str, optional
        active : bool, optional
        limit : int, optional
        offset : int

        Returns
        -------
        list of Incident
        """
        query = sa.select(_own.document).order_by(_own.id.desc())
        query = query.where(*self._of(model, state), *_also(severity, active))
        with self._database.read() as connection:
            documents = connection.execute(query.limit(limit).offset(offset or None)).scalars()
            return [Incident.from_dict(document) for document in documents]

    def count(
        self,
        model: str | None = None,
        state: str | None = None,
        *,
        severity: str | None = None,
        active: bool | None = None,
    ) -> int:
        """Return how many `find` would return without a limit.

        Parameters
        ----------
        model, state, severity : str, optional
        active : bool, optional

        Returns
        -------
        int
        """
        query = sa.select(sa.func.count()).where(*self._of(model, state), *_also(severity, active))
        with self._database.read() as connection:
            return connection.execute(query.select_from(incidents)).scalar() or 0

    def models(self) -> list[str]:
        """Return the models that ever had one, sorted.

        Returns
        -------
        list of str
        """
        query = sa.select(_own.model).distinct().order_by(_own.model)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def _stored(self, document: Incident) -> dict[str, Any]:
        columns = {"source": document.source, "active": document.active}
        return {**super()._stored(document), **columns}


def _also(severity: str | None, active: bool | None) -> list[sa.ColumnElement[bool]]:
    conditions = [] if severity is None else [_own.document["severity"].as_string() == severity]
    return conditions if active is None else [*conditions, _own.active == active]


def _same(alert: Alert) -> sa.ColumnElement[bool]:
    return sa.and_(_columns.fingerprint == alert.fingerprint, _columns.starts_at == alert.starts_at)


def _status(connection: Connection, alert: Alert) -> str | None:
    status: str | None = connection.execute(sa.select(_columns.status).where(_same(alert))).scalar()
    return status


def _keep(connection: Connection, alert: Alert, at: datetime) -> bool:
    before, same = _status(connection, alert), _same(alert)
    row = {**alert, "received_at": at}
    if before is None:
        connection.execute(sa.insert(alerts).values(row))
    else:
        connection.execute(sa.update(alerts).where(same).values(row))
    return before != alert.status


def _alert(row: Row[tuple[object, ...]]) -> Alert:
    return Alert(**{name: getattr(row, name) for name in Alert.__dataclass_fields__})
