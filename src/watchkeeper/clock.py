"""Time is an argument: whatever reads the time is handed a clock.

A clock is any callable that returns an aware ``datetime``. Three are enough: the system's, one
that follows the events of a replay, and (in `watchkeeper.testing`) one that a test sets.

>>> from datetime import UTC, datetime
>>> clock = ReplayClock(datetime(2013, 1, 1, tzinfo=UTC))
>>> clock.advance_to(datetime(2013, 1, 2, tzinfo=UTC))
>>> clock.advance_to(datetime(2013, 1, 1, tzinfo=UTC))  # time never runs backwards
>>> clock().isoformat()
'2013-01-02T00:00:00+00:00'
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from watchkeeper.errors import InvalidValueError

__all__ = ["Clock", "ReplayClock", "as_utc", "parse_timestamp", "system_clock"]

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Return the system's time, aware and in UTC."""
    return datetime.now(UTC)


class ReplayClock:
    """A clock that shows the newest event time it was told of.

    Parameters
    ----------
    start : datetime, optional
        Where it stands before the first event; the Unix epoch by default.
    """

    def __init__(self, start: datetime = datetime(1970, 1, 1, tzinfo=UTC)) -> None:
        self._now = as_utc(start)
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        return self._now

    def advance_to(self, at: datetime) -> None:
        """Move to `at`; an earlier time changes nothing."""
        at = as_utc(at)
        with self._lock:
            self._now = max(self._now, at)


def as_utc(at: datetime) -> datetime:
    """Return `at` in UTC; a naive time is taken as UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def parse_timestamp(value: object, field: str = "timestamp") -> datetime:
    """Return the moment that `value` names, in UTC.

    Parameters
    ----------
    value : datetime, str or float
        A ``datetime``, an ISO 8601 string (a date alone is its midnight), or seconds since the
        Unix epoch.
    field : str
        What to call the value in an error.

    Raises
    ------
    InvalidValueError
        If it is none of these, or outside the years 1970 to 2261 that nanoseconds can hold.
    """
    expected = "an ISO 8601 time such as 2013-01-31T12:00:00Z, or seconds since 1970"
    try:
        if isinstance(value, datetime):
            at = as_utc(value)
        elif isinstance(value, str):
            at = as_utc(datetime.fromisoformat(value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            at = datetime.fromtimestamp(value, UTC)
        else:
            raise InvalidValueError(field, value, expected)
    except (ValueError, OverflowError, OSError) as error:
        if isinstance(error, InvalidValueError):
            raise
        raise InvalidValueError(field, value, expected) from None
    if not 1970 <= at.year <= 2261:
        raise InvalidValueError(field, value, "a time between the years 1970 and 2261")
    return at
