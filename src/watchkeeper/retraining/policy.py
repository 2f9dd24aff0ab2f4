"""When a model is trained again, on what, and what a candidate has to show."""

from dataclasses import dataclass
from math import inf

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.retraining.schedule import check_schedule

__all__ = ["AFTERWARDS", "TRIGGERS", "Policy"]

TRIGGERS = ("quality", "drift", "schedule", "outcomes")
AFTERWARDS = ("direct", "canary", "shadow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Result):
    """The policy of one model.

    Attributes
    ----------
    enabled : bool
        Whether a server trains it without being asked.
    triggers : tuple of str
        Of ``quality``, ``drift``, ``schedule`` and ``outcomes``.
    retrain_threshold : float
        Drop of a metric, relative to its baseline, beyond which quality asks for a training.
    schedule : str
        As cron has it, in UTC.
    min_new_outcomes : int
        New outcomes that ask for a training; and at least one new one is needed by any trigger.
    cooldown_hours : float
        Between the beginnings of two trainings that nobody asked for.
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
    then : {"direct", "canary", "shadow"}
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
    triggers: tuple[str, ...] = ("quality", "drift", "schedule")
    retrain_threshold: float = 0.05
    schedule: str = "0 2 * * *"
    min_new_outcomes: int = 1000
    cooldown_hours: float = 12.0
    daily_budget: int = 2
    data: str = ""
    query: str = ""
    target: str = ""
    ignore: tuple[str, ...] = ()
    window_days: float = 90.0
    holdout: float = 0.2
    min_rows: int = 100
    min_holdout: int = 100
    min_gain: float = 0.0
    alpha: float = 0.05
    segments: tuple[str, ...] = ()
    min_segment: int = 50
    max_latency_ms: float = 500.0
    max_size: int = 512 << 20
    then: str = "canary"
    trainer: str = ""
    time_limit: float = 3600.0
    memory_limit: int = 4 << 30
    leak_check: bool = True
    allow_unsafe: bool = False

    def __post_init__(self) -> None:
        for each in self.triggers:
            if each not in TRIGGERS:
                raise InvalidValueError("triggers", each, f"some of {', '.join(TRIGGERS)}")
        if self.then not in AFTERWARDS:
            raise InvalidValueError("then", self.then, f"one of {', '.join(AFTERWARDS)}")
        check_schedule(self.schedule)
        for name in ("retrain_threshold", "holdout", "alpha"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise InvalidValueError(name, getattr(self, name), "strictly between 0 and 1")
        for name in ("min_new_outcomes", "min_rows", "min_holdout", "min_segment", "daily_budget"):
            if getattr(self, name) < 1:
                raise InvalidValueError(name, getattr(self, name), "at least 1")
        for name in ("window_days", "time_limit", "memory_limit", "max_latency_ms", "max_size"):
            if not 0 < getattr(self, name) < inf:
                raise InvalidValueError(name, getattr(self, name), "a finite number above 0")
        for name in ("cooldown_hours", "min_gain"):
            if not 0 <= getattr(self, name) < inf:
                raise InvalidValueError(name, getattr(self, name), "0 or more, and finite")
        if self.data and self.query:
            raise InvalidValueError("query", self.query, "none, where data is set")
