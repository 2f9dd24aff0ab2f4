"""`CanaryDeployment`: a rollout in stages, by health that its user measures."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite

from watchkeeper.clock import Clock, system_clock
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.results import Result
from watchkeeper.rollouts.plan import increments

__all__ = ["CanaryDeployment", "Stage"]


@dataclass(frozen=True, slots=True)
class Stage(Result):
    """A stage that was passed.

    Attributes
    ----------
    traffic : float
        Percent.
    start, end : datetime
    metrics : dict of str to float
        Those by which it was judged last.
    """

    traffic: float
    start: datetime
    end: datetime
    metrics: dict[str, float]


class CanaryDeployment:
    """Gives a new version more and more of the traffic while it is well.

    It decides and does not serve: route `current_traffic` percent of the requests to the canary.

    Parameters
    ----------
    initial_traffic, max_traffic, increment_step : float
        Percent. The last step lands exactly on `max_traffic`.
    monitoring_window_minutes : float
        How long each stage lasts at least.
    max_error_rate : float
    max_latency_p95 : float
        Milliseconds.
    min_success_rate : float
    clock : Clock, optional

    Attributes
    ----------
    current_traffic : float
        0 before it is started and after it was rolled back.
    stages_completed : list of Stage
    rollback_reason : str or None

    Raises
    ------
    InvalidValueError
        If a percentage, the window or a threshold is out of its range.
    """

    def __init__(
        self,
        initial_traffic: float = 5.0,
        max_traffic: float = 100.0,
        increment_step: float = 10.0,
        monitoring_window_minutes: float = 30,
        *,
        max_error_rate: float = 0.05,
        max_latency_p95: float = 2_000.0,
        min_success_rate: float = 0.95,
        clock: Clock = system_clock,
    ) -> None:
        self._steps = increments(initial_traffic, increment_step, max_traffic)
        if not (isfinite(monitoring_window_minutes) and monitoring_window_minutes >= 0):
            raise InvalidValueError(
                "monitoring_window_minutes", monitoring_window_minutes, "0 or more"
            )
        for name, rate in (
            ("max_error_rate", max_error_rate),
            ("min_success_rate", min_success_rate),
        ):
            if not 0.0 <= rate <= 1.0:
                raise InvalidValueError(name, rate, "a number from 0 to 1")
        if not max_latency_p95 > 0:
            raise InvalidValueError("max_latency_p95", max_latency_p95, "milliseconds above 0")
        self._window = timedelta(minutes=monitoring_window_minutes)
        self._most = {"error_rate": max_error_rate, "latency_p95": max_latency_p95}
        self._least = {"success_rate": min_success_rate}
        self._clock = clock
        self._stage: int | None = None
        self._began = clock()
        self._metrics: dict[str, float] = {}
        self._lock = threading.Lock()
        self.stages_completed: list[Stage] = []
        self.rollback_reason: str | None = None

    @property
    def current_traffic(self) -> float:
        """Percent of the traffic that the canary is to have."""
        return 0.0 if self._stage is None else self._steps[self._stage]

    def start_deployment(self) -> None:
        """Begin with the first stage; after a rollback, from the beginning.

        Raises
        ------
        ConflictError
            If it runs already.
        """
        with self._lock:
            if self._stage is not None:
                raise ConflictError(
                    f"the canary has {self.current_traffic:g} % of the traffic already",
                    "Go on with proceed_to_next_stage, or end it with rollback.",
                )
            self._stage, self._began, self._metrics = 0, self._clock(), {}
            self.stages_completed, self.rollback_reason = [], None

    def should_proceed_to_next_stage(self, health_metrics: Mapping[str, float]) -> tuple[bool, str]:
        """Return whether the present stage is passed, and why or why not.

        Parameters
        ----------
        health_metrics : mapping of str to float
            ``error_rate`` and ``success_rate`` as shares, ``latency_p95`` in milliseconds. What
            equals its limit passes.

        Returns
        -------
        passed : bool
        reason : str

        Raises
        ------
        ConflictError
            If it was not started.
        InvalidValueError
            If a metric is missing or not a finite number.
        """
        with self._lock:
            self._require_running()
            metrics = {name: _figure(name, health_metrics) for name in (*self._most, *self._least)}
            self._metrics = metrics
            broken = [
                f"{name} {metrics[name]:g} is above {limit:g}"
                for name, limit in self._most.items()
                if metrics[name] > limit
            ] + [
                f"{name} {metrics[name]:g} is below {limit:g}"
                for name, limit in self._least.items()
                if metrics[name] < limit
            ]
            if broken:
                return False, "; ".join(broken)
            remaining = self._began + self._window - self._clock()
            if remaining > timedelta():
                whole = self._window.total_seconds() / 60
                minutes = f"{remaining.total_seconds() / 60:.1f} of {whole:g} minutes"
                return False, f"{minutes} of the monitoring window are left"
            upper = [f"{name} {metrics[name]:g} (at most {m:g})" for name, m in self._most.items()]
            lower = [
                f"{name} {metrics[name]:g} (at least {m:g})" for name, m in self._least.items()
            ]
            return True, f"all is within its limits: {', '.join(upper + lower)}"

    def proceed_to_next_stage(self) -> bool:
        """Give the canary its next share; return False if it has all that it is to have.

        Returns
        -------
        bool

        Raises
        ------
        ConflictError
            If it was not started.
        """
        with self._lock:
            stage = self._require_running()
            if stage + 1 == len(self._steps):
                return False
            now = self._clock()
            self.stages_completed.append(
                Stage(self._steps[stage], self._began, now, dict(self._metrics))
            )
            self._stage, self._began, self._metrics = stage + 1, now, {}
            return True

    def rollback(self, reason: str) -> None:
        """Take all traffic from the canary; doing it again changes nothing.

        Parameters
        ----------
        reason : str
            Why; not empty.

        Raises
        ------
        InvalidValueError
            If no reason is given.
        """
        if not reason.strip():
            raise InvalidValueError("reason", reason, "a text that says why it is rolled back")
        with self._lock:
            if self._stage is not None:
                self._stage, self.rollback_reason = None, reason

    def _require_running(self) -> int:
        if self._stage is None:
            ended = "was rolled back" if self.rollback_reason else "has not been started"
            raise ConflictError(f"the canary {ended}", "Call start_deployment first.")
        return self._stage


def _figure(name: str, metrics: Mapping[str, object]) -> float:
    value = metrics.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidValueError(f"health_metrics[{name!r}]", value, "a finite number")
    return float(value)
