"""Rollouts in the control database: the only part of them that touches the store."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from watchkeeper.clock import as_utc
from watchkeeper.errors import ConflictError
from watchkeeper.rollouts.rollout import Rollout
from watchkeeper.rollouts.shadow import Shadow, ShadowState
from watchkeeper.rollouts.states import RolloutState
from watchkeeper.rollouts.traffic_split import Split, split_of
from watchkeeper.store.database import ControlDatabase, model_versions, rollouts, shadows
from watchkeeper.store.documents import Documents

__all__ = ["RolloutRepository", "ShadowRepository"]

_columns = rollouts.c


class RolloutRepository(Documents[Rollout]):
    """The rollouts that were ever started.

    Parameters
    ----------
    database : ControlDatabase
        The caller closes it.
    """

    def __init__(self, database: ControlDatabase) -> None:
        super().__init__(database, rollouts, "rollout", Rollout.from_dict)

    def latest(self, at: datetime) -> list[Rollout]:
        """Return the newest rollout of each model, of those under way or watched.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        list of Rollout
        """
        return [
            rollout
            for rollout, _ in self._latest(at)
            if rollout.state is not RolloutState.ROLLED_BACK
        ]

    def due(self, at: datetime) -> list[Rollout]:
        """Return the rollouts that were planned for later and whose time has come, in order.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        list of Rollout
        """
        planned = [
            (rollout.begins_at, rollout)
            for rollout in self.find(state=RolloutState.SCHEDULED)
            if rollout.begins_at is not None and rollout.begins_at <= as_utc(at)
        ]
        return [rollout for _, rollout in sorted(planned, key=lambda start: start[0])]

    def splits(self, at: datetime) -> Mapping[str, Split]:
        """Return how the requests of each model with a rollout are shared.

        What a person puts in production beside a rollout holds at once: it shares nothing then.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        mapping of str to Split
            By model.
        """
        latest = self._latest(at)
        if not latest:
            return {}
        production = self._in_production()
        candidates = (split_of(rollout, until) for rollout, until in latest)
        return {
            split.model: split
            for split in candidates
            if split is not None and production.get(split.model) in split.stands_on
        }

    def renew(self, name: str, until: datetime) -> None:
        """Say until when a rollout has been looked at; this is no change of it.

        Parameters
        ----------
        name : str
        until : datetime
        """
        with self._database.write() as connection:
            change = rollouts.update().where(_columns.name == name)
            connection.execute(change.values(watched_until=until))

    def extend(self, rollout: Rollout, at: datetime) -> None:
        """Let the share of a rollout hold for its whole lease again, once a quarter has passed.

        Parameters
        ----------
        rollout : Rollout
        at : datetime
            When it is looked at.
        """
        until, lease = self.watched_until(rollout.name), rollout.plan.lease
        if until is None or not at + lease * 0.75 < until <= at + lease:
            self.renew(rollout.name, at + lease)

    def watched_until(self, name: str) -> datetime | None:
        """Return until when a rollout has been looked at.

        Parameters
        ----------
        name : str

        Returns
        -------
        datetime or None
            None where it was not analysed yet.
        """
        query = sa.select(_columns.watched_until).where(_columns.name == name)
        with self._database.read() as connection:
            until: datetime | None = connection.execute(query).scalar()
        return until

    def _latest(self, at: datetime) -> list[tuple[Rollout, datetime | None]]:
        started = _columns.state.not_in([state.value for state in _NEVER_STARTED])
        newest = sa.select(sa.func.max(_columns.id)).where(started).group_by(_columns.model)
        query = sa.select(_columns.document, _columns.watched_until).where(_columns.id.in_(newest))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        pairs = [(Rollout.from_dict(row.document), row.watched_until) for row in rows]
        return [pair for pair in pairs if _matters(pair[0], at)]

    def _in_production(self) -> dict[str, str]:
        """Return the version in production by model."""
        versions = model_versions.c
        query = sa.select(versions.model_name, versions.version).where(
            versions.status == "production"
        )
        with self._database.read() as connection:
            return {row.model_name: row.version for row in connection.execute(query)}

    def _stored(self, document: Rollout) -> dict[str, Any]:
        return {**super()._stored(document), "active": document.active}

    def _refused(self, document: Rollout) -> ConflictError:
        under_way = [rollout for rollout in self.find(document.model) if rollout.active]
        if under_way and under_way[0].name != document.name:
            return ConflictError(
                f"the rollout {under_way[0].name} of {document.model} is under way",
                "Abort it first, or wait for its end.",
            )
        return super()._refused(document)


class ShadowRepository(Documents[Shadow]):
    """The shadows that were ever started.

    Parameters
    ----------
    database : ControlDatabase
        The caller closes it.
    """

    def __init__(self, database: ControlDatabase) -> None:
        super().__init__(database, shadows, "shadow", Shadow.from_dict)

    def running(self) -> Mapping[str, Shadow]:
        """Return the shadow of each model that has one.

        Returns
        -------
        mapping of str to Shadow
            By model.
        """
        return {shadow.model: shadow for shadow in self.find(state=ShadowState.RUNNING)}

    def _refused(self, document: Shadow) -> ConflictError:
        for shadow in self.find(document.model, ShadowState.RUNNING):
            if shadow.name != document.name:
                message = f"the shadow {shadow.name} of {shadow.model} runs"
                return ConflictError(message, "Stop it first.")
        return super()._refused(document)


def _matters(rollout: Rollout, at: datetime) -> bool:
    """Return whether requests are answered by it: after its end until every router has heard."""
    if rollout.state is RolloutState.ROLLED_BACK and rollout.ended_at is not None:
        return as_utc(at) - rollout.ended_at < _HEARD
    return rollout.active or rollout.in_bake_time(at)


_HEARD = timedelta(minutes=1)
_NEVER_STARTED = (RolloutState.DRAFT, RolloutState.SCHEDULED, RolloutState.CANCELLED)
