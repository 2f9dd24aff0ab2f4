"""Retrainings in the control database: the only part of them that touches the store."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from watchkeeper.clock import as_utc
from watchkeeper.errors import ConflictError
from watchkeeper.identity import CONTROLLER, By
from watchkeeper.results import strict_json
from watchkeeper.retraining.run import Run
from watchkeeper.store.database import ControlDatabase, note, retraining_fires, retraining_runs
from watchkeeper.store.documents import Documents
from watchkeeper.store.locks import locked

__all__ = ["RetrainingRepository"]

_fires = retraining_fires.c


class RetrainingRepository(Documents[Run]):
    """The retrainings that were ever decided, and when each schedule was taken up.

    Parameters
    ----------
    database : ControlDatabase
        The caller closes it.
    folder : Path
        Where the files of trainings lie.

    Attributes
    ----------
    folder : Path
    """

    def __init__(self, database: ControlDatabase, folder: Path) -> None:
        super().__init__(database, retraining_runs, "retraining", Run.from_dict)
        self.folder = folder

    def begin(self, run: Run, fire: datetime | None, *, at: datetime, by: By) -> None:
        """Keep a new run, and that it takes up what the schedule asked for at `fire`.

        Parameters
        ----------
        run : Run
        fire : datetime or None
            A time of the schedule.
        at : datetime
            When it is done.
        by : By

        Raises
        ------
        ConflictError
            If a run of the model is under way, another process has the schedule, or there is
            a run of this name.
        """
        try:
            with self._database.write() as connection:
                if fire is not None:
                    self._claim(connection, run.model, fire, at)
                connection.execute(retraining_runs.insert().values(self._stored(run)))
                self._note(connection, run, "decide", at, by, run.to_dict())
        except sa.exc.IntegrityError:
            raise self._refused(run) from None

    def pass_over(
        self,
        model: str,
        fire: datetime,
        *,
        at: datetime,
        reason: str,
        evidence: Mapping[str, Any],
    ) -> bool:
        """Keep that nothing came of what the schedule asked for; False if another process has.

        Parameters
        ----------
        model : str
        fire : datetime
            A time of the schedule.
        at : datetime
            When it is done.
        reason : str
        evidence : mapping of str to object

        Returns
        -------
        bool
        """
        stored = json.loads(strict_json(evidence))
        try:
            with self._database.write() as connection:
                self._claim(connection, model, fire, at)
                note(
                    connection, at, By(CONTROLLER, reason), "retraining pass over",
                    f"{model}:retraining", stored,
                )  # fmt: skip
        except sa.exc.IntegrityError:
            return False
        return True

    def taken_up(self, model: str) -> datetime | None:
        """Return the last time of the schedule of a model that was taken up.

        Parameters
        ----------
        model : str

        Returns
        -------
        datetime or None
            In UTC.
        """
        query = sa.select(sa.func.max(_fires.fire_at)).where(_fires.model == model)
        with self._database.read() as connection:
            newest: datetime | None = connection.execute(query).scalar()
        return None if newest is None else as_utc(newest)

    def watch_from(self, model: str, at: datetime) -> datetime:
        """Return since when the schedule of a model counts: from now on, if nothing is stored.

        Parameters
        ----------
        model : str
        at : datetime
            Now.

        Returns
        -------
        datetime
        """
        since = self.taken_up(model)
        if since is not None:
            return since
        with suppress(sa.exc.IntegrityError), self._database.write() as connection:
            self._claim(connection, model, at, at)  # unless another process has
        return self.taken_up(model) or at

    @contextmanager
    def holding(self, model: str) -> Iterator[bool]:
        """Hold what only one process at a time does to a model; yield whether we do.

        The kernel lets go of it when the process dies, at once.

        Parameters
        ----------
        model : str

        Yields
        ------
        bool
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / f"{model}.lock") as ours:
            yield ours

    def _claim(self, connection: sa.Connection, model: str, fire: datetime, at: datetime) -> None:
        connection.execute(
            retraining_fires.insert().values(model=model, fire_at=fire, claimed_at=at)
        )

    def _stored(self, document: Run) -> dict[str, Any]:
        return {**super()._stored(document), "active": document.active}

    def _refused(self, document: Run) -> ConflictError:
        for run in self.find(document.model):
            if run.active and run.name != document.name:
                return ConflictError(
                    f"the retraining {run.name} of {run.model} is under way",
                    "Wait for its end, or abort it.",
                )
            if run.name == document.name:
                return super()._refused(document)
        return ConflictError(
            f"the schedule of {document.model} was taken up by another process", "Read it again."
        )
