"""Where a model stops being well."""

from dataclasses import dataclass, fields

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result

__all__ = ["Thresholds"]

_SHARES = ("error_rate", "availability", "accuracy", "accuracy_of_baseline")


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
    silence : float
        Seconds without any recorded prediction after which nothing is known any more.

    Raises
    ------
    InvalidValueError
        If a share is not from 0 to 1, or another limit is not above 0.
    """

    latency_p95_ms: float = 500.0
    latency_p99_ms: float = 1_000.0
    error_rate: float = 0.01
    availability: float = 0.999
    accuracy: float = 0.85
    accuracy_of_baseline: float = 0.95
    min_samples: int = 100
    silence: float = 3_600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _SHARES and not 0.0 <= value <= 1.0:
                raise InvalidValueError(field.name, value, "a share from 0 to 1")
            if field.name not in _SHARES and not value > 0:
                raise InvalidValueError(field.name, value, "a number above 0")
