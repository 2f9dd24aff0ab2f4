"""How a new version gets its traffic, and what rolls it back."""

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
        Percent of the traffic in each step, as 1,10,50,100; in place of the next three settings.
    initial : float
        Percent of the traffic in the first step.
    increment : float
        Percent of the traffic that each step adds.
    maximum : float
        Percent of the traffic in the last step.
    window_minutes : float
        Minutes that a step lasts at least.
    min_samples : int
        Requests that the canary has to have answered in a step.
    max_error_rate : float
        Share of the canary's requests that may fail (0 to 1).
    min_success_rate : float or None
        Share of its requests that have to succeed (0 to 1): the same limit from the other side; the
        stricter of both holds.
    max_p95_ms : float
        95th percentile of its latency, in milliseconds: 5 % of the requests may take longer.
    margin : float
        How much larger both shares may be than those of production over the same time.
    alpha : float
        How often evidence may take a good version back, over the whole rollout.
    extensions : int
        Windows that a step is given again without evidence.
    deadline_hours : float
        How long a step waits for enough requests before the version is rolled back.
    bake_time : float
        Seconds for which a version is watched after it was promoted.
    quality_margin : float or None
        How much larger the share of wrong predictions may be than that of production.
    error_tolerance : float or None
        Of a regression: predictions that are further from their label count as wrong.
    label_delay : float
        Seconds after which labels are expected: only older predictions count as right or wrong.
    max_prediction_shift : float or None
        How far the distribution of its predictions may lie from that of production (distance of
        the distribution functions) without manual approval.
    segments : tuple of str
        As ``FEATURE=VALUE``: errors and wrong predictions are also judged of these requests alone.
    approval : bool
        Whether each step waits for manual approval.
    failover : bool
        Whether production responds where the canary fails or times out.
    require_evidence : bool
        Whether a step is passed only with evidence, from its own requests, that its rates are below
        their limits.
    on_inconclusive : {"hold", "rollback"}
        What becomes of a canary whose analysis is inconclusive when no extension is left.
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
    bake_time: NonNegative = 86_400.0
    quality_margin: Margin | None = 0.05
    error_tolerance: Positive | None = None
    label_delay: NonNegative = 0.0
    max_prediction_shift: Share | None = 0.25
    segments: tuple[str, ...] = ()
    approval: bool = False
    failover: bool = False
    require_evidence: bool = False
    on_inconclusive: Literal["hold", "rollback"] = "hold"
    keep: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
