"""Rollouts and shadows: who has the traffic, why it does not go on, and what can be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchkeeper.app import App
from watchkeeper.charts import Interval, IntervalChart, Step, Stepper, StepState
from watchkeeper.dashboard.changes import changes_of
from watchkeeper.dashboard.page import Ask, Drawn, Page
from watchkeeper.monitoring.report_cache import Known
from watchkeeper.monitoring.rollouts import RolloutStatus
from watchkeeper.records import DocumentEntry
from watchkeeper.rollouts import (
    Counts,
    Decision,
    Event,
    Hold,
    Judgement,
    Limit,
    Rollout,
    Seen,
    Standing,
    State,
    judged,
)
from watchkeeper.rollouts.forecast import outlook
from watchkeeper.rollouts.shadow import ShadowReport, ShadowState
from watchkeeper.rollouts.states import MOVES, TERMINAL

__all__ = ["one", "page", "shadow"]

_MOST = 50
_HOLDS: Mapping[Hold, str] = {
    Hold.NO_DATA: "it has not had enough requests",
    Hold.INCONCLUSIVE: "a limit is neither kept nor broken for certain",
    Hold.SRM: "the two versions do not have the units they were given",
    Hold.SIGNAL: "a limit is broken that a person is to judge, or the two answer differently",
    Hold.ANALYSIS_ERROR: "what was recorded cannot be read",
    Hold.APPROVAL: "it is well, and waits for somebody to say yes",
    Hold.READINESS: "it is well, and the readiness checklist of the model does not pass",
}
_BY_PEOPLE = (Event.RESUME, Event.STEP, Event.PROMOTE, Event.PAUSE, Event.ABORT)
_FOLLOWS = frozenset({Event.ROLLED_BACK, Event.PROMOTED})  # the registry, after a decision
_BEFORE = frozenset({State.DRAFT, State.SCHEDULED, State.CANCELLED})
_SHARED = frozenset({State.RUNNING, State.HOLDING, State.PAUSED})
_TAKEN_BACK = frozenset({State.ROLLING_BACK, State.ROLLED_BACK})


@dataclass(frozen=True, slots=True)
class _Listed:
    """A rollout in the list, with its last change."""

    rollout: Rollout
    since: datetime | None
    reason: str
    watched: bool


@dataclass(frozen=True, slots=True)
class _Action:
    """A button: what it is called, what it does, and how it looks."""

    do: str
    label: str
    effect: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class _Held:
    """A canary held against one limit, beside production at the same time; figures as text."""

    limit: str
    bad: str
    canary: str
    production: str
    allowed: str
    difference: str
    standing: Standing
    reason: str
    on_breach: str


@dataclass(frozen=True, slots=True)
class _Side:
    """What was counted of one version in one step; figures as text."""

    step: str
    version: str
    requests: int
    units: int | None
    bad: tuple[str, ...]


def page(app: App, ask: Ask) -> Page:
    """Return the list of rollouts and shadows, what is under way first."""
    model, state = ask.query.get("model"), ask.query.get("state")
    rollouts, shadows = app.rollouts.find(), app.shadows.find()
    found = [
        each
        for each in rollouts
        if model in {None, "", each.model} and state in {None, "", each.state.value}
    ]
    copies = [
        each
        for each in shadows
        if model in {None, "", each.model} and state in {None, "", each.state.value}
    ]
    found.sort(key=lambda each: _urgency(each, ask.now))  # and the newest first, as they come
    copies.sort(key=lambda each: each.state is not ShadowState.RUNNING)
    return Page(
        template="rollouts.html",
        title="Rollouts and shadows",
        section="Rollouts",
        context={
            "listed": [_listed(app, each, ask.now) for each in found[:_MOST]],
            "left": max(0, len(found) - _MOST),
            "shadows": copies[:_MOST],
            "shadows_left": max(0, len(copies) - _MOST),
            "any": bool(rollouts or shadows),
            "models": sorted({e.model for e in rollouts} | {e.model for e in shadows}),
            "states": sorted({e.state.value for e in rollouts} | {e.state.value for e in shadows}),
        },
    )


def one(app: App, ask: Ask) -> Page:
    """Return where a rollout is and why, what comes next, and what can be done."""
    own = app.rollouts.get(ask.names["name"])
    history = app.rollouts.history(own.name)
    known = _known(app, own, ask)
    looked = None if known is None else known.report
    decision, seen, counted_at = None, None, None
    if known is not None and looked is not None and looked.seen is not None:
        decision = looked.decision if known.current else None
        seen, counted_at = looked.seen, known.at
    if seen is None:  # it is over, or its figures are still being read
        seen, counted_at = _last_seen(history)
    judgements = () if seen is None else _judged(own, seen)
    until = app.rollouts.repository.watched_until(own.name)
    return Page(
        template="rollout.html",
        title=f"Rollout {own.name}",
        section="Rollouts",
        model=own.model,
        charts=_charts(own, judgements),
        context={
            "own": own,
            "known": known,
            "ill": _is_ill(own, judgements),
            "since": history[-1].at if history else own.started_at,
            "holds": None if own.hold is None else _HOLDS[own.hold],
            "reason": _reason(own, decision, history),
            "outlook": outlook(own, decision, ask.now),
            "unwatched": _is_unwatched(own, until, ask.now),
            "watched_until": until,
            "actions": _actions(own, judgements, ask.now),
            "limits": [] if seen is None else _held(seen, judgements),
            "sides": [] if seen is None else _sides(own, seen),
            "names": [each.name for each in own.plan.limits],
            "seen": seen,
            "counted_at": counted_at,
            "retried_by": [e.name for e in app.rollouts.find(own.model) if e.retries == own.name],
            "changes": changes_of(history),
        },
    )


def shadow(app: App, ask: Ask) -> Page:
    """Return how a shadow compares with production on the same requests."""
    own = app.shadows.get(ask.names["name"])
    policy = app.settings.policy(own.model)
    known = app.reports.latest(app.shadow_reports.request(own, ask.now))
    report = known.report
    return Page(
        template="shadow.html",
        title=f"Shadow {own.name}",
        section="Rollouts",
        model=own.model,
        charts={} if report is None or not report.pairs else _agreement(report),
        context={
            "own": own,
            "known": known,
            "report": report,
            "task": policy.task,
            "production": app.registry.get_production_model(own.model),
            "changes": changes_of(app.shadows.history(own.name)),
        },
    )


def _urgency(own: Rollout, now: datetime) -> int:
    if own.active:
        return 1 if own.state is State.RUNNING else 0
    return 2 if own.state is State.SCHEDULED or own.watched(now) else 3


def _listed(app: App, own: Rollout, now: datetime) -> _Listed:
    last = app.audit.entries(subject=f"{own.model}:rollouts/{own.name}", limit=2)
    reasons = [entry.reason for entry in last if entry.verb not in _FOLLOWS]
    since = last[0].at if last else own.started_at
    return _Listed(own, since, reasons[0] if reasons else "", own.watched(now))


def _known(app: App, own: Rollout, ask: Ask) -> Known[RolloutStatus] | None:
    if own.started_at is None or not (own.active or own.watched(ask.now)):
        return None
    return app.reports.latest(app.rollout_monitor.request(own, ask.now))


def _last_seen(history: Sequence[DocumentEntry]) -> tuple[Seen | None, datetime | None]:
    """Return the counts that the control loop decided by last, and when that was."""
    for entry in reversed(history):
        stored = (entry.evidence or {}).get("seen")
        if stored is not None:
            return Seen.from_dict(stored), entry.at
    return None, None


def _judged(own: Rollout, seen: Seen) -> tuple[Judgement, ...]:
    return tuple(judged(own.plan, limit, seen.steps, seen.production) for limit in own.plan.limits)


def _reason(own: Rollout, decision: Decision | None, history: Sequence[DocumentEntry]) -> str:
    """Return why it is as it is: what is found now, or what was said when it became so."""
    if decision is not None and own.state in {State.RUNNING, State.HOLDING}:
        return decision.reason
    for entry in reversed(history):
        if entry.verb not in _FOLLOWS:
            return entry.reason
    return ""


def _is_unwatched(own: Rollout, until: datetime | None, now: datetime) -> bool:
    """Return whether production answers everything, since nobody looks after it any more."""
    shares = own.state in _SHARED and not own.plan.keep
    return shares and until is not None and until < now


def _is_ill(own: Rollout, judgements: Sequence[Judgement]) -> bool:
    if not own.active and own.state is not State.COMPLETED:
        return False
    held = own.hold not in {None, Hold.APPROVAL}
    return held or any(each.standing in {Standing.OVER, Standing.BREACH} for each in judgements)


def _actions(own: Rollout, judgements: Sequence[Judgement], now: datetime) -> list[_Action]:
    """Return what can be done with it now; what helps comes first."""
    if own.state in TERMINAL or (own.state is State.COMPLETED and not own.watched(now)):
        return []
    last = own.step + 1 == len(own.plan.steps)
    possible = [
        event
        for event in _BY_PEOPLE
        if (own.state, event) in MOVES and not (event is Event.STEP and last)
    ]
    if _is_ill(own, judgements):
        possible.sort(key=lambda event: event is not Event.ABORT)
    return [_action(own, event) for event in possible]


def _action(own: Rollout, event: Event) -> _Action:
    canary, stable = f"{own.model}:{own.version}", f"{own.model}:{own.stable}"
    if event is Event.ABORT and own.state in _BEFORE:
        told = "It will not begin, and the traffic stays as it is."
        return _Action("abort", "Cancel", told, "danger")
    if event is Event.ABORT:
        again = " and is in production again" if own.state is State.COMPLETED else ""
        told = (
            f"All traffic goes back to {stable} within a second{again}. This rollout is over then; "
            f"to try {canary} again, begin another."
        )
        return _Action("abort", "Abort", told, "danger")
    if event is Event.PAUSE:
        told = f"{canary} keeps its {own.weight:g} % until somebody resumes the rollout. Evidence "
        return _Action("pause", "Pause", f"{told}of harm still takes it back.")
    if event is Event.RESUME:
        told = f"{canary} keeps its {own.weight:g} %, and the present step begins its window anew."
        signal = " It is not held for a signal again." if own.hold is Hold.SIGNAL else ""
        return _Action("resume", "Resume", told + signal)
    if event is Event.STEP:
        percent = own.plan.steps[own.step + 1]
        told = f"{canary} gets {percent:g} % of the traffic within a second, whatever was counted."
        return _Action("step", f"Step to {percent:g} %", told)
    told = (
        f"{canary} goes into production and gets all traffic within a second, whatever was "
        f"counted. It is watched for {own.plan.watch / 3600:g} hours, and can be taken back then."
    )
    return _Action("promote", "Promote", told)


def _charts(own: Rollout, judgements: Sequence[Judgement]) -> dict[str, Drawn]:
    steps = [
        Step(f"{percent:g} %", _step_state(own, place), _note(own) if place == own.step else "")
        for place, percent in enumerate(own.plan.steps)
    ]
    charts: dict[str, Drawn] = {"steps": Stepper(title="Steps", steps=steps)}
    compared = [
        each for each in judgements if each.comparison is not None and each.comparison.enough
    ]
    if compared:
        margins = {each.limit.margin for each in compared}
        charts["difference"] = IntervalChart(
            title="Share of bad requests: canary minus production at the same time",
            unit="%",
            rows=[_interval(each) for each in compared],
            margin=margins.pop() if len(margins) == 1 else None,
        )
    return charts


def _interval(own: Judgement) -> Interval:
    found = own.comparison
    if found is None:
        return Interval(own.limit.name, None)
    tone: Any = "bad" if own.standing is Standing.BREACH else ""
    return Interval(own.limit.name, found.estimate, found.low, found.high, tone=tone)


def _step_state(own: Rollout, place: int) -> StepState:
    if own.state in {State.COMPLETED, State.PROMOTING}:
        return "done"
    if own.state in _BEFORE or place > own.step:
        return "next"
    if place < own.step:
        return "done"
    return "failed" if own.state in _TAKEN_BACK else "current"


def _note(own: Rollout) -> str:
    if own.state in _TAKEN_BACK:
        return "taken back"
    if own.hold is not None:
        return own.hold.value.replace("_", " ")
    return "paused" if own.state is State.PAUSED else ""


def _held(seen: Seen, judgements: Sequence[Judgement]) -> list[_Held]:
    theirs = seen.production[-1] if seen.production else None
    return [
        _Held(
            limit=each.limit.name,
            bad=_bad(each.limit),
            canary=_share(each.bad, each.requests),
            production="-" if theirs is None else _counted(theirs, each.limit.name),
            allowed=_allowed(each.limit),
            difference=_difference(each),
            standing=each.standing,
            reason=each.reason,
            on_breach="takes it back" if each.limit.on_breach == "rollback" else "holds it",
        )
        for each in judgements
    ]


def _bad(limit: Limit) -> str:
    """Return what counts as bad by a limit."""
    told = "failed requests"
    if limit.slower_than_ms is not None:
        told = f"slower than {limit.slower_than_ms:,g} ms"
    elif limit.wrong:
        told = "wrong answers"
        if limit.off_by is not None:
            told = f"answers off by more than {limit.off_by:g}"
    if limit.segment is not None:
        told += f", where {limit.segment[0]} is {limit.segment[1]}"
    return told


def _allowed(limit: Limit) -> str:
    parts = [] if limit.share is None else [f"at most {100 * limit.share:g} %"]
    if limit.margin is not None:
        parts.append(f"at most {100 * limit.margin:g} % points more than production")
    return ", ".join(parts)


def _difference(own: Judgement) -> str:
    found = own.comparison
    if found is None:
        return "-"
    if not found.enough:
        return "too few to tell"
    low, high = 100 * found.low, 100 * found.high
    return f"{100 * found.estimate:+.2f} points, {low:+.2f} to {high:+.2f}"


def _counted(counts: Counts, name: str) -> str:
    return _share(counts.bad[name], counts.counted(name))


def _share(bad: int, of: int) -> str:
    return f"{100 * bad / of:.2f} % ({bad:,} of {of:,})" if of else "none"


def _sides(own: Rollout, seen: Seen) -> list[_Side]:
    found = []
    for place, canary in enumerate(seen.steps):
        both = [(own.version, canary)]
        if place < len(seen.production):
            both.append((own.stable or "production", seen.production[place]))
        units = seen.units[place] if place < len(seen.units) else None
        for side, (version, counts) in enumerate(both):
            found.append(
                _Side(
                    step=f"{place + 1}: {own.plan.steps[place]:g} %",
                    version=version,
                    requests=counts.requests,
                    units=None if units is None else units[side],
                    bad=tuple(_counted(counts, limit.name) for limit in own.plan.limits),
                )
            )
    return found


def _agreement(report: ShadowReport) -> dict[str, Drawn]:
    row = Interval("said the same", report.agreement, report.agreement_low, report.agreement_high)
    title = "Requests to which both said the same"
    return {"agreement": IntervalChart(title=title, unit="%", rows=[row], null=None)}
