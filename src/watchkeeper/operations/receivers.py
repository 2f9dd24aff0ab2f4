"""Receivers are told of what is pending, once it is time."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Protocol, get_args

from watchkeeper.identity import By
from watchkeeper.incidents import Incident
from watchkeeper.incidents.incident import Severity
from watchkeeper.monitoring.repositories import Kept
from watchkeeper.notifications import Message, Note, Place, Receiver, due, grouped
from watchkeeper.readiness.evidence import NOTIFICATION_TEST, NOTIFICATIONS
from watchkeeper.records import Entry
from watchkeeper.results import Result

__all__ = [
    "Parts",
    "Told",
    "Waiting",
    "begin",
    "pending",
    "tell",
    "try_out",
    "waiting",
]

log = logging.getLogger(__name__)

_WORDS = {
    "create": "opened", "tell": "told", "acknowledge": "acknowledged", "assign": "assigned",
    "resolve": "resolved",
}  # fmt: skip

_MOST = 1_000  # changes of one message

Send = Callable[[str, Message], str]
"""Sends a message to an address; returns why it did not arrive, or nothing."""


class KeptPlaces(Protocol):
    """Where it is kept how far receivers were told."""

    def get(self, receiver: str, severity: str, *, beginning: int) -> Place: ...
    def find(self) -> list[Place]: ...
    def save(self, before: Place, after: Place) -> bool: ...


class Numbered(Protocol):
    """The audit trail, by the numbers of its entries."""

    def after(self, number: int, about: str, *, limit: int = 1000) -> list[Entry]: ...
    def last(self) -> int: ...
    def note(
        self, *, at: datetime, by: By, action: str, subject: str, evidence: Any = None
    ) -> Any: ...  # fmt: skip


class Parts(Protocol):
    """What notifications need; an `watchkeeper.app.App` is one."""

    @property
    def audit(self) -> Numbered: ...
    @property
    def incidents(self) -> Kept[Incident]: ...
    @property
    def places(self) -> KeptPlaces: ...


@dataclass(frozen=True, slots=True)
class Told(Result):
    """What became of one look at one receiver.

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


@dataclass(frozen=True, slots=True)
class Waiting(Result):
    """How far a receiver has been told of incidents of one severity, and what waits for it.

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
    waiting : int
        Changes of incidents that it has not been told of.
    """

    receiver: str
    severity: str
    told: int
    tries: int
    next_try: datetime | None
    error: str
    waiting: int


def waiting(parts: Parts, receivers: Sequence[Receiver]) -> list[Waiting]:
    """Return what waits for whom; of a receiver that was taken out of the settings, nothing."""
    known = {each.name: each for each in receivers}
    return [
        Waiting(
            **place,
            waiting=len(list(pending(parts, known[place.receiver], place)))
            if place.receiver in known
            else 0,
        )
        for place in parts.places.find()
    ]


def begin(parts: Parts, receivers: Sequence[Receiver]) -> None:
    """Give new receivers their places in the audit trail: they are told of all that comes now."""
    last = parts.audit.last()
    for receiver, severity in _places(receivers):
        parts.places.get(receiver.name, severity, beginning=last)


def _places(receivers: Sequence[Receiver]) -> Iterator[tuple[Receiver, Severity]]:
    for receiver in receivers:
        for severity in get_args(Severity):
            if receiver.severity != "critical" or severity == "critical":
                yield receiver, severity


def tell(
    parts: Parts,
    receivers: Sequence[Receiver],
    send: Send,
    *,
    at: datetime,
    url: str,
    group_wait: float,
) -> list[Told]:
    """Tell each receiver what is pending and due; return what was tried.

    A message that arrived just before this process died is sent again; none is lost.
    """
    attempts = []
    for receiver, severity in _places(receivers):
        last = parts.audit.last()
        place = parts.places.get(receiver.name, severity, beginning=last)
        notes = list(islice(pending(parts, receiver, place), _MOST))
        if not notes:
            if last > place.told:
                parts.places.save(place, place.delivered(last))  # it is not read again and again
            continue
        if due(place, notes[0].at, at, quiet=receiver.quiet, group_wait=group_wait):
            continue
        error = _sent(send, receiver, grouped(notes, url))
        after = place.failed(at, error) if error else place.delivered(notes[-1].number)
        parts.places.save(place, after)
        attempts.append(Told(receiver.name, severity, len(notes), error))
    return attempts


def _sent(send: Send, receiver: Receiver, message: Message) -> str:
    """Return why a message did not arrive, or nothing: one receiver never holds up another."""
    try:
        return send(receiver.url, message)
    except Exception as error:
        log.exception("%s cannot be told", receiver.name)
        return f"{type(error).__name__}: {error}"


def pending(parts: Parts, receiver: Receiver, place: Place) -> Iterator[Note]:
    """Yield what a receiver has not been told of incidents of a severity, the oldest first."""
    known: dict[str, Incident] = {}
    for entry in _entries(parts, place.told):
        name = entry.subject.partition("incidents/")[2]
        what = _WORDS.get(entry.action.removeprefix("incident "))
        if what is None:
            continue
        if name not in known:
            known[name] = parts.incidents.get(name)
        incident = known[name]
        wanted = receiver.wants(incident.severity, incident.model)
        if wanted and incident.severity == place.severity:
            yield Note(
                number=entry.number or 0, at=entry.at, incident=name, model=incident.model,
                severity=incident.severity, title=incident.title, what=what, text=entry.reason,
                actor=entry.actor, runbook=incident.runbook,
            )  # fmt: skip


def _entries(parts: Parts, number: int) -> Iterator[Entry]:
    """Yield all entries about incidents after one of a number, in order."""
    while page := parts.audit.after(number, "incidents/"):
        yield from page
        number = page[-1].number or 0


def try_out(
    parts: Parts, receivers: Sequence[Receiver], send: Send, *, at: datetime, actor: str, url: str
) -> dict[str, str]:
    """Send each receiver a message now, and keep whether it arrived; return errors by name."""
    message = Message(
        "Watchkeeper: a test",
        f"This is a test of the notifications of {url}, asked for by {actor or 'somebody'}. "
        "Nothing has happened.",
    )
    errors = {each.name: _sent(send, each, message) for each in receivers}
    for each in receivers:
        error = errors[each.name]
        parts.audit.note(
            at=at, by=By(actor, error or f"a test message reached {each.name}"),
            action=NOTIFICATION_TEST, subject=NOTIFICATIONS,
            evidence={"passed": not error, "receiver": each.name, "severity": each.severity},
        )  # fmt: skip
    return errors
