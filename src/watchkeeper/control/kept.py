"""Where things with a name, a state and a history are kept, as those who change them see it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

__all__ = ["Kept"]

T = TypeVar("T")


class Kept(Protocol[T]):
    """Where the things of one kind are kept."""

    def add(self, document: T, *, at: datetime, actor: str, reason: str) -> None:
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
        actor: str,
        reason: str,
        evidence: Mapping[str, Any],
    ) -> None:
        """Keep a change of one, or nothing if it is no longer as it was before."""
        ...
