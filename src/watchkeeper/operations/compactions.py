"""Compaction of events: small files are merged, and what is too old or too much is dropped."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from watchkeeper.clock import Clock
from watchkeeper.identity import By
from watchkeeper.records import AuditTrail
from watchkeeper.store.compaction import CompactionReport, Dropped
from watchkeeper.store.event_store import EventStore

__all__ = ["COMPACTION", "EVENTS", "RETENTION", "Compactions"]

COMPACTION, RETENTION = "compact", "retention"
"""Actions of the audit trail."""

EVENTS = "system:events"
"""The subject of compactions of all models."""


class Compactions:
    """Compactions of the events of one data directory.

    Parameters
    ----------
    events : EventStore
    audit : AuditTrail
    clock : Clock
        Of the system.
    retention_days : float or None
        How long events stay; None for ever.
    max_bytes : int or None
        How much stays; None for all.
    """

    def __init__(
        self,
        events: EventStore,
        *,
        audit: AuditTrail,
        clock: Clock,
        retention_days: float | None,
        max_bytes: int | None,
    ) -> None:
        self._events, self._audit, self._clock = events, audit, clock
        self._days, self._max_bytes = retention_days, max_bytes

    def run(self, model: str | None = None, *, by: By) -> CompactionReport:
        """Merge small files, and drop what is older or larger than the settings allow.

        Before anything is dropped, an entry of the audit trail says what, how much and why. A
        compaction of all models is an entry itself, by which the next one is due.

        Parameters
        ----------
        model : str, optional
            By default all.
        by : By

        Returns
        -------
        CompactionReport
        """
        reasons = {
            "age": f"store.retention_days is {self._days}",
            "size": f"store.max_bytes is {self._max_bytes}",
        }

        def note(dropped: Dropped) -> None:
            reason = (
                f"{dropped.days} days, {dropped.predictions:,} predictions and "
                f"{dropped.outcomes:,} outcomes are dropped: {reasons[dropped.reason]}"
            )
            subject = f"{dropped.model}:events"
            self._note(RETENTION, subject, by.with_reason(reason), dropped.to_dict())

        report = self._events.compact(
            model,
            retention=None if self._days is None else timedelta(days=self._days),
            max_bytes=self._max_bytes,
            dropping=note,
        )
        if model is None:
            self._note(COMPACTION, EVENTS, by, {"passed": True, **report.to_dict()})
        return report

    def keep_failure(self, error: str, *, by: By) -> None:
        """Record that a compaction failed, and why.

        Parameters
        ----------
        error : str
            Why.
        by : By
        """
        self._note(COMPACTION, EVENTS, by, {"passed": False, "error": error})

    def _note(self, action: str, subject: str, by: By, evidence: Mapping[str, Any]) -> None:
        self._audit.note(at=self._clock(), by=by, action=action, subject=subject, evidence=evidence)
