"""Whether a model is trained again now: a function of what is stored and of the clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from watchkeeper.policies.retraining import Policy
from watchkeeper.results import Result

__all__ = ["Facts", "RetrainingDecision", "Trigger", "decide", "triggers_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger(Result):
    """Something that asks for a training.

    Attributes
    ----------
    kind : str
        ``quality``, ``drift``, ``schedule``, ``outcomes`` or ``hand``.
    reason : str
        A sentence with the figures.
    finding : int or None
        Number of the finding that it rests on.
    """

    kind: str
    reason: str
    finding: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(Result):
    """What is known of a model when it is decided.

    Attributes
    ----------
    champion : str or None
        The id of the version in production.
    known_at : datetime or None
        What had arrived by then is what was counted, and is what a training reads.
    quality, drift : dict or None
        The newest finding of each kind since the last training began: ``number``, ``bad``,
        ``summary``, and of quality ``drops``, by metric, relative to the baseline.
    fire : datetime or None
        When the schedule fired last, if no run has taken that up.
    new_labelled : int or None
        Predictions whose outcome has come since the last training began; None where that was not
        counted, because nothing depends on it.
    last_started : datetime or None
        When the last training began.
    started_within_day : int
        Trainings that began within 24 hours.
    busy : str
        What is under way and excludes another training; empty where nothing is.
    asked_by : str or None
        Who asks for it by hand, and
    asked_reason : str
        why.
    """

    champion: str | None
    known_at: datetime | None = None
    quality: dict[str, Any] | None = None
    drift: dict[str, Any] | None = None
    fire: datetime | None = None
    new_labelled: int | None = None
    last_started: datetime | None = None
    started_within_day: int = 0
    busy: str = ""
    asked_by: str | None = None
    asked_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingDecision(Result):
    """What was decided.

    Attributes
    ----------
    train : bool
    reason : str
        A sentence with the figures.
    triggers : tuple of Trigger
        All that ask for it.
    """

    train: bool
    reason: str
    triggers: tuple[Trigger, ...] = ()


def triggers_of(policy: Policy, facts: Facts) -> tuple[Trigger, ...]:
    """Return what asks for a training.

    Parameters
    ----------
    policy : Policy
    facts : Facts

    Returns
    -------
    tuple of Trigger
        Empty where nothing does.
    """
    if facts.asked_by is not None:
        losses = f": {facts.asked_reason}" if facts.asked_reason else ""
        return (
            Trigger(kind="hand", reason=f"asked for by {facts.asked_by or 'a person'}{losses}"),
        )
    triggers = []
    if "quality" in policy.triggers and facts.quality is not None:
        drops = {
            name: drop
            for name, drop in facts.quality["drops"].items()
            if drop is not None and drop > policy.max_relative_drop
        }
        if drops:
            losses = ", ".join(f"{name} {drop:.1%}" for name, drop in sorted(drops.items()))
            reason = (
                f"worse than the baseline by {losses}; {policy.max_relative_drop:.1%} is allowed"
            )
            triggers.append(Trigger(kind="quality", reason=reason, finding=facts.quality["number"]))
    if "drift" in policy.triggers and facts.drift is not None and facts.drift["bad"]:
        number = facts.drift["number"]
        triggers.append(Trigger(kind="drift", reason=facts.drift["summary"], finding=number))
    if "schedule" in policy.triggers and facts.fire is not None:
        losses = f"the schedule {policy.schedule!r} fired at {facts.fire:%Y-%m-%d %H:%M}"
        triggers.append(Trigger(kind="schedule", reason=losses))
    new = facts.new_labelled or 0
    if "outcomes" in policy.triggers and new >= policy.min_new_outcomes:
        losses = f"{new:,} new outcomes; {policy.min_new_outcomes:,} ask for a training"
        triggers.append(Trigger(kind="outcomes", reason=losses))
    return tuple(triggers)


def decide(policy: Policy, facts: Facts, now: datetime) -> RetrainingDecision:
    """Return whether to train now.

    A person who asks is held back by what is under way only. Other triggers also wait for the
    cool-down, for the daily budget, and for an outcome that no training has seen.

    Parameters
    ----------
    policy : Policy
    facts : Facts
    now : datetime
        In UTC.

    Returns
    -------
    RetrainingDecision

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    >>> worse = {"number": 7, "bad": True, "summary": "", "drops": {"accuracy": 0.08}}
    >>> found = decide(Policy(), Facts(champion="late:1.0.0", quality=worse, new_labelled=90), noon)
    >>> found.train, found.reason
    (True, 'worse than the baseline by accuracy 8.0%; 5.0% is allowed')
    >>> decide(Policy(), Facts(champion="late:1.0.0", quality=worse, new_labelled=0), noon).reason
    'no outcome has come since the last training'
    """
    triggers = triggers_of(policy, facts)

    def decision(train: bool, reason: str) -> RetrainingDecision:
        return RetrainingDecision(train=train, reason=reason, triggers=triggers)

    if not triggers:
        return decision(False, "nothing asks for a training")
    if facts.busy:
        return decision(False, facts.busy)
    asks = "; ".join(trigger.reason for trigger in triggers)
    if facts.asked_by is not None:
        return decision(True, asks)
    if facts.champion is None:
        return decision(
            False, "nothing is in production, so a person has to ask for the first version"
        )
    cooldown = timedelta(hours=policy.cooldown_hours)
    if facts.last_started is not None and now - facts.last_started < cooldown:
        until = facts.last_started + cooldown
        return decision(False, f"the cool-down lasts until {until:%Y-%m-%d %H:%M}")
    if facts.started_within_day >= policy.daily_budget:
        told = f"{facts.started_within_day} trainings began within a day"
        return decision(False, f"{told}, and the budget is {policy.daily_budget}")
    if facts.new_labelled == 0:
        return decision(False, "no outcome has come since the last training")
    return decision(True, asks)
