"""Retrainings: decided, trained, judged, and what becomes of the candidate; each with its reason.

A run is carried on by whoever looks: every step is kept before the next begins, and what was cut
off is begun again from what is kept. One process at a time works on a model.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.feather

from watchkeeper.clock import Arrivals, Clock
from watchkeeper.errors import (
    ConflictError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
    WatchkeeperError,
)
from watchkeeper.events import EventLog, Window
from watchkeeper.identity import By, RecordId
from watchkeeper.monitoring.repositories import Kept, KeptFindings
from watchkeeper.monitoring.retraining import new_labelled
from watchkeeper.operations.experiments import Experiments
from watchkeeper.operations.models import Models
from watchkeeper.operations.rollouts import Rollouts
from watchkeeper.operations.shadows import Shadows
from watchkeeper.policies.schedules import last_fire
from watchkeeper.registry import Lineage, ModelRegistry
from watchkeeper.results import Result
from watchkeeper.retraining import Decision, Facts, Policy, Run, RunState, decide, next_version
from watchkeeper.retraining.candidate import (
    CHALLENGER,
    RETRAINING,
    dataset_of,
    halves_of,
    job_of,
    judged,
    register,
    training_data,
)
from watchkeeper.retraining.decision import triggers_of
from watchkeeper.retraining.job import LOG, Job, write_job
from watchkeeper.retraining.training import (
    Launch,
    Progress,
    Trained,
    TrainingFailedError,
    launch,
    read_trained,
)
from watchkeeper.rollouts import Plan, Rollout, State
from watchkeeper.rollouts.shadow import ShadowState

__all__ = [
    "Looked",
    "Parts",
    "Retrainings",
    "Setup",
    "ask",
    "cancel",
    "carry_on",
    "log_of",
    "look",
    "under_way",
    "view",
]

_ACTOR = "watchkeeper"
_ATTEMPTS = 2  # trainings of one run, where processes die
_LOOK = 1.0  # seconds between two looks whether a training was cancelled
_WORK, _HELD_OUT = "work", "held_out.arrow"


class Retrainings(Kept[Run], Protocol):
    """Where retrainings are kept, and which times of their schedules were taken up."""

    @property
    def folder(self) -> Path:
        """Where the files of trainings lie."""
        ...

    def begin(self, run: Run, fire: datetime | None, *, at: datetime, by: By) -> None:
        """Keep a new one, and that it takes up what the schedule asked for."""
        ...

    def pass_over(
        self, model: str, fire: datetime, *, at: datetime, reason: str, evidence: Mapping[str, Any]
    ) -> bool:
        """Keep that nothing came of what the schedule asked for."""
        ...

    def watch_from(self, model: str, at: datetime) -> datetime:
        """Return since when the schedule of a model counts."""
        ...

    def holding(self, model: str) -> AbstractContextManager[bool]:
        """Hold what only one process at a time does to a model; yield whether we do."""
        ...


class Parts(Protocol):
    """What a retraining needs; an `watchkeeper.app.App` is one."""

    @property
    def clock(self) -> Clock: ...
    @property
    def arrivals(self) -> Arrivals: ...
    @property
    def models(self) -> Models: ...
    @property
    def registry(self) -> ModelRegistry: ...
    @property
    def events(self) -> EventLog: ...
    @property
    def findings(self) -> KeptFindings: ...
    @property
    def retraining(self) -> Retrainings: ...
    @property
    def rollouts(self) -> Rollouts: ...
    @property
    def experiments(self) -> Experiments: ...
    @property
    def shadows(self) -> Shadows: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the settings say of one model.

    Attributes
    ----------
    policy : Policy
    task, positive : str, object
        What it predicts, and the label of the positive class.
    plan : callable
        Gives the plan of its rollouts.
    min_samples : int
        Labelled predictions below which its quality has no verdict.
    """

    policy: Policy
    task: str = "binary"
    positive: Any = 1
    plan: Callable[[], Plan] = Plan
    min_samples: int = 100


@dataclass(frozen=True, slots=True)
class Looked(Result):
    """What a look has found.

    Attributes
    ----------
    run : Run or None
        The newest of the model, as it is now.
    decision : Decision or None
        None where a run was carried on.
    changed : bool
        Whether anything is another than before.
    """

    run: Run | None
    decision: Decision | None
    changed: bool


def look(
    parts: Parts,
    model: str,
    at: datetime,
    setup: Setup,
    *,
    launch: Launch = launch,
    watch: Callable[[Progress], None] | None = None,
) -> Looked:
    """Decide whether a model is trained again, and carry on what is under way, to its end.

    What the loop of a server does for each model now and then. It returns when the run is trained,
    judged and acted upon; where another process is at it, it returns at once.

    Parameters
    ----------
    at : datetime
    setup : Setup
    launch : Launch
        How a training is done: in a process of its own.
    watch : callable, optional
        Called now and then while it trains.
    """
    with parts.retraining.holding(model) as ours:
        newest = _newest(parts, model)
        if not ours:
            return Looked(newest, None, changed=False)
        if newest is not None and newest.active:
            return Looked(
                carry_on(parts, newest.name, setup, at=at, launch=launch, watch=watch),
                None,
                changed=True,
            )
        settled = newest is not None and _settle(parts, newest, at)
        if not setup.policy.enabled:
            return Looked(_newest(parts, model), None, changed=settled)
        facts = gathered(parts, model, setup.policy, at)
        decision = decide(setup.policy, facts, at)
        if not decision.train:
            if facts.fire is not None:
                evidence = {"facts": facts, "policy": setup.policy}
                parts.retraining.pass_over(
                    model, facts.fire, at=at, reason=decision.reason, evidence=evidence
                )
            return Looked(_newest(parts, model), decision, changed=settled)
        try:
            run = _begun(parts, model, setup, facts, decision, at=at, actor=_ACTOR)
        except ConflictError:  # another process was faster
            return Looked(_newest(parts, model), decision, changed=settled)
        done = carry_on(parts, run.name, setup, at=at, launch=launch, watch=watch)
        return Looked(done, decision, changed=True)


def view(parts: Parts, model: str, at: datetime, setup: Setup) -> Looked:
    """Return what the next look would decide, were it enabled, and change nothing."""
    facts = gathered(parts, model, setup.policy, at, claim=False)
    return Looked(_newest(parts, model), decide(setup.policy, facts, at), changed=False)


def ask(
    parts: Parts,
    model: str,
    at: datetime,
    setup: Setup,
    *,
    actor: str,
    reason: str = "",
    data: str = "",
) -> Run:
    """Let a person decide that a model is trained now; `carry_on`, or the next look, does it.

    Parameters
    ----------
    data : str
        Path or address of the training data, in place of those of the policy.

    Raises
    ------
    ConflictError
        If a training or a rollout of the model is under way.
    NotFoundError
        If nothing is known of the model.
    """
    policy = replace(setup.policy, data=data, query="") if data else setup.policy
    if parts.registry.get_production_model(model) is None and not policy.trainer:
        raise NotFoundError(
            "model in production",
            model,
            "Promote a version first, or name a trainer for the first one.",
        )
    facts = gathered(parts, model, policy, at, asked=(actor, reason), claim=False)
    decision = decide(policy, facts, at)
    if not decision.train:
        raise ConflictError(decision.reason, "Wait for its end, or cancel it.")
    return _begun(parts, model, replace(setup, policy=policy), facts, decision, at=at, actor=actor)


def cancel(parts: Parts, name: str, *, at: datetime, actor: str = "", reason: str = "") -> Run:
    """Give a run up; a training is ended within a second, wherever it runs.

    Raises
    ------
    ConflictError
        If it has ended.
    """
    before = parts.retraining.get(name)
    after = before.moved(RunState.CANCELLED, at, reason or "cancelled by a person")
    _save(parts, before, after, at, actor)
    return after


def log_of(parts: Parts, name: str, *, last: int | None = None) -> str:
    """Return what a training has printed; with `last`, so many bytes of it at the most.

    These are the last ones, and begin with a line.
    """
    folder = _folder(parts, parts.retraining.get(name))
    # The one of a training that goes on first: it moves when the run ends, and is there then.
    for path in (folder / _WORK / LOG, folder / LOG):
        with suppress(FileNotFoundError), path.open("rb") as file:
            skipped = 0 if last is None else max(0, os.fstat(file.fileno()).st_size - last)
            if skipped:
                file.seek(skipped - 1)
                file.readline()
            return file.read(last).decode("utf-8", errors="replace")
    return ""


def gathered(
    parts: Parts,
    model: str,
    policy: Policy,
    at: datetime,
    *,
    asked: tuple[str, str] | None = None,
    claim: bool = True,
) -> Facts:
    """Return what is known of a model; outcomes are counted only where that decides something."""
    runs = parts.retraining.find(model)
    last = runs[0] if runs else None
    since = None if last is None else max(last.decided_at, last.ended_at or last.decided_at)
    champion = parts.registry.get_production_model(model)
    fire = None
    if asked is None and policy.enabled and "schedule" in policy.triggers:
        seen = parts.retraining.watch_from(model, at) if claim else at - timedelta(days=1)
        fire = last_fire(policy.schedule, seen, at)
    known_at = max(at, parts.arrivals.settled())
    facts = Facts(
        champion=champion,
        known_at=known_at,
        quality=_quality(parts, model, champion, since),
        drift=_drift(parts, model, since),
        fire=fire,
        last_started=None if last is None else last.decided_at,
        started_within_day=sum(at - each.decided_at < timedelta(days=1) for each in runs),
        busy=under_way(parts, model, runs),
        asked_by=None if asked is None else asked[0],
        asked_reason="" if asked is None else asked[1],
    )
    counted = "outcomes" in policy.triggers or bool(triggers_of(policy, facts))
    if asked is not None or facts.busy or not counted or policy.data:
        return facts
    begin = None if last is None else last.decided_at
    events = parts.events.as_of(known_at)
    return replace(facts, new_labelled=new_labelled(events, model, policy, begin, at))


def carry_on(
    parts: Parts,
    name: str,
    setup: Setup,
    *,
    at: datetime,
    launch: Launch = launch,
    watch: Callable[[Progress], None] | None = None,
) -> Run:
    """Do what is left of a run, to its end; the caller holds the model.

    A run that fails, or is cancelled meanwhile, has touched nothing in production.
    """
    run = parts.retraining.get(name)
    left = run.state is RunState.TRAINING  # by a process that died
    while run.active:
        now = max(at, parts.clock())
        try:
            if run.state is RunState.DECIDED or left:
                run, left = _to_training(parts, run, now), False
            elif run.state is RunState.TRAINING:
                run = _trained(parts, run, launch, watch)
            elif run.gate is None:
                run = _judged(parts, run, now)
            else:
                run = _acted(parts, run, setup, now)
        except _Changed:
            run = parts.retraining.get(name)
        except (WatchkeeperError, OSError, pa.ArrowException) as error:
            run = _failed(parts, run, error, now)
    _tidy(parts, run)
    return run


class _Changed(Exception):  # noqa: N818 - nothing went wrong
    """Somebody else has changed the run: most likely it was cancelled."""


def _save(
    parts: Parts,
    before: Run,
    after: Run,
    at: datetime,
    actor: str = _ACTOR,
    evidence: Mapping[str, Any] | None = None,
) -> Run:
    try:
        parts.retraining.save(
            before, after, action=after.state.value, at=at, by=By(actor, after.reason),
            evidence=evidence or {},
        )  # fmt: skip
    except ConflictError:
        if parts.retraining.get(before.name) == before:
            raise
        raise _Changed from None
    return after


def _begun(
    parts: Parts,
    model: str,
    setup: Setup,
    facts: Facts,
    decision: Decision,
    *,
    at: datetime,
    actor: str,
) -> Run:
    policy = setup.policy
    taken = {each.name for each in parts.retraining.find(model)}
    stem = f"{model[:70]}-{at:%Y%m%d-%H%M%S}"
    name = next(
        each
        for each in (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3)))
        if each not in taken
    )
    run = Run(
        name=name,
        model=model,
        policy=policy,
        facts=facts,
        decision=decision,
        decided_at=at,
        reason=decision.reason,
        champion=facts.champion,
        task=setup.task,
        positive=setup.positive,
        start=None if policy.data else at - timedelta(days=policy.window_days),
        end=None if policy.data else at,
        source=policy.data,
        table_versions={},
        trained={},
        actor=actor,
    )
    parts.retraining.begin(run, facts.fire, at=at, by=By(actor, decision.reason))
    return run


def _to_training(parts: Parts, run: Run, at: datetime) -> Run:
    if run.attempts >= _ATTEMPTS:
        told = f"{run.attempts} trainings were begun, and their processes ended before they did"
        return _save(parts, run, run.moved(RunState.FAILED, at, told), at)
    told = "training begins"
    if run.attempts:
        told = "training begins again: the process that trained has ended"
    return _save(parts, run, run.moved(RunState.TRAINING, at, told, attempts=run.attempts + 1), at)


def _trained(
    parts: Parts,
    run: Run,
    launch: Launch,
    watch: Callable[[Progress], None] | None,
) -> Run:
    """Train, and keep what the candidate learned from and how long it took."""
    champion = None if run.champion is None else parts.registry.get(run.champion)
    if champion is not None:
        parts.registry.verify(champion.model_id)
    data, versions = training_data(
        parts.events.as_of(run.known_at),
        parts.registry,
        run.model,
        run.policy,
        Window(run.start, run.end),
        champion,
        task=run.task,
    )
    halves = halves_of(run.policy, data, champion, task=run.task)
    folder = _folder(parts, run)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    kept = list(dict.fromkeys([data.target, *run.policy.segments]))
    pyarrow.feather.write_feather(
        halves.held_out.table.select(kept), folder / _HELD_OUT, compression="uncompressed"
    )
    job = job_of(run.policy, data, champion)
    file = None if champion is None else Path(champion.file_path).read_bytes()
    write_job(folder / _WORK, job, halves, file, None)
    launch(folder / _WORK, job, _watching(parts, run, watch))
    done = read_trained(folder / _WORK, job, run.task, run.positive)
    at = max(run.decided_at, parts.clock())
    seconds = float(done.outcome["seconds"])
    learned = halves.learned
    after = run.moved(
        RunState.GATING,
        at,
        f"trained on {len(learned):,} rows in {seconds:.1f} s; judged by {len(halves.held_out):,}",
        table_versions=versions,
        rows=len(learned),
        held_out=len(halves.held_out),
        boundary=halves.boundary,
        learned_from=learned.first,
        learned_until=halves.boundary,
        trained={name: value for name, value in done.outcome.items() if name != "ok"},
    )
    return _save(parts, run, after, at, evidence=after.trained | {"table_versions": versions})


def _judged(parts: Parts, run: Run, at: datetime) -> Run:
    """Judge the candidate, and keep the report and the version that it is to have."""
    champion = None if run.champion is None else parts.registry.get(run.champion)
    trained = _left(parts, run)
    held_out = pyarrow.feather.read_table(_folder(parts, run) / _HELD_OUT)
    found = judged(
        run.policy, held_out, trained, task=run.task, positive=run.positive,
        boundary=run.boundary, champion=champion,
    )  # fmt: skip
    taken = parts.registry.taken_versions(run.model)
    version = next_version(None if champion is None else champion.version, taken)
    after = run.moved(
        RunState.GATING,
        at,
        f"{'passed' if found.passed else 'not passed'}: {found.reason}",
        gate=found,
        version=version,
    )
    return _save(parts, run, after, at, evidence=found)


def _acted(parts: Parts, run: Run, setup: Setup, at: datetime) -> Run:
    """Register the candidate, once, and do with it what the gate and the policy say."""
    gate, model_id = run.gate, str(run.model_id)
    assert gate is not None
    _register(parts, run)
    if gate.passed and run.state is RunState.GATING:
        parts.registry.set_alias(model_id, CHALLENGER, reason=gate.reason, actor=_ACTOR)
    if not gate.passed:
        told = f"{model_id} stays registered: {gate.reason}"
        return _save(parts, run, run.moved(RunState.KEPT, at, told), at)
    production = parts.registry.get_production_model(run.model)
    if production not in {run.champion, model_id}:
        told = f"{model_id} stays registered: {production} is in production by now"
        return _save(parts, run, run.moved(RunState.KEPT, at, told), at)
    try:
        state, told, follows = _brought_in(parts, run, setup, production)
    except (ConflictError, NotFoundError, IntegrityError, InvalidValueError) as error:
        told = f"{model_id} stays registered: {error}"
        return _save(parts, run, run.moved(RunState.KEPT, at, told), at)
    return _save(parts, run, run.moved(state, at, told, follows=follows), at)


def _brought_in(
    parts: Parts, run: Run, setup: Setup, production: str | None
) -> tuple[RunState, str, str]:
    """Promote the candidate, or begin its rollout or shadow, unless that was done already."""
    model_id, version, why = str(run.model_id), str(run.version), f"retraining {run.name}"
    by = By(_ACTOR, why, RecordId("retraining", run.name))
    if run.policy.then == "direct" or run.champion is None:
        if production != model_id:
            parts.rollouts.require_none_under_way(run.model, "It has the traffic.")
            parts.models.promote(model_id, by=by)
        return RunState.PROMOTED, f"{model_id} is in production", ""
    if run.policy.then == "shadow":
        if not any(each.name == run.name for each in parts.shadows.find(run.model)):
            parts.shadows.start(run.name, model=run.model, version=version, by=by)
        return RunState.SHADOWING, f"{model_id} answers a copy of the traffic", run.name
    if not any(each.name == run.name for each in parts.rollouts.find(run.model)):
        parts.rollouts.start(run.name, model=run.model, version=version, plan=setup.plan(), by=by)
    return RunState.ROLLING_OUT, f"the rollout {run.name} of {model_id} has begun", run.name


def _register(parts: Parts, run: Run) -> None:
    """Register the candidate from the files of its training, unless it is registered."""
    known = parts.registry.find(run.model, str(run.version))
    if known is not None and known.tags.get(RETRAINING) == run.name:
        return
    if known is not None:
        raise ConflictError(
            f"{known.model_id} was registered by somebody else meanwhile", "Train again."
        )
    champion = None if run.champion is None else parts.registry.get(run.champion)
    trained = _left(parts, run)
    learned, job = _learned(parts, run)
    assert run.gate is not None
    lineage = Lineage(
        parent=run.champion or "",
        dataset=dataset_of(run.policy),
        training_start=run.learned_from,
        training_end=run.learned_until,
        table_versions=run.table_versions,
        evaluated_on=f"{run.held_out:,} later rows",
    )
    register(
        parts.registry, trained, job, learned, name=run.model, version=str(run.version),
        gate=run.gate, champion=champion, lineage=lineage, run=run.name,
        reason=run.decision.reason, actor=_ACTOR,
    )  # fmt: skip


def _settle(parts: Parts, run: Run, at: datetime) -> bool:
    """Let a run follow the rollout or the shadow that came of it; return whether it has changed."""
    if run.state is RunState.ROLLING_OUT:
        rollout: Rollout = parts.rollouts.get(run.follows)
        if rollout.active:
            return False
        if rollout.state is State.COMPLETED:
            after = run.moved(RunState.PROMOTED, at, f"{run.model_id} is in production")
        else:
            told = f"the rollout {rollout.name} was {rollout.state.value.replace('_', ' ')}"
            after = run.moved(RunState.KEPT, at, told)
    elif run.state is RunState.SHADOWING:
        shadow = parts.shadows.get(run.follows)
        if parts.registry.get_production_model(run.model) == run.model_id:
            after = run.moved(RunState.PROMOTED, at, f"{run.model_id} is in production")
        elif shadow.state is ShadowState.RUNNING:
            return False
        else:
            after = run.moved(RunState.KEPT, at, f"the shadow {shadow.name} was stopped")
    else:
        return False
    with suppress(_Changed):
        _save(parts, run, after, at)
    return True


def _failed(parts: Parts, run: Run, error: Exception, at: datetime) -> Run:
    """Keep why a run failed; production is as it was."""
    if isinstance(error, TrainingFailedError) and error.kind == "cancelled":
        return parts.retraining.get(run.name)
    if isinstance(error, UnavailableError):
        raise error  # later it may go
    told = error.reason if isinstance(error, TrainingFailedError) else str(error)
    kind = error.kind if isinstance(error, TrainingFailedError) else type(error).__name__
    after = run.moved(RunState.FAILED, at, " ".join(told.split())[:1000])
    try:
        return _save(parts, run, after, at, evidence={"kind": kind, "error": told[:4000]})
    except _Changed:
        return parts.retraining.get(run.name)


def _watching(
    parts: Parts, run: Run, watch: Callable[[Progress], None] | None
) -> Callable[[Progress], None]:
    """Return what is called while it trains: it ends the training when the run was cancelled."""
    looked = 0.0

    def each(progress: Progress) -> None:
        nonlocal looked
        if progress.seconds - looked >= _LOOK:
            looked = progress.seconds
            if parts.retraining.get(run.name).state is not RunState.TRAINING:
                raise TrainingFailedError("cancelled", "it was cancelled")
        if watch is not None:
            watch(progress)

    return each


def _left(parts: Parts, run: Run) -> Trained:
    """Return what the training left, or say that it is gone."""
    folder = _folder(parts, run) / _WORK
    try:
        job = Job.read(folder)
    except OSError:
        raise TrainingFailedError("gone", "the files of its training are gone") from None
    return read_trained(folder, job, run.task, run.positive)


def _learned(parts: Parts, run: Run) -> tuple[pa.Table, Job]:
    from watchkeeper.retraining.job import read_learned

    folder = _folder(parts, run) / _WORK
    job = Job.read(folder)
    return read_learned(folder, job).table.select(list(job.features)), job


def _newest(parts: Parts, model: str) -> Run | None:
    found = parts.retraining.find(model)
    return found[0] if found else None


def under_way(parts: Parts, model: str, runs: list[Run]) -> str:
    """Return what keeps a model from being trained now, in words; empty where nothing does.

    Parameters
    ----------
    runs : list of Run
        All of that model.
    """
    for run in runs:
        if run.active:
            return f"the retraining {run.name} of {model} is under way"
        if run.state is RunState.SHADOWING and parts.shadows.get(run.follows).state is (
            ShadowState.RUNNING
        ):
            return f"the shadow {run.follows} of {model} runs"
    for rollout in parts.rollouts.find(model):
        if rollout.active:
            return f"the rollout {rollout.name} of {model} is under way"
    return ""


def _quality(
    parts: Parts, model: str, champion: str | None, since: datetime | None
) -> dict[str, Any] | None:
    for each in parts.findings.find(model, "quality", limit=20):
        version = each.evidence.get("model_version")
        if since is not None and each.at <= since:
            return None
        if version is None or champion == f"{model}:{version}":
            return {
                "number": each.number,
                "bad": each.bad,
                "summary": each.summary,
                "drops": dict(each.evidence.get("drop", {}).get("drops", {})),
            }
    return None


def _drift(parts: Parts, model: str, since: datetime | None) -> dict[str, Any] | None:
    for each in parts.findings.find(model, "drift", limit=1):
        if since is None or each.at > since:
            return {"number": each.number, "bad": each.bad, "summary": each.summary}
    return None


def _folder(parts: Parts, run: Run) -> Path:
    return parts.retraining.folder / run.name


def _tidy(parts: Parts, run: Run) -> None:
    """Keep the log of a run that has ended, and nothing else of its files."""
    folder = _folder(parts, run)
    with suppress(OSError):
        if (folder / _WORK / LOG).exists():
            (folder / _WORK / LOG).replace(folder / LOG)
        shutil.rmtree(folder / _WORK, ignore_errors=True)
        (folder / _HELD_OUT).unlink(missing_ok=True)
