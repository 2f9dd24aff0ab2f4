"""What waits for the receivers of notifications: changes of incidents, in the audit trail."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from watchkeeper.incidents import Incident, IncidentRepository
from watchkeeper.notifications import Note, Place, Receiver
from watchkeeper.notifications.repository import PlaceRepository
from watchkeeper.records import AuditTrail, Entry
from watchkeeper.results import Result

__all__ = ["NotificationQueue", "ReceiverBacklog"]

_WORDS = {
    "incident create": "opened",
    "incident tell": "told",
    "incident acknowledge": "acknowledged",
    "incident assign": "assigned",
    "incident resolve": "resolved",
}


@dataclass(frozen=True, slots=True)
class ReceiverBacklog(Result):
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


class NotificationQueue:
    """The changes of incidents that receivers have not been told of.

    Parameters
    ----------
    places : PlaceRepository
    incidents : IncidentRepository
    audit : AuditTrail
    """

    def __init__(
        self, places: PlaceRepository, *, incidents: IncidentRepository, audit: AuditTrail
    ) -> None:
        self._places, self._incidents, self._audit = places, incidents, audit

    def waiting(self, receivers: Sequence[Receiver]) -> list[ReceiverBacklog]:
        """Return what waits for whom; of a receiver that is not in the settings, nothing.

        Parameters
        ----------
        receivers : sequence of Receiver

        Returns
        -------
        list of ReceiverBacklog
        """
        by_name = {receiver.name: receiver for receiver in receivers}
        return [
            ReceiverBacklog(
                **position,
                waiting=len(list(self.pending(by_name[position.receiver], position)))
                if position.receiver in by_name
                else 0,
            )
            for position in self._places.find()
        ]

    def pending(self, receiver: Receiver, place: Place) -> Iterator[Note]:
        """Yield what a receiver has not been told of incidents of a severity, the oldest first.

        Parameters
        ----------
        receiver : Receiver
        place : Place

        Yields
        ------
        Note
        """
        incidents: dict[str, Incident] = {}
        for entry in self._entries(place.told):
            word = _WORDS.get(entry.action)
            if word is None:
                continue
            if entry.name not in incidents:
                incidents[entry.name] = self._incidents.get(entry.name)
            incident = incidents[entry.name]
            wanted = receiver.wants(incident.severity, incident.model)
            if wanted and incident.severity == place.severity:
                yield Note(
                    number=entry.number or 0, at=entry.at, incident=incident.name,
                    model=incident.model, severity=incident.severity, title=incident.title,
                    what=word, text=entry.reason, actor=entry.actor, runbook=incident.runbook,
                )  # fmt: skip

    def _entries(self, number: int) -> Iterator[Entry]:
        """Yield all entries about incidents after one of a number, in order."""
        while page := self._audit.after(number, "incidents/"):
            yield from page
            number = page[-1].number or 0
