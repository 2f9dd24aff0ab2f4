"""How many canaries get through, by how bad they are and how much traffic there is.

    python benchmarks/rollouts.py [rollouts]

Each rollout is played with the default plan (eleven steps, windows of 30 minutes, a look every five
minutes, at least 100 requests a step) and one limit of 5 %. Beside it the rule of thumb: a window
passes when its own rate is within the limit, and the canary is taken back when it is not. At 200
requests a window a step is extended up to 20 times, elsewhere twice. Then the same with all that a
plan has by default, and canaries beside a version in production whose rates drift with theirs.
About half an hour.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from figures import Figures
from watchkeeper.config import ModelPolicy
from watchkeeper.rollouts import (
    Counts,
    Event,
    Limit,
    LimitStanding,
    Plan,
    Rollout,
    Seen,
    decided,
    judged,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
TICK, TICKS = timedelta(minutes=5), 6  # six looks a window
LIMIT = 0.05
LIMITS = (Limit(name="errors", share=LIMIT),)
RATES = (0.01, 0.03, 0.04, 0.045, 0.05, 0.06, 0.07, 0.10, 0.20)
DEFAULT = ModelPolicy().rollout_plan()
TRAFFIC = (200, 2_000, 20_000)  # requests of the model in a window


def played(
    plan: Plan,
    rate: float,
    traffic: int,
    rng: np.random.Generator,
    production: float | None = None,
) -> tuple[bool, float, int]:
    """Return whether a canary completes, after how many windows, and how many requests it had.

    Production fails as often, unless its own rate is given. Both are slow for 1 % of the requests
    and wrong in 20 %; each request is of a unit of its own, and its outcome is known at once.
    """
    rates = {"errors": rate, "latency": 0.01, "wrong": 0.2}
    of_production = {**rates, "errors": rate if production is None else production}
    nothing = Counts(0, {limit.name: 0 for limit in plan.limits})

    def counted(requests: int, shares: Mapping[str, float]) -> Counts:
        bad = {limit.name: int(rng.binomial(requests, shares[limit.name])) for limit in plan.limits}
        return Counts(requests, bad)

    rollout = Rollout(name="r", model="m", version="2", plan=plan).moved(Event.START, START)
    now, own, theirs = START, [nothing], [nothing]
    while True:
        now += TICK
        given = int(rng.binomial(traffic // TICKS, rollout.weight / 100))
        own[-1] += counted(given, rates)
        theirs[-1] += counted(traffic // TICKS - given, of_production)
        units = tuple(zip((a.requests for a in own), (b.requests for b in theirs), strict=True))
        found = decided(rollout, Seen(tuple(own), plan.window, tuple(theirs), units), now)
        if found.event in {Event.BREACH, Event.PROMOTE}:
            windows = (now - START).total_seconds() / plan.window
            return found.event is Event.PROMOTE, windows, sum(each.requests for each in own)
        if found.event is None:
            continue
        rollout = rollout.moved(found.event, now, found.hold)
        if found.event is Event.STEP:
            own.append(nothing)
            theirs.append(nothing)


def by_thumb(plan: Plan, rate: float, traffic: int, rng: np.random.Generator) -> bool:
    """Return whether a canary completes when each window is judged by its own rate alone."""
    for percent in plan.steps:
        requests = bad = 0
        while requests < plan.min_samples:
            given = int(rng.binomial(traffic, percent / 100))
            requests, bad = requests + given, bad + int(rng.binomial(given, rate))
        if bad > LIMIT * requests:
            return False
    return True


def blamed(plan: Plan, worse: float, traffic: int, rng: np.random.Generator) -> bool:
    """Return whether evidence takes back a canary whose every rate is production's and `worse`.

    The rate of both triples over the rollout, while the canary's share grows. Limits are judged at
    each look; windows are passed whatever their own rate, so that only evidence can end it.
    """
    names = [limit.name for limit in plan.limits]
    nothing = Counts(0, dict.fromkeys(names, 0))

    def counted(requests: int, rate: float) -> Counts:
        return Counts(requests, {name: int(rng.binomial(requests, rate)) for name in names})

    own: list[Counts] = []
    theirs: list[Counts] = []
    for percent, rate in zip(plan.steps, np.linspace(0.01, 0.03, len(plan.steps)), strict=True):
        own.append(nothing)
        theirs.append(nothing)
        for _ in range(TICKS):
            given = int(rng.binomial(traffic // TICKS, percent / 100))
            own[-1] += counted(given, rate + worse)
            theirs[-1] += counted(traffic // TICKS - given, rate)
            judgements = [judged(plan, limit, own, theirs) for limit in plan.limits]
            if any(each.standing is LimitStanding.BREACH for each in judgements):
                return True
    return False


def main(rollouts: int) -> None:
    with Figures(__file__) as figures:
        one_limit(figures, rollouts)
        all_guardrails(figures, max(1, rollouts // 4))  # production makes it take 100 times as long
        taken_back(figures, rollouts)
        by_evidence(figures, rollouts)


def one_limit(figures: Figures, rollouts: int) -> None:
    for rate in RATES:
        for traffic in TRAFFIC:
            rng = np.random.default_rng([round(rate * 1_000), traffic])
            plan = Plan(limits=LIMITS, extensions=20 if traffic == 200 else 2, bake_time=0.0)
            done = [played(plan, rate, traffic, rng) for _ in range(rollouts)]
            thumb = np.mean([by_thumb(plan, rate, traffic, rng) for _ in range(rollouts)])
            completed = np.mean([complete for complete, _, _ in done])
            label = f"{rate:.1%} bad, {traffic:,} a window"
            figures.add(f"{label}, complete", float(completed), "of rollouts")
            figures.add(f"{label}, complete by thumb", float(thumb), "of rollouts")


def all_guardrails(figures: Figures, rollouts: int) -> None:
    """Play plans with two limits and three comparisons."""
    for rate in (0.01, 0.03, 0.06):
        for traffic in TRAFFIC:
            rng = np.random.default_rng([round(rate * 1_000), traffic, 1])
            plan = replace(DEFAULT, extensions=20 if traffic == 200 else 2, bake_time=0.0)
            ends = [played(plan, rate, traffic, rng) for _ in range(rollouts)]
            completed = np.mean([complete for complete, _, _ in ends])
            label = f"{rate:.1%} bad, {traffic:,} a window, all guardrails, complete"
            figures.add(label, float(completed), "of rollouts")


def taken_back(figures: Figures, rollouts: int) -> None:
    for case, plan, production in (
        ("one limit", Plan(limits=LIMITS), None),
        ("all guardrails, production as bad", DEFAULT, None),
        ("all guardrails, production 3 % bad", DEFAULT, 0.03),
        ("all guardrails, production 1 % bad", DEFAULT, 0.01),
    ):
        for rate in (0.10, 0.20):
            rng = np.random.default_rng(1)
            # 200 requests to the canary in a window: 5 % of 4,000.
            ends = [played(plan, rate, 4_000, rng, production) for _ in range(rollouts)]
            taken = [windows for completed, windows, _ in ends if not completed]
            within = np.mean([windows <= 2 for windows in taken])
            requests = np.mean([total for _, _, total in ends])
            label = f"{rate:.0%} bad, {case}, 200 canary requests a window"
            figures.add(f"{label}, taken back", len(taken) / rollouts, "of rollouts")
            figures.add(f"{label}, taken back after", float(np.mean(taken)), "windows")
            figures.add(f"{label}, ended after", float(requests), "requests")
            figures.add(f"{label}, within two windows", float(within), "of those taken back")


def by_evidence(figures: Figures, rollouts: int) -> None:
    for margin in (0.0, 0.01):
        compared = tuple(
            Limit(name=name, share=0.05, margin=margin) for name in ("errors", "latency")
        )
        for worse in (0.0, 0.02):
            for traffic in TRAFFIC:
                rng = np.random.default_rng([traffic, round(worse * 100)])
                plan = Plan(limits=compared)
                ended = [blamed(plan, worse, traffic, rng) for _ in range(rollouts)]
                label = f"margin {margin:.0%}, {worse:.0%} worse, {traffic:,} a window"
                figures.add(
                    f"{label}, taken back by evidence", float(np.mean(ended)), "of rollouts"
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
