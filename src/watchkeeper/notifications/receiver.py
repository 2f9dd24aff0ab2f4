"""Who is told, of what, and when."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result

__all__ = ["Place", "QuietHours", "Receiver", "due"]

Severity = Literal["critical", "warning"]

_FIRST, _LONGEST = timedelta(seconds=30), timedelta(minutes=15)  # between two tries


@dataclass(frozen=True, slots=True)
class QuietHours(Result):
    """The part of each day in which warnings wait; critical ones never do.

    Attributes
    ----------
    start, end : datetime.time
        In `zone`; an end before the start is of the next day.
    zone : str
        Name of a time zone, such as ``Europe/Berlin``.
    """

    start: time
    end: time
    zone: str = "UTC"

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> Self:
        """Return what is written as ``22:00-07:00``.

        Parameters
        ----------
        text : str
            Start and end, local times of the zone.
        zone : str
            Name in the tz database.

        Returns
        -------
        QuietHours

        Raises
        ------
        InvalidValueError
            If it is not, or there is no such time zone.
        """
        first, _, last = text.partition("-")
        try:
            found = cls(time.fromisoformat(first.strip()), time.fromisoformat(last.strip()), zone)
        except ValueError:
            raise InvalidValueError("quiet_hours", text, "hours such as 22:00-07:00") from None
        if found.start == found.end:
            raise InvalidValueError("quiet_hours", text, "an end that is not the start")
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise InvalidValueError("time_zone", zone, "a name such as Europe/Berlin") from None
        return found

    def until(self, at: datetime) -> datetime | None:
        """Return when the quiet hours that `at` is in end; None if it is in none.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        datetime or None
            In UTC.
        """
        local = at.astimezone(ZoneInfo(self.zone))
        now = local.time()
        over_night = self.end < self.start
        after, before = now >= self.start, now < self.end
        if not (after or before if over_night else after and before):
            return None
        day = local.date() + timedelta(days=int(over_night and after))
        return datetime.combine(day, self.end, ZoneInfo(self.zone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Receiver(Result):
    """One who is told.

    Attributes
    ----------
    name : str
    url : str
        An address that Apprise understands.
    severity : {"critical", "warning"}
        The least that is told.
    models : tuple of str
        Of which models; empty for all.
    quiet : QuietHours or None
    """

    name: str
    url: str
    severity: Severity = "warning"
    models: tuple[str, ...] = ()
    quiet: QuietHours | None = None

    def wants(self, severity: str, model: str) -> bool:
        """Return whether it is told of an incident.

        Parameters
        ----------
        severity : {"critical", "warning"}
        model : str

        Returns
        -------
        bool
        """
        severe = severity == "critical" or self.severity == "warning"
        return severe and (not self.models or model in self.models)


@dataclass(frozen=True, slots=True)
class Place(Result):
    """How far a receiver has been told of incidents of one severity.

    Attributes
    ----------
    receiver, severity : str
    told : int
        Number of the last entry of the audit trail that it need not be told of.
    tries : int
        How often what comes next was tried in vain.
    next_try : datetime or None
    error : str
        Why the last try failed.
    """

    receiver: str
    severity: str
    told: int
    tries: int = 0
    next_try: datetime | None = None
    error: str = ""

    def delivered(self, number: int) -> Self:
        """Return it after all up to an entry of the trail has arrived.

        Parameters
        ----------
        number : int
            Of the last entry that arrived.

        Returns
        -------
        Place
        """
        return replace(self, told=number, tries=0, next_try=None, error="")

    def failed(self, at: datetime, error: str) -> Self:
        """Return it after a try in vain; the next one is later each time, at most 15 minutes.

        Parameters
        ----------
        at : datetime
        error : str
            Its first 1,000 characters are stored.

        Returns
        -------
        Place
        """
        wait = min(_FIRST * 2 ** min(self.tries, 10), _LONGEST)
        return replace(self, tries=self.tries + 1, next_try=at + wait, error=error[:1000])


def due(
    place: Place, first: datetime, at: datetime, *, quiet: QuietHours | None, group_wait: float
) -> datetime | None:
    """Return when what is pending may be sent, if that is later than `at`; None for now.

    Parameters
    ----------
    place : Place
    first : datetime
        When the first thing that is pending happened.
    at : datetime
    quiet : QuietHours or None
        Applies to warnings only.
    group_wait : float
        Seconds that the first thing waits for others that belong to it.

    Returns
    -------
    datetime or None
    """
    ready = first + timedelta(seconds=group_wait)
    if place.next_try is not None:
        ready = max(ready, place.next_try)
    if quiet is not None and place.severity != "critical":
        ready = quiet.until(max(ready, at)) or ready
    return ready if ready > at else None
