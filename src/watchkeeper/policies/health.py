"""Where a model stops being healthy, and what its error budget is."""

from dataclasses import dataclass, fields

from watchkeeper.policies.quantities import Count, Fraction, Positive, Share, check_fields
from watchkeeper.results import Result

__all__ = ["HealthPolicy", "SloPolicy", "Thresholds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds(Result):
    """What is asked of a model; a figure that equals its limit is well.

    Attributes
    ----------
    latency_p95_ms, latency_p99_ms : float
        Percentiles of latency, at most.
    error_rate : float
        Share of the predictions that fail, at most.
    availability : float
        Share of the minutes with requests in which at least half of them were answered.
    accuracy : float
        Share of right answers, at least.
    accuracy_of_baseline : float
        What is to be left, at least, of the accuracy that the version was registered with.
    min_samples : int
        Fewer predictions, or fewer outcomes, tell nothing.
    no_traffic_after : float
        Seconds without any recorded prediction after which nothing is known any more.

    Raises
    ------
    InvalidValueError
        If a share is not from 0 to 1, or another limit is not above 0.
    """

    latency_p95_ms: Positive = 500.0
    latency_p99_ms: Positive = 1_000.0
    error_rate: Fraction = 0.01
    availability: Fraction = 0.999
    accuracy: Fraction = 0.85
    accuracy_of_baseline: Fraction = 0.95
    min_samples: Count = 100
    no_traffic_after: Positive = 3_600.0

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy(Thresholds):
    """What is asked of a model, over its last hours.

    Attributes
    ----------
    window_hours : float
        The hours until now that health is of; the other attributes are those of `Thresholds`.
    """

    window_hours: Positive = 24.0

    def thresholds(self) -> Thresholds:
        """Return what is asked, whatever the hours.

        Returns
        -------
        Thresholds
        """
        return Thresholds(**{field.name: getattr(self, field.name) for field in fields(Thresholds)})


@dataclass(frozen=True, slots=True, kw_only=True)
class SloPolicy(Result):
    """What share of a model's predictions is to be good, over some days.

    Attributes
    ----------
    errors : float
        Share that is to be answered without an error.
    latency : float
        Share that is to be faster than the limit of the 95th percentile.
    days : float
    """

    errors: Share = 0.99
    latency: Share = 0.95
    days: Positive = 30.0

    def __post_init__(self) -> None:
        check_fields(self)
