"""Sketches: what is kept of a column when it has too many values to keep them all.

Each is an immutable value around the bytes of an Apache DataSketches sketch, so that it compares,
pickles and is stored as it is. The same values give the same sketch; only merging quantile sketches
tosses coins, within the bound that is stated.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from datasketches import (
    frequent_items_error_type,
    frequent_strings_sketch,
    hll_sketch,
    hll_union,
    kll_doubles_sketch,
    tgt_hll_type,
)

__all__ = ["TRACKED", "K", "LabelSketch", "QuantileSketch", "Steps"]

K = 1024
"""Size of a quantile sketch: 4 to 8 KB when new, at most 25 KB after any number of merges."""

TRACKED = 1_000
"""Labels of one part whose counts a label sketch takes in."""

_LEAST = 8  # items that a level of a KLL sketch has room for at least
_LG_LABELS = 11  # log2 of the table of a label sketch: at most 1,536 labels
_LG_DISTINCT = 12  # log2 of the registers that estimate how many labels there are: 2 KB
_HEAD = struct.Struct("<BBBBHBBQHBB")  # what a serialised KLL sketch begins with
_FULL, _SERIAL, _FAMILY, _SORTED = 5, 1, 15, 2  # its preamble, version, family and flag

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Steps:
    """A distribution function at its edges.

    Attributes
    ----------
    edges : numpy.ndarray of float, shape (n,)
        Rising.
    left, right : numpy.ndarray of float, shape (n,)
        Share of the values below each edge, and up to and with it. Between two edges it rises from
        `right` of the one to `left` of the next.
    """

    edges: Floats
    left: Floats
    right: Floats

    def at(self, points: Floats) -> tuple[Floats, Floats]:
        """Return the share below each point, and up to and with it.

        Parameters
        ----------
        points : numpy.ndarray of float

        Returns
        -------
        tuple of (numpy.ndarray of float, numpy.ndarray of float)
        """
        edges = np.repeat(self.edges, 2)  # each edge is a jump from its left share to its right one
        shares = np.empty(len(edges))
        shares[::2], shares[1::2] = self.left, self.right
        upto = np.interp(points, edges, shares, left=0.0)
        below = upto.copy()
        position = np.searchsorted(self.edges, points)  # the first edge that is not below the point
        position[position == len(self.edges)] = 0
        on = self.edges[position] == points
        below[on] = self.left[position[on]]
        return below, upto


@dataclass(frozen=True)
class QuantileSketch:
    """Where the values of a column lie: a KLL sketch.

    Attributes
    ----------
    data : bytes
        The sketch as DataSketches serialises it.
    lost : int
        Ranks by which it may have been off before any merge.
    merged : bool

    Notes
    -----
    A sketch of sorted values is written down directly: the values are cut into blocks of ``2**h``
    with the smallest ``h`` that leaves at most `K`, and the middle of each is kept. A rank is then
    off by at most half a block, which is less than ``1 / K`` of the values, for certain. This is a
    state a KLL sketch may be in, reached without its coins, faster and nearer to the truth.

    After merges, KLL's own bound comes on top: the error at all ranks together is within
    `kll_doubles_sketch.get_normalized_rank_error` (0.27 %) in 99 of 100 sketches.

    References
    ----------
    Karnin, Lang and Liberty (2016), FOCS, 71-78.
    """

    data: bytes
    lost: int = 0
    merged: bool = False

    @classmethod
    def of(cls, values: Floats, counts: npt.NDArray[np.int64] | None = None) -> "QuantileSketch":
        """Return the sketch of sorted values, each `counts` times; at least two of them.

        Parameters
        ----------
        values : numpy.ndarray of float
        counts : numpy.ndarray of int, optional

        Returns
        -------
        QuantileSketch
        """
        upto = None if counts is None else np.cumsum(counts)
        size = len(values) if upto is None else int(upto[-1])
        height = max(0, (size // (K + 1)).bit_length())
        while height and size >> (height - 1) <= K:
            height -= 1
        blocks = size >> height
        start, sizes = blocks << height, [0] * height + [blocks]
        places = [np.arange(blocks, dtype=np.int64) * (1 << height) + (1 << height) // 2]
        for level in range(height - 1, -1, -1):  # what is left over: one smaller block a level
            if size >> level & 1:
                sizes[level] = 1
                places.append(np.array([start + (1 << level) // 2]))
                start += 1 << level
        chosen = np.concatenate(places[::-1])
        items = values[chosen if upto is None else np.searchsorted(upto, chosen, side="right")]
        starts = _room(height + 1) - len(items) + np.cumsum([0, *sizes[:-1]])
        data = (
            _HEAD.pack(_FULL, _SERIAL, _FAMILY, _SORTED, K, _LEAST, 0, size, K, height + 1, 0)
            + starts.astype("<u4").tobytes()
            + np.array([values[0], values[-1]], dtype="<f8").tobytes()
            + items.astype("<f8").tobytes()
        )
        return cls(data, lost=(1 << height) // 2)

    @property
    def size(self) -> int:
        """How many values went in."""
        return int(_HEAD.unpack_from(self.data)[7])

    @cached_property
    def rank_error(self) -> float:
        """By how much the share of values up to a point may be off, as a fraction of all."""
        error = self.lost / self.size
        if self.merged and self._levels > 1:
            error += kll_doubles_sketch.get_normalized_rank_error(K, False)
        return error

    @cached_property
    def distance_error(self) -> float:
        """By how much the distance of `steps` to another distribution function may be off."""
        items, weights = self._items()
        heaviest = int(weights.max()) if len(items) else 1
        return self.rank_error + (heaviest / 2 / self.size if heaviest > 1 else 0.0)

    @cached_property
    def ranks(self) -> tuple[Floats, npt.NDArray[np.int64]]:
        """The values that were kept, rising, and how many values lie up to each."""
        items, weights = self._items()
        order = np.argsort(items, kind="stable")
        return items[order], np.cumsum(weights[order])

    @cached_property
    def steps(self) -> Steps:
        """The distribution function; a value that was kept once lies amid those it stands for."""
        items, upto = self.ranks
        if self.rank_error:  # what is known exactly, besides: the least and the greatest value
            least, most = np.frombuffer(self.data, "<f8", 2, _HEAD.size + 4 * self._levels)
            items = np.concatenate(([least], items, [most]))
            upto = np.concatenate(([0], upto, [self.size]))
        jumps = np.flatnonzero(items[1:] != items[:-1])  # the last of each run of equal items
        last = np.concatenate((jumps, [len(items) - 1]))
        right = upto[last] / self.size
        below = np.concatenate(([0.0], right[:-1]))
        if self.rank_error:
            once = np.diff(last, prepend=-1) == 1
            below[once] = right[once] = (below[once] + right[once]) / 2
        return Steps(items[last], below, right)

    def merge(self, other: "QuantileSketch") -> "QuantileSketch":
        """Return the sketch of both.

        Parameters
        ----------
        other : QuantileSketch

        Returns
        -------
        QuantileSketch
        """
        both = kll_doubles_sketch.deserialize(self.data)
        both.merge(kll_doubles_sketch.deserialize(other.data))
        return QuantileSketch(both.serialize(), self.lost + other.lost, merged=True)

    @property
    def _levels(self) -> int:
        return int(_HEAD.unpack_from(self.data)[9])

    def _items(self) -> tuple[Floats, npt.NDArray[np.int64]]:
        levels = self._levels
        starts = struct.unpack_from(f"<{levels}I", self.data, _HEAD.size)
        items = np.frombuffer(self.data, "<f8", offset=_HEAD.size + 4 * levels)[2:]
        sizes = [b - a for a, b in pairwise((*starts, starts[0] + len(items)))]
        return items, np.repeat([1 << level for level in range(levels)], sizes)


@lru_cache
def _room(levels: int) -> int:
    """Return how many items a KLL sketch of so many levels has room for."""
    return sum(max(_LEAST, ((2 * K << depth) // 3**depth + 1) >> 1) for depth in range(levels))


@dataclass(frozen=True)
class LabelSketch:
    """How often the frequent labels occur, and how many there are.

    Attributes
    ----------
    frequent : bytes
        A frequent-items sketch.
    distinct : bytes
        A HyperLogLog sketch.
    size : int
        How many values went in.
    lost : int
        How often a label may occur that was not among the `TRACKED` of any part.

    References
    ----------
    Anderson et al. (2017), IMC, 268-282; Flajolet et al. (2007), AofA, 127-146.
    """

    frequent: bytes
    distinct: bytes
    size: int
    lost: int

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> "LabelSketch":
        """Return the sketch of labels and how often each occurs.

        Parameters
        ----------
        counts : mapping of str to int

        Returns
        -------
        LabelSketch
        """
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        frequent = frequent_strings_sketch(_LG_LABELS)
        for label, count in ordered[:TRACKED]:
            frequent.update(label, count)
        distinct = hll_sketch(_LG_DISTINCT, tgt_hll_type.HLL_4)
        for label, _ in ordered:
            distinct.update(label)
        left_out = ordered[TRACKED][1] if len(ordered) > TRACKED else 0
        return cls(
            frequent.serialize(), distinct.serialize_compact(), sum(counts.values()), left_out
        )

    @cached_property
    def counts(self) -> dict[str, int]:
        """How often each frequent label occurs at least; most frequent first."""
        frequent = self._sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES, 0)
        counted = ((label, lower) for label, _, lower, _ in frequent if lower)
        return dict(sorted(counted, key=lambda item: (-item[1], item[0])))

    @cached_property
    def count_error(self) -> int:
        """How much oftener than `counts` says a label may occur; one it has not, at most this."""
        absent = "\0"  # what one label may have lost is the same for all of them
        sketch = self._sketch
        return int(self.lost + sketch.get_upper_bound(absent) - sketch.get_lower_bound(absent))

    def estimate(self) -> tuple[float, float, float]:
        """Return how many labels there are, and between which bounds in 99.7 % of sketches.

        Returns
        -------
        tuple of (float, float, float)
        """
        sketch = hll_sketch.deserialize(self.distinct)
        return sketch.get_estimate(), sketch.get_lower_bound(3), sketch.get_upper_bound(3)

    def merge(self, other: "LabelSketch") -> "LabelSketch":
        """Return the sketch of both.

        Parameters
        ----------
        other : LabelSketch

        Returns
        -------
        LabelSketch
        """
        frequent = frequent_strings_sketch.deserialize(self.frequent)
        frequent.merge(frequent_strings_sketch.deserialize(other.frequent))
        distinct = hll_union(_LG_DISTINCT)
        distinct.update(hll_sketch.deserialize(self.distinct))
        distinct.update(hll_sketch.deserialize(other.distinct))
        return LabelSketch(
            frequent.serialize(),
            distinct.get_result(tgt_hll_type.HLL_4).serialize_compact(),
            self.size + other.size,
            self.lost + other.lost,
        )

    @property
    def _sketch(self) -> frequent_strings_sketch:
        return frequent_strings_sketch.deserialize(self.frequent)
