"""From exposures to count cells: all that the analysis of an experiment ever sees.

A cell holds the sums of one metric over the units of one arm that were first exposed in one phase
and one stretch of time. Cells add up, so that a million exposures are a table of a few rows, and
every statistic is a pure function of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments.metrics import Metric
from watchkeeper.results import Result

__all__ = ["Cell", "Exposed", "Observations", "Sums", "observe"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
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
        return sum(each.units for each in self.exposed)


def observe(
    exposures: pa.Table,
    metrics: Sequence[Metric],
    arms: Sequence[str],
    *,
    at: datetime,
    width: timedelta = timedelta(hours=1),
) -> Observations:
    """Return the count cells of an experiment.

    A unit counts for the arm and the phase that it met first, with its predictions by that arm
    until the metric's maturity. What came later does not count.

    Parameters
    ----------
    exposures : pyarrow.Table
        One row a prediction: ``unit`` (text or whole number), ``arm`` (text), ``phase`` (whole
        number), ``timestamp``, and one column of numbers a metric, by its name; null where the outcome is not known.
        ``NAME.at`` beside it, where there is one, says when it became known.
    metrics : sequence of Metric
    arms : sequence of str
        All arms; rows of others are not read.
    at : datetime
    width : timedelta
        Of the stretches of time.

    Raises
    ------
    InvalidValueError
        If the width is not positive.
    """
    if width <= timedelta(0):
        raise InvalidValueError("width", str(width), "longer than 0")
    now, step = (at - _EPOCH) // _MICROSECOND, width // _MICROSECOND
    rows = _rows(exposures, arms, now)
    units = _Units.of(rows)
    unknown: dict[str, dict[str, float]] = {}
    cells: list[Cell] = []
    for metric in metrics:
        known, shares = _sums_of_units(metric, exposures, rows, units, arms)
        unknown[metric.name] = shares
        mature = units.single & (units.first + round(metric.maturity * 1e6) <= now)
        cells += _cells(metric.name, known, units, mature, arms, step)
    return Observations(
        at=at,
        exposed=_exposed(units, arms, step),
        cells=tuple(cells),
        multi_exposed=int(np.sum(~units.single)),
        unknown=unknown,
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """Exposures in the order of time, as numbers."""

    source: Integers | slice  # rows of the table
    unit: Integers  # numbered in the order in which they come
    arm: Integers
    phase: Integers
    time: Integers


@dataclass(frozen=True, slots=True)
class _Units:
    """What each unit met first, and of each row how long after that it was, if it counts."""

    first: Integers
    arm: Integers
    phase: Integers
    single: Truths
    counts: Truths  # of rows: by the arm that the unit met first, in that phase or a later one
    after: Integers  # of rows: microseconds since the unit was first exposed

    @classmethod
    def of(cls, rows: _Rows) -> "_Units":
        highest = np.maximum.accumulate(rows.unit)
        firsts = np.flatnonzero(np.diff(highest, prepend=-1))
        arm, phase = rows.arm[firsts], rows.phase[firsts]
        counts = rows.arm == arm[rows.unit]
        strayed = ~counts
        if np.any(phase != phase[:1]) or np.any(rows.phase != phase[:1]):
            of_first = phase[rows.unit]
            strayed &= rows.phase == of_first
            counts &= rows.phase >= of_first
        single = np.ones(len(firsts), dtype=bool)
        single[rows.unit[strayed]] = False
        first = rows.time[firsts]
        return cls(first, arm, phase, single, counts, rows.time - first[rows.unit])


def _rows(exposures: pa.Table, arms: Sequence[str], now: int) -> _Rows:
    arm = _numbered(exposures["arm"], list(arms))
    time = exposures["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    phase = exposures["phase"].to_numpy()
    inside = (arm >= 0) & (time <= now)
    ordered = not np.any(time[1:] < time[:-1])
    if ordered and inside.all():  # as it comes from the event store
        return _Rows(slice(None), _in_order(exposures["unit"]), arm, phase, time)
    kept = np.flatnonzero(inside)
    if not ordered:
        kept = kept[np.argsort(time[kept], kind="stable")]
    column = exposures["unit"].take(pa.array(kept))
    return _Rows(kept, _in_order(column), arm[kept], phase[kept], time[kept])


def _in_order(column: pa.ChunkedArray) -> Integers:
    """Return the values as numbers, in the order in which they come first."""
    plain = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    coded = pc.dictionary_encode(column.cast(plain).combine_chunks())
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    found: Integers = coded.indices.to_numpy().astype(np.int64)  # as NumPy wants places
    return found


def _numbered(column: pa.ChunkedArray, known: list[str]) -> Integers:
    """Return the place of each value among `known`; -1 for others."""
    arms = pa.array(known, pa.string())
    if pa.types.is_dictionary(column.type):
        coded = column.unify_dictionaries().combine_chunks()
        found = pc.index_in(coded.dictionary, value_set=arms).take(coded.indices)
    else:
        found = pc.index_in(column, value_set=arms)
    places: Integers = pc.fill_null(found, -1).cast(pa.int16()).to_numpy()
    return places


def _sums_of_units(
    metric: Metric, exposures: pa.Table, rows: _Rows, units: _Units, arms: Sequence[str]
) -> tuple[tuple[Floats, Floats], dict[str, float]]:
    """Return y and d of each unit, and by arm the share of predictions that do not count yet."""
    count = len(units.first)
    values = exposures[metric.name].cast(pa.float64()).to_numpy()[rows.source]
    maturity = round(metric.maturity * 1e6)
    watched = units.counts & (units.after <= maturity)
    known = watched & ~np.isnan(values)
    told = f"{metric.name}.at"
    if told in exposures.column_names:
        when = exposures[told].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        late = pc.fill_null(when, 0).to_numpy()[rows.source] - rows.time
        known &= units.after + late <= maturity
    shares = _unknown(rows.arm, watched, known, arms)
    values = np.where(known, values, 0.0)
    if metric.above is not None:
        values = (values > metric.above).astype(np.float64) * known
    if metric.kind == "ratio" and metric.cap is not None:
        values = np.minimum(values, metric.cap)
    total: Floats = _total(rows.unit, count, values)
    has: Floats = _total(rows.unit, count, known)
    if metric.kind == "ratio":
        return (total, has), shares
    # Silence about a posted value is a value: nobody bought anything.
    has = np.minimum(has, 1.0) if metric.needs_outcome else np.ones(count)
    if metric.kind == "proportion":
        total = (total > 0).astype(np.float64)
    elif metric.cap is not None:
        total = np.minimum(total, metric.cap)
    return (total, has), shares


def _total(unit: Integers, count: int, values: Floats) -> Floats:
    return np.bincount(unit, weights=values, minlength=count).astype(np.float64)


def _unknown(
    arm: Integers,
    watched: Truths,
    known: Truths,
    arms: Sequence[str],
) -> dict[str, float]:
    found = {}
    for at, name in enumerate(arms):
        own = arm == at
        of_all = np.count_nonzero(own & watched)
        found[name] = float(1.0 - np.count_nonzero(own & known) / of_all) if of_all else 0.0
    return found


def _cells(
    name: str,
    sums: tuple[Floats, Floats],
    units: _Units,
    mature: Truths,
    arms: Sequence[str],
    step: int,
) -> Iterable[Cell]:
    y, d = sums
    kept = np.flatnonzero(mature & (d > 0))
    y, d = y[kept], d[kept]
    keys, place = _keys(units, kept, step)
    products = (np.ones(len(kept)), y, y * y, d, d * d, y * d)
    added = [np.bincount(place, weights=each, minlength=len(keys)) for each in products]
    for at, (start, phase, arm) in enumerate(keys):
        n, *rest = (float(column[at]) for column in added)
        yield Cell(name, arms[arm], phase, _moment(start), Sums(int(n), *rest))


def _exposed(units: _Units, arms: Sequence[str], step: int) -> tuple[Exposed, ...]:
    kept = np.flatnonzero(units.single)
    keys, place = _keys(units, kept, step)
    counts = np.bincount(place, minlength=len(keys))
    return tuple(
        Exposed(arms[arm], phase, _moment(start), int(counts[at]))
        for at, (start, phase, arm) in enumerate(keys)
    )


def _keys(
    units: _Units, kept: Integers, step: int
) -> tuple[list[tuple[int, int, int]], npt.NDArray[np.intp]]:
    """Return the (start, phase, arm) there are, in order, and which of them each unit is of."""
    stretch = units.first[kept] // step
    arm, phase = units.arm[kept], units.phase[kept]
    arms = int(units.arm.max(initial=0)) + 1
    phases = int(units.phase.max(initial=0)) + 1
    code = (stretch * phases + phase) * arms + arm
    coded = pa.array(code).dictionary_encode()  # quicker than to sort all of them
    found, ranks = np.unique(coded.dictionary.to_numpy(), return_inverse=True)
    place = ranks[coded.indices.to_numpy()]
    keys = [
        (int(each) // arms // phases * step, int(each) // arms % phases, int(each) % arms)
        for each in found
    ]
    return keys, place


def _moment(microseconds: Any) -> datetime:
    return _EPOCH + int(microseconds) * _MICROSECOND
