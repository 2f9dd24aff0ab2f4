"""Metrics of models, labelled by what the registry knows, so bounded.

Children are looked up once a version, not once a prediction. Every ``status`` exists from the
start, because ``rate()`` cannot see the first value of a series that was not there before. Nothing
here is ever NaN on a scrape: a gauge that is not known any more is taken away.
"""

import math
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.telemetry import families
from watchkeeper.telemetry.buckets import LATENCY_BUCKETS
from watchkeeper.telemetry.distributions import (
    Columns,
    FeatureValues,
    Floats,
    PendingRows,
    ScoreValues,
)

__all__ = ["ModelMetrics", "VersionMetrics"]

_UNKNOWN = math.nan  # what the exposition leaves out


disable_created_metrics()  # type: ignore[no-untyped-call] # a second series a counter, unread


class ModelMetrics:
    """The families about models, registered with `registry`.

    Parameters
    ----------
    registry : CollectorRegistry
    buckets : sequence of float
        Upper bounds of the latency histogram, in seconds.
    now : callable
        Seconds since 1970, as Prometheus counts them: when accuracy and drift were measured.

    Raises
    ------
    ConflictError
        If `registry` has a metric of one of these names that is not Watchkeeper's.
    InvalidValueError
        If there are no buckets, or they do not ascend.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        buckets: Sequence[float] = LATENCY_BUCKETS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._drift_shown: dict[str, set[tuple[str, str]]] = {}
        self.buckets = tuple(float(bound) for bound in buckets)
        if not self.buckets or sorted(set(self.buckets)) != list(self.buckets):
            raise InvalidValueError("buckets", buckets, "upper bounds in seconds, ascending")

        try:
            self.predictions = families.PREDICTIONS.counter(registry)
            self.latency = families.LATENCY.histogram(registry, self.buckets)
            self.active = families.ACTIVE.in_flight(registry)
            self.scores = families.SCORES.summary(registry)
            self.features = families.FEATURES.summary(registry)
            self.ignored = families.IGNORED.counter(registry)
            self.accuracy = families.ACCURACY.newest(registry)
            self.accuracy_at = families.ACCURACY_AT.newest(registry)
            self.drift_score = families.DRIFT_SCORE.newest(registry)
            self.drift_detected = families.DRIFT_DETECTED.newest(registry)
            self.dataset_drift = families.DATASET_DRIFT.newest(registry)
            self.drift_share = families.DRIFT_SHARE.newest(registry)
            self.answers_drift_score = families.ANSWERS_DRIFT_SCORE.newest(registry)
            self.answers_drift_detected = families.ANSWERS_DRIFT_DETECTED.newest(registry)
            self.drift_at = families.DRIFT_AT.newest(registry)
            self.rollbacks = families.ROLLBACKS.counter(registry)
            self.retrainings = families.RETRAININGS.counter(registry)
            self.retrained_at = families.RETRAINED_AT.newest(registry)
            self.metadata = Metadata(registry)
            self.experiment_traffic = TrafficShares(
                registry,
                "experiment",
                "Percent of a model's units that a variant of a running experiment gets",
            )
            self.rollout_traffic = TrafficShares(
                registry,
                "rollout",
                "Percent of a model's units that a version in a rollout gets",
            )
        except ValueError as error:
            raise ConflictError(
                f"the registry of metrics has one of these names already: {error}",
                "Give the monitors a prometheus_client.CollectorRegistry of their own.",
            ) from None

    @classmethod
    def of(
        cls, registry: CollectorRegistry, buckets: Sequence[float] | None = None
    ) -> "ModelMetrics":
        """Return the families of `registry`, made when they are first asked for.

        Parameters
        ----------
        registry : CollectorRegistry
        buckets : sequence of float, optional

        Returns
        -------
        ModelMetrics

        Raises
        ------
        ConflictError
            If they were made with other `buckets`.
        """
        with _MAKING:
            metrics = _MADE.get(registry)
            if metrics is None:
                metrics = _MADE[registry] = cls(registry, buckets=buckets or LATENCY_BUCKETS)
        if buckets is not None and metrics.buckets != tuple(map(float, buckets)):
            raise ConflictError(
                f"these metrics have the buckets {metrics.buckets}",
                "Use the same buckets for all monitors of a registry.",
            )
        return metrics

    def of_version(
        self, model: str, version: str, features: Collection[str] | None = None
    ) -> "VersionMetrics":
        """Return the metrics of one version; its series exist from now on.

        Parameters
        ----------
        model, version : str
        features : collection of str, optional
            Those of its signature; see `FeatureValues`.

        Returns
        -------
        VersionMetrics
        """
        return VersionMetrics(self, model, version, features)

    def show_drift(
        self,
        model: str,
        features: Iterable[tuple[str, str, float | None, bool | None]],
        *,
        share: float,
        detected: bool,
        answers: tuple[float | None, bool | None] = (None, None),
    ) -> None:
        """Show a drift check of `model`, in place of the one before.

        Parameters
        ----------
        model : str
        features : iterable of (name, method, effect size, whether it drifted)
            None where the feature could not be checked: it has no series then.
        share : float
        detected : bool
            Whether the inputs as a whole drifted.
        answers : (effect size, whether they drifted)
            Of what the model answered; None takes them away until they are known.
        """
        shown: set[tuple[str, str]] = set()
        for name, method, score, drifted in features:
            if drifted is not None:
                self.drift_score.labels(model, name, method).set(
                    _UNKNOWN if score is None else score
                )
                self.drift_detected.labels(model, name, method).set(drifted)
                shown.add((name, method))
        for name, method in self._drift_shown.get(model, set()) - shown:
            self.drift_score.labels(model, name, method).set(_UNKNOWN)
            self.drift_detected.labels(model, name, method).set(_UNKNOWN)
        self._drift_shown[model] = shown
        self.drift_share.labels(model).set(share)
        self.dataset_drift.labels(model).set(detected)
        score, drifted = answers
        self.answers_drift_score.labels(model).set(_UNKNOWN if score is None else score)
        self.answers_drift_detected.labels(model).set(_UNKNOWN if drifted is None else drifted)
        self.drift_at.labels(model).set(self._now())

    def show_accuracy(self, model: str, version: str, accuracy: float | None) -> None:
        """Show the accuracy of the current window; None takes it away until it is known.

        Parameters
        ----------
        model, version : str
        accuracy : float or None
        """
        value, at = (_UNKNOWN, _UNKNOWN) if accuracy is None else (accuracy, self._now())
        self.accuracy.labels(model, version).set(value)
        self.accuracy_at.labels(model, version).set(at)


class VersionMetrics:
    """The metrics of one version, ready to be counted up, from any thread.

    Parameters
    ----------
    metrics : ModelMetrics
    model, version : str
    features : collection of str or None
        Features that get a series; None for the first that are seen.

    Attributes
    ----------
    entered, left : callable
        Note that so many rows are to be predicted, and that they have been answered one way or the
        other.
    features : FeatureValues
    scores : ScoreValues
    """

    def __init__(
        self, metrics: ModelMetrics, model: str, version: str, features: Collection[str] | None
    ) -> None:
        self._success = metrics.predictions.labels(model, version, "success")
        self._error = metrics.predictions.labels(model, version, "error")
        self._latency = metrics.latency.labels(model, version)
        active = metrics.active.labels(model)
        self.entered: Callable[[float], None] = active.inc
        self.left: Callable[[float], None] = active.dec
        self._metrics, self._model, self._version = metrics, model, version
        self.features = FeatureValues(metrics.features, metrics.ignored, model, features)
        self.scores = ScoreValues(metrics.scores.labels(model, version))
        self._pending = PendingRows(self.features, self.scores)

    def succeeded(self, rows: int, seconds: float) -> None:
        """Note that a request of `rows` was answered after `seconds`.

        Parameters
        ----------
        rows : int
            How many rows.
        seconds : float
            Seconds from arrival to the answer.
        """
        self._success.inc(rows)
        self._latency.observe(seconds)

    def failed(self, rows: int, seconds: float) -> None:
        """Note that a request of `rows` could not be answered.

        Parameters
        ----------
        rows : int
            How many rows.
        seconds : float
            Seconds from arrival to the answer.
        """
        self._error.inc(rows)
        self._latency.observe(seconds)

    def saw(
        self, rows: Floats | Columns, count: int, names: Sequence[str], scores: Floats | None
    ) -> None:
        """Note what was predicted from and the scores; it is shown after the next `publish`.

        Parameters
        ----------
        rows : numpy.ndarray of float or Columns
            How many rows.
        count : int
        names : sequence of str
        scores : numpy.ndarray of float or None
        """
        self._pending.add(rows, count, names, scores)

    def publish(self) -> None:
        """Show what `saw` has noted."""
        self._pending.publish()

    def set_accuracy(self, accuracy: float | None) -> None:
        """Show the accuracy of the current window; None takes it away until it is known.

        Parameters
        ----------
        accuracy : float or None
        """
        self._metrics.show_accuracy(self._model, self._version, accuracy)


class Metadata(Collector):
    """What is in production, as ``model_metadata_info``: a row a model, always 1.

    It is a collector of its own because Prometheus' Python client has no info metric that several
    processes could share.

    Parameters
    ----------
    registry : CollectorRegistry
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._known: dict[str, dict[str, str]] = {}
        registry.register(self)

    def show(self, models: Mapping[str, Mapping[str, Any]]) -> None:
        """Show these models and no others.

        Parameters
        ----------
        models : mapping of str to mapping of str to object
        """
        self._known = {model: _as_labels(about) for model, about in models.items()}

    def update(self, model: str, about: Mapping[str, Any]) -> None:
        """Show one model, in place of what was told of it.

        Parameters
        ----------
        model : str
        about : mapping of str to object
        """
        self._known = {**self._known, model: _as_labels(about)}

    def collect(self) -> Iterable[Metric]:
        """Yield the family.

        Yields
        ------
        Metric
        """
        family = Metric("model_metadata", "What is in production", "info")
        for model, about in sorted(self._known.items()):
            family.add_sample("model_metadata_info", {"model": model, **about}, 1.0)
        yield family


class TrafficShares(Collector):
    """What share of a model's units each variant gets: ``model_KIND_traffic_percentage``.

    Parameters
    ----------
    registry : CollectorRegistry
    kind : str
        ``experiment`` or ``rollout``.
    description : str
        Help text of the metric.
    """

    def __init__(self, registry: CollectorRegistry, kind: str, description: str) -> None:
        self._kind, self._description = kind, description
        self._shares: Mapping[tuple[str, str, str], float] = {}
        registry.register(self)

    def show(self, shares: Mapping[tuple[str, str, str], float]) -> None:
        """Show these percentages by model, experiment or rollout, and variant, and no others.

        Parameters
        ----------
        shares : mapping of (str, str, str) to float
        """
        self._shares = dict(shares)

    def collect(self) -> Iterable[Metric]:
        """Yield the family.

        Yields
        ------
        Metric
        """
        family = GaugeMetricFamily(
            f"model_{self._kind}_traffic_percentage",
            self._description,
            labels=("model", self._kind, "variant"),
        )
        for labels, share in sorted(self._shares.items()):
            family.add_metric(labels, share)
        yield family


_MAKING = threading.Lock()
_MADE: WeakKeyDictionary[CollectorRegistry, ModelMetrics] = WeakKeyDictionary()


def _as_labels(about: Mapping[str, Any]) -> dict[str, str]:
    named = {re.sub(r"\W", "_", str(name)): str(value) for name, value in about.items()}
    return {name: value for name, value in named.items() if name != "model" and value != "None"}
