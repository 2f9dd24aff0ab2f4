"""The plan that the policy of a model makes of a rollout."""

import re
from collections.abc import Iterator

from watchkeeper.errors import InvalidValueError
from watchkeeper.policies.rollouts import RolloutPolicy
from watchkeeper.rollouts.plan import Limit, Plan, increments

__all__ = ["plan_of"]

_SLOW = 0.05  # share of the requests that may take longer than a 95th percentile


def plan_of(policy: RolloutPolicy, *, regression: bool = False) -> Plan:
    """Return the plan of a rollout by a policy.

    Parameters
    ----------
    policy : RolloutPolicy
    regression : bool
        Whether the model predicts numbers: these are wrong by their distance from the outcome.

    Returns
    -------
    Plan

    Raises
    ------
    InvalidValueError
        If the policy makes a plan that cannot be.

    Examples
    --------
    >>> plan = plan_of(RolloutPolicy(window_minutes=10, segments=("carrier=UA",)))
    >>> plan.window, [limit.name for limit in plan.limits]
    (600, ['errors', 'latency', 'wrong', 'errors.carrier-UA', 'wrong.carrier-UA'])
    """
    return Plan(
        steps=policy.steps or increments(policy.initial, policy.increment, policy.maximum),
        window=60 * policy.window_minutes,
        min_samples=policy.min_samples,
        limits=tuple(_limits(policy, regression)),
        alpha=policy.alpha,
        extensions=policy.extensions,
        deadline=3_600 * policy.deadline_hours,
        bake_time=policy.bake_time,
        approval=policy.approval,
        max_prediction_shift=policy.max_prediction_shift,
        failover=policy.failover,
        require_evidence=policy.require_evidence,
        on_inconclusive=policy.on_inconclusive,
        keep=policy.keep,
    )


def _limits(policy: RolloutPolicy, regression: bool) -> Iterator[Limit]:
    """Yield what is asked of all requests, and then of each segment."""
    # No distance that counts as wrong follows from a regression itself.
    unknown = regression and policy.error_tolerance is None
    # Every prediction is either an error or a success: both settings are one limit.
    failing = policy.max_error_rate
    if policy.min_success_rate is not None:
        failing = min(failing, round(1.0 - policy.min_success_rate, 12))
    margin = policy.margin
    yield Limit(name="errors", share=failing, margin=margin)
    yield Limit(name="latency", share=_SLOW, slower_than_ms=policy.max_p95_ms, margin=margin)
    for suffix, segment in [("", None), *map(_segment, policy.segments)]:
        if segment is not None:
            yield Limit(name=f"errors{suffix}", share=failing, margin=margin, segment=segment)
        if policy.quality_margin is not None and not unknown:
            yield Limit(
                name=f"wrong{suffix}",
                share=None,
                wrong=True,
                error_tolerance=policy.error_tolerance if regression else None,
                label_delay=policy.label_delay,
                margin=policy.quality_margin,
                segment=segment,
            )


def _segment(text: str) -> tuple[str, tuple[str, str] | None]:
    """Return a segment, FEATURE=VALUE, and what the names of its limits end with."""
    feature, _, value = text.partition("=")
    if not (feature and value):
        raise InvalidValueError("segments", text, "FEATURE=VALUE")
    return re.sub(r"[^A-Za-z0-9._-]", "-", f".{feature}-{value}"), (feature, value)
