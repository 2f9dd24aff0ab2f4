"""Alerts, as Alertmanager posts them, and incidents until they are resolved.

>>> from watchkeeper.incidents import notification_of
>>> notification = {"version": "4", "receiver": "page", "alerts": [{
...     "status": "firing", "fingerprint": "8d1c", "labels": {"alertname": "HighErrorRate"},
...     "annotations": {"summary": "flights 1.0.0 fails"}, "startsAt": "2026-07-01T03:00:00Z",
...     "endsAt": "0001-01-01T00:00:00Z", "generatorURL": ""}]}
>>> [alert.name for alert in notification_of(notification).alerts]
['HighErrorRate']
"""

from typing import TYPE_CHECKING

from watchkeeper.lazy import on_first_use

if TYPE_CHECKING:
    from watchkeeper.incidents.alerts import Alert, Notification, notification_of
    from watchkeeper.incidents.incident import Incident, IncidentState, IncidentStep, Moment
    from watchkeeper.incidents.repository import AlertRepository, IncidentRepository

__all__ = [
    "Alert",
    "AlertRepository",
    "Incident",
    "IncidentRepository",
    "IncidentState",
    "IncidentStep",
    "Moment",
    "Notification",
    "notification_of",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Alert": ".alerts",
        "AlertRepository": ".repository",
        "Incident": ".incident",
        "IncidentRepository": ".repository",
        "IncidentState": ".incident",
        "Moment": ".incident",
        "Notification": ".alerts",
        "IncidentStep": ".incident",
        "notification_of": ".alerts",
    },
)
