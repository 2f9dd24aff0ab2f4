"""Notifications: changes of incidents are delivered once, at times when they may page.

What there is to tell is in the audit trail, written with each change of an incident. Every receiver
has a place in it: what comes after is pending, waits for its group and for the end of quiet hours,
is sent as one message, and is tried again until it has arrived.

>>> from datetime import UTC, datetime
>>> from watchkeeper.notifications import QuietHours
>>> quiet = QuietHours.parse("22:00-07:00", "Europe/Berlin")
>>> quiet.until(datetime(2026, 7, 1, 23, 30, tzinfo=UTC))  # half past one in Berlin
datetime.datetime(2026, 7, 2, 5, 0, tzinfo=datetime.timezone.utc)
>>> quiet.until(datetime(2026, 7, 1, 12, tzinfo=UTC)) is None
True
"""

from typing import TYPE_CHECKING

from watchkeeper.lazy import on_first_use

if TYPE_CHECKING:
    from watchkeeper.notifications.message import Message, Note, grouped
    from watchkeeper.notifications.receiver import Place, QuietHours, Receiver, due

__all__ = ["Message", "Note", "Place", "QuietHours", "Receiver", "due", "grouped"]

__getattr__ = on_first_use(
    __name__,
    {
        "Message": ".message",
        "Note": ".message",
        "Place": ".receiver",
        "QuietHours": ".receiver",
        "Receiver": ".receiver",
        "due": ".receiver",
        "grouped": ".message",
    },
)
