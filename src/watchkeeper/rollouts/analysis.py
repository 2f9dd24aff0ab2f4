"""What the counts of a canary say of one limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import exp
from typing import Self

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.rollouts.plan import Limit, Plan
from watchkeeper.stats import AnytimeTest, anytime_proportions
from watchkeeper.stats.rate_limits import chance_above, evidence_below, evidence_of_steps

__all__ = ["Counts", "Judgement", "LimitStanding", "judged"]

_LARGEST_LOG = 700.0


class LimitStanding(StrEnum):
    """Where a canary stands by a limit."""

    WITHIN = "within"
    """No more is bad than the limit allows."""

    OVER = "over"
    """More is bad than it allows, which may be chance."""

    BREACH = "breach"
    """More is bad than it allows, or than of production and its margin, and that is no chance."""

    TOO_FEW = "too_few"
    """There are not enough requests."""


@dataclass(frozen=True, slots=True)
class Counts(Result):
    """Requests that a version was given in one step, and how many were bad, by limit.

    Attributes
    ----------
    requests : int
    bad : mapping of str to int
        By limit.
    of : mapping of str to int
        Of how many requests those are, by limit, where not of all.

    Raises
    ------
    InvalidValueError
        If more are bad than there are.
    """

    requests: int
    bad: Mapping[str, int]
    of: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, count in self.bad.items():
            if not 0 <= count <= self.counted(name) <= self.requests:
                raise InvalidValueError(
                    f"the bad requests of {name}", count, f"from 0 to all {self.counted(name)}"
                )

    def counted(self, name: str) -> int:
        """Return how many requests a limit is of.

        Parameters
        ----------
        name : str
            Of the limit.

        Returns
        -------
        int
        """
        return self.of.get(name, self.requests)

    def __add__(self, other: Self) -> Self:
        names = self.bad.keys() | other.bad.keys()
        bad = {name: self.bad.get(name, 0) + other.bad.get(name, 0) for name in sorted(names)}
        parts = self.of.keys() | other.of.keys()
        of = {name: self.counted(name) + other.counted(name) for name in sorted(parts)}
        return type(self)(self.requests + other.requests, bad, of)


@dataclass(frozen=True, slots=True)
class Judgement(Result):
    """A canary by one limit, in its present step.

    Attributes
    ----------
    limit : Limit
    requests, bad : int
        Of the present step.
    rate : float or None
    evidence : float
        Over all steps, against the rate being within the limit: an e-value.
    comparison : AnytimeTest or None
        With the version in production over the same time, step by step; None where the limit has no
        margin or the two did not answer at the same time yet.
    standing : LimitStanding
    reason : str
        A sentence with the figures.
    proof : float or None
        Of the present step, for the rate being below the limit: an e-value. None where the plan
        does not ask for it, or the limit does not wait.
    chance : float or None
        Of one that is over its limit: how often a rate that is at the limit shows as many in the
        present step, in one look.
    """

    limit: Limit
    requests: int
    bad: int
    rate: float | None
    evidence: float
    comparison: AnytimeTest | None
    standing: LimitStanding
    reason: str
    proof: float | None = None
    chance: float | None = None


def judged(
    plan: Plan, limit: Limit, steps: Sequence[Counts], production: Sequence[Counts] = ()
) -> Judgement:
    """Return what the counts of the steps so far say of a limit; the last one is the present one.

    The error rate of the plan is shared by its limits and their comparisons with production
    (Bonferroni), and holds over all looks at all steps together.

    Parameters
    ----------
    plan : Plan
    limit : Limit
        One of the plan.
    steps : sequence of Counts
        Of the canary.
    production : sequence of Counts
        Of the version in production over the same time, one a step; without any, nothing is
        compared.

    Returns
    -------
    Judgement

    Raises
    ------
    InvalidValueError
        If there is no step, or more than planned, or one does not count what the limit is of; or
        production was counted over another number of steps.
    """
    if not steps:
        raise InvalidValueError("steps", 0, "the counts of at least the present step")
    if production and len(production) != len(steps):
        raise InvalidValueError("production", len(production), f"{len(steps)}: one a step")
    for step in (*steps, *production):
        if limit.name not in step.bad:
            raise InvalidValueError("counts", sorted(step.bad), f"also those of {limit.name}")
    name = limit.name
    pairs = [(step.bad[name], step.counted(name) - step.bad[name]) for step in steps]
    evidence = 0.0
    if limit.share is not None:
        evidence = evidence_of_steps(pairs, len(plan.steps), limit.share)
    comparison = _compared(plan, limit, steps, production)
    beyond = evidence >= 1 / plan.alpha_each
    worse = comparison is not None and comparison.low > (limit.margin or 0.0)
    bad, requests = steps[-1].bad[name], steps[-1].counted(name)
    rate = bad / requests if requests else None
    standing = LimitStanding.TOO_FEW
    if beyond or worse:
        standing = LimitStanding.BREACH
    elif requests >= plan.min_samples:
        allowed = requests if limit.share is None else limit.share * requests
        standing = LimitStanding.WITHIN if bad <= allowed + 1e-9 else LimitStanding.OVER
    reason = _reason(plan, limit, requests, bad, standing)
    if beyond:
        reason += "; over all steps this is significant"
    if comparison is not None and worse:
        reason += (
            f"; at least {comparison.low:.2%} above production at the same time, margin "
            f"{limit.margin:.2%}"
        )
    proof: float | None = None
    if plan.require_evidence and limit.awaited and limit.share is not None:
        proof = exp(min(evidence_below(bad, requests - bad, limit.share), _LARGEST_LOG))
    chance: float | None = None
    if standing is LimitStanding.OVER and limit.share is not None:
        chance = chance_above(bad, requests - bad, limit.share)
    return Judgement(
        limit, requests, bad, rate, evidence, comparison, standing, reason, proof, chance
    )


def _compared(
    plan: Plan, limit: Limit, steps: Sequence[Counts], production: Sequence[Counts]
) -> AnytimeTest | None:
    """Return how the canary differs from production; steps that only one of them saw say nothing.

    Steps are strata: the rate of both drifts over a rollout while the shares change, so that sums
    over all steps would differ without any difference.
    """
    name = limit.name
    both = [
        (theirs, canary)
        for percent, canary, theirs in zip(plan.steps, steps, production, strict=False)
        if percent < 100.0 and canary.counted(name) and theirs.counted(name)
    ]
    if limit.margin is None or not both:
        return None
    return anytime_proportions(
        [theirs.bad[name] for theirs, _ in both],
        [theirs.counted(name) for theirs, _ in both],
        [canary.bad[name] for _, canary in both],
        [canary.counted(name) for _, canary in both],
        plan.planned_information,
        2 * plan.alpha_each,  # of the two sides only one is asked about
    )


def _reason(plan: Plan, limit: Limit, requests: int, bad: int, standing: LimitStanding) -> str:
    subject = limit.name
    if limit.slower_than_ms is not None:
        subject = f"{limit.name} above {limit.slower_than_ms:g} ms"
    if not requests:
        return f"{subject}: no {'outcomes' if limit.wrong else 'requests'} yet"
    figures = f"{subject}: {bad / requests:.2%} ({bad:,} of {requests:,})"
    if limit.share is not None:
        figures += f", limit {limit.share:.2%}"
    if standing is LimitStanding.TOO_FEW and limit.awaited:
        return f"{figures}; at least {plan.min_samples:,} requests are needed"
    return figures
