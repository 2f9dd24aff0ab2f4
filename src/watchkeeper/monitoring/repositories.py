"""What is kept, as those who change and read it see it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from watchkeeper.identity import By
from watchkeeper.incidents import Alert
from watchkeeper.records import Entry, Finding

__all__ = ["Kept", "KeptAlerts", "KeptFindings", "Trail"]

T = TypeVar("T")


class Kept(Protocol[T]):
    """Where the things of one kind are kept: each has a name, a state and a history."""

    def add(self, document: T, *, at: datetime, by: By) -> None:
        """Keep a new one."""
        ...

    def get(self, name: str) -> T:
        """Return one."""
        ...

    def find(self, model: str | None = None, state: str | None = None) -> list[T]:
        """Return several, the newest first."""
        ...

    def save(
        self,
        before: T,
        after: T,
        *,
        action: str,
        at: datetime,
        by: By,
        evidence: Mapping[str, Any],
    ) -> None:
        """Keep a change of one, or nothing if it is no longer as it was before."""
        ...


class KeptFindings(Protocol):
    """Where findings are kept."""

    def find(
        self,
        model: str | None = None,
        kind: str | None = None,
        *,
        bad: bool | None = None,
        limit: int = 100,
    ) -> list[Finding]:
        """Return findings, the newest first."""
        ...


class KeptAlerts(Protocol):
    """Where alerts are kept."""

    def find(
        self, status: str | None = None, name: str | None = None, limit: int = 1000
    ) -> list[Alert]:
        """Return alerts, those that began last first."""
        ...


class Trail(Protocol):
    """Where the audit trail is kept."""

    def note(
        self,
        *,
        at: datetime,
        by: By,
        action: str,
        subject: str,
        evidence: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Keep an entry."""
        ...

    def entries(
        self,
        model: str | None = None,
        *,
        subject: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        beginning: Sequence[str] = (),
        limit: int = 1000,
    ) -> list[Entry]:
        """Return entries, the newest first."""
        ...
