"""From exposures to count cells: all that the analysis of an experiment ever sees.

A cell holds the sums of one metric over the units of one arm that were first exposed in one phase
and one stretch of time. Cells add up, so that a million exposures are a table of a few rows, and
every statistic is a pure function of them.
"""

import operator
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments.metrics import Metric
from watchkeeper.results import Result

__all__ = ["Cell", "Exposed", "Observations", "Sums", "observe", "places_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME = pa.timestamp("us", "UTC")
_ROWS = 1 << 18  # a block

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.signedinteger[Any]]
Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sums(Result):
    """Sums over units: of y, of the number of predictions d behind it, and of their products.

    Attributes
    ----------
    n : int
        Units.
    y, yy, d, dd, yd : float
    """

    n: int = 0
    y: float = 0.0
    yy: float = 0.0
    d: float = 0.0
    dd: float = 0.0
    yd: float = 0.0

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Cell(Result):
    """The sums of one metric in one arm, phase and stretch of time.

    Attributes
    ----------
    metric, arm : str
    phase : int
    start : datetime
        Begin of the stretch in which its units were first exposed.
    sums : Sums
    """

    metric: str
    arm: str
    phase: int
    start: datetime
    sums: Sums


@dataclass(frozen=True, slots=True)
class Exposed(Result):
    """Units that were first exposed to an arm in a phase and a stretch of time."""

    arm: str
    phase: int
    start: datetime
    units: int


@dataclass(frozen=True, slots=True)
class Observations(Result):
    """What was seen of an experiment until `at`.

    Attributes
    ----------
    at : datetime
    exposed : tuple of Exposed
        All units, whether their outcomes are known or not: by these the shares are checked.
    cells : tuple of Cell
        The units that were watched long enough, by metric.
    multi_exposed : int
        Units that met two arms in one phase; they are in no cell.
    unknown : dict of str to dict of str to float
        By metric and arm, the share of predictions whose outcome was not known in time.
    """

    at: datetime
    exposed: tuple[Exposed, ...]
    cells: tuple[Cell, ...]
    multi_exposed: int
    unknown: dict[str, dict[str, float]]

    @property
    def units(self) -> int:
        """Units that were exposed to one arm."""
        return sum(exposed.units for exposed in self.exposed)


def observe(
    exposures: pa.Table | Sequence[pa.Table],
    metrics: Sequence[Metric],
    arms: Sequence[str],
    *,
    at: datetime,
    width: timedelta = timedelta(hours=1),
) -> Observations:
    """Return the count cells of an experiment.

    A unit counts for the arm and the phase that it met first, with its predictions by that arm
    until the metric's conversion_window. What came later does not count.

    Parameters
    ----------
    exposures : pyarrow.Table, or several
        Several share no unit, and are counted at the same time, each by a thread. One row a
        prediction: ``unit`` (text or whole number), ``arm`` (text), ``phase`` (whole number),
        ``timestamp``, and one column of numbers a metric, by its name; null where the outcome is
        not known. ``NAME.at`` beside it, where there is one, says when it became known.
    metrics : sequence of Metric
    arms : sequence of str
        All arms; rows of others are not read.
    at : datetime
    width : timedelta
        Of the stretches of time.

    Returns
    -------
    Observations

    Raises
    ------
    InvalidValueError
        If the width is not positive, or there is no table.
    """
    if not isinstance(exposures, pa.Table) and not exposures:
        raise InvalidValueError("exposures", "no table", "at least one")
    if width <= timedelta(0):
        raise InvalidValueError("width", str(width), "longer than 0")
    now, step = (at - _EPOCH) // _MICROSECOND, width // _MICROSECOND
    parts = [exposures] if isinstance(exposures, pa.Table) else exposures
    with ThreadPoolExecutor(len(parts)) as pool:
        counted = pool.map(lambda rows: _counted(rows, metrics, arms, now, step), parts)
        cells = reduce(operator.add, counted)
    return Observations(
        at=at,
        exposed=tuple(
            Exposed(arms[arm], phase, _moment(start), cells.exposed[start, phase, arm])
            for start, phase, arm in sorted(cells.exposed)
        ),
        cells=tuple(
            Cell(metric.name, arms[arm], phase, _moment(start), sums[start, phase, arm])
            for metric, sums in zip(metrics, cells.sums, strict=True)
            for start, phase, arm in sorted(sums)
        ),
        multi_exposed=cells.multi_exposed,
        unknown={
            metric.name: {
                arm: float(1.0 - labelled / watched) if watched else 0.0
                for arm, labelled, watched in zip(arms, *shares, strict=True)
            }
            for metric, shares in zip(metrics, cells.shares, strict=True)
        },
    )


_Key = tuple[int, int, int]  # begin of the stretch, phase, place of the arm


@dataclass(frozen=True, slots=True)
class _UnitCounts:
    """What was counted of some of the units.

    Attributes
    ----------
    exposed : dict of _Key to int
    sums : list of dict of _Key to Sums
        Of each metric.
    multi_exposed : int
    shares : list of array of int, shape (2, n_arms)
        Of each metric, the predictions by arm that are known, and all that were watched.
    """

    exposed: dict[_Key, int]
    sums: list[dict[_Key, Sums]]
    multi_exposed: int
    shares: list[Integers]

    def __add__(self, other: Self) -> Self:
        exposed = dict(self.exposed)
        for key, units in other.exposed.items():
            exposed[key] = exposed.get(key, 0) + units
        both = [dict(sums) for sums in self.sums]
        for added, sums in zip(both, other.sums, strict=True):
            for key, term in sums.items():
                added[key] = added[key] + term if key in added else term
        shares = [one + two for one, two in zip(self.shares, other.shares, strict=True)]
        return type(self)(exposed, both, self.multi_exposed + other.multi_exposed, shares)


def _counted(
    exposures: pa.Table, metrics: Sequence[Metric], arms: Sequence[str], now: int, step: int
) -> _UnitCounts:
    """Return what the exposures of some units come to."""
    rows = _in_time(exposures, arms, now)
    unit, count = _numbered_as_they_come(rows["unit"])
    units = _Units(count)
    tallies = [_Tally(metric, count, arms) for metric in metrics]
    for block in _blocks(rows, unit, arms):
        counts, after = units.add(block)
        for tally in tallies:
            tally.add(block, counts, after)
    sums: list[dict[_Key, Sums]] = []
    for tally in tallies:
        complete = units.single & (units.first + round(tally.metric.conversion_window * 1e6) <= now)
        sums.append(_sums(tally.sums(), units, complete, step))
    return _UnitCounts(
        exposed=_exposed(units, step),
        sums=sums,
        multi_exposed=int(np.sum(~units.single)),
        shares=[tally.shares for tally in tallies],
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """So many exposures in the order of time that what is computed of them stays in the caches."""

    rows: pa.RecordBatch
    unit: Integers  # numbered in the order in which they come
    arm: Integers
    phase: Integers
    time: Integers


class _Units:
    """What each unit met first."""

    def __init__(self, count: int) -> None:
        self.first = np.zeros(count, dtype=np.int64)
        self.arm = np.zeros(count, dtype=np.int16)
        self.phase = np.zeros(count, dtype=np.int64)
        self.single = np.ones(count, dtype=bool)
        self._seen = 0

    def add(self, block: _Block) -> tuple[Truths, Integers]:
        """Return which rows count, by arm and phase, and how long after their unit's first."""
        highest = np.maximum.accumulate(np.concatenate([[self._seen - 1], block.unit]))
        new = np.flatnonzero(np.diff(highest))
        block_rows = slice(self._seen, self._seen + len(new))
        self.first[block_rows], self.arm[block_rows] = block.time[new], block.arm[new]
        self.phase[block_rows] = block.phase[new]
        self._seen += len(new)
        same, phase = block.arm == self.arm[block.unit], self.phase[block.unit]
        self.single[block.unit[~same & (block.phase == phase)]] = False
        return same & (block.phase >= phase), block.time - self.first[block.unit]


class _Tally:
    """The sums of a metric over the predictions of each unit."""

    def __init__(self, metric: Metric, count: int, arms: Sequence[str]) -> None:
        self.metric = metric
        self._arms = len(arms)
        self._total, self._has = np.zeros(count), np.zeros(count)
        self.shares = np.zeros((2, len(arms)), dtype=np.int64)  # known, watched

    def add(self, block: _Block, counts: Truths, after: Integers) -> None:
        metric, time_column = self.metric, f"{self.metric.name}.at"
        conversion_window = round(metric.conversion_window * 1e6)
        values = _of(block.rows, metric.name, pa.float64())
        watched = counts & (after <= conversion_window)
        measured = watched & ~np.isnan(values)
        if time_column in block.rows.schema.names:
            measured &= (
                after + (_of(block.rows, time_column, _TIME) - block.time) <= conversion_window
            )
        self.shares += [
            np.bincount(block.arm[mask], minlength=self._arms) for mask in (measured, watched)
        ]
        values = np.where(measured, values, 0.0)
        if metric.above is not None:
            values = (values > metric.above).astype(np.float64) * measured
        if metric.kind == "ratio" and metric.cap is not None:
            values = np.minimum(values, metric.cap)
        np.add.at(self._total, block.unit, values)
        np.add.at(self._has, block.unit, measured.astype(np.float64))

    def sums(self) -> tuple[Floats, Floats]:
        """Return y and d of each unit."""
        metric, total, has = self.metric, self._total, self._has
        if metric.kind == "ratio":
            return total, has
        # A unit without a posted value has the value 0: it bought nothing.
        has = np.minimum(has, 1.0) if metric.needs_outcome else np.ones(len(has))
        if metric.kind == "proportion":
            total = (total > 0).astype(np.float64)
        elif metric.cap is not None:
            total = np.minimum(total, metric.cap)
        return total, has


def _in_time(exposures: pa.Table, arms: Sequence[str], now: int) -> pa.Table:
    """Return the exposures to any of the arms until now, the first one first."""
    time = _numbers(exposures["timestamp"], _TIME)
    inside = (places_of(exposures["arm"], list(arms)) >= 0) & (time <= now)
    ordered = not np.any(time[1:] < time[:-1])
    if ordered and inside.all():  # as it comes from the event store
        return exposures
    rows = np.flatnonzero(inside)
    return exposures.take(pa.array(rows[np.argsort(time[rows], kind="stable")]))


def _numbered_as_they_come(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], int]:
    """Return the values as numbers, in the order in which they come first, and how many."""
    plain = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    coded = pc.dictionary_encode(column.cast(plain))
    if not coded.num_chunks:
        return np.zeros(0, dtype=np.int32), 0
    indices = np.concatenate([chunk.indices.to_numpy() for chunk in coded.chunks])
    return indices, len(coded.chunk(coded.num_chunks - 1).dictionary)


def _blocks(
    exposures: pa.Table, unit: npt.NDArray[np.int32], arms: Sequence[str]
) -> Iterator[_Block]:
    begin = 0
    for rows in exposures.to_batches(max_chunksize=_ROWS):
        end = begin + rows.num_rows
        yield _Block(
            rows=rows,
            unit=unit[begin:end].astype(np.int64),
            arm=places_of(rows["arm"], list(arms)),
            phase=_of(rows, "phase", pa.int64()),
            time=_of(rows, "timestamp", _TIME),
        )
        begin = end


def places_of(column: pa.Array | pa.ChunkedArray, known: list[str]) -> Integers:
    """Return the place of each value among `known`; -1 for others.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
    known : list of str

    Returns
    -------
    numpy.ndarray of int16, shape (n,)
    """
    arms = pa.array(known, pa.string())
    if not pa.types.is_dictionary(column.type):
        positions = pc.fill_null(pc.index_in(column, value_set=arms), -1)
        return np.asarray(positions.to_numpy(zero_copy_only=False), dtype=np.int16)
    if isinstance(column, pa.ChunkedArray):
        return np.concatenate(
            [np.zeros(0, np.int16), *(places_of(chunk, known) for chunk in column.chunks)]
        )
    positions = pc.index_in(column.dictionary, value_set=arms).cast(pa.int16()).take(column.indices)
    return np.asarray(pc.fill_null(positions, -1).to_numpy(zero_copy_only=False), dtype=np.int16)


def _of(rows: pa.RecordBatch, name: str, kind: pa.DataType) -> npt.NDArray[Any]:
    return _numbers(rows[name], kind)


def _numbers(column: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> npt.NDArray[Any]:
    """Return numbers, NaN for null, or moments in microseconds, 0 for null."""
    column = column.cast(kind)
    if kind == _TIME:
        column = pc.fill_null(column.cast(pa.int64()), 0)
    chunked = isinstance(column, pa.ChunkedArray)
    return np.asarray(column.to_numpy() if chunked else column.to_numpy(zero_copy_only=False))


def _sums(
    of_units: tuple[Floats, Floats], units: _Units, complete: Truths, step: int
) -> dict[_Key, Sums]:
    y, d = of_units
    rows = np.flatnonzero(complete & (d > 0))
    y, d = y[rows], d[rows]
    keys, key_of_row = _keys(units, rows, step)
    products = (np.ones(len(rows)), y, y * y, d, d * d, y * d)
    added = [np.bincount(key_of_row, weights=weights, minlength=len(keys)) for weights in products]
    totals = zip(*(column.tolist() for column in added), strict=True)
    return {key: Sums(int(n), *rest) for key, (n, *rest) in zip(keys, totals, strict=True)}


def _exposed(units: _Units, step: int) -> dict[_Key, int]:
    keys, key_of_row = _keys(units, np.flatnonzero(units.single), step)
    return dict(zip(keys, np.bincount(key_of_row, minlength=len(keys)).tolist(), strict=True))


def _keys(units: _Units, rows: Integers, step: int) -> tuple[list[_Key], npt.NDArray[np.intp]]:
    """Return the (start, phase, arm) there are, in order, and which of them each unit is of."""
    stretch = units.first[rows] // step
    arm, phase = units.arm[rows], units.phase[rows]
    arms = int(units.arm.max(initial=0)) + 1
    phases = int(units.phase.max(initial=0)) + 1
    code = (stretch * phases + phase) * arms + arm
    coded = pa.array(code).dictionary_encode()  # quicker than to sort all of them
    distinct, ranks = np.unique(coded.dictionary.to_numpy(), return_inverse=True)
    rank_of_row = ranks[coded.indices.to_numpy()]
    keys = [
        (int(code) // arms // phases * step, int(code) // arms % phases, int(code) % arms)
        for code in distinct
    ]
    return keys, rank_of_row


def _moment(microseconds: Any) -> datetime:
    return _EPOCH + int(microseconds) * _MICROSECOND
