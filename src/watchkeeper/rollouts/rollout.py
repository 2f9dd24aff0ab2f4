"""A rollout, and what it does next: a function of its plan, its state and what was counted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from watchkeeper.clock import as_utc
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.results import Result
from watchkeeper.rollouts.analysis import Counts, Judgement, LimitStanding, judged
from watchkeeper.rollouts.plan import Plan
from watchkeeper.rollouts.states import TERMINAL, Event, Hold, RolloutState, after
from watchkeeper.stats import sequential_sample_ratio
from watchkeeper.stats.distance_band import distance_band

__all__ = ["LABEL", "AnswerShift", "Rollout", "RolloutDecision", "Seen", "decided", "when_ready"]

LABEL = "rollout:"
"""What the labels of rollouts begin with; no experiment's name can."""

_COVERED = 0.8  # of a window that has to have traffic


@dataclass(frozen=True, slots=True)
class AnswerShift(Result):
    """How far the answers of the two versions lie apart in the present step.

    Attributes
    ----------
    distance : float
        Of their distribution functions.
    canary, production : int
        Answers that were compared.
    """

    distance: float
    canary: int
    production: int


@dataclass(frozen=True, slots=True)
class Seen(Result):
    """What was counted of a rollout.

    Attributes
    ----------
    steps : tuple of Counts
        Of each step so far, the present one last.
    covered : float
        Seconds of the present window in which there was traffic.
    production : tuple of Counts
        Of the version in production over the same time, one a step; empty where that is not known.
    units : tuple of (int, int)
        Units first seen in each step, of the canary and of production: by these the shares are
        checked; empty where that is not known.
    answers : AnswerShift or None
        None where the answers of both are not known.
    """

    steps: tuple[Counts, ...]
    covered: float
    production: tuple[Counts, ...] = ()
    units: tuple[tuple[int, int], ...] = ()
    answers: AnswerShift | None = None


@dataclass(frozen=True, slots=True)
class RolloutDecision(Result):
    """What a rollout does next.

    Attributes
    ----------
    event : Event or None
        None where it goes on as it is.
    hold : Hold or None
        Why it does not go on.
    reason : str
        A sentence with the figures.
    judgements : tuple of Judgement
        The evidence.
    """

    event: Event | None
    hold: Hold | None
    reason: str
    judgements: tuple[Judgement, ...] = ()

    @property
    def promotes(self) -> bool:
        """Whether the version goes into production by it."""
        return self.event is Event.PROMOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout(Result):
    """A rollout of one version, as it is stored.

    Attributes
    ----------
    name, model, version : str
        The version is the canary.
    plan : Plan
    stable : str or None
        The version in production that it is compared with; a rollback returns to it.
    retries : str or None
        The earlier rollout of this version that was rolled back; its evidence is not inherited.
    state : RolloutState
    hold : Hold or None
        Why it holds.
    step : int
        Place in the plan's steps, from 0.
    extensions : int
        Windows that the present step was given again.
    accepted : bool
        Whether a person went on from a hold for a signal: it is not held for one again.
    step_entered_at, window_started_at : datetime or None
        After a pause, when it was resumed.
    begins_at : datetime or None
        When it is to begin, of one that was planned for later.
    started_at : datetime or None
    ended_at : datetime or None
        When it was completed, rolled back or cancelled.
    number : int
        Grows with every change; an older weight is never put in place of a newer one.

    Raises
    ------
    InvalidValueError
        If a name is none, or the step is not one of the plan.
    """

    name: str
    model: str
    version: str
    plan: Plan
    stable: str | None = None
    retries: str | None = None
    state: RolloutState = RolloutState.DRAFT
    hold: Hold | None = None
    step: int = 0
    extensions: int = 0
    accepted: bool = False
    step_entered_at: datetime | None = None
    window_started_at: datetime | None = None
    begins_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    number: int = 0

    def __post_init__(self) -> None:
        for field in ("name", "model", "version"):
            check_name(getattr(self, field), field)
        if not 0 <= self.step < len(self.plan.steps):
            raise InvalidValueError("step", self.step, f"0 to {len(self.plan.steps) - 1}")

    @property
    def weight(self) -> float:
        """Percent of the traffic that the canary is to have."""
        if self.state in {RolloutState.RUNNING, RolloutState.HOLDING, RolloutState.PAUSED}:
            return self.plan.steps[self.step]
        return 100.0 if self.state in {RolloutState.PROMOTING, RolloutState.COMPLETED} else 0.0

    @property
    def active(self) -> bool:
        """Whether it is under way: it begins, serves, or is being rolled back."""
        return (
            self.state
            not in {RolloutState.DRAFT, RolloutState.SCHEDULED, RolloutState.COMPLETED} | TERMINAL
        )

    @property
    def label(self) -> str:
        """What the predictions of both versions are recorded with in the present step."""
        return f"{LABEL}{self.name}/{self.step + 1}"

    def in_bake_time(self, at: datetime) -> bool:
        """Return whether it was promoted and can still be rolled back.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        bool
        """
        return (
            self.state is RolloutState.COMPLETED
            and _since(self.ended_at, at) <= self.plan.bake_time
        )

    def moved(self, event: Event, at: datetime, hold: Hold | None = None) -> Self:
        """Return it as it is after an event.

        Parameters
        ----------
        event : Event
        at : datetime
        hold : Hold, optional
            Why it is held, for `Event.HOLD`.

        Returns
        -------
        Rollout

        Raises
        ------
        ConflictError
            If the event cannot happen in its state, or no step is left, or it is watched no more.
        InvalidValueError
            If it is held without a cause.
        """
        at = as_utc(at)
        state = after(self.state, event)
        if self.state is RolloutState.COMPLETED and not self.in_bake_time(at):
            raise ConflictError(
                f"the rollout {self.name} has ended, and so has its bake time",
                "Roll the model back in the registry.",
            )
        changes: dict[str, Any] = {"state": state, "number": self.number + 1, "hold": None}
        if self.hold is Hold.SIGNAL and event in {Event.RESUME, Event.STEP}:
            changes["accepted"] = True
        if event is Event.START:
            changes |= {"step_entered_at": at, "window_started_at": at, "started_at": at}
        elif event is Event.STEP:
            if self.step + 1 == len(self.plan.steps):
                raise ConflictError(f"the rollout {self.name} is at its last step", "Promote it.")
            changes |= {"step": self.step + 1, "extensions": 0}
            changes |= {"step_entered_at": at, "window_started_at": at}
        elif event is Event.HOLD:
            if hold is None:
                raise InvalidValueError("hold", hold, f"why: one of {', '.join(Hold)}")
            changes["hold"] = hold
            if hold is Hold.INCONCLUSIVE:
                changes |= {"extensions": self.extensions + 1, "window_started_at": at}
        elif event is Event.RESUME:
            # Time without an analysis does not count as healthy, nor as waiting.
            changes |= {"step_entered_at": at, "window_started_at": at}
        if state in {RolloutState.COMPLETED, RolloutState.ROLLED_BACK, RolloutState.CANCELLED}:
            changes["ended_at"] = at
        return replace(self, **changes)


def decided(rollout: Rollout, seen: Seen, now: datetime) -> RolloutDecision:
    """Return what a rollout does next, at any time.

    Evidence of a breach takes it back at once. A step is passed when its window is over, four
    fifths of it had traffic, there were enough requests, and no more was bad than each limit
    allows. More than that without evidence gives the step another window, and takes the rollout
    back when no extension is left, or earlier where so many are hardly chance. Where the plan asks
    for proof, so does a step that does not prove its rates below their limits, unless it is to wait
    for more requests then. A limit with a margin is also held against production over the same
    time, where only evidence acts. Shares of units that are not those of the plan hold it: the two
    versions get requests of different units then; so do answers that lie far apart, and breaches of
    limits that are to hold it. Nothing counted holds it, and takes it back at the deadline; it
    never passes. A plan that ends below 100 % waits for a person in the end.

    Parameters
    ----------
    rollout : Rollout
    seen : Seen
        The counts of as many steps as the rollout has begun.
    now : datetime

    Returns
    -------
    RolloutDecision

    Raises
    ------
    InvalidValueError
        If the counts are of another number of steps.
    """
    plan = rollout.plan
    if seen.units and len(seen.units) != rollout.step + 1:
        raise InvalidValueError("seen.units", len(seen.units), f"{rollout.step + 1}: one a step")
    if len(seen.steps) != rollout.step + 1:
        raise InvalidValueError("seen.steps", len(seen.steps), f"{rollout.step + 1}: one a step")
    judgements = tuple(judged(plan, limit, seen.steps, seen.production) for limit in plan.limits)

    def decision(event: Event | None, reason: str, hold: Hold | None = None) -> RolloutDecision:
        return RolloutDecision(event, hold, reason, judgements)

    breaches = _of(judgements, LimitStanding.BREACH, "rollback")
    alive = {
        RolloutState.RUNNING,
        RolloutState.HOLDING,
        RolloutState.PAUSED,
        RolloutState.PROMOTING,
    }
    if breaches and (rollout.in_bake_time(now) or rollout.state in alive):
        return decision(Event.BREACH, _told(breaches))
    if rollout.state not in {RolloutState.RUNNING, RolloutState.HOLDING}:
        return decision(None, f"it is {rollout.state.value.replace('_', ' ')}")
    strayed = _strayed(plan, seen.units)
    if strayed:
        return decision(_anew(rollout, Hold.SRM), strayed, Hold.SRM)
    signals = _of(judgements, LimitStanding.BREACH, "hold")
    moved = _moved(plan, seen.answers)
    if (signals or moved) and not rollout.accepted:
        told = "; ".join(sentence for sentence in (_told(signals), moved) if sentence)
        return decision(
            _anew(rollout, Hold.SIGNAL), f"{told}; waiting for manual approval", Hold.SIGNAL
        )
    elapsed = _since(rollout.window_started_at, now)
    if elapsed < plan.window:
        return decision(
            None, f"the window ends in {timedelta(seconds=round(plan.window - elapsed))}"
        )
    few = [
        judgement for judgement in _of(judgements, LimitStanding.TOO_FEW) if judgement.limit.awaited
    ]
    if few or seen.covered < _COVERED * plan.window:
        told = _told(few) or (
            f"only {seen.covered:,.0f} s of a window of {plan.window:,.0f} s had traffic"
        )
        if _since(rollout.step_entered_at, now) >= plan.deadline:
            return decision(Event.EXPIRE, f"{told}, and the deadline has passed")
        return decision(_anew(rollout, Hold.NO_DATA), told, Hold.NO_DATA)
    return _passed(rollout, judgements)


def when_ready(rollout: Rollout, decision: RolloutDecision, unready: str) -> RolloutDecision:
    """Return a decision to promote as a hold while the model is not ready.

    Parameters
    ----------
    rollout : Rollout
    decision : RolloutDecision
    unready : str
        Why the model may not be promoted now; empty if it may.

    Returns
    -------
    RolloutDecision
        The same one if the model may be promoted.
    """
    if not unready:
        return decision
    hold = Hold.READINESS
    return replace(decision, event=_anew(rollout, hold), hold=hold, reason=unready)


def _passed(rollout: Rollout, judgements: tuple[Judgement, ...]) -> RolloutDecision:
    """Return whether a step whose window is over, with enough requests, is passed."""
    plan = rollout.plan

    def decision(event: Event | None, reason: str, hold: Hold | None = None) -> RolloutDecision:
        return RolloutDecision(event, hold, reason, judgements)

    over = _of(judgements, LimitStanding.OVER)
    if rollout.accepted:
        over = [judgement for judgement in over if judgement.limit.on_breach == "rollback"]
    far = [judgement for judgement in over if _far_over(rollout, judgement)]
    if far:
        told = "; ".join(
            f"{judgement.reason}, by chance in {judgement.chance:.2%}" for judgement in far
        )
        return decision(Event.BREACH, f"{told}; no extension is left")
    if over and rollout.extensions < plan.extensions:
        return decision(Event.HOLD, _told(over), Hold.INCONCLUSIVE)
    if over:
        told = f"{_told(over)}; no further window is left"
        if all(judgement.limit.on_breach == "hold" for judgement in over):
            return decision(
                _anew(rollout, Hold.SIGNAL), f"{told}; waiting for manual approval", Hold.SIGNAL
            )
        return decision(Event.BREACH, told)
    inconclusive = [
        judgement
        for judgement in judgements
        if judgement.proof is not None and judgement.proof < 1 / plan.alpha
    ]
    if inconclusive:
        told = f"{_told(inconclusive)}; there is no evidence that it is below the limit"
        if rollout.extensions < plan.extensions:
            return decision(Event.HOLD, told, Hold.INCONCLUSIVE)
        if plan.on_inconclusive == "rollback":
            return decision(Event.BREACH, f"{told}, and no further window is left")
        return decision(_anew(rollout, Hold.INCONCLUSIVE), told, Hold.INCONCLUSIVE)
    last = rollout.step + 1 == len(plan.steps)
    if plan.approval or (last and plan.steps[-1] < 100.0):
        told = f"{_told(judgements)}; it waits for approval"
        return decision(_anew(rollout, Hold.APPROVAL), told, Hold.APPROVAL)
    return decision(Event.PROMOTE if last else Event.STEP, _told(judgements))


def _far_over(rollout: Rollout, judgement: Judgement) -> bool:
    """Return whether another window would change nothing, after at least one was given.

    The extensions that are not the last share `alpha`: whatever their number, a rate that is at its
    limit loses windows to it in that many of the steps at most. Without it, a rate of twice its
    limit stays for all of its windows in one rollout of four.
    """
    plan, between = rollout.plan, rollout.plan.extensions - 1
    if not 1 <= rollout.extensions <= between or judgement.limit.on_breach == "hold":
        return False
    return judgement.chance is not None and judgement.chance <= plan.alpha / between


def _strayed(plan: Plan, units: Sequence[tuple[int, int]]) -> str:
    """Return what is wrong with the shares of the two versions; nothing if chance explains it."""
    shared = [
        (count, (percent, 100.0 - percent))
        for percent, count in zip(plan.steps, units, strict=False)
        if percent < 100.0
    ]
    if not shared:
        return ""
    check = sequential_sample_ratio([count for count, _ in shared], [share for _, share in shared])
    if not check.mismatch:
        return ""
    return (
        f"the canary has {check.observed[0]:,.0f} of {sum(check.observed):,.0f} units and was to "
        f"have {check.expected[0]:,.0f}; this is significant, so the two cannot be compared"
    )


def _moved(plan: Plan, answers: AnswerShift | None) -> str:
    """Return how far the answers lie apart; nothing if that may be chance, or little."""
    if answers is None or plan.max_prediction_shift is None:
        return ""
    sizes = answers.canary, answers.production
    low, _ = distance_band(answers.distance, *sizes, plan.alpha / len(plan.steps))
    if low <= plan.max_prediction_shift:
        return ""
    return (
        "the prediction distributions of the two versions differ (KS distance at least "
        f"{low:.2f}, limit {plan.max_prediction_shift:g}; {answers.distance:.2f} between "
        f"{answers.canary:,} and {answers.production:,} predictions)"
    )


def _anew(rollout: Rollout, hold: Hold) -> Event | None:
    """Return the event of a hold, or None where it holds for that reason already."""
    return None if rollout.hold is hold else Event.HOLD


def _since(begin: datetime | None, now: datetime) -> float:
    return 0.0 if begin is None else (as_utc(now) - begin).total_seconds()


def _of(
    judgements: Sequence[Judgement], standing: LimitStanding, on_breach: str | None = None
) -> list[Judgement]:
    return [
        judgement
        for judgement in judgements
        if judgement.standing is standing and on_breach in {None, judgement.limit.on_breach}
    ]


def _told(judgements: Sequence[Judgement]) -> str:
    return "; ".join(judgement.reason for judgement in judgements)
