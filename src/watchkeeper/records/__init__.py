"""Records: audit entries and findings, the evidence that every decision is stored with.

An audit entry says who did what, when and why, and by what evidence. Its subject is a version
(``flights:1.2.0``), an object of a model (``flights:rollouts/august``) or a part of the system
(``system:backup``). A finding is one measurement of a window of recorded events, stored with the
window and the table versions that it was computed from, so that it can be reproduced.

>>> from datetime import UTC, datetime
>>> from watchkeeper.records import Entry, Finding
>>> entry = Entry(
...     at=datetime(2026, 7, 1, tzinfo=UTC), actor="maria", action="promote",
...     subject="flights:1.2.0", reason="better on June", evidence={"former": "flights:1.1.0"})
>>> entry.model, entry.evidence["former"]
('flights', 'flights:1.1.0')
>>> finding = Finding(
...     model="flights", kind="drift", bad=True, summary="drift in 2 of 9 features",
...     at=datetime(2013, 7, 2, tzinfo=UTC), start=datetime(2013, 7, 1, tzinfo=UTC), end=None,
...     table_versions={"predictions": 41}, evidence={"drift_share": 0.22})
>>> finding.bad, finding.table_versions
(True, {'predictions': 41})
"""

from typing import TYPE_CHECKING

from watchkeeper.lazy import on_first_use

if TYPE_CHECKING:
    from watchkeeper.records.audit_entry import Entry
    from watchkeeper.records.audit_trail import AuditTrail, DocumentEntry
    from watchkeeper.records.finding import Finding, Kind, Unread
    from watchkeeper.records.finding_repository import FindingRepository

__all__ = ["AuditTrail", "DocumentEntry", "Entry", "Finding", "FindingRepository", "Kind", "Unread"]

__getattr__ = on_first_use(
    __name__,
    {
        "AuditTrail": ".audit_trail",
        "DocumentEntry": ".audit_trail",
        "Entry": ".audit_entry",
        "Finding": ".finding",
        "FindingRepository": ".finding_repository",
        "Kind": ".finding",
        "Unread": ".finding",
    },
)
