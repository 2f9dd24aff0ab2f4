"""Online learning, carried out: outcomes in, snapshots as versions, and back when it went wrong.

Where it stands is in the audit trail: the frozen champion, the last good snapshot, what was in
production, and until when outcomes had arrived. What is learned next is written down before, by
`watchkeeper.online.consumed`. So a process that dies loses nothing and does nothing twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import NotFoundError
from watchkeeper.events import FEATURE, Window
from watchkeeper.online.consumed import ARRIVED, Batch, Taught
from watchkeeper.online.learning import require_learner
from watchkeeper.operations.checkpoints import (
    ALIAS,
    ONLINE,
    Arrivals,
    Learning,
    Parts,
    Step,
    champion_of,
    snapshots,
    subject_of,
    usable,
)
from watchkeeper.policies.online import OnlinePolicy
from watchkeeper.registry import ModelRegistry
from watchkeeper.results import Result

__all__ = ["ALIAS", "ONLINE", "Arrivals", "Looked", "Parts", "Step", "look", "waiting"]

_INFIX = "-online."
_STEPS = 10  # snapshots of one look; the next one goes on
_SLOW = timedelta(minutes=10)  # in which an outcome is seen by others after it has arrived
_ROWS = ("prediction_id", "timestamp", "actual", ARRIVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked(Result):
    """What a look has found.

    Attributes
    ----------
    model : str
    steps : tuple of Step
    busy : bool
        Whether another process is at it.
    waiting : int
        Outcomes that have arrived since, at most: some may have been there before.
    missing : int
        How many more are needed for the next snapshot; 0 where the next look goes on.
    """

    model: str
    steps: tuple[Step, ...]
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


def waiting(parts: Parts, model: str) -> int:
    """Return how many outcomes have arrived that a model may not have learned; at most, cheaply.

    Raises
    ------
    NotFoundError
        If nothing of it is in production.
    """
    return _came(parts, model, _standing(parts, model))


def look(
    parts: Parts,
    model: str,
    policy: OnlinePolicy,
    *,
    at: datetime,
    task: str = "binary",
    positive: Any = 1,
) -> Looked:
    """Let a model learn from the outcomes that have arrived; return what came of it.

    It begins at what is in production, which stays as the frozen champion beside it until somebody
    promotes another version, or rolls back. A batch is learned when `policy.snapshot_every`
    outcomes are there; one look takes at most 10 of them. Where another process is at it, it
    returns at once.

    Only the days are read whose predictions have got outcomes since, one at a time. Where ids are
    not Watchkeeper's own and were not compacted yet, that may be any day of `policy.window_days`.

    Raises
    ------
    InvalidValueError
        If the model cannot learn row by row.
    NotFoundError
        If nothing of it is in production.
    IntegrityError
        If a version's files are not what was registered.
    """
    with _holding(parts, model) as ours:
        if not ours:
            return Looked(model=model, steps=(), busy=True, waiting=0, missing=0)
        standing = _standing(parts, model)
        taught = Taught(parts.retraining.folder / ONLINE / model)
        learning = Learning(parts, model, policy, task, positive, at, taught)
        steps = []
        left = _left(taught, standing)
        if left is not None:
            steps.append(learning.step(left))
            standing = _standing(parts, model)
        require_learner(parts.registry.load_model(standing.snapshot))
        rows = _nothing()
        versions: dict[str, int] = {}
        enough = _came(parts, model, standing) >= policy.snapshot_every
        if enough:
            rows, versions = _new_rows(parts, model, policy, standing, taught, at)
        while rows.num_rows >= policy.snapshot_every and len(steps) < _STEPS:
            part, rows = rows.slice(0, policy.snapshot_every), rows.slice(policy.snapshot_every)
            steps.append(learning.step(_batch(parts, standing, part, versions)))
            before, standing = standing, _standing(parts, model)
            left_at = (before.champion, steps[-1].snapshot)
            if (standing.champion, standing.snapshot) != left_at:
                break  # somebody has put another version in production meanwhile
        taught.forget((at - timedelta(days=policy.window_days)).date())
        came = _came(parts, model, standing)
        known = rows.num_rows if enough else came
        return Looked(
            model=model,
            steps=tuple(steps),
            busy=False,
            waiting=came,
            missing=0 if len(steps) == _STEPS else max(0, policy.snapshot_every - known),
        )


def _batch(parts: Parts, standing: _Standing, rows: pa.Table, versions: dict[str, int]) -> Batch:
    """Return rows as the next batch."""
    number = standing.number + 1
    newest = max(pc.max(rows[ARRIVED]).as_py(), standing.cursor)
    then = pc.sum(pc.equal(rows[ARRIVED], pa.scalar(newest, rows[ARRIVED].type))).as_py()
    return Batch(
        number=number,
        champion=standing.champion,
        snapshot=standing.snapshot,
        production=standing.production,
        version=_new_version(parts.registry, standing.champion, number),
        attempts=0,
        table_versions=versions,
        cursor=newest.isoformat(),
        at_cursor=then + (standing.at_cursor if newest == standing.cursor else 0),
        rows=rows,
    )


@contextmanager
def _holding(parts: Parts, model: str) -> Iterator[bool]:
    """Hold what only one process at a time does; a training of the model may go on beside it."""
    (parts.retraining.folder / ONLINE).mkdir(parents=True, exist_ok=True)
    with parts.retraining.holding(f"{ONLINE}/{model}") as ours:
        yield ours


def _standing(parts: Parts, model: str) -> _Standing:
    """Return where learning stands: as it was left, or at what somebody put in production since."""
    registry = parts.registry
    production = registry.get_production_model(model)
    if production is None:
        raise NotFoundError("model in production", model, "Promote a version first.")
    version = registry.get(production)
    champion = champion_of(version)
    if registry.find(model, champion.partition(":")[2]) is None:  # it was deleted
        champion = production
    last = parts.audit.entries(subject=subject_of(model), action=ONLINE, limit=1)
    told = last[0].evidence if last else {}
    number = told.get("number", 0)
    if (told.get("production"), told.get("champion")) == (production, champion):
        snapshot = told["snapshot"]
        if not usable(registry, snapshot):
            snapshot = next(iter(snapshots(registry, model, champion)), champion)
        cursor = datetime.fromisoformat(told["cursor"])
        return _Standing(champion, snapshot, production, number, cursor, told["at_cursor"])
    assert version.promoted_at is not None
    return _Standing(champion, production, production, number, version.promoted_at, 0)


def _new_version(registry: ModelRegistry, champion: str, number: int) -> str:
    """Return what a snapshot is called; what was deleted keeps its name."""
    name, _, version = champion.partition(":")
    stem = f"{version.partition(_INFIX)[0][:80]}{_INFIX}{number}"
    taken = registry.taken_versions(name)
    names = (stem if n == 1 else f"{stem}-{n}" for n in count(1))
    return next(each for each in names if each not in taken)


def _left(taught: Taught, standing: _Standing) -> Batch | None:
    """Return the batch that a process has left half done, if it is still to be done."""
    batch = taught.begun()
    if batch is None:
        return None
    if batch.number <= standing.number:  # it was done, and only that was not written down
        taught.settle(batch)
        return None
    own = f"{batch.champion.partition(':')[0]}:{batch.version}"
    if standing.production not in {batch.production, own}:
        taught.drop()  # somebody has promoted another version since
        return None
    return batch


def _came(parts: Parts, model: str, standing: _Standing) -> int:
    since = standing.cursor - timedelta(microseconds=1)
    return max(0, sum(_arrived(parts, model, since).values()) - standing.at_cursor)


def _arrived(parts: Parts, model: str, since: datetime) -> dict[date | None, int]:
    try:
        return parts.events.arrivals(model, since)
    except NotFoundError:  # nothing was ever recorded
        return {}


def _new_rows(
    parts: Parts,
    model: str,
    policy: OnlinePolicy,
    standing: _Standing,
    taught: Taught,
    at: datetime,
) -> tuple[pa.Table, dict[str, int]]:
    """Return the rows that have not taught yet, the first that arrived first, as many as we take.

    What arrived some minutes before the last row is looked at again: where several processes write,
    an outcome can be seen later than others that arrived after it.
    """
    since = standing.cursor - _SLOW
    oldest = at - timedelta(days=policy.window_days)
    window = Window(oldest, at + timedelta(microseconds=1))
    days = _arrived(parts, model, since)
    signature = parts.registry.get(standing.champion).signature
    features = None if signature is None else [FEATURE + name for name in signature.names]
    columns = None if features is None else [*_ROWS, *features]
    read = (
        parts.events.days(model, window, columns=columns)
        if None in days
        else (
            parts.events.read(model, each, columns=columns)
            for day in sorted(day for day in days if day is not None)
            for each in _of_day(day, window)
        )
    )
    most = _STEPS * policy.snapshot_every
    found: list[pa.Table] = []
    versions: dict[str, int] = {}
    for part in read:
        versions |= part.versions
        came = part.rows[ARRIVED].cast(pa.timestamp("us", "UTC"))
        own = pc.and_(part.rows["actual"].is_valid(), pc.greater(came, _moment(since)))
        rows = taught.new(part.rows.filter(pc.and_(own, pc.less_equal(came, _moment(at)))))
        if rows.num_rows:
            found = [_first([*found, _plain(rows, features)], most)]
    return (found[0] if found else _nothing()), versions


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
    names = features or [each for each in rows.column_names if each.startswith(FEATURE)]
    own = {name: rows[name] for name in (*_ROWS, *names) if name in rows.column_names}
    for name in names:
        own.setdefault(name, pa.chunked_array([pa.nulls(rows.num_rows, pa.float64())]))
    words = {name: pa.types.is_dictionary(column.type) for name, column in own.items()}
    return pa.table(
        {name: col.cast(pa.string()) if words[name] else col for name, col in own.items()}
    )


def _moment(at: datetime) -> pa.Scalar:
    return pa.scalar(at, pa.timestamp("us", "UTC"))
