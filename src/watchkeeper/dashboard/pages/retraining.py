"""Retraining runs: the list, and the page of one run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchkeeper.app import App
from watchkeeper.charts import Step, Stepper, StepState
from watchkeeper.dashboard.page import Ask, Page
from watchkeeper.dashboard.paging import leaf_of
from watchkeeper.dashboard.rendering import words
from watchkeeper.errors import InvalidValueError, WatchkeeperError
from watchkeeper.monitoring.retraining import RetrainingStatus
from watchkeeper.retraining import GateReport, Policy, Run, RunState, Trigger

__all__ = ["one", "page"]

_PER_PAGE = 50
_LINES, _BYTES = 200, 64 << 10  # of a log that are shown at most
_NEXT = {
    RunState.GATING: "what its policy asks for is being done",
    RunState.PROMOTED: "went to production",
    RunState.ROLLING_OUT: "is rolled out",
    RunState.SHADOWING: "gets mirrored traffic",
}


def page(app: App, ask: Ask) -> Page:
    """Return the retraining runs of all models, and the decision for one model now.

    Parameters
    ----------
    app : App
    ask : Ask

    Returns
    -------
    Page

    Raises
    ------
    InvalidValueError
        If the query asks for a state that does not exist.
    """
    model, state = ask.query.get("model") or None, ask.query.get("state") or None
    if state is not None and state not in set(RunState):
        raise InvalidValueError("state", state, f"one of {', '.join(RunState)}")
    leaf = leaf_of(ask.query, app.retraining.count(model, state), _PER_PAGE)
    runs = app.retraining.find(model, state, limit=_PER_PAGE, offset=leaf.offset)
    subjects = _subjects(app)
    return Page(
        template="retraining.html",
        title="Retraining",
        section="Retraining",
        context={
            "runs": [_RunRow(run, ask.now) for run in runs],
            "leaf": leaf,
            "only": model or "",
            "state_asked": state or "",
            "states": list(RunState),
            "subjects": subjects,
            "names": sorted({run.model for run in subjects} | {run.model for run in runs}),
            "checking": ask.query.get("check", ""),
            "checked": _checked(app, ask),
            "asked_at": ask.now,
        },
    )


def one(app: App, ask: Ask) -> Page:
    """Return the page of a retraining run, in the order of its steps.

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
        If there is no run of this name.
    """
    run = app.retraining.get(ask.names["name"])
    gate = run.gate
    return Page(
        template="retraining_run.html",
        title=f"Retraining {run.name}",
        section="Retraining",
        model=run.model,
        charts={"steps": _steps(run)},
        context={
            "run": run,
            "row": _RunRow(run, ask.now),
            "triggers": [(trigger, evidence_of(run, trigger)) for trigger in run.decision.triggers],
            "gate": gate,
            "criteria": [] if gate is None else _checks(gate, guarded=False),
            "segments": [] if gate is None else _checks(gate, guarded=True),
            "metrics": [] if gate is None else _metrics(gate),
            "decision": decision_of(run),
            "follows": _follows(run),
            "history": app.retraining.history(run.name),
            **_log(app, run.name),
        },
    )


@dataclass(frozen=True, slots=True)
class _RunRow:
    """A retraining run as a list shows it."""

    run: Run
    now: datetime

    @property
    def seconds(self) -> float:
        """How long it took, or has taken until now."""
        return ((self.run.ended_at or self.now) - self.run.decided_at).total_seconds()

    @property
    def gate(self) -> str:
        """The result of its gate as a state."""
        gate = self.run.gate
        return "" if gate is None else "passed" if gate.passed else "not_passed"

    @property
    def triggers(self) -> str:
        """Kinds of its triggers."""
        return ", ".join(dict.fromkeys(trigger.kind for trigger in self.run.decision.triggers))


@dataclass(frozen=True, slots=True)
class _Subject:
    """A model that can be retrained."""

    model: str
    production: str
    policy: Policy
    last: Run | None


def evidence_of(run: Run, trigger: Trigger) -> str:
    """Return the page of what a trigger rests on: its finding, or the decision itself.

    Parameters
    ----------
    run : Run
    trigger : Trigger

    Returns
    -------
    str
        Its path.
    """
    if trigger.finding is None:
        return f"/models/{run.model}/history/decision:{run.name}"
    if trigger.kind == "drift":
        return f"/models/{run.model}/drift?finding={trigger.finding}"
    return f"/models/{run.model}/history/finding:{trigger.finding}"


def decision_of(run: Run) -> str:
    """Return the decision and its reason as a sentence.

    Parameters
    ----------
    run : Run

    Returns
    -------
    str
    """
    champion = run.champion or "no version"
    if run.state is RunState.FAILED:
        return f"The training failed, and {champion} stays in production: {run.reason}."
    if run.state is RunState.CANCELLED:
        return f"It was aborted, and {champion} stays in production: {run.reason}."
    if run.gate is None:
        return "Nothing is decided yet: the candidate is not judged."
    if not run.gate.passed:
        return f"{run.model_id} is not better, and {champion} stays in production."
    better = f"{run.model_id} is better than {run.champion}"
    if run.champion is None:
        better = f"{run.model_id} is the first version, and meets every criterion"
    if run.state is RunState.KEPT:
        return f"{better}, and did not stay in its place: {run.reason}."
    return f"{better}, and {_NEXT[run.state]}."


def _checked(app: App, ask: Ask) -> RetrainingStatus | str | None:
    """Return the retraining decision for a model now, or why it cannot be evaluated."""
    model = ask.query.get("check")
    if not model:
        return None
    try:
        return app.retraining_monitor.view(model, ask.now)
    except WatchkeeperError as error:
        return f"{error.message}. {error.hint}"


def _subjects(app: App) -> list[_Subject]:
    """Return the models that have a version in production, and when each was trained last."""
    return [
        _Subject(
            model,
            production,
            app.settings.policy(model).retraining,
            app.retraining_monitor.newest(model),
        )
        for model, production in sorted(app.registry.production().items())
    ]


def _steps(run: Run) -> Stepper:
    """Return the progress of a retraining run."""
    ended_badly = run.state in {RunState.FAILED, RunState.CANCELLED}
    done = 1 + bool(run.rows) + (run.gate is not None) + (not run.active and not ended_badly)
    kinds = ", ".join(dict.fromkeys(trigger.kind for trigger in run.decision.triggers))
    verdict = "" if run.gate is None else "passed" if run.gate.passed else "not passed"
    labels = [
        ("decided", kinds),
        ("trained", f"{run.rows:,} rows" if run.rows else ""),
        ("judged", verdict),
        ("decision" if run.active else words(run.state), run.model_id or ""),
    ]
    steps = [
        Step(label, _reached(number, done), note) for number, (label, note) in enumerate(labels)
    ]
    if ended_badly:
        steps = [*steps[:done], Step(words(run.state), "failed")]
    return Stepper(title=f"Progress of {run.name}", steps=steps)


def _reached(number: int, done: int) -> StepState:
    return "done" if number < done else "current" if number == done else "next"


def _checks(gate: GateReport, *, guarded: bool) -> list[Any]:
    return [check for check in gate.checks if (check.kind == "segment") is guarded]


def _metrics(gate: GateReport) -> list[tuple[str, float | None, float | None, float | None]]:
    """Return of each metric what champion and candidate have, and the difference."""
    names = dict.fromkeys([*gate.candidate, *gate.champion])
    return [(name, *_difference(gate.champion, gate.candidate, name)) for name in names]


def _difference(
    champion: Mapping[str, float], candidate: Mapping[str, float], name: str
) -> tuple[float | None, float | None, float | None]:
    first, second = champion.get(name), candidate.get(name)
    return first, second, None if first is None or second is None else second - first


def _follows(run: Run) -> tuple[str, str] | None:
    """Return the name and the address of what a run started."""
    if not run.follows:
        return None
    kind, folder = (
        ("shadow", "shadows") if run.policy.on_success == "shadow" else ("rollout", "rollouts")
    )
    return f"the {kind} {run.follows}", f"/{folder}/{run.follows}"


def _log(app: App, name: str) -> dict[str, Any]:
    """Return the last lines of the log of a training."""
    text = app.retraining_monitor.log(name, last=_BYTES)
    return {"log": "\n".join(text.splitlines()[-_LINES:]), "log_lines": _LINES}
