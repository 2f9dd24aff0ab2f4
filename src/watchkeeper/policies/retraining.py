"""When a model is trained again, on what, and what a candidate has to show."""

from dataclasses import dataclass
from typing import Literal

from watchkeeper.errors import InvalidValueError
from watchkeeper.policies.quantities import (
    Bytes,
    Count,
    NonNegative,
    Positive,
    Share,
    check_fields,
)
from watchkeeper.policies.schedules import check_schedule
from watchkeeper.results import Result

__all__ = ["OnSuccess", "Policy", "TriggerKind"]

TriggerKind = Literal["quality", "drift", "schedule", "outcomes"]
OnSuccess = Literal["direct", "canary", "shadow"]

_NIGHTLY = "0 2 * * *"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Result):
    """The policy of one model.

    Attributes
    ----------
    enabled : bool
        Whether a server trains it without being asked.
    triggers : tuple of str
        Of ``quality``, ``drift``, ``schedule`` and ``outcomes``.
    max_relative_drop : float
        Drop of a metric, relative to its baseline, beyond which quality asks for a training.
    schedule : str
        As cron has it, in UTC.
    min_new_outcomes : int
        New outcomes that ask for a training; and at least one new one is needed by any trigger.
    cooldown_hours : float
        Between the beginnings of two trainings that triggers began.
    daily_budget : int
        Trainings within 24 hours, at most; those asked for by hand count and are not held back.
    data, query, target : str
        Where the training data are, in place of the event store: a path or URL; SQL over the table
        ``events``; and the name of the column to learn.
    ignore : tuple of str
        Columns of the training data that are neither features nor target.
    window_days : float
        Days of labelled events to learn from.
    holdout : float
        Share of the rows, the latest ones, that the candidate is judged by and does not see.
    min_rows, min_holdout : int
        Rows that are needed to learn from, and to judge by.
    min_gain : float
        Gain of the metric that is better, at least, in its own unit.
    alpha : float
        How often a candidate that is no better may pass.
    segments : tuple of str
        Features whose values are guarded: in none of them the candidate may be worse.
    min_segment : int
        Rows that a value needs to be looked at apart.
    max_latency_ms, max_size : float, int
        95th percentile for one row; bytes of the model.
    on_success : {"direct", "canary", "shadow"}
        What becomes of a candidate that is better.
    trainer : str
        ``package.module:name`` of a function, or of a class with ``fit``; by default the champion's
        estimator is fitted again.
    time_limit, memory_limit : float, int
        Seconds and bytes of a training.
    leak_check : bool
        Whether a feature that tells the target on its own is refused.
    allow_unsafe : bool
        Consent to a model in a format that can run code when it is loaded.

    Raises
    ------
    InvalidValueError
        If a value cannot be.
    """

    enabled: bool = False
    triggers: tuple[TriggerKind, ...] = ("quality", "drift", "schedule")
    max_relative_drop: Share = 0.05
    schedule: str = _NIGHTLY
    min_new_outcomes: Count = 1000
    cooldown_hours: NonNegative = 12.0
    daily_budget: Count = 2
    data: str = ""
    query: str = ""
    target: str = ""
    ignore: tuple[str, ...] = ()
    window_days: Positive = 90.0
    holdout: Share = 0.2
    min_rows: Count = 100
    min_holdout: Count = 100
    min_gain: NonNegative = 0.0
    alpha: Share = 0.05
    segments: tuple[str, ...] = ()
    min_segment: Count = 50
    max_latency_ms: Positive = 500.0
    max_size: Bytes = 512 << 20
    on_success: OnSuccess = "canary"
    trainer: str = ""
    time_limit: Positive = 3600.0
    memory_limit: Bytes = 4 << 30
    leak_check: bool = True
    allow_unsafe: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.schedule != _NIGHTLY:  # which needs no parser: the base installation has none
            check_schedule(self.schedule)
        if self.data and self.query:
            raise InvalidValueError("query", self.query, "none, where data is set")
