"""Long lists, a page at a time.

>>> leaf_of({"page": "2"}, 120, 50)
Leaf(number=2, last=3, count=120, first=51, until=100)
>>> leaf_of({"page": "many"}, 0, 50)
Leaf(number=1, last=1, count=0, first=0, until=0)
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Leaf", "leaf_of"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page of a long list.

    Attributes
    ----------
    number, last : int
        Of this page and of the last one, from 1.
    count : int
        Things in the whole list.
    first, until : int
        Which of them it shows, from 1; 0 of an empty list.
    """

    number: int
    last: int
    count: int
    first: int
    until: int

    @property
    def offset(self) -> int:
        """How many things stand before this page."""
        return max(0, self.first - 1)


def leaf_of(query: Mapping[str, str], count: int, size: int) -> Leaf:
    """Return the page that a query asks for with ``page``, or the nearest that there is.

    Parameters
    ----------
    query : mapping of str to str
    count : int
        How many rows there are.
    size : int
        Rows of a page.

    Returns
    -------
    Leaf
    """
    last = max(1, -(-count // size))
    requested = query.get("page", "")
    number = (
        min(max(1, int(requested)), last) if requested.isdecimal() and len(requested) < 9 else 1
    )
    return Leaf(
        number=number,
        last=last,
        count=count,
        first=min(count, (number - 1) * size + 1),
        until=min(count, number * size),
    )
