"""How a new version gets its traffic, and what takes it back."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from watchkeeper.policies.quantities import (
    Count,
    Margin,
    NonNegative,
    Positive,
    Share,
    check_fields,
)
from watchkeeper.results import Result

__all__ = ["RolloutPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPolicy(Result):
    """The policy of one model, of which `watchkeeper.rollouts.planning.plan_of` makes a plan.

    Attributes
    ----------
    steps : tuple of float or None
        Percent of the traffic of each step, in place of the next three.
    initial, increment, maximum : float
        Percent of the first step, that each step adds, and of the last step.
    window_minutes : float
        How long a step lasts at least.
    min_samples : int
        Requests that the canary has to have answered in a step.
    max_error_rate : float
        Share of its requests that may fail.
    min_success_rate : float or None
        Share of its requests that have to succeed; one limit with the last, the stricter of both.
    max_p95_ms : float
        95th percentile of its latency: 5 % may take longer.
    margin : float
        How much larger both shares may be than those of production over the same time.
    alpha : float
        How often evidence may take a good version back, over the whole rollout.
    extensions : int
        Windows that a step is given again without evidence.
    deadline_hours : float
        How long a step waits for enough requests before the version is taken back.
    watch_hours : float
        How long a version is watched after it was promoted.
    quality_margin : float or None
        How much larger the share of wrong predictions may be than that of production.
    off_by : float or None
        Of a regression: predictions that are further from their outcome count as wrong.
    outcome_hours : float
        Hours after which outcomes are expected: only older predictions count as right or wrong.
    max_answer_shift : float or None
        How far its predictions may lie from those of production before a person has to look.
    segments : tuple of str
        As ``FEATURE=VALUE``: errors and wrong predictions are also judged of these requests alone.
    approval : bool
        Whether a person has to approve each step.
    failover : bool
        Whether production answers where the canary fails or hangs.
    require_proof : bool
        Whether a step is passed only once its own requests prove its rates below their limits.
    on_unproven : {"hold", "rollback"}
        What becomes of a canary that is not proven when no extension is left.
    keep : bool
        Whether the canary keeps its share when it was not looked at for two windows.

    Raises
    ------
    InvalidValueError
        If a value is out of its range.
    """

    steps: tuple[float, ...] | None = None
    initial: float = 5.0
    increment: float = 10.0
    maximum: float = 100.0
    window_minutes: Positive = 30.0
    min_samples: Count = 100
    max_error_rate: Share = 0.05
    min_success_rate: Share | None = None
    max_p95_ms: Positive = 2_000.0
    margin: Margin = 0.01
    alpha: Share = 0.05
    extensions: Annotated[int, Ge(0)] = 2
    deadline_hours: Positive = 24.0
    watch_hours: NonNegative = 24.0
    quality_margin: Margin | None = 0.05
    off_by: Positive | None = None
    outcome_hours: NonNegative = 0.0
    max_answer_shift: Share | None = 0.25
    segments: tuple[str, ...] = ()
    approval: bool = False
    failover: bool = False
    require_proof: bool = False
    on_unproven: Literal["hold", "rollback"] = "hold"
    keep: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
