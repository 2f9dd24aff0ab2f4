"""Online learning, carried out: outcomes in, snapshots as versions, and back when it went wrong.

Where it stands is in the audit trail: the frozen champion, the last good snapshot, what was in
production, and until when outcomes had arrived. What is learned next is written down before, by
`watchkeeper.online.consumed`. So a process that dies loses nothing and does nothing twice.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.clock import Clock
from watchkeeper.errors import NotFoundError
from watchkeeper.events import FEATURE, EventLog, Window
from watchkeeper.labelling import Labelling
from watchkeeper.online.consumed import ARRIVED, Batch, Taught
from watchkeeper.online.learning import require_learner
from watchkeeper.operations.checkpoints import (
    ALIAS,
    ONLINE,
    Learning,
    LearningStep,
    champion_of,
    snapshots,
    subject_of,
    usable,
)
from watchkeeper.operations.models import Models
from watchkeeper.operations.rollouts import Rollouts
from watchkeeper.policies.online import OnlinePolicy
from watchkeeper.records import AuditTrail
from watchkeeper.registry import ModelRegistry
from watchkeeper.results import Result
from watchkeeper.retraining.repository import RetrainingRepository

__all__ = ["ALIAS", "ONLINE", "ArrivalLog", "LearningStep", "OnlineLearning", "OnlineStatus"]

_INFIX = "-online."
_STEPS = 10  # snapshots of one call; the next one goes on
_SLOW = timedelta(minutes=10)  # in which an outcome is seen by others after it has arrived
_ROWS = ("prediction_id", "timestamp", "actual", ARRIVED)


class ArrivalLog(EventLog, Protocol):
    """An event log that tells which outcomes have arrived without reading them."""

    def arrivals(self, model: str, since: datetime) -> dict[date | None, int]:
        """Return how many outcomes came after a moment, by the UTC day of their prediction.

        Parameters
        ----------
        model : str
        since : datetime

        Returns
        -------
        dict of date or None to int
            None for outcomes whose prediction is not known.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineStatus(Result):
    """Where the online learning of a model stands.

    Attributes
    ----------
    model : str
    steps : tuple of LearningStep
        The batches that were learned now.
    busy : bool
        Whether another process works on it.
    waiting : int
        Outcomes that have arrived since, at most: some may have been there before.
    missing : int
        How many more are needed for the next snapshot; 0 where the next call goes on.
    """

    model: str
    steps: tuple[LearningStep, ...]
    busy: bool
    waiting: int
    missing: int


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where learning stands."""

    champion: str
    snapshot: str
    production: str
    number: int
    cursor: datetime  # until when outcomes have arrived that have taught
    at_cursor: int  # of those that arrived then, which may be many of one request


class OnlineLearning:
    """Lets models learn from outcomes as they arrive, and stores what they learned.

    Parameters
    ----------
    models : Models
    rollouts : Rollouts
    events : ArrivalLog
    audit : AuditTrail
        Where it is stored how far a model has learned.
    retraining : RetrainingRepository
        Holds a model for one process at a time, beside its folder of trainings.
    clock : Clock
    policy : callable
        The policy of a model's settings, by its name.
    labelling : callable
        What the labels of a model mean, by its name.
    """

    def __init__(
        self,
        *,
        models: Models,
        rollouts: Rollouts,
        events: ArrivalLog,
        audit: AuditTrail,
        retraining: RetrainingRepository,
        clock: Clock,
        policy: Callable[[str], OnlinePolicy],
        labelling: Callable[[str], Labelling],
    ) -> None:
        self._models, self._registry, self._rollouts = models, models.registry, rollouts
        self._events, self._audit, self._retraining = events, audit, retraining
        self._clock, self._policy, self._labelling = clock, policy, labelling

    def waiting(self, model: str) -> int:
        """Return at most how many outcomes have arrived that a model has not learned; it is cheap.

        Parameters
        ----------
        model : str

        Returns
        -------
        int

        Raises
        ------
        NotFoundError
            If nothing of it is in production.
        """
        return self._came(model, self._standing(model))

    def advance(self, model: str, at: datetime | None = None) -> OnlineStatus:
        """Let a model learn from the outcomes that have arrived; return what came of it.

        It begins at what is in production, which stays as the frozen champion beside it until
        another version is promoted, or rolled back to. A batch is learned when
        `OnlinePolicy.snapshot_every` outcomes are there; one call takes at most 10 of them. Where
        another process works on the model, it returns at once.

        Only the days are read whose predictions have got outcomes since, one at a time. Where ids
        are not Watchkeeper's own and were not compacted yet, that may be any day of
        `OnlinePolicy.window_days`.

        Parameters
        ----------
        model : str
        at : datetime, optional
            By default now.

        Returns
        -------
        OnlineStatus

        Raises
        ------
        InvalidValueError
            If the model cannot learn row by row.
        NotFoundError
            If nothing of it is in production.
        IntegrityError
            If a version's files are not what was registered.
        """
        now = self._clock() if at is None else at
        with self._holding(model) as held:
            if not held:
                return OnlineStatus(model=model, steps=(), busy=True, waiting=0, missing=0)
            return self._learn(model, self._policy(model), now)

    def _learn(self, model: str, policy: OnlinePolicy, at: datetime) -> OnlineStatus:
        standing = self._standing(model)
        taught = Taught(self._retraining.folder / ONLINE / model)
        learning = Learning(
            models=self._models, rollouts=self._rollouts, audit=self._audit, model=model,
            policy=policy, labelling=self._labelling(model), at=at, taught=taught,
        )  # fmt: skip
        steps = []
        unfinished = _unfinished(taught, standing)
        if unfinished is not None:
            steps.append(learning.step(unfinished))
            standing = self._standing(model)
        require_learner(self._registry.load_model(standing.snapshot))
        rows = _nothing()
        versions: dict[str, int] = {}
        enough = self._came(model, standing) >= policy.snapshot_every
        if enough:
            rows, versions = self._new_rows(model, policy, standing, taught, at)
        while rows.num_rows >= policy.snapshot_every and len(steps) < _STEPS:
            part, rows = rows.slice(0, policy.snapshot_every), rows.slice(policy.snapshot_every)
            steps.append(learning.step(_batch(self._registry, standing, part, versions)))
            before, standing = standing, self._standing(model)
            expected = (before.champion, steps[-1].snapshot)
            if (standing.champion, standing.snapshot) != expected:
                break  # another version was put in production meanwhile
        taught.forget((at - timedelta(days=policy.window_days)).date())
        came = self._came(model, standing)
        unlearned = rows.num_rows if enough else came
        return OnlineStatus(
            model=model,
            steps=tuple(steps),
            busy=False,
            waiting=came,
            missing=0 if len(steps) == _STEPS else max(0, policy.snapshot_every - unlearned),
        )

    @contextmanager
    def _holding(self, model: str) -> Iterator[bool]:
        """Hold what one process at a time does; a training of the model may go on beside it."""
        (self._retraining.folder / ONLINE).mkdir(parents=True, exist_ok=True)
        with self._retraining.holding(f"{ONLINE}/{model}") as held:
            yield held

    def _standing(self, model: str) -> _Standing:
        """Return where learning stands: as it was stored, or at what was promoted since."""
        production = self._registry.get_production_model(model)
        if production is None:
            raise NotFoundError("model in production", model, "Promote a version first.")
        version = self._registry.get(production)
        champion = champion_of(version)
        if self._registry.find(model, champion.partition(":")[2]) is None:  # it was deleted
            champion = production
        last = self._audit.entries(subject=subject_of(model), action=ONLINE, limit=1)
        stored = last[0].evidence if last else {}
        number = stored.get("number", 0)
        if (stored.get("production"), stored.get("champion")) == (production, champion):
            snapshot = stored["snapshot"]
            if not usable(self._registry, snapshot):
                snapshot = next(iter(snapshots(self._registry, model, champion)), champion)
            cursor = datetime.fromisoformat(stored["cursor"])
            return _Standing(champion, snapshot, production, number, cursor, stored["at_cursor"])
        assert version.promoted_at is not None
        return _Standing(champion, production, production, number, version.promoted_at, 0)

    def _came(self, model: str, standing: _Standing) -> int:
        since = standing.cursor - timedelta(microseconds=1)
        return max(0, sum(self._arrived(model, since).values()) - standing.at_cursor)

    def _arrived(self, model: str, since: datetime) -> dict[date | None, int]:
        try:
            return self._events.arrivals(model, since)
        except NotFoundError:  # nothing was ever recorded
            return {}

    def _new_rows(
        self, model: str, policy: OnlinePolicy, standing: _Standing, taught: Taught, at: datetime
    ) -> tuple[pa.Table, dict[str, int]]:
        """Return rows that have not taught yet, the first that arrived first, as many as we take.

        What arrived some minutes before the last row is read again: where several processes write,
        an outcome can be seen later than others that arrived after it.
        """
        since = standing.cursor - _SLOW
        oldest = at - timedelta(days=policy.window_days)
        window = Window(oldest, at + timedelta(microseconds=1))
        days = self._arrived(model, since)
        signature = self._registry.get(standing.champion).signature
        features = None if signature is None else [FEATURE + name for name in signature.names]
        columns = None if features is None else [*_ROWS, *features]
        read = (
            self._events.days(model, window, columns=columns)
            if None in days
            else (
                self._events.read(model, part, columns=columns)
                for day in sorted(day for day in days if day is not None)
                for part in _of_day(day, window)
            )
        )
        most = _STEPS * policy.snapshot_every
        tables: list[pa.Table] = []
        versions: dict[str, int] = {}
        for part in read:
            versions |= part.versions
            came = part.rows[ARRIVED].cast(pa.timestamp("us", "UTC"))
            new = pc.and_(part.rows["actual"].is_valid(), pc.greater(came, _moment(since)))
            rows = taught.new(part.rows.filter(pc.and_(new, pc.less_equal(came, _moment(at)))))
            if rows.num_rows:
                tables = [_first([*tables, _plain(rows, features)], most)]
        return (tables[0] if tables else _nothing()), versions


def _batch(
    registry: ModelRegistry, standing: _Standing, rows: pa.Table, versions: dict[str, int]
) -> Batch:
    """Return rows as the next batch."""
    number = standing.number + 1
    newest = max(pc.max(rows[ARRIVED]).as_py(), standing.cursor)
    then = pc.sum(pc.equal(rows[ARRIVED], pa.scalar(newest, rows[ARRIVED].type))).as_py()
    return Batch(
        number=number,
        champion=standing.champion,
        snapshot=standing.snapshot,
        production=standing.production,
        version=_new_version(registry, standing.champion, number),
        attempts=0,
        table_versions=versions,
        cursor=newest.isoformat(),
        at_cursor=then + (standing.at_cursor if newest == standing.cursor else 0),
        rows=rows,
    )


def _new_version(registry: ModelRegistry, champion: str, number: int) -> str:
    """Return what a snapshot is called; what was deleted keeps its name."""
    name, _, version = champion.partition(":")
    stem = f"{version.partition(_INFIX)[0][:80]}{_INFIX}{number}"
    taken = registry.taken_versions(name)
    names = (stem if n == 1 else f"{stem}-{n}" for n in count(1))
    return next(name for name in names if name not in taken)


def _unfinished(taught: Taught, standing: _Standing) -> Batch | None:
    """Return the batch that a process has begun and not ended, if it is still to be done."""
    batch = taught.begun()
    if batch is None:
        return None
    if batch.number <= standing.number:  # it was done, and only that was not written down
        taught.settle(batch)
        return None
    model_id = f"{batch.champion.partition(':')[0]}:{batch.version}"
    if standing.production not in {batch.production, model_id}:
        taught.drop()  # another version was promoted since
        return None
    return batch


def _nothing() -> pa.Table:
    return pa.schema([("actual", pa.null())]).empty_table()


def _of_day(day: date, window: Window) -> Iterator[Window]:
    """Yield the part of a day that is in a window, if any is."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert window.start is not None
    assert window.end is not None
    start, end = max(midnight, window.start), min(midnight + timedelta(days=1), window.end)
    if start < end:
        yield Window(start, end)


def _first(tables: list[pa.Table], most: int) -> pa.Table:
    rows = pa.concat_tables(tables, promote_options="permissive")
    order = pc.sort_indices(rows, [(ARRIVED, "ascending"), ("prediction_id", "ascending")])
    return rows.take(order[:most])


def _plain(rows: pa.Table, features: list[str] | None) -> pa.Table:
    """Return what is kept of rows, words as words; a feature that no row has is null."""
    names = features or [column for column in rows.column_names if column.startswith(FEATURE)]
    columns = {name: rows[name] for name in (*_ROWS, *names) if name in rows.column_names}
    for name in names:
        columns.setdefault(name, pa.chunked_array([pa.nulls(rows.num_rows, pa.float64())]))
    words = {name: pa.types.is_dictionary(column.type) for name, column in columns.items()}
    return pa.table(
        {name: col.cast(pa.string()) if words[name] else col for name, col in columns.items()}
    )


def _moment(at: datetime) -> pa.Scalar:
    return pa.scalar(at, pa.timestamp("us", "UTC"))
