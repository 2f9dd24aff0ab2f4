"""From recorded predictions to what a rollout is decided by."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watchkeeper.clock import as_utc
from watchkeeper.events import UNIT_HASH
from watchkeeper.experiments.cells import places_of
from watchkeeper.rollouts.analysis import Counts
from watchkeeper.rollouts.plan import Limit, Plan
from watchkeeper.rollouts.rollout import LABEL, AnswerShift, Rollout, Seen
from watchkeeper.rollouts.traffic_split import CANARY
from watchkeeper.stats.ks import distance_of_sorted

__all__ = ["ANSWER", "COLUMNS", "SEGMENT", "WRONG", "seen_of"]

COLUMNS = (UNIT_HASH, "experiment", "variant", "timestamp", "status", "latency_ms")
"""What is read of each prediction."""

WRONG, ANSWER, SEGMENT = "wrong", "answer", "segment."
"""Further columns where a plan asks for them: 1 where an answer was wrong, 0 where it was right and
NaN where that is not known; an answer as a number; the values of the segment of that name."""

_Floats = npt.NDArray[np.float64]
_GAP = 0.1  # of a window without any request is time in which there was no traffic
_PRODUCTION = "production"


def seen_of(rollout: Rollout, rows: Iterable[pa.Table], now: datetime) -> Seen:
    """Return what was counted of a rollout, by its own label: whatever the clocks said.

    Parameters
    ----------
    rollout : Rollout
        It was started.
    rows : iterable of pyarrow.Table
        Predictions of its model since then, with `COLUMNS` and what its plan asks for beside
        them; those of others are left out.
    now : datetime
        The present window ends here.

    Returns
    -------
    Seen
        A stretch without requests is time without traffic if it is longer than a tenth of the
        window.
    """
    steps = rollout.step + 1
    counts = [Counts(0, {limit.name: 0 for limit in rollout.plan.limits})] * (2 * steps)
    times: list[npt.NDArray[np.int64]] = []
    units: list[pa.Table] = []
    answers: tuple[list[_Floats], list[_Floats]] = ([], [])
    for table in rows:
        labelled = _Labelled.of(table, rollout.name, steps, now)
        day = labelled.counts(rollout.plan, steps)
        counts = [before + more for before, more in zip(counts, day, strict=True)]
        times.append(labelled.time)
        units.append(labelled.units())
        for side in (False, True):
            answers[side].append(labelled.answers(steps - 1, side))
    return Seen(
        steps=tuple(counts[1::2]),
        covered=_covered(rollout, np.concatenate([*times, np.empty(0, np.int64)]), now),
        production=tuple(counts[::2]),
        units=_first_seen(units, steps),
        answers=_apart(*(np.sort(np.concatenate([*side, np.empty(0)])) for side in answers)),
    )


@dataclass(frozen=True, slots=True)
class _Labelled:
    """The predictions of a rollout among others."""

    step: npt.NDArray[np.signedinteger[Any]]
    canary: npt.NDArray[np.bool_]
    time: npt.NDArray[np.int64]
    failed: npt.NDArray[np.bool_]
    latency: npt.NDArray[np.float64]
    unit: pa.ChunkedArray
    rows: pa.Table
    now: int

    @classmethod
    def of(cls, table: pa.Table, name: str, steps: int, now: datetime) -> "_Labelled":
        labels = [f"{LABEL}{name}/{step + 1}" for step in range(steps)]
        step = places_of(table["experiment"], labels)
        variant = places_of(table["variant"], [_PRODUCTION, CANARY])
        kept = np.flatnonzero((step >= 0) & (variant >= 0))
        rows = table.take(pa.array(kept)) if len(kept) != table.num_rows else table
        times = rows["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        return cls(
            step[kept],
            variant[kept] == 1,
            times.to_numpy(),
            places_of(rows["status"], ["error"]) == 0,
            rows["latency_ms"].cast(pa.float64()).to_numpy(),
            rows[UNIT_HASH],
            rows,
            _micros(now),
        )

    def counts(self, plan: Plan, steps: int) -> list[Counts]:
        """Return what was counted of each step, of production and then of the canary."""
        side_of_row = _places(self.step, self.canary)
        requests = np.bincount(side_of_row, minlength=2 * steps).tolist()
        bad: dict[str, list[int]] = {}
        of: dict[str, list[int]] = {}
        for limit in plan.limits:
            taken = self._counted(limit)
            wrong = side_of_row[taken & self._bad(limit)]
            bad[limit.name] = np.bincount(wrong, minlength=2 * steps).tolist()
            if not limit.awaited:
                of[limit.name] = np.bincount(side_of_row[taken], minlength=2 * steps).tolist()
        return [
            Counts(
                count,
                {name: counts[at] for name, counts in bad.items()},
                {name: counts[at] for name, counts in of.items()},
            )
            for at, count in enumerate(requests)
        ]

    def answers(self, step: int, canary: bool) -> _Floats:
        """Return the answers of one version in a step that are numbers."""
        if ANSWER not in self.rows.column_names:
            return np.empty(0)
        values = self.rows[ANSWER].to_numpy()[(self.step == step) & (self.canary == canary)]
        numbers: _Floats = values[~np.isnan(values)]
        return numbers

    def units(self) -> pa.Table:
        """Return the units, with the step and the version that they met first."""
        table = pa.table(
            {"unit": self.unit, "time": self.time, "step": self.step, "canary": self.canary}
        )
        return _firsts(table)

    def _counted(self, limit: Limit) -> npt.NDArray[np.bool_]:
        """Return which requests a limit is of."""
        counted = np.ones(len(self.step), dtype=bool)
        if limit.segment is not None:
            name, value = limit.segment
            if SEGMENT + name not in self.rows.column_names:
                return ~counted  # nothing of this day has it
            counted &= places_of(self.rows[SEGMENT + name], [value]) == 0
        if limit.wrong:
            counted &= ~np.isnan(self.rows[WRONG].to_numpy())
            counted &= self.time <= self.now - round(limit.label_delay * 1e6)
        return counted

    def _bad(self, limit: Limit) -> npt.NDArray[np.bool_]:
        """Return which requests are bad: what is neither wrong nor slow by a limit is an error.

        An error is whatever is not recorded as a success: what raised, timed out or was no answer.
        """
        if limit.wrong:
            wrong: npt.NDArray[np.bool_] = self.rows[WRONG].to_numpy() > 0
            return wrong
        if limit.slower_than_ms is None:
            return self.failed
        return self.latency > limit.slower_than_ms


def _places(
    step: npt.NDArray[np.signedinteger[Any]], canary: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return which side of which step each is of: production's, then the canary's."""
    places: npt.NDArray[np.int64] = 2 * step.astype(np.int64) + canary
    return places


def _firsts(units: pa.Table) -> pa.Table:
    """Return the first row of each unit."""
    ordered = units.sort_by("time")
    grouped = ordered.group_by("unit", use_threads=False)
    firsts = grouped.aggregate([("time", "first"), ("step", "first"), ("canary", "first")])
    return firsts.rename_columns([name.removesuffix("_first") for name in firsts.column_names])


def _first_seen(parts: list[pa.Table], steps: int) -> tuple[tuple[int, int], ...]:
    if not parts:
        return tuple((0, 0) for _ in range(steps))
    firsts = _firsts(pa.concat_tables(parts))
    side_of_unit = _places(firsts["step"].to_numpy(), firsts["canary"].to_numpy())
    counts = np.bincount(side_of_unit, minlength=2 * steps).tolist()
    return tuple((counts[2 * step + 1], counts[2 * step]) for step in range(steps))


def _covered(rollout: Rollout, times: npt.NDArray[np.int64], now: datetime) -> float:
    """Return the seconds of the present window in which there was traffic."""
    if rollout.window_started_at is None:
        return 0.0
    begin, end = _micros(rollout.window_started_at), _micros(now)
    inside = np.sort(times[(times >= begin) & (times <= end)])
    if end <= begin or not len(inside):
        return 0.0
    gaps = np.diff(np.concatenate([[begin], inside, [end]]))
    longest = _GAP * rollout.plan.window * 1e6
    return float(np.sum(gaps[gaps <= longest]) / 1e6)


def _apart(production: _Floats, canary: _Floats) -> AnswerShift | None:
    """Return how far sorted answers lie apart."""
    if not (len(production) and len(canary)):
        return None
    return AnswerShift(distance_of_sorted(production, canary), len(canary), len(production))


def _micros(at: datetime) -> int:
    return round(as_utc(at).timestamp() * 1e6)
