"""Metrics of Watchkeeper itself: what is kept, and whether the jobs run."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from watchkeeper.results import Result
from watchkeeper.telemetry import families
from watchkeeper.telemetry.endpoint import shared_between_workers

__all__ = ["JobStatus", "SystemMetrics", "jobs_of"]

_JOB = "watchkeeper_job_"


@dataclass(frozen=True, slots=True)
class JobStatus(Result):
    """A background job of a server.

    Attributes
    ----------
    name : str
    runs, failures : int
        Since the server was started.
    succeeded_at, failed_at : datetime or None
        When it last ended well, and when not.
    """

    name: str
    runs: int
    failures: int
    succeeded_at: datetime | None
    failed_at: datetime | None

    @property
    def well(self) -> bool:
        """Whether its last run did not fail."""
        if self.failed_at is None:
            return True
        return self.succeeded_at is not None and self.succeeded_at > self.failed_at


def jobs_of(families: Iterable[Metric]) -> list[JobStatus]:
    """Return the background jobs that metrics tell of, by name.

    Parameters
    ----------
    families : iterable of Metric

    Returns
    -------
    list of JobStatus
    """
    jobs: dict[str, dict[str, float]] = {}
    for family in families:
        if family.name.startswith(_JOB):
            for sample in family.samples:
                if sample.name != f"{family.name}_created":
                    jobs.setdefault(sample.labels["task"], {})[family.name] = sample.value
    return [
        JobStatus(
            name,
            int(values.get(f"{_JOB}runs", 0)),
            int(values.get(f"{_JOB}failures", 0)),
            _moment(values.get(f"{_JOB}last_success_timestamp_seconds")),
            _moment(values.get(f"{_JOB}last_failure_timestamp_seconds")),
        )
        for name, values in sorted(jobs.items())
    ]


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


class SystemMetrics:
    """The families about the system itself, registered with `registry`.

    Parameters
    ----------
    registry : CollectorRegistry
    version : str
        Of Watchkeeper, for ``watchkeeper_build_info``.
    now : callable
        Seconds since 1970.
    """

    def __init__(
        self, registry: CollectorRegistry, *, version: str, now: Callable[[], float] = time.time
    ) -> None:
        self._now = now

        families.BUILD_INFO.newest(registry).labels(version).set(1)
        self.in_flight = families.IN_FLIGHT.in_flight(registry)
        self.recorded = families.RECORDED.counter(registry)
        for event in ("prediction", "outcome"):
            self.recorded.labels(event)
        self.dropped = families.DROPPED.counter(registry)
        self.deaths = families.DEATHS.counter(registry)
        self.refused = families.REFUSED.counter(registry)
        self.copies_shed = families.COPIES_SHED.counter(registry)
        self.journal_bytes = families.JOURNAL_BYTES.newest(registry)
        self.segments_waiting = families.SEGMENTS_WAITING.newest(registry)
        self.oldest_waiting = families.OLDEST_WAITING.newest(registry)
        self.committed_at = families.COMMITTED_AT.newest(registry)
        if not shared_between_workers():  # an unset gauge is 0: landed in 1970
            self.committed_at.set(math.nan)
        self.runs = families.RUNS.counter(registry)
        self.failures = families.FAILURES.counter(registry)
        self.succeeded_at = families.SUCCEEDED_AT.newest(registry)
        self.failed_at = families.FAILED_AT.newest(registry)
        self.alerts = families.ALERTS.counter(registry)
        for status in ("firing", "resolved"):
            self.alerts.labels(status)

    def knows(self, *jobs: str) -> None:
        """Make the series of `jobs` exist before they first run.

        Parameters
        ----------
        *jobs : str
        """
        for job in jobs:
            self.runs.labels(job)
            self.failures.labels(job)

    def ended(self, job: str, *, well: bool) -> None:
        """Note that a run of `job` has ended.

        Parameters
        ----------
        job : str
        well : bool
        """
        self.runs.labels(job).inc()
        if well:
            self.succeeded_at.labels(job).set(self._now())
        else:
            self.failures.labels(job).inc()
            self.failed_at.labels(job).set(self._now())

    def waits(self, size: int, sealed: int, oldest: float | None) -> None:
        """Show what has not landed.

        Parameters
        ----------
        size : int
            Bytes of all journal segments.
        sealed : int
            Segments that could land.
        oldest : float or None
            When the oldest of these was last written, in seconds since 1970.
        """
        self.journal_bytes.set(size)
        self.segments_waiting.set(sealed)
        self.oldest_waiting.set(0.0 if oldest is None else max(0.0, self._now() - oldest))

    def committed(self) -> None:
        """Note that events have just landed in tables."""
        self.committed_at.set(self._now())
