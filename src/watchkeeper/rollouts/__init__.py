"""Rollouts: a new version gets traffic step by step, and is rolled back early if it is bad.

`CanaryDeployment` is the whole of it for who serves a model himself and measures its health:

>>> from datetime import timedelta
>>> from watchkeeper.testing import FixedClock
>>> from watchkeeper.rollouts import CanaryDeployment, Plan
>>> clock = FixedClock()
>>> canary = CanaryDeployment(clock=clock)
>>> canary.start_deployment()
>>> clock.advance(timedelta(minutes=30))
>>> good = {"error_rate": 0.01, "latency_p95": 180.0, "success_rate": 0.99}
>>> canary.should_proceed_to_next_stage(good)[0], canary.proceed_to_next_stage()
(True, True)
>>> canary.current_traffic
15.0

Below it is the part that decides by counts. A `Plan` says the steps, the limits and how long is
waited; `judged` weighs what was counted against a limit, at any time, with an error rate that
holds over the whole rollout; `decided` says what a rollout does next, and why, and `Rollout.moved`
is what it then is. They are functions of what they are given: the same counts give the same
decision.

>>> plan = Plan()
>>> plan.steps[:3], plan.steps[-1]
((5.0, 15.0, 25.0), 100.0)
"""

from typing import TYPE_CHECKING

from watchkeeper.lazy import on_first_use

if TYPE_CHECKING:
    from watchkeeper.rollouts.analysis import Counts, Judgement, LimitStanding, judged
    from watchkeeper.rollouts.canary import CanaryDeployment, Stage
    from watchkeeper.rollouts.plan import Limit, Plan
    from watchkeeper.rollouts.rollout import Rollout, RolloutDecision, Seen, decided
    from watchkeeper.rollouts.states import Event, Hold, RolloutState, after

__all__ = [
    "CanaryDeployment",
    "Counts",
    "Event",
    "Hold",
    "Judgement",
    "Limit",
    "LimitStanding",
    "Plan",
    "Rollout",
    "RolloutDecision",
    "RolloutState",
    "Seen",
    "Stage",
    "after",
    "decided",
    "judged",
]

__getattr__ = on_first_use(
    __name__,
    {
        "CanaryDeployment": ".canary",
        "Counts": ".analysis",
        "RolloutDecision": ".rollout",
        "Event": ".states",
        "Hold": ".states",
        "Judgement": ".analysis",
        "Limit": ".plan",
        "Plan": ".plan",
        "Rollout": ".rollout",
        "Seen": ".rollout",
        "Stage": ".canary",
        "LimitStanding": ".analysis",
        "RolloutState": ".states",
        "after": ".states",
        "decided": ".rollout",
        "judged": ".analysis",
    },
)
