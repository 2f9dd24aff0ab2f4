"""Experiments in the control database: the only part of them that touches the store."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from watchkeeper.errors import ConflictError, NotFoundError
from watchkeeper.experiments.assignment import Allocation
from watchkeeper.experiments.experiment import Experiment, State
from watchkeeper.results import strict_json
from watchkeeper.store.database import ControlDatabase, experiments, note

__all__ = ["ExperimentRepository"]

_columns = experiments.c


class ExperimentRepository:
    """The experiments that were ever created.

    Parameters
    ----------
    database : ControlDatabase
        Whoever opened it closes it.
    """

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    def add(self, experiment: Experiment, *, at: datetime, actor: str, reason: str) -> None:
        """Keep a new experiment.

        Raises
        ------
        ConflictError
            If there is one of this name.
        """
        try:
            with self._database.write() as connection:
                connection.execute(experiments.insert().values(_stored(experiment)))
                _note(connection, experiment, "create", at, actor, reason, experiment.to_dict())
        except sa.exc.IntegrityError:
            raise ConflictError(
                f"there is an experiment {experiment.name!r} already, and experiments keep their "
                "evidence",
                "Choose another name.",
            ) from None

    def get(self, name: str) -> Experiment:
        """Return an experiment.

        Raises
        ------
        NotFoundError
            If there is none of this name.
        """
        query = sa.select(_columns.document).where(_columns.name == name)
        with self._database.read() as connection:
            found = connection.execute(query).scalar()
        if found is None:
            known = ", ".join(each.name for each in self.find()[:20]) or "none yet"
            raise NotFoundError("experiment", name, f"There are: {known}.")
        return Experiment.from_dict(found)

    def find(self, model: str | None = None, state: State | None = None) -> list[Experiment]:
        """Return experiments, the newest first."""
        query = sa.select(_columns.document).order_by(_columns.id.desc())
        if model is not None:
            query = query.where(_columns.model == model)
        if state is not None:
            query = query.where(_columns.state == state.value)
        with self._database.read() as connection:
            return [Experiment.from_dict(each) for each in connection.execute(query).scalars()]

    def generation(self) -> int:
        """Return a number that grows with every change."""
        return self._database.generation()

    def running(self) -> Mapping[str, Sequence[Allocation]]:
        """Return the allocations of running experiments by model, the oldest first."""
        found: dict[str, list[Allocation]] = {}
        for each in reversed(self.find(state=State.RUNNING)):
            found.setdefault(each.model, []).append(each.allocation)
        return found

    def save(
        self,
        before: Experiment,
        after: Experiment,
        *,
        action: str,
        at: datetime,
        actor: str,
        reason: str,
        evidence: Mapping[str, Any],
    ) -> None:
        """Keep a change of an experiment, with its reason and its evidence, or nothing.

        Raises
        ------
        ConflictError
            If it is no longer as it was `before`.
        """
        with self._database.write() as connection:
            own = _columns.name == before.name
            found = connection.execute(sa.select(_columns.document).where(own)).scalar_one()
            if Experiment.from_dict(found) != before:
                raise ConflictError(
                    f"the experiment {before.name} was changed by somebody else meanwhile",
                    "Look at it again.",
                )
            connection.execute(experiments.update().where(own).values(_stored(after)))
            _note(connection, after, action, at, actor, reason, evidence)


def _stored(experiment: Experiment) -> dict[str, Any]:
    return {
        "name": experiment.name,
        "model": experiment.model,
        "state": experiment.state.value,
        "document": experiment.to_dict(),
    }


def _note(
    connection: sa.Connection,
    experiment: Experiment,
    action: str,
    at: datetime,
    actor: str,
    reason: str,
    evidence: Mapping[str, Any],
) -> None:
    subject = f"{experiment.model}:experiments/{experiment.name}"
    kept = json.loads(strict_json(evidence))
    note(connection, at, actor, f"experiment {action}", subject, reason, kept)
