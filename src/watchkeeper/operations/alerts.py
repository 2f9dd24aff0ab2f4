"""What happens when Alertmanager calls."""

import json
import secrets
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from watchkeeper.errors import InvalidValueError, UnavailableError
from watchkeeper.identity import By
from watchkeeper.incidents import Alert, Incident, notification_of
from watchkeeper.monitoring.repositories import Kept, KeptAlerts, Trail
from watchkeeper.operations.incidents import of_alerts
from watchkeeper.readiness.evidence import ALERT_TEST, ALERTS

__all__ = ["Alerts", "Received", "receive", "travelled"]

_LABEL = "test"
_LOOK = 0.5  # seconds between two looks whether it has arrived


class Alerts(Protocol):
    """Where alerts are kept."""

    def receive(self, received: Sequence[Alert], *, at: datetime) -> list[Alert]:
        """Keep alerts, all or none; return those that are new or have changed their status."""
        ...

    def news(self, received: Sequence[Alert]) -> list[Alert]:
        """Return the alerts that are new or have changed their status, and keep nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a notification of Alertmanager.

    Attributes
    ----------
    news : list of Alert
        New, or with another status than before.
    refused : InvalidValueError or None
        Why alerts of it could not be read.
    """

    news: list[Alert]
    refused: InvalidValueError | None


def receive(
    alerts: Alerts,
    incidents: Kept[Incident],
    notification: object,
    *,
    received_at: datetime,
    at: datetime,
) -> Received:
    """Open or end incidents by the alerts of a notification, and keep the alerts.

    Incidents come first: a process that dies in between has kept nothing, and does all of it when
    Alertmanager repeats itself. So what is kept as firing has its incident.

    Parameters
    ----------
    received_at, at : datetime
        Now, by the system and by the clock of incidents.

    Raises
    ------
    InvalidValueError
        If it is not a notification of Alertmanager.
    """
    posted = notification_of(notification)
    of_alerts(incidents, alerts.news(posted.alerts), at=at)
    news = alerts.receive(posted.alerts, at=received_at)
    if not posted.refused:
        return Received(news, None)
    first = posted.refused[0]
    counts = f"{len(posted.refused)} alerts were refused and {len(posted.alerts)} kept."
    hint = f"{first.hint} {counts}".strip()
    refused = InvalidValueError(first.field, first.args[1], first.expected, hint)
    return Received(news, refused)


def travelled(
    alerts: KeptAlerts,
    audit: Trail,
    alertmanager: str,
    *,
    timeout: float,
    clock: Callable[[], datetime],
    actor: str,
    wait: Callable[[float], None] = time.sleep,
) -> float:
    """Give Alertmanager a synthetic alert, and return the seconds until it has come back here.

    It has no severity, so that it opens no incident. That it arrived, or did not, is kept.

    Parameters
    ----------
    alertmanager : str
        Its address.
    timeout : float
        Seconds to wait for it.

    Raises
    ------
    UnavailableError
        If Alertmanager does not take it, or it does not arrive.
    """
    mark, begin = secrets.token_hex(4), clock()
    labels = {"alertname": "WatchkeeperTest", "severity": "none", _LABEL: mark}
    told = {
        "labels": labels,
        "annotations": {"summary": "a synthetic alert: nothing has happened"},
        "startsAt": begin.astimezone(UTC).isoformat(),
        "endsAt": (begin + timedelta(seconds=timeout)).astimezone(UTC).isoformat(),
    }
    request = urllib.request.Request(  # noqa: S310 - an address of the settings
        f"{alertmanager.rstrip('/')}/api/v2/alerts",
        json.dumps([told]).encode(),
        {"Content-Type": "application/json"},
    )
    error, seconds = "", 0.0
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            answer.read()
    except OSError as refused:
        error = f"Alertmanager at {alertmanager} did not take the alert: {refused}"
    while not error:
        seconds = (clock() - begin).total_seconds()
        if any(each.labels.get(_LABEL) == mark for each in alerts.find(name="WatchkeeperTest")):
            break
        if seconds > timeout:
            error = f"the alert that {alertmanager} took has not come back in {timeout:g} s"
        wait(_LOOK)
    returned = f"a synthetic alert came back through {alertmanager} in {seconds:.1f} s"
    audit.note(
        at=clock(), by=By(actor, error or returned), action=ALERT_TEST, subject=ALERTS,
        evidence={"passed": not error, "seconds": seconds},
    )  # fmt: skip
    if error:
        raise UnavailableError(error, "See its log, and its route to /v1/alerts/alertmanager.")
    return seconds
