"""Alerts as Alertmanager's webhook posts them (its notification format, version 4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.results import Result

__all__ = ["Alert", "Notification", "Received", "notification_of"]

_MOST = 10_000  # alerts of one notification
_LONGEST = 1_000  # characters of a name or a fingerprint
_NO_MODEL = "system"


@dataclass(frozen=True, slots=True)
class Alert(Result):
    """One alert, from when it began until it ended.

    Attributes
    ----------
    fingerprint : str
        Of its labels; with `starts_at` it names this alert.
    name : str
        Its label ``alertname``.
    status : {"firing", "resolved"}
    starts_at : datetime
    ends_at : datetime or None
        None while it fires.
    labels, annotations : dict of str to str
    receiver : str
        Whom Alertmanager told, such as ``page``.
    generator_url : str
        Where Prometheus shows the expression.
    """

    fingerprint: str
    name: str
    status: Literal["firing", "resolved"]
    starts_at: datetime
    ends_at: datetime | None
    labels: dict[str, str]
    annotations: dict[str, str]
    receiver: str
    generator_url: str

    @property
    def model(self) -> str:
        """The model that its label names; the system where that cannot be the name of one."""
        try:
            return check_name(self.labels.get("model", _NO_MODEL), "model")
        except InvalidValueError:
            return _NO_MODEL


@dataclass(frozen=True, slots=True)
class Notification:
    """What one notification of Alertmanager holds.

    Attributes
    ----------
    alerts : tuple of Alert
    refused : tuple of InvalidValueError
        One for each alert that is none, with the field that is wrong.
    """

    alerts: tuple[Alert, ...]
    refused: tuple[InvalidValueError, ...]


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


def notification_of(notification: object) -> Notification:
    """Read a notification; an alert that is none loses no other.

    Parameters
    ----------
    notification : object
        Decoded from the JSON that Alertmanager posts.

    Returns
    -------
    Notification

    Raises
    ------
    InvalidValueError
        If it is not a notification, with the field that is wrong.
    """
    if not isinstance(notification, Mapping):
        raise InvalidValueError("body", notification, "a notification of Alertmanager")
    listed = notification.get("alerts")
    if not isinstance(listed, list) or len(listed) > _MOST:
        raise InvalidValueError("alerts", listed, f"a list of at most {_MOST} alerts")
    receiver = _text(notification.get("receiver", ""), "receiver")
    alerts: list[Alert] = []
    refused: list[InvalidValueError] = []
    for number, posted in enumerate(listed):
        try:
            alerts.append(_alert(posted, f"alerts[{number}]", receiver))
        except InvalidValueError as error:
            refused.append(error)
    return Notification(tuple(alerts), tuple(refused))


def _alert(posted: object, field: str, receiver: str) -> Alert:
    if not isinstance(posted, Mapping):
        raise InvalidValueError(field, posted, "an object")
    status = posted.get("status")
    if status not in {"firing", "resolved"}:
        raise InvalidValueError(f"{field}.status", status, "firing or resolved")
    labels = _texts(posted.get("labels"), f"{field}.labels")
    name = labels.get("alertname", "")
    if not name:
        raise InvalidValueError(f"{field}.labels.alertname", name, "the name of the alert")
    fingerprint = _text(posted.get("fingerprint"), f"{field}.fingerprint")
    if not fingerprint:
        raise InvalidValueError(f"{field}.fingerprint", fingerprint, "a string, not empty")
    fires = status == "firing"
    return Alert(
        fingerprint=fingerprint,
        name=name,
        status="firing" if fires else "resolved",
        starts_at=_time(posted.get("startsAt"), f"{field}.startsAt"),
        ends_at=None if fires else _time(posted.get("endsAt"), f"{field}.endsAt"),
        labels=labels,
        annotations=_texts(posted.get("annotations", {}), f"{field}.annotations"),
        receiver=receiver,
        generator_url=_text(posted.get("generatorURL", ""), f"{field}.generatorURL", 10_000),
    )


def _time(value: object, field: str) -> datetime:
    if not isinstance(value, str):
        raise InvalidValueError(field, value, "a time such as 2026-07-01T03:00:00Z")
    return parse_timestamp(value, field)


def _text(value: object, field: str, longest: int = _LONGEST) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise InvalidValueError(field, value, f"a string of at most {longest} characters")
    return value


def _texts(value: Any, field: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InvalidValueError(field, value, "an object of strings")
    for name, text in value.items():
        if not isinstance(text, str):
            raise InvalidValueError(f"{field}.{name}", text, "a string")
    return dict(value)
