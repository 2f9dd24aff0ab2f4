"""A notification: several changes of incidents as one message of plain text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from watchkeeper.results import Result

__all__ = ["Message", "Note", "grouped", "shortened"]

_SHOWN = 20  # changes that a message tells in full, and incidents
_CUT = "\n…"


@dataclass(frozen=True, slots=True)
class Note(Result):
    """One change of an incident.

    Attributes
    ----------
    number : int
        Of its entry in the audit trail.
    at : datetime
    incident, model, severity, title : str
    what : str
        ``opened``, ``told``, ``acknowledged``, ``assigned`` or ``resolved``.
    text : str
        What was said of it.
    actor : str
    runbook : str
        Where it says what to do.
    """

    number: int
    at: datetime
    incident: str
    model: str
    severity: str
    title: str
    what: str
    text: str
    actor: str
    runbook: str


@dataclass(frozen=True, slots=True)
class Message(Result):
    """What is sent."""

    title: str
    body: str


def grouped(notes: Sequence[Note], url: str) -> Message:
    """Return one message of all `notes`, the oldest of which comes first.

    Parameters
    ----------
    notes : sequence of Note
        At least one.
    url : str
        Of the server, where incidents are read and acted upon.

    Returns
    -------
    Message
    """
    incidents = {note.incident: note for note in notes}
    last = notes[-1]
    if len(incidents) == 1:
        title = f"[{last.severity}] {last.model}: {last.what}: {last.title}"
    else:
        models = ", ".join(sorted({note.model for note in notes})[:3])
        title = f"[{last.severity}] {len(incidents)} incidents of {models}"
    lines = []
    for note in notes[-_SHOWN:]:
        by = f" by {note.actor}" if note.actor else ""
        said = note.text if note.text and note.text != note.title else ""
        lines.append(f"{note.at:%Y-%m-%d %H:%M} UTC  {note.model}: {note.what}{by}: {note.title}")
        if said:
            lines.append(f"    {said[:300]}")
    if len(notes) > _SHOWN:
        lines.insert(0, f"({len(notes) - _SHOWN} earlier changes are not shown)")
    for name, note in list(incidents.items())[-_SHOWN:]:
        lines.append("")
        lines.append(f"{url}/v1/incidents/{name}")
        if note.runbook:
            lines.append(f"What to do: {note.runbook}")
        if note.what != "resolved":
            lines.append(f"Acknowledge it: watchkeeper incidents acknowledge {name}")
    if len(incidents) > _SHOWN:
        lines.append(f"\n{len(incidents) - _SHOWN} more incidents: {url}/v1/incidents")
    return Message(title[:200], "\n".join(lines))


def shortened(message: Message, longest: int) -> Message:
    r"""Return a message whose body has at most `longest` characters, cut after a line if it can be.

    Parameters
    ----------
    message : Message
    longest : int
        Characters of the body.

    Returns
    -------
    Message

    Examples
    --------
    >>> shortened(Message("two", "first line\nsecond line"), 16).body
    'first line\n…'
    """
    if len(message.body) <= longest:
        return message
    body = message.body[: max(0, longest - len(_CUT))]
    whole, _, _ = body.rpartition("\n")
    return Message(message.title, f"{whole or body}{_CUT}"[: max(0, longest)])
