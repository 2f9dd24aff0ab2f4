"""Instants and stretches of time in words, on the reader's clock.

>>> from datetime import UTC, datetime
>>> period(datetime(2026, 11, 27, 14, tzinfo=UTC), datetime(2026, 11, 27, 15, tzinfo=UTC), UTC)
'27 Nov 2026, 14:00 to 15:00'
>>> period(datetime(2026, 11, 27, tzinfo=UTC), datetime(2026, 11, 28, tzinfo=UTC), UTC)
'27 Nov 2026'
"""

from datetime import datetime, timedelta, tzinfo

__all__ = ["MONTHS", "day", "moment", "period"]

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day(local: datetime) -> str:
    """Return the day of an instant on its own clock.

    Parameters
    ----------
    local : datetime

    Returns
    -------
    str
    """
    return f"{local.day} {MONTHS[local.month - 1]} {local.year}"


def moment(at: datetime, zone: tzinfo) -> str:
    """Return an instant: day, month, year, hour and minute.

    Parameters
    ----------
    at : datetime
    zone : tzinfo

    Returns
    -------
    str
    """
    local = at.astimezone(zone)
    return f"{day(local)}, {local.hour:02}:{local.minute:02}"


def period(start: datetime, end: datetime, zone: tzinfo) -> str:
    """Return a stretch of time, as short as it can be said: whole days without their hours.

    Parameters
    ----------
    start, end : datetime
    zone : tzinfo

    Returns
    -------
    str
    """
    first, last = start.astimezone(zone), end.astimezone(zone)
    if _midnight(first) and _midnight(last) and first < last:
        before = last - timedelta(hours=12)
        if first.date() == before.date():
            return day(first)
        return f"{day(first)} to {day(before)}"
    if first.date() == last.date():
        return f"{moment(start, zone)} to {last.hour:02}:{last.minute:02}"
    return f"{moment(start, zone)} to {moment(end, zone)}"


def _midnight(local: datetime) -> bool:
    return local.hour == local.minute == local.second == local.microsecond == 0
