"""How far each receiver has been told, in the control database."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from watchkeeper.notifications.receiver import Place
from watchkeeper.store.database import ControlDatabase, notification_places

__all__ = ["PlaceRepository"]

_columns = notification_places.c


class PlaceRepository:
    """The places of receivers in the audit trail.

    Parameters
    ----------
    database : ControlDatabase
        The caller closes it.
    """

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    def get(self, receiver: str, severity: str, *, beginning: int) -> Place:
        """Return a place; a new receiver's is at entry `beginning` of the trail.

        Parameters
        ----------
        receiver : str
        severity : {"critical", "warning"}
        beginning : int
            Number of an entry of the audit trail.

        Returns
        -------
        Place
        """
        with self._database.write() as connection:
            row = connection.execute(_of(receiver, severity)).mappings().one_or_none()
            if row is not None:
                return _place(row)
            made = Place(receiver, severity, beginning)
            connection.execute(notification_places.insert().values(**made))
            return made

    def find(self) -> list[Place]:
        """Return all places, by receiver.

        Returns
        -------
        list of Place
        """
        query = sa.select(notification_places).order_by(_columns.receiver, _columns.severity)
        with self._database.read() as connection:
            return [_place(row) for row in connection.execute(query).mappings()]

    def save(self, before: Place, after: Place) -> bool:
        """Keep a place unless another process has moved it; return whether it was kept.

        Parameters
        ----------
        before : Place
            As it was read.
        after : Place

        Returns
        -------
        bool
            False where another process was faster; nothing is written then.
        """
        same = (
            (_columns.receiver == before.receiver)
            & (_columns.severity == before.severity)
            & (_columns.told == before.told)
            & (_columns.tries == before.tries)
        )
        with self._database.write() as connection:
            change = notification_places.update().where(same).values(**after)
            return connection.execute(change).rowcount == 1


def _of(receiver: str, severity: str) -> sa.Select[Any]:
    return sa.select(notification_places).where(
        _columns.receiver == receiver, _columns.severity == severity
    )


def _place(row: Mapping[Any, Any]) -> Place:
    return Place(**row)
