"""A clock that a test sets, backwards as well."""

from datetime import UTC, datetime, timedelta

from watchkeeper.clock import as_utc

__all__ = ["FixedClock"]


class FixedClock:
    """A `watchkeeper.clock.Clock` that stands still until it is moved.

    Parameters
    ----------
    at : datetime
        What it tells first.
    """

    def __init__(self, at: datetime = datetime(2013, 1, 31, 12, tzinfo=UTC)) -> None:
        self._now = as_utc(at)

    def __call__(self) -> datetime:
        return self._now

    def set(self, at: datetime) -> None:
        """Show `at` from now on, which may be earlier.

        Parameters
        ----------
        at : datetime
        """
        self._now = as_utc(at)

    def advance(self, by: timedelta) -> None:
        """Move by `by`, which may be negative.

        Parameters
        ----------
        by : timedelta
        """
        self._now += by
