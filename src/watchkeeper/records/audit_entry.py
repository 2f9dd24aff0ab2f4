"""One entry of the audit trail."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchkeeper.identity import RecordId
from watchkeeper.results import Result

__all__ = ["Entry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Result):
    """One change, by an operator or by the controller.

    Attributes
    ----------
    at : datetime
    actor : str
        Who made it; empty where that is unknown.
    action : str
        Such as ``promote`` or ``rollout advance``.
    subject : str
        To what: ``MODEL:VERSION``, ``MODEL:KIND/NAME`` or ``system:PART``.
    reason : str
    evidence : mapping of str to Any
        What it was decided by, as plain values.
    cause : RecordId or None
        The record that led to it.
    number : int or None
        Its number, once it is kept; later entries have larger ones.
    """

    at: datetime
    actor: str
    action: str
    subject: str
    reason: str
    evidence: Mapping[str, Any]
    cause: RecordId | None = None
    number: int | None = None

    @property
    def model(self) -> str:
        """The model that it is of; ``system`` for what is of no model."""
        return self.subject.partition(":")[0]

    @property
    def kind(self) -> str:
        """The kind of the document that it is of, such as ``incident``; empty for a version."""
        folder, slash, _ = self.subject.partition(":")[2].partition("/")
        return folder.removesuffix("s") if slash else ""

    @property
    def name(self) -> str:
        """The name of the document that it is of; empty for a version."""
        return self.subject.partition(":")[2].partition("/")[2]

    @property
    def verb(self) -> str:
        """The action without the kind of the document: ``abort`` of ``rollout abort``."""
        return self.action.removeprefix(f"{self.kind} ")
