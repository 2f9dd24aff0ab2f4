"""One measurement of a window of recorded events, and its verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from watchkeeper.identity import RecordId
from watchkeeper.results import Result

__all__ = ["Finding", "Kind", "Unread"]

Kind = Literal["drift", "quality"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Result):
    """A measurement that is kept.

    Attributes
    ----------
    model : str
    kind : {"drift", "quality"}
    bad : bool
        The verdict.
    summary : str
        It, as a sentence with figures.
    at : datetime
        When it was measured.
    start, end : datetime or None
        The window of event time.
    table_versions : dict of str to int
        Of the event store, as it was read.
    evidence : mapping of str to Any
        The figures, as plain values.
    cause : RecordId or None
        The record that led to the measurement, such as a request of a person.
    number : int or None
        Its number, once it is kept.
    """

    model: str
    kind: Kind
    bad: bool
    summary: str
    at: datetime
    start: datetime | None
    end: datetime | None
    table_versions: dict[str, int]
    evidence: Mapping[str, Any]
    cause: RecordId | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A finding whose evidence is still the JSON it is kept as.

    For readers of a few figures of thousands of findings.

    Attributes
    ----------
    number : int
    bad : bool
    at : datetime
    end : datetime or None
    evidence : str
    """

    number: int
    bad: bool
    at: datetime
    end: datetime | None
    evidence: str
