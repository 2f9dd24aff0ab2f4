"""What becomes of a rollout next, when at the earliest, and whether it waits for an operator."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.clock import as_utc
from watchkeeper.results import Result
from watchkeeper.rollouts.rollout import Rollout, RolloutDecision
from watchkeeper.rollouts.states import Event, Hold, RolloutState

__all__ = ["Outlook", "outlook"]

_OF_HOLD = {
    Hold.SRM: "it stays on hold: versions cannot be compared while traffic is split wrongly",
    Hold.SIGNAL: "it stays on hold until it is promoted or aborted by hand",
    Hold.APPROVAL: "it stays on hold until it is approved; all limits hold",
}
_OF_STATE = {
    RolloutState.DRAFT: "nothing: it was never started",
    RolloutState.PAUSED: "it is paused until it is resumed; evidence of harm still rolls it back",
    RolloutState.PROMOTING: "it is put in production within seconds",
    RolloutState.ROLLING_BACK: "the version in production gets all traffic within seconds",
    RolloutState.ROLLED_BACK: "nothing: it was rolled back",
    RolloutState.CANCELLED: "nothing: it never began",
}


@dataclass(frozen=True, slots=True)
class Outlook(Result):
    """What comes next.

    Attributes
    ----------
    told : str
        In words, without the times.
    earliest : datetime or None
        When that can happen at the earliest; None where nothing happens by itself.
    deadline : datetime or None
        When it is rolled back if it still waits for requests.
    done : datetime or None
        When it can be in production at the earliest.
    watched_until : datetime or None
        Of one in production, until when it can still be rolled back.
    waits : bool
        Whether an operator has to act.
    """

    told: str
    earliest: datetime | None = None
    deadline: datetime | None = None
    done: datetime | None = None
    watched_until: datetime | None = None
    waits: bool = False


def outlook(rollout: Rollout, decision: RolloutDecision | None, now: datetime) -> Outlook:
    """Return what becomes of a rollout next.

    Parameters
    ----------
    rollout : Rollout
    decision : RolloutDecision or None
        What the next analysis would decide, where that is known.
    now : datetime

    Returns
    -------
    Outlook
    """
    now = as_utc(now)
    if rollout.state is RolloutState.SCHEDULED:
        begins = rollout.begins_at
        sentence = f"it begins with {rollout.plan.steps[0]:g} % of the traffic"
        return Outlook(sentence, begins, done=None if begins is None else _done(rollout, begins))
    if rollout.state is RolloutState.COMPLETED:
        if rollout.ended_at is None or not rollout.in_bake_time(now):
            return Outlook("nothing: it is in production, and its bake time is over")
        until = rollout.ended_at + timedelta(seconds=rollout.plan.bake_time)
        sentence = "bake time: evidence that a limit is broken rolls it back"
        return Outlook(sentence, watched_until=until)
    if rollout.state not in {RolloutState.RUNNING, RolloutState.HOLDING}:
        waits = rollout.state in {RolloutState.DRAFT, RolloutState.PAUSED}
        return Outlook(_OF_STATE[rollout.state], waits=waits)
    if decision is not None and decision.event not in {None, Event.HOLD}:
        return Outlook(f"at the next analysis {_by(rollout, decision.event)}", now)
    if rollout.hold in _OF_HOLD:
        return Outlook(_OF_HOLD[rollout.hold], waits=True)
    return _waiting(rollout, now)


def _waiting(rollout: Rollout, now: datetime) -> Outlook:
    """Return what comes of a rollout that goes on by itself."""
    plan = rollout.plan
    begun = rollout.window_started_at or now
    entered = rollout.step_entered_at or begun
    earliest = max(now, begun + timedelta(seconds=plan.window))
    done, following = _done(rollout, begun), _following(rollout)
    if rollout.hold is Hold.NO_DATA:
        deadline = entered + timedelta(seconds=plan.deadline)
        sentence = f"{following}, once there are enough requests"
        return Outlook(sentence, earliest, deadline, max(done, now))
    if rollout.hold is Hold.ANALYSIS_ERROR:
        sentence = f"{following}, once what was recorded can be read again"
        return Outlook(sentence, earliest, done=max(done, now), waits=True)
    sentence = f"{following}, if it is within its limits then"
    if rollout.hold is Hold.INCONCLUSIVE and rollout.extensions >= plan.extensions:
        sentence += "; no further window is left"
    return Outlook(sentence, earliest, done=max(done, now))


def _done(rollout: Rollout, begun: datetime) -> datetime:
    remaining = len(rollout.plan.steps) - rollout.step
    return begun + timedelta(seconds=rollout.plan.window * remaining)


def _following(rollout: Rollout) -> str:
    plan, last = rollout.plan, rollout.step + 1 == len(rollout.plan.steps)
    if plan.approval or (last and plan.steps[-1] < 100.0):
        return "it waits for manual approval"
    return _by(rollout, Event.PROMOTE if last else Event.STEP)


def _by(rollout: Rollout, event: Event | None) -> str:
    if event is Event.STEP:
        return f"it gets {rollout.plan.steps[rollout.step + 1]:g} % of the traffic"
    return "it is put in production" if event is Event.PROMOTE else "it is rolled back"
