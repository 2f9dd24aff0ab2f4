"""The hash of GrowthBook's SDKs, so that a web front end and the gateway agree about a unit.

It gives 10,000 buckets, and SDKs compare them as floating-point shares with the ranges of the
variations; the same arithmetic is done here, so that a bucket at the edge of a range falls on the
side on which it falls there.

>>> bucket("seed", "a")
505
>>> ranges([5_000, 5_000], coverage=2_000)
(((0, 1000),), ((5000, 6000),))
"""

from collections.abc import Sequence

from watchkeeper.experiments.slots import SLOTS, Owned, spans_of

__all__ = ["bucket", "ranges"]

_OFFSET, _PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


def bucket(seed: str, value: str) -> int:
    """Return the bucket of a value, 0 to 9,999: GrowthBook's share times 10,000.

    Parameters
    ----------
    seed : str
        The experiment's seed; GrowthBook takes the experiment's key where none is set.
    value : str
        Of the attribute that units are hashed by.

    Returns
    -------
    int

    References
    ----------
    GrowthBook, "Build Your Own SDK", hash version 2: FNV-1a of 32 bits, twice, over UTF-16 units.
    """
    return _fnv1a(str(_fnv1a(seed + value))) % SLOTS


def ranges(weights: Sequence[int], coverage: int) -> Owned:
    """Return the buckets of each variation.

    A variation begins where its predecessors' weights end, and takes `coverage` of its own. More
    coverage never moves a unit that was in; other weights do, except for the first variation's.

    Parameters
    ----------
    weights : sequence of int
        In basis points; they sum to 10,000.
    coverage : int
        Share of the units that are in the experiment, in basis points.

    Returns
    -------
    tuple of tuple of Span
        Spans of buckets by variation.
    """
    owned = []
    start = 0.0
    for weight in weights:
        share = weight / SLOTS
        end = start + coverage / SLOTS * share
        owned.append(spans_of(n for n in range(SLOTS) if start <= n / SLOTS < end))
        start += share
    return tuple(owned)


def _fnv1a(text: str) -> int:
    value = _OFFSET
    if text.isascii():
        for unit in text.encode():
            value = ((value ^ unit) * _PRIME) & _MASK
        return value
    units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
    for unit in units:
        value = ((value ^ unit) * _PRIME) & _MASK
    return value
