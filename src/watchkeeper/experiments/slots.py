"""Slots: who owns which part of the range of a hash, and how little changes when weights do.

The range of a hash is cut into 10,000 slots of 0.01 %. An arm owns as many as its weight says, as
spans ``(start, end)`` whose end is not in them.

From the weights alone three arms or more cannot be placed so that an arm keeps its units
*whenever* its weight does not fall: what an arm owns would depend on its own weight only, and
three sets of one half each would have to be disjoint in pairs. So an allocation remembers
what its arms own, and the next one is made from it (`moved`): an arm whose weight does not fall
keeps every slot, an arm whose weight falls gives up just the difference.

>>> first = laid_out([9_000, 500, 500])
>>> first
(((500, 9500),), ((9500, 10000),), ((0, 500),))
>>> moved(first, [8_000, 1_500, 500])
(((500, 8500),), ((8500, 10000),), ((0, 500),))
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["SLOTS", "Owned", "Span", "free", "laid_out", "moved", "sizes", "spans_of"]

SLOTS = 10_000
"""How many slots there are: a basis point is one."""

Span = tuple[int, int]
Owned = tuple[tuple[Span, ...], ...]
"""The spans of each arm, in the order of the arms."""

_NOBODY = -1


def laid_out(weights: Sequence[int]) -> Owned:
    """Return what each arm owns in a first allocation.

    The first arm lies inside; the others lie outside of it, alternating between the right end and
    the left end. So, of two allocations that are both laid out from weights alone: an arm keeps its
    units when only its own weight rises (the part without an arm does not either); the second and
    the third arm keep theirs whenever their own weight does not fall, and so does the first where
    there are only two.

    Parameters
    ----------
    weights : sequence of int
        In basis points; their sum is at most 10,000.

    Returns
    -------
    tuple of tuple of Span
        Spans of slots by arm, in the order of the weights.
    """
    owned: list[tuple[Span, ...]] = [()] * len(weights)
    low, right = 0, SLOTS
    for position, arm in enumerate([*range(1, len(weights)), 0]):
        weight = weights[arm]
        if not weight:
            continue
        if position % 2 == 0:
            owned[arm] = ((right - weight, right),)
            right -= weight
        else:
            owned[arm] = ((low, low + weight),)
            low += weight
    return tuple(owned)


def moved(owned: Owned, weights: Sequence[int]) -> Owned:
    """Return what each arm owns once the weights are `weights`.

    An arm whose weight does not fall keeps every slot it has. The slots that change hands are as
    few as can be: the sum of what the falling arms lose, or of what the rising arms gain.

    Parameters
    ----------
    owned : Owned
        Spans of slots by arm.
    weights : sequence of int
        In basis points, by arm; their sum is at most 10,000.

    Returns
    -------
    tuple of tuple of Span
    """
    owner = _owners(owned)
    for arm, weight in enumerate(weights):
        slots = np.flatnonzero(owner == arm)
        owner[slots[weight:]] = _NOBODY
    for arm, weight in enumerate(weights):
        lacking = weight - int(np.count_nonzero(owner == arm))
        owner[np.flatnonzero(owner == _NOBODY)[:lacking]] = arm
    return tuple(spans_of(np.flatnonzero(owner == arm)) for arm in range(len(weights)))


def free(owned: Owned) -> tuple[Span, ...]:
    """Return the spans that no arm owns.

    Parameters
    ----------
    owned : Owned
        Spans of slots by arm.

    Returns
    -------
    tuple of Span
    """
    return spans_of(np.flatnonzero(_owners(owned) == _NOBODY))


def sizes(owned: Owned) -> list[int]:
    """Return how many slots each arm owns alone.

    Parameters
    ----------
    owned : Owned
        Spans of slots by arm.

    Returns
    -------
    list of int
    """
    owner = _owners(owned)
    return [int(np.count_nonzero(owner == arm)) for arm in range(len(owned))]


def spans_of(slots: Iterable[int]) -> tuple[Span, ...]:
    """Return ascending slots as spans.

    Parameters
    ----------
    slots : iterable of int

    Returns
    -------
    tuple of Span
    """
    spans: list[Span] = []
    for slot in map(int, slots):
        if spans and spans[-1][1] == slot:
            spans[-1] = (spans[-1][0], slot + 1)
        else:
            spans.append((slot, slot + 1))
    return tuple(spans)


def _owners(owned: Owned) -> npt.NDArray[np.int64]:
    owner = np.full(SLOTS, _NOBODY)
    for arm, spans in enumerate(owned):
        for start, end in spans:
            owner[start:end] = arm
    return owner
