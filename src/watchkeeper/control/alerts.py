"""What happens when Alertmanager calls."""

from datetime import datetime
from typing import Protocol

from watchkeeper.incidents import Alert, alerts_of

__all__ = ["Alerts", "receive"]


class Alerts(Protocol):
    """Where alerts are kept."""

    def receive(self, received: list[Alert], *, at: datetime) -> list[Alert]:
        """Keep alerts, all or none; return those that are new or have changed their status."""
        ...


def receive(alerts: Alerts, notification: object, *, at: datetime) -> list[Alert]:
    """Keep the alerts of a notification and return those that are news.

    Raises
    ------
    InvalidValueError
        If it is not a notification of Alertmanager; nothing of it is kept then.
    """
    return alerts.receive(alerts_of(notification), at=at)
