"""Receivers are sent what is pending, once it is time; routes to receivers are tested."""

import json
import logging
import secrets
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import get_args

from watchkeeper.clock import Clock
from watchkeeper.errors import NotFoundError, UnavailableError
from watchkeeper.identity import By
from watchkeeper.incidents import AlertRepository
from watchkeeper.incidents.incident import Severity
from watchkeeper.monitoring.notifications import NotificationQueue, ReceiverBacklog
from watchkeeper.notifications import Message, Receiver, due, grouped
from watchkeeper.notifications.repository import PlaceRepository
from watchkeeper.operations.service import Service
from watchkeeper.readiness.evidence import ALERT_TEST, ALERTS, NOTIFICATION_TEST, NOTIFICATIONS
from watchkeeper.records import AuditTrail
from watchkeeper.results import Result

__all__ = ["Delivery", "Receivers"]

log = logging.getLogger(__name__)

_MOST = 1_000  # changes of one message
_LABEL = "test"
_POLL = 0.5  # seconds between two checks whether a synthetic alert has arrived

Send = Callable[[str, Message], str]
"""Sends a message to an address; returns why it did not arrive, or nothing."""


@dataclass(frozen=True, slots=True)
class Delivery(Result):
    """What became of one message to one receiver.

    Attributes
    ----------
    receiver, severity : str
    changes : int
        Changes of incidents that were in the message.
    error : str
        Why it did not arrive; empty if it did.
    """

    receiver: str
    severity: str
    changes: int
    error: str


class Receivers(Service[PlaceRepository]):
    """The receivers of the settings: what was delivered, and whether messages arrive.

    Parameters
    ----------
    repository : PlaceRepository
        How far receivers were told.
    queue : NotificationQueue
    alerts : AlertRepository
    audit : AuditTrail
    clock : Clock
        Of the system: receivers are told in real time.
    configured : callable
        Returns the receivers of the settings.
    send : callable
    url : str
        Address of the server, for links.
    group_wait : float
        Seconds that the first change waits for others.
    """

    def __init__(
        self,
        repository: PlaceRepository,
        *,
        queue: NotificationQueue,
        alerts: AlertRepository,
        audit: AuditTrail,
        clock: Clock,
        configured: Callable[[], Sequence[Receiver]],
        send: Send,
        url: str,
        group_wait: float,
    ) -> None:
        super().__init__(repository)
        self._queue, self._alerts, self._audit = queue, alerts, audit
        self._clock, self._configured, self._send = clock, configured, send
        self._url, self._group_wait = url, group_wait

    def configured(self) -> list[Receiver]:
        """Return the receivers of the settings.

        Returns
        -------
        list of Receiver
        """
        return list(self._configured())

    def waiting(self) -> list[ReceiverBacklog]:
        """Return what waits for whom.

        Returns
        -------
        list of ReceiverBacklog
        """
        return self._queue.waiting(self._configured())

    def begin(self) -> None:
        """Give new receivers their places in the audit trail: they are told of all that follows."""
        last = self._audit.last()
        for receiver, severity in _places(self._configured()):
            self.repository.get(receiver.name, severity, beginning=last)

    def deliver(self, at: datetime | None = None) -> list[Delivery]:
        """Send each receiver what is pending and due; return what was tried.

        A message that arrived just before this process died is sent again; none is lost.

        Parameters
        ----------
        at : datetime, optional
            By default now.

        Returns
        -------
        list of Delivery
        """
        now, deliveries = self._clock() if at is None else at, []
        for receiver, severity in _places(self._configured()):
            last = self._audit.last()
            position = self.repository.get(receiver.name, severity, beginning=last)
            notes = list(islice(self._queue.pending(receiver, position), _MOST))
            if not notes:
                if last > position.told:
                    # It is not read again and again.
                    self.repository.save(position, position.delivered(last))
                continue
            if due(position, notes[0].at, now, quiet=receiver.quiet, group_wait=self._group_wait):
                continue
            error = self._sent(receiver, grouped(notes, self._url))
            after = position.failed(now, error) if error else position.delivered(notes[-1].number)
            self.repository.save(position, after)
            deliveries.append(Delivery(receiver.name, severity, len(notes), error))
        return deliveries

    def try_out(self, name: str | None = None, *, by: By) -> dict[str, str]:
        """Send a message now to one receiver, or to all, and keep whether it arrived.

        Parameters
        ----------
        name : str, optional
            By default all.
        by : By

        Returns
        -------
        dict of str to str
            Why it did not arrive, by receiver; empty where it did.

        Raises
        ------
        NotFoundError
            If there is no receiver of this name.
        """
        chosen = [
            receiver for receiver in self._configured() if name is None or receiver.name == name
        ]
        if name is not None and not chosen:
            raise NotFoundError("receiver", name, "See watchkeeper notifications list.")
        message = Message(
            "Watchkeeper: a test",
            f"This is a test of the notifications of {self._url}, asked for by "
            f"{by.actor or 'an unknown actor'}. Nothing has happened.",
        )
        errors = {receiver.name: self._sent(receiver, message) for receiver in chosen}
        for receiver in chosen:
            error = errors[receiver.name]
            self._audit.note(
                at=self._clock(),
                by=by.with_reason(error or f"a test message reached {receiver.name}"),
                action=NOTIFICATION_TEST, subject=NOTIFICATIONS,
                evidence={
                    "passed": not error, "receiver": receiver.name, "severity": receiver.severity,
                },
            )  # fmt: skip
        return errors

    def try_alertmanager(
        self,
        address: str,
        *,
        timeout: float,
        by: By,
        wait: Callable[[float], None] = time.sleep,
    ) -> float:
        """Give Alertmanager a synthetic alert, and return the seconds until it has come back here.

        It has no severity, so that it opens no incident. That it arrived, or did not, is kept.

        Parameters
        ----------
        address : str
            Of Alertmanager.
        timeout : float
            Seconds to wait for the alert.
        by : By
        wait : callable

        Returns
        -------
        float

        Raises
        ------
        UnavailableError
            If Alertmanager does not take the alert, or it does not arrive.
        """
        mark, begin = secrets.token_hex(4), self._clock()
        error, seconds = _post(address, mark, begin, timeout), 0.0
        while not error:
            seconds = (self._clock() - begin).total_seconds()
            if any(
                alert.labels.get(_LABEL) == mark
                for alert in self._alerts.find(name="WatchkeeperTest")
            ):
                break
            if seconds > timeout:
                error = f"the alert that {address} accepted did not arrive within {timeout:g} s"
            wait(_POLL)
        returned = f"a synthetic alert arrived through {address} in {seconds:.1f} s"
        self._audit.note(
            at=self._clock(), by=by.with_reason(error or returned), action=ALERT_TEST,
            subject=ALERTS, evidence={"passed": not error, "seconds": seconds},
        )  # fmt: skip
        if error:
            raise UnavailableError(error, "See its log, and its route to /v1/alerts/alertmanager.")
        return seconds

    def _sent(self, receiver: Receiver, message: Message) -> str:
        """Return why a message did not arrive, or nothing: one receiver never holds up another."""
        try:
            return self._send(receiver.url, message)
        except Exception as error:
            log.exception("the delivery to %s failed", receiver.name)
            return f"{type(error).__name__}: {error}"


def _places(receivers: Sequence[Receiver]) -> Iterator[tuple[Receiver, Severity]]:
    for receiver in receivers:
        for severity in get_args(Severity):
            if receiver.severity != "critical" or severity == "critical":
                yield receiver, severity


def _post(alertmanager: str, mark: str, begin: datetime, timeout: float) -> str:
    """Give Alertmanager a synthetic alert; return why it was not taken, or nothing."""
    alert = {
        "labels": {"alertname": "WatchkeeperTest", "severity": "none", _LABEL: mark},
        "annotations": {"summary": "a synthetic alert: nothing has happened"},
        "startsAt": begin.astimezone(UTC).isoformat(),
        "endsAt": (begin + timedelta(seconds=timeout)).astimezone(UTC).isoformat(),
    }
    request = urllib.request.Request(  # noqa: S310 - an address of the settings
        f"{alertmanager.rstrip('/')}/api/v2/alerts",
        json.dumps([alert]).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            answer.read()
    except OSError as refused:
        return f"Alertmanager at {alertmanager} did not take the alert: {refused}"
    return ""
