"""A sample that is asked how many of its values lie up to a point, and sorts no more than it must.

Sorting a million values takes most of the time of a test. To know how many lie up to a few thousand
points it is enough to count them in a fine grid, and to sort those that share a cell with a point.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

__all__ = ["Counts", "Floats", "Sample"]

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_SMALL = 50_000  # values up to which sorting is quicker
_CELLS = 1 << 17
_PART = 1 << 17  # values that are worked on at once
_APART = 0.8  # share of the points that a grid of cells of one width has to tell apart
_MANY = 0.5  # share of the values that it is worth to look at twice, rather than to sort
_KEPT = 13  # bits of a float that tell no cell apart


class Sample:
    """Values in any order.

    Parameters
    ----------
    values : numpy.ndarray of float, shape (n,)
        Without NaN.
    """

    at_hand = True
    """Whether the values are in memory."""

    def __init__(self, values: Floats) -> None:
        self._given = values
        self._grid: _Grid | None = None

    def __len__(self) -> int:
        return len(self._given)

    @classmethod
    def of_sorted(cls, values: Floats) -> "Sample":
        """Return the sample of values that are sorted already.

        Parameters
        ----------
        values : numpy.ndarray of float

        Returns
        -------
        Sample
        """
        sample = cls(values)
        vars(sample)["values"] = values
        return sample

    @cached_property
    def values(self) -> Floats:
        """The values, sorted."""
        return np.sort(self._given)

    def counts(self) -> tuple[Floats, Counts]:
        """Return the different values, rising, and how often each occurs.

        Returns
        -------
        tuple of (numpy.ndarray of float, Counts)
        """
        values, counts = np.unique(self.values, return_counts=True)
        return values, counts

    def ranks(self, points: Floats) -> tuple[Counts, Counts]:
        """Return how many values lie below each point, and up to and with it.

        Parameters
        ----------
        points : numpy.ndarray of float, shape (k,)
            Rising. The first ones that are asked for are best spread as the values are: the grid is
            laid by them.

        Returns
        -------
        tuple of (Counts, Counts)
        """
        if "values" in vars(self) or len(self) <= _SMALL:
            values = self.values
            return (
                np.searchsorted(values, points, side="left"),
                np.searchsorted(values, points, side="right"),
            )
        return self._laid(points).ranks(points)

    def covering(self, low: Floats, high: Floats) -> Floats:
        """Return values, sorted, among them all that lie between a `low` and its `high`.

        Parameters
        ----------
        low, high : numpy.ndarray of float, shape (k,)
            Ends of stretches that do not overlap; points of which `ranks` has been asked.

        Returns
        -------
        numpy.ndarray of float
        """
        return self.values if self._grid is None else self._grid.covering(low, high)

    def _laid(self, points: Floats) -> "_Grid":
        if self._grid is None:
            self._grid = _Grid.linear(self._given, points) or _Grid.floating(
                self._given, float(points[len(points) // 2])
            )
        return self._grid


@dataclass(frozen=True)
class _Grid:
    """Values in cells, which rise as the values do.

    Attributes
    ----------
    values : numpy.ndarray of float, shape (n,)
    cells : numpy.ndarray of int, shape (n,)
        Cell of each value.
    number : int
        How many cells there are.
    start, scale : float
        Of a linear grid; of one by the bits of a float, its centre, and 0.
    """

    values: Floats
    cells: npt.NDArray[np.int32]
    number: int
    start: float
    scale: float

    @classmethod
    def linear(cls, values: Floats, points: Floats) -> "_Grid | None":
        """Return cells of one width; None where these do not tell the points apart.

        What lies beyond all but the outermost points goes into the cells at the ends, lest one
        outlier make all cells wide.
        """
        inner = points[1:-1]
        if len(inner) < 2 or not np.isfinite(inner[-1] - inner[0]) or inner[-1] <= inner[0]:
            return None
        start, scale = float(inner[0]), _CELLS / float(inner[-1] - inner[0])
        if not np.isfinite(scale):
            return None
        if len(np.unique(_linear(points, start, scale))) < _APART * len(points):
            return None
        cells = _in_parts(values, partial(_linear, start=start, scale=scale))
        return cls(values, cells, _CELLS, start, scale)

    @classmethod
    def floating(cls, values: Floats, centre: float) -> "_Grid":
        """Return cells that are narrow at a centre and wider and wider away from it."""
        centre = centre if np.isfinite(centre) else 0.0
        cells = _in_parts(values, partial(_floating, centre=centre))
        return cls(values, cells, 1 << (32 - _KEPT), centre, 0.0)

    @cached_property
    def counts(self) -> Counts:
        """How many values each cell has."""
        counts = np.zeros(self.number, dtype=np.int64)
        for part in _parts(len(self.cells)):
            counts += np.bincount(self.cells[part], minlength=self.number)
        return counts

    @cached_property
    def below(self) -> Counts:
        """How many values lie in the cells before each."""
        upto: Counts = np.cumsum(self.counts)
        return upto - self.counts

    def of(self, points: Floats) -> npt.NDArray[np.int32]:
        """Return the cells of some points."""
        if self.scale:
            return _linear(points, self.start, self.scale)
        return _floating(points, self.start)

    def ranks(self, points: Floats) -> tuple[Counts, Counts]:
        """Return how many values lie below each point, and up to and with it."""
        positions = self.of(points)
        looked_at = np.zeros(self.number, dtype=bool)
        looked_at[positions] = True
        shared = int(self.counts[looked_at].sum())
        if shared > _MANY * len(self.values):  # spikes: cells of one value each
            one, mixed = self._contents
            looked_at &= mixed
        inside = np.sort(self.values[np.flatnonzero(looked_at[self.cells])])
        held = np.where(looked_at, self.counts, 0)
        before: Counts = np.cumsum(held) - held  # of those inside, in the cells before
        skipped = (self.below - before)[positions]
        below = skipped + np.searchsorted(inside, points, side="left")
        right = skipped + np.searchsorted(inside, points, side="right")
        if not looked_at[positions].all():
            alone = ~looked_at[positions]
            cells = positions[alone]
            value, count = one[cells], self.counts[cells]
            below[alone] = self.below[cells] + np.where(value < points[alone], count, 0)
            right[alone] = self.below[cells] + np.where(value <= points[alone], count, 0)
        return below, right

    def covering(self, low: Floats, high: Floats) -> Floats:
        """Return, sorted, the values of all cells from those of `low` to those of `high`."""
        opened = np.bincount(self.of(low), minlength=self.number + 1)
        opened[1:] -= np.bincount(self.of(high), minlength=self.number)
        looked_at = np.cumsum(opened)[:-1] > 0
        return np.sort(self.values[np.flatnonzero(looked_at[self.cells])])

    @cached_property
    def _contents(self) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """One value of each cell, and whether it has others."""
        one = np.zeros(self.number)
        one[self.cells] = self.values
        mixed = np.zeros(self.number, dtype=bool)
        for part in _parts(len(self.cells)):
            cells = self.cells[part]
            mixed[cells[self.values[part] != one[cells]]] = True
        return one, mixed


def _parts(size: int) -> Iterator[slice]:
    """Return parts that stay in a processor's cache."""
    return (slice(start, start + _PART) for start in range(0, size, _PART))


def _in_parts(
    values: Floats, cells_of: Callable[[Floats], npt.NDArray[np.int32]]
) -> npt.NDArray[np.int32]:
    cells = np.empty(len(values), dtype=np.int32)
    for part in _parts(len(values)):
        cells[part] = cells_of(values[part])
    return cells


def _linear(values: Floats, start: float, scale: float) -> npt.NDArray[np.int32]:
    with np.errstate(over="ignore"):
        position = values - start
        position *= scale
    np.clip(position, 0, _CELLS - 1, out=position)
    return position.astype(np.int32)


def _floating(values: Floats, centre: float) -> npt.NDArray[np.int32]:
    """Return the leading bits of the distances to a centre, as numbers that rise with the values.

    Read as a whole number, a float's bits rise with its size: for those above zero as they are, and
    for those below once all but the sign are turned over.
    """
    with np.errstate(over="ignore", under="ignore"):
        away = (values - centre).astype(np.float32)
    away += np.float32(0.0)  # minus zero is zero
    bits = away.view(np.int32)
    bits = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    bits >>= _KEPT
    bits += 1 << (31 - _KEPT)
    return bits
