"""What was measured, kept with what it was measured of: the window and the tables' versions.

Whoever decides something later refers to a finding, and can measure it again from the same data.

>>> from datetime import UTC, datetime
>>> finding = Finding(
...     model="flights", kind="drift", bad=True, summary="drift in 2 of 9 features",
...     at=datetime(2013, 7, 2, tzinfo=UTC), start=datetime(2013, 7, 1, tzinfo=UTC), end=None,
...     table_versions={"predictions": 41}, evidence={"drift_share": 0.22})
>>> finding.bad, finding.table_versions
(True, {'predictions': 41})
"""

from watchkeeper.findings.finding import Finding, Kind, Unread
from watchkeeper.findings.repository import FindingRepository

__all__ = ["Finding", "FindingRepository", "Kind", "Unread"]
