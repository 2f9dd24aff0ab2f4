"""Time range of a page; it is part of the address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from urllib.parse import urlencode

from watchkeeper.clock import as_utc, parse_timestamp
from watchkeeper.errors import InvalidValueError
from watchkeeper.events import Window

__all__ = ["RANGES", "TimeRange", "span_of"]

RANGES: Mapping[str, tuple[str, timedelta | None]] = MappingProxyType(
    {
        "24h": ("24 hours", timedelta(hours=24)),
        "7d": ("7 days", timedelta(days=7)),
        "30d": ("30 days", timedelta(days=30)),
        "90d": ("90 days", timedelta(days=90)),
        "1y": ("1 year", timedelta(days=365)),
        "all": ("all", None),
    }
)
"""Ranges that a page offers: what each is called, and how far it goes back from now."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The time range of a page, from its query.

    Attributes
    ----------
    start : datetime or None
        None goes back to what was recorded first.
    end : datetime
        Now, unless another was asked for.
    named : str
        One of `RANGES`; empty for a start and an end of one's own.
    query : str
        What leads to the same span from any page, without the question mark.
    """

    start: datetime | None
    end: datetime
    named: str
    query: str

    @property
    def window(self) -> Window:
        """It as what reads events takes it; the present moment is part of it."""
        return Window(self.start, self.end + timedelta(microseconds=1))


def span_of(query: Mapping[str, str], *, now: datetime, default: str) -> TimeRange:
    """Return the span that a query asks for.

    Parameters
    ----------
    query : mapping of str to str
    now : datetime
    default : str
        Name of the range where the query has none.

    Returns
    -------
    TimeRange

    Raises
    ------
    InvalidValueError
        If it names a range that does not exist, a time that is none, or an end before its start.
    """
    if "start" in query or "end" in query:
        bounds = {name: query[name] for name in ("start", "end") if query.get(name)}
        times = {name: parse_timestamp(value, name) for name, value in bounds.items()}
        start, end = times.get("start"), times.get("end", as_utc(now))
        Window(start, end)  # which checks their order
        return TimeRange(start, end, "", urlencode(bounds))
    named = query.get("range") or default
    if named not in RANGES:
        raise InvalidValueError("range", named, f"one of {', '.join(RANGES)}")
    back = RANGES[named][1]
    start = None if back is None else as_utc(now) - back
    return TimeRange(start, as_utc(now), named, f"range={named}")
