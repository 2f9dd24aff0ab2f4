"""A router for one's own functions: several variants, each with its part of the traffic.

>>> router = ABTestRouter(salt="new-model")
>>> router.add_variant(ModelVariant("control", "1.0.0", 90.0, lambda features: 0))
>>> router.add_variant(ModelVariant("candidate", "2.0.0", 10.0, lambda features: 1))
>>> router.validate_traffic_split()
True
>>> router.route_prediction("user-1", {"distance": 733.0})
{'prediction': 0, 'model_variant': 'control', 'model_version': '1.0.0'}
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from numbers import Real
from typing import Any

from watchkeeper.clock import Clock, system_clock
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.experiments.arms import Arm
from watchkeeper.experiments.assignment import Allocation
from watchkeeper.experiments.slots import SLOTS
from watchkeeper.results import Result

__all__ = ["ABTestRouter", "ModelVariant", "RoutedPrediction"]

_TOLERANCE = 0.01  # percentage points by which a split may miss 100


@dataclass(frozen=True, slots=True)
class ModelVariant:
    """One of the models that share the traffic.

    Attributes
    ----------
    name, version : str
    traffic_percentage : float
        From 0 to 100.
    predict_fn : callable
        Takes the features, returns the prediction.

    Raises
    ------
    InvalidValueError
        If there is no name, the percentage is not from 0 to 100, or the function cannot be called.
    """

    name: str
    version: str
    traffic_percentage: float
    predict_fn: Callable[[Any], Any]

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidValueError("name", self.name, "the name of the variant")
        _check_percentage(f"traffic_percentage of variant {self.name}", self.traffic_percentage)
        if not callable(self.predict_fn):
            raise InvalidValueError(
                f"predict_fn of variant {self.name}", self.predict_fn, "a callable"
            )


@dataclass(frozen=True, slots=True)
class RoutedPrediction(Result):
    """One line of a router's log."""

    timestamp: datetime
    request_id: str
    model_variant: str
    model_version: str
    features: Any
    prediction: Any


class ABTestRouter:
    """Answers each request by the variant that its id belongs to.

    The same id has the same variant in every process that has the same variants and salt. A variant
    whose share rises keeps its ids where no other share rises, and the second and the third variant
    keep them in any case. An experiment on the server remembers more, and keeps them for all.

    Parameters
    ----------
    salt : str
        Two routers with one salt split their ids alike; give each its own.
    log_size : int
        Most predictions that `prediction_log` holds; the oldest leave it first.
    clock : callable
        Returns the time, aware.

    Raises
    ------
    InvalidValueError
        If the size of the log is negative.
    """

    def __init__(
        self, salt: str = "ab-test", *, log_size: int = 10_000, clock: Clock = system_clock
    ) -> None:
        if log_size < 0:
            raise InvalidValueError("log_size", log_size, "a number from 0")
        self._salt, self._clock = salt, clock
        self._variants: list[ModelVariant] = []
        self._log: deque[RoutedPrediction] = deque(maxlen=log_size)
        self._allocation: Allocation | None = None

    @property
    def variants(self) -> list[ModelVariant]:
        """The variants, in the order in which they were added."""
        return list(self._variants)

    @property
    def prediction_log(self) -> list[RoutedPrediction]:
        """The last predictions, the oldest first; each also reads as a mapping."""
        return list(self._log)

    def add_variant(self, variant: ModelVariant) -> None:
        """Add a variant.

        Parameters
        ----------
        variant : ModelVariant

        Raises
        ------
        ConflictError
            If there is one of that name.
        """
        if any(variant.name == other.name for other in self._variants):
            raise ConflictError(
                f"there is a variant {variant.name!r} already", "Give each variant its own name."
            )
        self._variants.append(variant)
        self._allocation = None

    def validate_traffic_split(self) -> bool:
        """Return whether the shares sum to 100 %, within 0.01.

        Returns
        -------
        bool
        """
        # What is added beside the tolerance is what the sum of such numbers is rounded by.
        return bool(self._variants) and abs(self._total() - 100) <= _TOLERANCE + 1e-9

    def route_prediction(self, request_id: str, features: Any) -> dict[str, Any]:
        """Return the prediction of the variant that a request belongs to.

        Parameters
        ----------
        request_id : str
            Of the request, or of the user that should always get the same variant.
        features
            Handed to the variant's `predict_fn`, whose own errors are not caught.

        Returns
        -------
        dict
            ``prediction``, ``model_variant``, ``model_version``.

        Raises
        ------
        InvalidValueError
            If the shares do not sum to 100 %.
        """
        if self._allocation is None:
            self._allocation = self._allocated()
        key = self._allocation.assign(str(request_id)).arm
        variant = self._variants[int(str(key))]
        prediction = variant.predict_fn(features)
        self._log.append(
            RoutedPrediction(
                self._clock(), str(request_id), variant.name, variant.version, features, prediction
            )
        )
        return {
            "prediction": prediction,
            "model_variant": variant.name,
            "model_version": variant.version,
        }

    def _total(self) -> float:
        return math.fsum(variant.traffic_percentage for variant in self._variants)

    def _allocated(self) -> Allocation:
        if not self.validate_traffic_split():
            shares = {variant.name: variant.traffic_percentage for variant in self._variants}
            raise InvalidValueError(
                "the traffic split",
                shares,
                f"percentages that sum to 100, within {_TOLERANCE}; these sum to {self._total():g}",
                "Add a variant for the rest, or change the shares.",
            )
        weights = [round(variant.traffic_percentage * SLOTS / 100) for variant in self._variants]
        # Thirds do not sum to 10,000: the largest share takes what rounding leaves over.
        weights[weights.index(max(weights))] += SLOTS - sum(weights)
        return Allocation(  # a variant may have any name, an arm may not
            experiment="router",
            salt=self._salt,
            arms=tuple(Arm(str(n), weight) for n, weight in enumerate(weights)),
        )


def _check_percentage(field: str, share: object) -> None:
    if isinstance(share, bool) or not isinstance(share, Real) or not 0 <= float(share) <= 100:
        raise InvalidValueError(field, share, "a number from 0 to 100")
