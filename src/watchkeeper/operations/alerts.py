"""What happens when Alertmanager calls."""

import json
import secrets
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from watchkeeper.errors import UnavailableError
from watchkeeper.identity import By
from watchkeeper.incidents import Alert, alerts_of
from watchkeeper.monitoring.repositories import KeptAlerts, Trail

__all__ = ["ALERT_SUBJECT", "ALERT_TEST", "Alerts", "receive", "travelled"]

ALERT_TEST, ALERT_SUBJECT = "alert test", "system:alerts"
"""As the audit trail tells of a synthetic alert."""

_LABEL = "test"
_LOOK = 0.5  # seconds between two looks whether it has arrived


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
        at=clock(), by=By(actor, error or returned), action=ALERT_TEST, subject=ALERT_SUBJECT,
        evidence={"passed": not error, "seconds": seconds},
    )  # fmt: skip
    if error:
        raise UnavailableError(error, "See its log, and its route to /v1/alerts/alertmanager.")
    return seconds
