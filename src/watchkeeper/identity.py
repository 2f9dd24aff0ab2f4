"""Values in place of strings: which version, which record, who changed something and why.

>>> ModelId.parse("late:1.2.0")
ModelId(name='late', version='1.2.0')
>>> by = By("maria", "better on June", cause=RecordId("retraining", "late-20260601"))
>>> str(by.cause), by.with_reason("abort").reason
('retraining:late-20260601', 'abort')
"""

from dataclasses import dataclass, replace
from typing import Self

from watchkeeper.errors import InvalidValueError

__all__ = ["CONTROLLER", "By", "ModelId", "RecordId"]

CONTROLLER = "watchkeeper"
"""The actor of changes that no person asked for."""


@dataclass(frozen=True, slots=True, order=True)
class ModelId:
    """One version of one model, written ``NAME:VERSION``.

    Attributes
    ----------
    name, version : str
    """

    name: str
    version: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the value that is written ``NAME:VERSION``.

        Parameters
        ----------
        text : str

        Returns
        -------
        ModelId

        Raises
        ------
        InvalidValueError
            If the text has no name or no version.
        """
        name, _, version = text.partition(":")
        if not (name and version):
            raise InvalidValueError("model id", text, "NAME:VERSION, such as late:1.2.0")
        return cls(name, version)

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True, slots=True, order=True)
class RecordId:
    """A stored record, written ``KIND:ID``.

    Attributes
    ----------
    kind : str
        ``finding``, ``audit``, ``alert``, ``incident``, ``experiment``, ``retraining``,
        ``rollout`` or ``shadow``.
    id : str
        The number of a finding or an audit entry, the name of anything else.
    """

    kind: str
    id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the value that is written ``KIND:ID``.

        Parameters
        ----------
        text : str

        Returns
        -------
        RecordId

        Raises
        ------
        InvalidValueError
            If the text has no kind or no id.
        """
        kind, _, key = text.partition(":")
        if not (kind and key):
            raise InvalidValueError("record id", text, "KIND:ID, such as finding:12")
        return cls(kind, key)

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class By:
    """Who changes something, why, and which record led to it.

    Attributes
    ----------
    actor : str
        A person, a key or the controller; empty where it is not known.
    reason : str
        In the words of the actor. It is shown and never parsed.
    cause : RecordId or None
        None where no record led to the change.
    """

    actor: str = ""
    reason: str = ""
    cause: RecordId | None = None

    def with_reason(self, reason: str) -> Self:
        """Return the same actor and cause with another reason.

        Parameters
        ----------
        reason : str

        Returns
        -------
        By
        """
        return replace(self, reason=reason)
