"""Metrics for Prometheus, labelled by the models and versions of the registry, so bounded.

Children are looked up once a version, not once a prediction. Every ``status`` exists from the
start, because ``rate()`` cannot see the first value of a series that was not there before.
"""

import os
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

__all__ = ["LATENCY_BUCKETS", "Metrics", "VersionMetrics", "exposition"]

# Prometheus' usual bounds for requests, with finer ones where a small model answers.
LATENCY_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip

_SHARED = "PROMETHEUS_MULTIPROC_DIR"  # set for worker processes, which add up in this folder


disable_created_metrics()  # type: ignore[no-untyped-call] # a second series a counter, unread


class VersionMetrics:
    """The metrics of one version, ready to be counted up."""

    def __init__(self, metrics: "Metrics", model: str, version: str) -> None:
        self._success = metrics.predictions.labels(model, version, "success")
        self._error = metrics.predictions.labels(model, version, "error")
        self._latency = metrics.latency.labels(model, version)
        self._active = metrics.active.labels(model)
        self._accuracy, self._labels = metrics.accuracy, (model, version)

    def entered(self, rows: int) -> None:
        """Note that `rows` are to be predicted."""
        self._active.inc(rows)

    def left(self, rows: int) -> None:
        """Note that `rows` have been answered, one way or the other."""
        self._active.dec(rows)

    def succeeded(self, rows: int, seconds: float) -> None:
        """Note that a request of `rows` was answered after `seconds`."""
        self._success.inc(rows)
        self._latency.observe(seconds)

    def failed(self, rows: int, seconds: float) -> None:
        """Note that a request of `rows` could not be answered."""
        self._error.inc(rows)
        self._latency.observe(seconds)

    def set_accuracy(self, accuracy: float | None) -> None:
        """Show the accuracy of the current window; None takes it away until it is known."""
        if accuracy is not None:
            self._accuracy.labels(*self._labels).set(accuracy)
        elif _SHARED not in os.environ:
            self._accuracy.clear()


class Metrics:
    """The families, registered with `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        version = ("model", "model_version")
        self.predictions = Counter(
            "model_predictions_total",
            "Predictions by outcome of the call",
            (*version, "status"),
            registry=registry,
        )
        self.latency = Histogram(
            "model_prediction_latency_seconds",
            "Seconds from a request's arrival to its answer",
            version,
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.active = Gauge(
            "model_active_predictions",
            "Predictions in flight",
            ("model",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.accuracy = Gauge(
            "model_accuracy",
            "Accuracy over the newest labelled predictions",
            version,
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.dropped = Counter(
            "watchkeeper_events_dropped_total",
            "Events that were let go unrecorded because the journal was full",
            registry=registry,
        )
        self.journal_bytes = Gauge(
            "watchkeeper_journal_bytes",
            "Size of the journal that has not landed yet",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.segments_waiting = Gauge(
            "watchkeeper_segments_waiting",
            "Sealed journal segments that have not landed yet",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.landing_failures = Counter(
            "watchkeeper_landing_failures_total",
            "Rounds of landing in which a table could not be written",
            registry=registry,
        )

    def of_version(self, model: str, version: str) -> VersionMetrics:
        """Return the metrics of one version; its series exist from now on."""
        return VersionMetrics(self, model, version)


def exposition(registry: CollectorRegistry) -> bytes:
    """Return all metrics in Prometheus' text format, added up over worker processes."""
    folder = os.environ.get(_SHARED)
    if not folder:
        return generate_latest(registry)
    shared = CollectorRegistry()
    multiprocess.MultiProcessCollector(shared, path=folder)  # type: ignore[no-untyped-call]
    return generate_latest(shared)


def share_between_workers(folder: Path) -> None:
    """Make worker processes that start from now on add up their metrics in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("*.db"):
        left_over.unlink()
    os.environ[_SHARED] = str(folder)
