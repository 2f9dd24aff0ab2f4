"""Natural stretches of time, in UTC: hours, days, weeks from Monday, months, years."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

__all__ = ["EPOCH", "HOUR", "WHOLE", "Unit", "hour_before", "unit_for"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHOLE = "whole"
"""The name of a window that is not cut."""

Hours = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Unit:
    """One kind of stretch.

    Attributes
    ----------
    name : str
    bucket_of : callable
        The number of the stretch that an hour since 1970 is in; they are numbered without gaps.
    start : callable
        The first hour of a stretch.
    """

    name: str
    bucket_of: Callable[[Hours], Hours]
    start: Callable[[Hours], Hours]


def unit_for(first: int, last: int, points: int) -> Unit:
    """Return the shortest kind of which at most `points` hold all hours from `first` to `last`.

    Parameters
    ----------
    first, last : int
        Hours since 1970.
    points : int

    Returns
    -------
    Unit
    """
    if points > 1:
        for unit in _UNITS:
            begin, end = unit.bucket_of(np.array([first, last], dtype=np.int64))
            if end - begin < points:
                return unit
    return Unit(WHOLE, np.zeros_like, lambda places: np.full_like(places, first))


def hour_before(at: datetime) -> int:
    """Return the hour that a time is in, since 1970.

    Parameters
    ----------
    at : datetime
        In UTC.

    Returns
    -------
    int
    """
    return (at - EPOCH) // HOUR


def _hours(name: str, count: int) -> Unit:
    return Unit(name, lambda hours: hours // count, lambda places: places * count)


def _months(name: str, count: int) -> Unit:
    def bucket_of(hours: Hours) -> Hours:
        days = (hours // 24).astype("datetime64[D]")
        return days.astype("datetime64[M]").astype(np.int64) // count

    def start(places: Hours) -> Hours:
        months = (places * count).astype("datetime64[M]")
        return months.astype("datetime64[D]").astype(np.int64) * 24

    return Unit(name, bucket_of, start)


_TO_MONDAY = 3  # days from a Monday to the first of January 1970
_WEEK = Unit(
    "week",
    lambda hours: (hours // 24 + _TO_MONDAY) // 7,
    lambda places: (places * 7 - _TO_MONDAY) * 24,
)
_UNITS = (
    _hours("hour", 1),
    _hours("3 hours", 3),
    _hours("6 hours", 6),
    _hours("12 hours", 12),
    _hours("day", 24),
    _WEEK,
    _months("month", 1),
    _months("quarter", 3),
    _months("year", 12),
    _months("5 years", 60),
    _months("25 years", 300),
    _months("100 years", 1_200),
    _months("1000 years", 12_000),
)
