"""Rollouts and shadows: traffic weights, holds and actions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchkeeper.app import App
from watchkeeper.charts import Chart, Interval, IntervalChart, Step, Stepper, StepState
from watchkeeper.dashboard.changes import changes_of
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.monitoring.report_cache import Known
from watchkeeper.monitoring.rollouts import RolloutStatus
from watchkeeper.records import DocumentEntry
from watchkeeper.rollouts import (
    Counts,
    Event,
    Hold,
    Judgement,
    Limit,
    LimitStanding,
    Rollout,
    RolloutDecision,
    RolloutState,
    Seen,
    judged,
)
from watchkeeper.rollouts.forecast import outlook
from watchkeeper.rollouts.shadow import ShadowReport, ShadowState
from watchkeeper.rollouts.states import MOVES, TERMINAL

__all__ = ["one", "page", "shadow"]

_MOST = 50
_HOLDS: Mapping[Hold, str] = {
    Hold.NO_DATA: "it has not had enough requests",
    Hold.INCONCLUSIVE: "there is no evidence either way about a limit",
    Hold.SRM: "sample ratio mismatch between the two versions",
    Hold.SIGNAL: "a limit is broken that needs manual approval, or prediction distributions differ",
    Hold.ANALYSIS_ERROR: "what was recorded cannot be read",
    Hold.APPROVAL: "it waits for manual approval",
    Hold.READINESS: "the readiness checklist of the model does not pass",
}
_BY_PEOPLE = (Event.RESUME, Event.STEP, Event.PROMOTE, Event.PAUSE, Event.ABORT)
_FOLLOWS = frozenset({Event.ROLLED_BACK, Event.PROMOTED})  # the registry, after a decision
_BEFORE = frozenset({RolloutState.DRAFT, RolloutState.SCHEDULED, RolloutState.CANCELLED})
_SHARED = frozenset({RolloutState.RUNNING, RolloutState.HOLDING, RolloutState.PAUSED})
_TAKEN_BACK = frozenset({RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK})


@dataclass(frozen=True, slots=True)
class _ListedRollout:
    """A rollout in the list, with its last change."""

    rollout: Rollout
    since: datetime | None
    reason: str
    in_bake_time: bool


@dataclass(frozen=True, slots=True)
class _Action:
    """A button: label, effect and style."""

    do: str
    label: str
    effect: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class _Held:
    """A canary and production at the same time, compared with one limit; figures as text."""

    limit: str
    bad: str
    canary: str
    production: str
    allowed: str
    difference: str
    standing: LimitStanding
    reason: str
    on_breach: str


@dataclass(frozen=True, slots=True)
class _Side:
    """Counts of one version in one step; figures as text."""

    step: str
    version: str
    requests: int
    units: int | None
    bad: tuple[str, ...]


def page(app: App, ask: Ask) -> Page:
    """Return the list of rollouts and shadows, active ones first.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page
    """
    model, state = ask.query.get("model"), ask.query.get("state")
    rollouts, shadows = app.rollouts.find(), app.shadows.find()
    matching = [
        rollout
        for rollout in rollouts
        if model in {None, "", rollout.model} and state in {None, "", rollout.state.value}
    ]
    copies = [
        shadow
        for shadow in shadows
        if model in {None, "", shadow.model} and state in {None, "", shadow.state.value}
    ]
    matching.sort(
        key=lambda rollout: _urgency(rollout, ask.now)
    )  # and the newest first, as they come
    copies.sort(key=lambda shadow: shadow.state is not ShadowState.RUNNING)
    return Page(
        template="rollouts.html",
        title="Rollouts and shadows",
        section="Rollouts",
        context={
            "listed": [_listed(app, rollout, ask.now) for rollout in matching[:_MOST]],
            "left": max(0, len(matching) - _MOST),
            "shadows": copies[:_MOST],
            "shadows_left": max(0, len(copies) - _MOST),
            "any": bool(rollouts or shadows),
            "models": sorted({e.model for e in rollouts} | {e.model for e in shadows}),
            "states": sorted({e.state.value for e in rollouts} | {e.state.value for e in shadows}),
        },
    )


def one(app: App, ask: Ask) -> Page:
    """Return the page of a rollout: state, reason, next step and actions.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    NotFoundError
        If there is no rollout of this name.
    """
    rollout = app.rollouts.get(ask.names["name"])
    history = app.rollouts.history(rollout.name)
    latest = _latest_report(app, rollout, ask)
    report = None if latest is None else latest.report
    decision, seen, counted_at = None, None, None
    if latest is not None and report is not None and report.seen is not None:
        decision = report.decision if latest.current else None
        seen, counted_at = report.seen, latest.at
    if seen is None:  # it is over, or its figures are still being read
        seen, counted_at = _last_seen(history)
    judgements = () if seen is None else _judged(rollout, seen)
    until = app.rollouts.repository.watched_until(rollout.name)
    return Page(
        template="rollout.html",
        title=f"Rollout {rollout.name}",
        section="Rollouts",
        model=rollout.model,
        charts=_charts(rollout, judgements),
        context={
            "rollout": rollout,
            "known": latest,
            "unhealthy": _is_unhealthy(rollout, judgements),
            "since": history[-1].at if history else rollout.started_at,
            "holds": None if rollout.hold is None else _HOLDS[rollout.hold],
            "reason": _reason(rollout, decision, history),
            "outlook": outlook(rollout, decision, ask.now),
            "unwatched": _is_unwatched(rollout, until, ask.now),
            "watched_until": until,
            "actions": _actions(rollout, judgements, ask.now),
            "limits": [] if seen is None else _held(seen, judgements),
            "sides": [] if seen is None else _sides(rollout, seen),
            "names": [limit.name for limit in rollout.plan.limits],
            "seen": seen,
            "counted_at": counted_at,
            "retried_by": [
                e.name for e in app.rollouts.find(rollout.model) if e.retries == rollout.name
            ],
            "changes": changes_of(history),
        },
    )


def shadow(app: App, ask: Ask) -> Page:
    """Return how a shadow compares with production on the same requests.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    NotFoundError
        If there is no shadow of this name.
    """
    subject = app.shadows.get(ask.names["name"])
    policy = app.settings.policy(subject.model)
    latest = app.reports.latest(app.shadow_reports.request(subject, ask.now))
    report = latest.report
    return Page(
        template="shadow.html",
        title=f"Shadow {subject.name}",
        section="Rollouts",
        model=subject.model,
        charts={} if report is None or not report.pairs else _agreement(report),
        context={
            "shadow": subject,
            "known": latest,
            "report": report,
            "task": policy.task,
            "production": app.registry.get_production_model(subject.model),
            "changes": changes_of(app.shadows.history(subject.name)),
        },
    )


def _urgency(rollout: Rollout, now: datetime) -> int:
    if rollout.active:
        return 1 if rollout.state is RolloutState.RUNNING else 0
    return 2 if rollout.state is RolloutState.SCHEDULED or rollout.in_bake_time(now) else 3


def _listed(app: App, rollout: Rollout, now: datetime) -> _ListedRollout:
    last = app.audit.entries(subject=f"{rollout.model}:rollouts/{rollout.name}", limit=2)
    reasons = [entry.reason for entry in last if entry.verb not in _FOLLOWS]
    since = last[0].at if last else rollout.started_at
    return _ListedRollout(rollout, since, reasons[0] if reasons else "", rollout.in_bake_time(now))


def _latest_report(app: App, rollout: Rollout, ask: Ask) -> Known[RolloutStatus] | None:
    if rollout.started_at is None or not (rollout.active or rollout.in_bake_time(ask.now)):
        return None
    return app.reports.latest(app.rollout_monitor.request(rollout, ask.now))


def _last_seen(history: Sequence[DocumentEntry]) -> tuple[Seen | None, datetime | None]:
    """Return the counts of the last decision of the controller, and their time."""
    for entry in reversed(history):
        stored = (entry.evidence or {}).get("seen")
        if stored is not None:
            return Seen.from_dict(stored), entry.at
    return None, None


def _judged(rollout: Rollout, seen: Seen) -> tuple[Judgement, ...]:
    return tuple(
        judged(rollout.plan, limit, seen.steps, seen.production) for limit in rollout.plan.limits
    )


def _reason(
    rollout: Rollout, decision: RolloutDecision | None, history: Sequence[DocumentEntry]
) -> str:
    """Return the reason of its state: the current decision, or the last entry of its history."""
    if decision is not None and rollout.state in {RolloutState.RUNNING, RolloutState.HOLDING}:
        return decision.reason
    for entry in reversed(history):
        if entry.verb not in _FOLLOWS:
            return entry.reason
    return ""


def _is_unwatched(rollout: Rollout, until: datetime | None, now: datetime) -> bool:
    """Return whether production gets all traffic, since no controller reconciles the rollout."""
    shares = rollout.state in _SHARED and not rollout.plan.keep
    return shares and until is not None and until < now


def _is_unhealthy(rollout: Rollout, judgements: Sequence[Judgement]) -> bool:
    if not rollout.active and rollout.state is not RolloutState.COMPLETED:
        return False
    held = rollout.hold not in {None, Hold.APPROVAL}
    return held or any(
        judgement.standing in {LimitStanding.OVER, LimitStanding.BREACH} for judgement in judgements
    )


def _actions(rollout: Rollout, judgements: Sequence[Judgement], now: datetime) -> list[_Action]:
    """Return the actions that are possible now, the advised one first."""
    if rollout.state in TERMINAL or (
        rollout.state is RolloutState.COMPLETED and not rollout.in_bake_time(now)
    ):
        return []
    last = rollout.step + 1 == len(rollout.plan.steps)
    possible = [
        event
        for event in _BY_PEOPLE
        if (rollout.state, event) in MOVES and not (event is Event.STEP and last)
    ]
    if _is_unhealthy(rollout, judgements):
        possible.sort(key=lambda event: event is not Event.ABORT)
    return [_action(rollout, event) for event in possible]


def _action(rollout: Rollout, event: Event) -> _Action:
    canary, stable = f"{rollout.model}:{rollout.version}", f"{rollout.model}:{rollout.stable}"
    if event is Event.ABORT and rollout.state in _BEFORE:
        effect = "It will not start, and the traffic stays as it is."
        return _Action("abort", "Cancel", effect, "danger")
    if event is Event.ABORT:
        again = " and is in production again" if rollout.state is RolloutState.COMPLETED else ""
        effect = (
            f"All traffic goes back to {stable} within a second{again}. This rollout ends; "
            f"to retry {canary}, start another one."
        )
        return _Action("abort", "Abort", effect, "danger")
    if event is Event.PAUSE:
        effect = f"{canary} keeps its {rollout.weight:g} % until the rollout is resumed. Evidence "
        return _Action("pause", "Pause", f"{effect}of harm still rolls it back.")
    if event is Event.RESUME:
        effect = (
            f"{canary} keeps its {rollout.weight:g} %, and the present step starts a new window."
        )
        signal = " It is not held for a signal again." if rollout.hold is Hold.SIGNAL else ""
        return _Action("resume", "Resume", effect + signal)
    if event is Event.STEP:
        percent = rollout.plan.steps[rollout.step + 1]
        effect = f"{canary} gets {percent:g} % of the traffic within a second, without analysis."
        return _Action("step", f"Step to {percent:g} %", effect)
    effect = (
        f"{canary} goes into production and gets all traffic within a second, without analysis. "
        f"Its bake time is {rollout.plan.bake_time / 3600:g} hours, in which it can be rolled back."
    )
    return _Action("promote", "Promote", effect)


def _charts(rollout: Rollout, judgements: Sequence[Judgement]) -> dict[str, Chart]:
    steps = [
        Step(
            f"{percent:g} %",
            _step_state(rollout, step),
            _note(rollout) if step == rollout.step else "",
        )
        for step, percent in enumerate(rollout.plan.steps)
    ]
    charts: dict[str, Chart] = {"steps": Stepper(title="Steps", steps=steps)}
    compared = [
        judgement
        for judgement in judgements
        if judgement.comparison is not None and judgement.comparison.enough
    ]
    if compared:
        margins = {judgement.limit.margin for judgement in compared}
        charts["difference"] = IntervalChart(
            title="Share of bad requests: canary minus production at the same time",
            unit="%",
            rows=[_interval(judgement) for judgement in compared],
            margin=margins.pop() if len(margins) == 1 else None,
        )
    return charts


def _interval(judgement: Judgement) -> Interval:
    comparison = judgement.comparison
    if comparison is None:
        return Interval(judgement.limit.name, None)
    tone: Any = "bad" if judgement.standing is LimitStanding.BREACH else ""
    return Interval(
        judgement.limit.name, comparison.estimate, comparison.low, comparison.high, tone=tone
    )


def _step_state(rollout: Rollout, step: int) -> StepState:
    if rollout.state in {RolloutState.COMPLETED, RolloutState.PROMOTING}:
        return "done"
    if rollout.state in _BEFORE or step > rollout.step:
        return "next"
    if step < rollout.step:
        return "done"
    return "failed" if rollout.state in _TAKEN_BACK else "current"


def _note(rollout: Rollout) -> str:
    if rollout.state in _TAKEN_BACK:
        return "rolled back"
    if rollout.hold is not None:
        return rollout.hold.value.replace("_", " ")
    return "paused" if rollout.state is RolloutState.PAUSED else ""


def _held(seen: Seen, judgements: Sequence[Judgement]) -> list[_Held]:
    theirs = seen.production[-1] if seen.production else None
    return [
        _Held(
            limit=judgement.limit.name,
            bad=_bad(judgement.limit),
            canary=_share(judgement.bad, judgement.requests),
            production="-" if theirs is None else _counted(theirs, judgement.limit.name),
            allowed=_allowed(judgement.limit),
            difference=_difference(judgement),
            standing=judgement.standing,
            reason=judgement.reason,
            on_breach="rolls back" if judgement.limit.on_breach == "rollback" else "holds",
        )
        for judgement in judgements
    ]


def _bad(limit: Limit) -> str:
    """Return what counts as bad by a limit."""
    text = "failed requests"
    if limit.slower_than_ms is not None:
        text = f"slower than {limit.slower_than_ms:,g} ms"
    elif limit.wrong:
        text = "wrong predictions"
        if limit.error_tolerance is not None:
            text = f"predictions off by more than {limit.error_tolerance:g}"
    if limit.segment is not None:
        text += f", where {limit.segment[0]} is {limit.segment[1]}"
    return text


def _allowed(limit: Limit) -> str:
    parts = [] if limit.share is None else [f"at most {100 * limit.share:g} %"]
    if limit.margin is not None:
        parts.append(f"at most {100 * limit.margin:g} % points more than production")
    return ", ".join(parts)


def _difference(judgement: Judgement) -> str:
    comparison = judgement.comparison
    if comparison is None:
        return "-"
    if not comparison.enough:
        return "too few requests"
    low, high = 100 * comparison.low, 100 * comparison.high
    return f"{100 * comparison.estimate:+.2f} points, {low:+.2f} to {high:+.2f}"


def _counted(counts: Counts, name: str) -> str:
    return _share(counts.bad[name], counts.counted(name))


def _share(bad: int, of: int) -> str:
    return f"{100 * bad / of:.2f} % ({bad:,} of {of:,})" if of else "none"


def _sides(rollout: Rollout, seen: Seen) -> list[_Side]:
    rows = []
    for step, canary in enumerate(seen.steps):
        both = [(rollout.version, canary)]
        if step < len(seen.production):
            both.append((rollout.stable or "production", seen.production[step]))
        units = seen.units[step] if step < len(seen.units) else None
        for side, (version, counts) in enumerate(both):
            rows.append(
                _Side(
                    step=f"{step + 1}: {rollout.plan.steps[step]:g} %",
                    version=version,
                    requests=counts.requests,
                    units=None if units is None else units[side],
                    bad=tuple(_counted(counts, limit.name) for limit in rollout.plan.limits),
                )
            )
    return rows


def _agreement(report: ShadowReport) -> dict[str, Chart]:
    row = Interval("agreement", report.agreement, report.agreement_low, report.agreement_high)
    title = "Requests with the same prediction"
    return {"agreement": IntervalChart(title=title, unit="%", rows=[row], null=None)}
