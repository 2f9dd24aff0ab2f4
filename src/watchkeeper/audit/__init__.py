"""Who did what, when and why, with the evidence: the trail that every change leaves.

Each entry has a subject: a version (``flights:1.2.0``), something of a model
(``flights:rollouts/august``), or a part of the system (``system:backup``). What was only tried
leaves its entry too: a rollback that was rehearsed, a load test, an alert that was sent for a test.

>>> from datetime import UTC, datetime
>>> entry = Entry(
...     at=datetime(2026, 7, 1, tzinfo=UTC), actor="maria", action="promote",
...     subject="flights:1.2.0", reason="better on June", evidence={"former": "flights:1.1.0"})
>>> entry.model, entry.evidence["former"]
('flights', 'flights:1.1.0')
"""

from watchkeeper.audit.entry import Entry
from watchkeeper.audit.repository import AuditTrail

__all__ = ["AuditTrail", "Entry"]
