"""Rollouts: how long one takes, by its plan and the traffic that was recorded."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.errors import ConflictError
from watchkeeper.events import EventLog, Window
from watchkeeper.results import Result
from watchkeeper.rollouts import Plan

__all__ = ["Expected", "expected", "requests_an_hour"]


@dataclass(frozen=True, slots=True)
class Expected(Result):
    """What a rollout takes, all going well.

    Attributes
    ----------
    plan : Plan
    requests_an_hour : float
        Of the model, by which it was reckoned.
    seconds : float
    windows : int
        Of which the plan needs at least one a step.
    """

    plan: Plan
    requests_an_hour: float
    seconds: float
    windows: int


def expected(plan: Plan, requests: float) -> Expected:
    """Return how long a plan takes at `requests` an hour.

    Raises
    ------
    InvalidValueError
        If there is no traffic.
    """
    seconds = plan.expected_duration(requests).total_seconds()
    return Expected(plan, requests, seconds, round(seconds / plan.window))


def requests_an_hour(events: EventLog, model: str, at: datetime, over: timedelta) -> float:
    """Return the predictions an hour that were recorded of a model until `at`.

    Raises
    ------
    NotFoundError
        If nothing was ever recorded of it.
    ConflictError
        If nothing was recorded in that time.
    """
    read = events.read(model, Window(at - over, at), columns=["timestamp"])
    if not read.rows.num_rows:
        raise ConflictError(
            f"{model} was asked nothing in the last {over.total_seconds() / 3600:g} hours",
            "Say what you expect with --requests-per-hour.",
        )
    return float(read.rows.num_rows / (over.total_seconds() / 3600))
