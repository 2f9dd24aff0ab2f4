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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from watchkeeper.errors import InvalidValueError

__all__ = ["Arrivals", "Clock", "ReplayClock", "as_utc", "parse_timestamp", "system_clock"]

Clock = Callable[[], datetime]

_TICK = timedelta(microseconds=1)


def system_clock() -> datetime:
    """Return the system's time, aware and in UTC.

    Returns
    -------
    datetime
    """
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
        """Move to `at`; an earlier time changes nothing.

        Parameters
        ----------
        at : datetime
        """
        at = as_utc(at)
        with self._lock:
            self._now = max(self._now, at)


class Arrivals:
    """The times at which events arrive, and until when all that arrived is written.

    Events are stamped before they are written, and a reader sees only what is written. A reader
    that has to read the same again later reads as of `settled`: what arrived by then can be read
    now, and nothing that is written from now on is said to have arrived by then.

    Parameters
    ----------
    clock : Clock

    Attributes
    ----------
    clock : Clock

    Notes
    -----
    It knows what its own process writes. What another process stamped before that moment and
    writes after it, microseconds later as a rule, is missed.

    >>> noon = datetime(2013, 1, 1, 12, tzinfo=UTC)
    >>> arrivals = Arrivals(lambda: noon)
    >>> with arrivals.writing() as at:
    ...     at == noon, arrivals.settled() < noon  # it is not written yet
    (True, True)
    >>> arrivals.settled() == noon
    True
    >>> with arrivals.writing() as at:
    ...     at > noon  # noon is settled, though the clock shows it still
    True
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._written = self._told = datetime(1970, 1, 1, tzinfo=UTC)
        self._writing: dict[object, datetime] = {}

    @contextmanager
    def writing(self) -> Iterator[datetime]:
        """Yield when the events arrive that are written within.

        Yields
        ------
        datetime
            After every moment that `settled` has returned.
        """
        own = object()
        with self._lock:
            at = max(as_utc(self.clock()), self._told + _TICK)
            self._writing[own] = at
            self._written = max(self._written, at)
        try:
            yield at
        finally:
            with self._lock:
                del self._writing[own]

    def settled(self) -> datetime:
        """Return the newest moment such that all that arrived until then is written.

        Returns
        -------
        datetime
        """
        with self._lock:
            at = max(as_utc(self.clock()), self._written)
            at = min([at, *(begun - _TICK for begun in self._writing.values())])
            self._told = max(self._told, at)
            return at


def as_utc(at: datetime) -> datetime:
    """Return `at` in UTC; a naive time is taken as UTC.

    Parameters
    ----------
    at : datetime

    Returns
    -------
    datetime
    """
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

    Returns
    -------
    datetime

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
