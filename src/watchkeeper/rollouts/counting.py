"""From recorded predictions to what a rollout is decided by."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.clock import as_utc
from watchkeeper.rollouts.judgement import Counts
from watchkeeper.rollouts.plan import Limit, Plan
from watchkeeper.rollouts.rollout import LABEL, Rollout, Seen
from watchkeeper.rollouts.split import CANARY

__all__ = ["COLUMNS", "seen_of"]

COLUMNS = ("unit_id", "experiment", "variant", "timestamp", "status", "latency_ms")
"""What is read of a prediction."""

_GAP = 0.1  # of a window without any request is time in which there was no traffic
_PRODUCTION = "production"


def seen_of(rollout: Rollout, rows: Iterable[pa.Table], now: datetime) -> Seen:
    """Return what was counted of a rollout, by its own label: whatever the clocks said.

    Parameters
    ----------
    rollout : Rollout
        It was started.
    rows : iterable of pyarrow.Table
        Predictions of its model since then, with `COLUMNS`; those of others are left out.
    now : datetime
        The present window ends here.

    Returns
    -------
    Seen
        A stretch without requests is time without traffic if it is longer than a tenth of the
        window.
    """
    steps = rollout.step + 1
    none = Counts(0, {limit.name: 0 for limit in rollout.plan.limits})
    own, theirs = [none] * steps, [none] * steps
    times: list[npt.NDArray[np.int64]] = []
    units: list[pa.Table] = []
    for table in rows:
        found = _Labelled.of(table, rollout.name, steps)
        for step in range(steps):
            own[step] += found.counts(step, True, rollout.plan)
            theirs[step] += found.counts(step, False, rollout.plan)
        times.append(found.time)
        units.append(found.units())
    return Seen(
        steps=tuple(own),
        covered=_covered(rollout, np.concatenate([*times, np.empty(0, np.int64)]), now),
        production=tuple(theirs),
        units=_first_seen(units, steps),
    )


@dataclass(frozen=True, slots=True)
class _Labelled:
    """The predictions of a rollout among others."""

    step: npt.NDArray[np.int64]
    canary: npt.NDArray[np.bool_]
    time: npt.NDArray[np.int64]
    failed: npt.NDArray[np.bool_]
    latency: npt.NDArray[np.float64]
    unit: pa.ChunkedArray

    @classmethod
    def of(cls, table: pa.Table, name: str, steps: int) -> "_Labelled":
        labels = [f"{LABEL}{name}/{step + 1}" for step in range(steps)]
        step = _places(table["experiment"], labels)
        variant = _places(table["variant"], [_PRODUCTION, CANARY])
        kept = np.flatnonzero((step >= 0) & (variant >= 0))
        rows = table.take(pa.array(kept)) if len(kept) != table.num_rows else table
        times = rows["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        return cls(
            step[kept],
            variant[kept] == 1,
            times.to_numpy(),
            _places(rows["status"], ["error"]) == 0,
            rows["latency_ms"].cast(pa.float64()).to_numpy(),
            rows["unit_id"].cast(pa.string()),
        )

    def counts(self, step: int, canary: bool, plan: Plan) -> Counts:
        mine = (self.step == step) & (self.canary == canary)
        bad = {limit.name: int(np.sum(mine & self._bad(limit))) for limit in plan.limits}
        return Counts(int(np.sum(mine)), bad)

    def units(self) -> pa.Table:
        """Return the units, with the step and the version that they met first."""
        found = pa.table(
            {"unit": self.unit, "time": self.time, "step": self.step, "canary": self.canary}
        )
        return _firsts(found)

    def _bad(self, limit: Limit) -> npt.NDArray[np.bool_]:
        if limit.slower_than_ms is None:
            return self.failed
        return self.latency > limit.slower_than_ms


def _places(column: pa.ChunkedArray, known: list[str]) -> npt.NDArray[np.int64]:
    """Return the place of each value among `known`; -1 for others."""
    plain = column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
    found = pc.fill_null(pc.index_in(plain, value_set=pa.array(known, pa.string())), -1)
    places: npt.NDArray[np.int64] = found.to_numpy().astype(np.int64)
    return places


def _firsts(found: pa.Table) -> pa.Table:
    """Return the first row of each unit."""
    ordered = found.sort_by("time")
    grouped = ordered.group_by("unit", use_threads=False)
    firsts = grouped.aggregate([("time", "first"), ("step", "first"), ("canary", "first")])
    return firsts.rename_columns([name.removesuffix("_first") for name in firsts.column_names])


def _first_seen(parts: list[pa.Table], steps: int) -> tuple[tuple[int, int], ...]:
    if not parts:
        return tuple((0, 0) for _ in range(steps))
    firsts = _firsts(pa.concat_tables(parts))
    place = 2 * firsts["step"].to_numpy() + firsts["canary"].to_numpy().astype(np.int64)
    counts = np.bincount(place, minlength=2 * steps).tolist()
    return tuple((counts[2 * step + 1], counts[2 * step]) for step in range(steps))


def _covered(rollout: Rollout, times: npt.NDArray[np.int64], now: datetime) -> float:
    """Return the seconds of the present window in which there was traffic."""
    if rollout.window_started_at is None:
        return 0.0
    begin, end = (round(as_utc(at).timestamp() * 1e6) for at in (rollout.window_started_at, now))
    inside = np.sort(times[(times >= begin) & (times <= end)])
    if end <= begin or not len(inside):
        return 0.0
    gaps = np.diff(np.concatenate([[begin], inside, [end]]))
    longest = _GAP * rollout.plan.window * 1e6
    return float(np.sum(gaps[gaps <= longest]) / 1e6)
