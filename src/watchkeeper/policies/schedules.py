"""When a schedule fires, as cron says it."""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from watchkeeper.clock import as_utc
from watchkeeper.errors import InvalidValueError

__all__ = ["check_schedule", "last_fire"]

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_BACK = [timedelta(minutes=2), timedelta(hours=2), timedelta(days=2), timedelta(days=62)]
_FARTHEST = timedelta(days=4 * 366)  # every cron fires within, or never


def check_schedule(schedule: str) -> str:
    """Return `schedule` if it is one.

    Parameters
    ----------
    schedule : str
        Minute, hour, day of the month, month and day of the week, as cron has them.

    Returns
    -------
    str

    Raises
    ------
    InvalidValueError
        If it is not five fields of cron.
    """
    _trigger(schedule)
    return schedule


def last_fire(schedule: str, after: datetime, now: datetime) -> datetime | None:
    """Return the last time that a schedule fired after `after` and up to `now`, or None.

    Of several that passed meanwhile only the last counts: what would be done is the same.

    Parameters
    ----------
    schedule : str
        Minute, hour, day of the month, month and day of the week as cron has them, in UTC: 0 and 7
        are Sunday.
    after, now : datetime

    Returns
    -------
    datetime or None
        In UTC.

    Raises
    ------
    InvalidValueError
        If the schedule is not five fields of cron.

    Examples
    --------
    >>> from datetime import UTC
    >>> monday = datetime(2026, 6, 1, 9, tzinfo=UTC)
    >>> last_fire("0 2 * * *", monday - timedelta(days=9), monday).isoformat()
    '2026-06-01T02:00:00+00:00'
    >>> last_fire("0 2 * * 0", monday - timedelta(days=1), monday) is None
    True
    """
    trigger = _trigger(schedule)
    after, now = as_utc(after), as_utc(now)
    moment = timedelta(microseconds=1)
    for back in [*_BACK, _FARTHEST]:
        start = max(now - back, after + moment)
        found = None
        fire = trigger.get_next_fire_time(None, start)
        while fire is not None and fire <= now:
            found = fire
            fire = trigger.get_next_fire_time(fire, fire + moment)
        if found is not None:
            return as_utc(found)
        if start == after + moment:
            break
    return None


@lru_cache(maxsize=64)
def _trigger(schedule: str) -> Any:
    from datetime import UTC

    from apscheduler.triggers.cron import CronTrigger

    try:
        *times, days = schedule.split()
        # The library counts days from Monday where numbers are given; cron does from Sunday.
        named = re.sub(r"(?<![\d/])[0-7](?!\d)", lambda found: _DAYS[int(found[0])], days)
        return CronTrigger.from_crontab(" ".join([*times, named]), timezone=UTC)
    except (ValueError, TypeError) as error:
        raise InvalidValueError(
            "schedule", schedule, f"five fields of cron such as '0 2 * * *' ({error})"
        ) from None
