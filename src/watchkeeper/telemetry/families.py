"""The metric families by name, with what they say and their labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from watchkeeper.telemetry.distributions import BatchSummary

__all__ = ["Family"]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family, which becomes a metric of one registry.

    Attributes
    ----------
    name, description : str
    labels : tuple of str
    """

    name: str
    description: str
    labels: tuple[str, ...] = ()

    def counter(self, registry: CollectorRegistry) -> Counter:
        """Return a counter of this family.

        Parameters
        ----------
        registry : CollectorRegistry

        Returns
        -------
        Counter
        """
        return Counter(self.name, self.description, self.labels, registry=registry)

    def newest(self, registry: CollectorRegistry) -> Gauge:
        """Return a gauge that shows the newest value of all processes.

        Parameters
        ----------
        registry : CollectorRegistry

        Returns
        -------
        Gauge
        """
        return Gauge(
            self.name,
            self.description,
            self.labels,
            registry=registry,
            multiprocess_mode="mostrecent",
        )

    def in_flight(self, registry: CollectorRegistry) -> Gauge:
        """Return a gauge that shows the sum over the processes that live.

        Parameters
        ----------
        registry : CollectorRegistry

        Returns
        -------
        Gauge
        """
        return Gauge(
            self.name, self.description, self.labels, registry=registry, multiprocess_mode="livesum"
        )

    def histogram(self, registry: CollectorRegistry, buckets: Sequence[float]) -> Histogram:
        """Return a histogram of this family.

        Parameters
        ----------
        registry : CollectorRegistry
        buckets : sequence of float
            Upper bounds.

        Returns
        -------
        Histogram
        """
        return Histogram(
            self.name, self.description, self.labels, buckets=buckets, registry=registry
        )

    def summary(self, registry: CollectorRegistry) -> BatchSummary:
        """Return a summary that is counted up by batches.

        Parameters
        ----------
        registry : CollectorRegistry

        Returns
        -------
        BatchSummary
        """
        return BatchSummary(self.name, self.description, self.labels, registry=registry)


MODEL = ("model",)
VERSION = ("model", "model_version")
FEATURE = ("model", "feature_name", "method")

# Of models.
PREDICTIONS = Family(
    "model_predictions_total", "Predictions by outcome of the call", (*VERSION, "status")
)
LATENCY = Family(
    "model_prediction_latency_seconds", "Seconds from a request's arrival to its response", VERSION
)
ACTIVE = Family("model_active_predictions", "Predictions in flight", MODEL)
SCORES = Family("model_prediction_score", "Scores of successful predictions", VERSION)
FEATURES = Family(
    "model_input_feature_value",
    "Numeric input features of successful predictions",
    ("model", "feature_name"),
)
IGNORED = Family(
    "model_input_features_ignored_total",
    "Values of features that got no series, because there are too many names",
    MODEL,
)
ACCURACY = Family("model_accuracy", "Accuracy over the newest labelled predictions", VERSION)
ACCURACY_AT = Family("model_accuracy_timestamp_seconds", "When accuracy was last measured", VERSION)
DRIFT_SCORE = Family(
    "model_feature_drift_score", "Effect size of a feature's drift in the last check", FEATURE
)
DRIFT_DETECTED = Family(
    "model_feature_drift_detected", "1 if the feature drifted in the last check, else 0", FEATURE
)
DATASET_DRIFT = Family(
    "model_dataset_drift_detected",
    "1 if the inputs as a whole drifted in the last check, else 0",
    MODEL,
)
DRIFT_SHARE = Family(
    "model_dataset_drift_share", "Share of the features that drifted in the last check", MODEL
)
ANSWERS_DRIFT_SCORE = Family(
    "model_prediction_drift_score",
    "Drift score of the predictions in the last check",
    MODEL,
)
ANSWERS_DRIFT_DETECTED = Family(
    "model_prediction_drift_detected",
    "1 if the predictions drifted in the last check, else 0",
    MODEL,
)
DRIFT_AT = Family("model_drift_timestamp_seconds", "When drift was last checked", MODEL)
ROLLBACKS = Family("model_rollout_rollbacks_total", "Rollouts that the server rolled back", MODEL)
RETRAININGS = Family(
    "model_retraining_runs_total",
    "Retrainings that this server has carried on to an end, by what came of them",
    ("model", "outcome"),
)
RETRAINED_AT = Family(
    "model_retraining_last_run_timestamp_seconds",
    "When the last retraining of a model was decided",
    MODEL,
)

# Of Watchkeeper itself.
BUILD_INFO = Family("watchkeeper_build_info", "The version that runs", ("version",))
IN_FLIGHT = Family(
    "watchkeeper_requests_in_flight", "Requests that wait for their prediction and its record"
)
RECORDED = Family(
    "watchkeeper_events_recorded_total", "Events that were written to the journal", ("event",)
)
DROPPED = Family(
    "watchkeeper_events_dropped_total",
    "Events that were let go unrecorded because the journal was full",
)
DEATHS = Family(
    "watchkeeper_background_deaths_total",
    "Background threads and tasks that an error has ended",
    ("worker",),
)
REFUSED = Family(
    "watchkeeper_requests_refused_total",
    "Requests refused with 503: too many at once, or no room to record them",
)
COPIES_SHED = Family(
    "watchkeeper_shadow_requests_shed_total",
    "Requests of which a shadow was not asked, because there was too much to do",
)
JOURNAL_BYTES = Family("watchkeeper_journal_bytes", "Size of the journal that is not committed yet")
SEGMENTS_WAITING = Family(
    "watchkeeper_segments_waiting", "Sealed journal segments that are not committed yet"
)
OLDEST_WAITING = Family(
    "watchkeeper_oldest_segment_age_seconds",
    "Age of the oldest journal segment that is not committed; 0 without any",
)
COMMITTED_AT = Family(
    "watchkeeper_last_commit_timestamp_seconds", "When events were last committed to tables"
)
RUNS = Family("watchkeeper_job_runs_total", "Runs of a background job", ("task",))
FAILURES = Family(
    "watchkeeper_job_failures_total", "Runs of a background job that failed", ("task",)
)
SUCCEEDED_AT = Family(
    "watchkeeper_job_last_success_timestamp_seconds",
    "When a background job last succeeded",
    ("task",),
)
FAILED_AT = Family(
    "watchkeeper_job_last_failure_timestamp_seconds", "When a background job last failed", ("task",)
)
ALERTS = Family(
    "watchkeeper_alerts_received_total", "Alerts that Alertmanager has posted", ("status",)
)
