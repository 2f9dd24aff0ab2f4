"""Where an axis is marked: at round numbers, and at round times on the reader's clock.

>>> numeric(0.0, 100.0, 4)
[0.0, 25.0, 50.0, 75.0, 100.0]
>>> from datetime import UTC, datetime
>>> [tick.label for tick in times(datetime(2026, 11, 26, 12, tzinfo=UTC),
...                               datetime(2026, 11, 27, 12, tzinfo=UTC), UTC, 5)]
['12:00', '18:00', '27 Nov', '06:00', '12:00']
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

from watchkeeper.charts.times import MONTHS

__all__ = ["Tick", "logarithmic", "numeric", "step_of", "times"]

_SECONDS = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200)
_DAYS = (1, 2, 7, 14)
_MONTH_STEPS = (1, 2, 3, 6)
_YEARS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_DAY, _MONTH, _YEAR = 86400.0, 30.44 * 86400.0, 365.25 * 86400.0

_MONDAY = datetime(1, 1, 1)  # noqa: DTZ001 - wall clock; the first day of the calendar was a Monday


@dataclass(frozen=True, slots=True)
class Tick:
    """A marked instant; a `major` one begins a day among hours, or a year among months."""

    at: datetime
    label: str
    major: bool


def step_of(low: float, high: float, count: int) -> float:
    """Return the round number that divides ``high - low`` into about `count` parts.

    Parameters
    ----------
    low, high : float
    count : int

    Returns
    -------
    float
    """
    rough = (high / count) - (low / count)
    if not rough > 1e-300:
        return 0.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next((nice * power for nice in (1.0, 2.0, 2.5, 5.0) if nice * power >= rough * 0.999),
                10.0 * power)  # fmt: skip


def numeric(low: float, high: float, count: int = 4) -> list[float]:
    """Return round numbers from `low` to `high`, about `count` steps apart.

    Parameters
    ----------
    low, high : float
    count : int

    Returns
    -------
    list of float
    """
    step = step_of(low, high, count)
    if step <= 0 or step < 1e-12 * max(abs(low), abs(high)):
        return [low] if low == high else [low, high]
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if first > last:  # all lies between two round numbers
        return [low, high]
    return [index * step for index in range(first, min(last, first + 4 * count) + 1)]


def logarithmic(low: float, high: float) -> list[float]:
    """Return powers of ten between two positive numbers, with their doubles if they are few.

    Parameters
    ----------
    low, high : float

    Returns
    -------
    list of float
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, (last - first) // 5)
    factors = (1.0, 2.0, 5.0) if last - first <= 2 else (1.0,)
    candidates = [
        factor * 10.0**power
        for power in range(first, last + 1, every)
        for factor in factors
    ]  # fmt: skip
    return [value for value in candidates if low * 0.999 <= value <= high * 1.001]


def times(start: datetime, end: datetime, zone: tzinfo, count: int = 7) -> list[Tick]:
    """Return round times on the clocks of `zone`, at most about `count`, in order.

    Steps of an hour and less follow real time, so that an hour that clocks repeat is marked
    twice; longer ones follow the clock, so that midnight stays midnight when it changes.

    Parameters
    ----------
    start, end : datetime
    zone : tzinfo
    count : int

    Returns
    -------
    list of Tick
    """
    span = (end - start).total_seconds()
    if span <= 0:
        return []
    try:
        marked = [at for at in _marked(start, end, zone, span / count) if start <= at <= end]
    except (OverflowError, ValueError):  # the calendar ends in the years 1 and 9999
        return []
    shown = [at for before, at in pairwise([None, *marked]) if at is not None and at != before]
    return [_named(at.astimezone(zone), span / count) for at in shown]


def _marked(start: datetime, end: datetime, zone: tzinfo, rough: float) -> Iterator[datetime]:
    local = start.astimezone(zone).replace(tzinfo=None, fold=0)
    last = end.astimezone(zone).replace(tzinfo=None, fold=0) + timedelta(hours=3)
    seconds = next((step for step in _SECONDS if step >= rough), None)
    if seconds is not None and seconds <= 3600:
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        passed = timedelta(seconds=(local - midnight).total_seconds() // seconds * seconds)
        real = start - (local - midnight - passed)
        while real <= end:
            yield real
            real += timedelta(seconds=seconds)
        return
    for clock in _round_clocks(local, last, rough, seconds):
        yield clock.replace(tzinfo=zone).astimezone(UTC)


def _round_clocks(
    local: datetime, last: datetime, rough: float, seconds: int | None
) -> Iterator[datetime]:
    """Yield wall-clock times without a zone, from just before `local` on."""
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if seconds is not None or rough <= 14 * _DAY:
        days = next((step for step in _DAYS if step * _DAY >= rough), 1)
        since = (midnight - _MONDAY).days % days if seconds is None else 0
        at = midnight - timedelta(days=since)
        step = timedelta(days=days) if seconds is None else timedelta(seconds=seconds)
        while at <= last:
            yield at
            at += step
        return
    months = next((step for step in _MONTH_STEPS if step * _MONTH >= rough), 12)
    if months == 12:
        months *= next((step for step in _YEARS if step * _YEAR >= rough), _YEARS[-1])
    index = (local.year * 12 + local.month - 1) // months * months
    while index <= last.year * 12 + last.month - 1:
        if index >= 12:
            yield datetime(index // 12, index % 12 + 1, 1)  # noqa: DTZ001 - wall clock
        index += months


def _named(local: datetime, rough: float) -> Tick:
    month = MONTHS[local.month - 1]
    midnight = local.hour == local.minute == local.second == 0
    if rough > 6 * _MONTH:
        return Tick(local, str(local.year), major=True)
    if rough > 14 * _DAY:
        first = local.month == 1
        return Tick(local, str(local.year) if first else month, major=first)
    if rough > _SECONDS[-1]:
        return Tick(local, f"{local.day} {month}", major=local.day == 1)
    if midnight:
        return Tick(local, f"{local.day} {month}", major=True)
    shown = f"{local:%H:%M:%S}" if rough <= 30 else f"{local:%H:%M}"
    return Tick(local, shown, major=False)
