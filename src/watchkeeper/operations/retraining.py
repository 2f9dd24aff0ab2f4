"""Retraining: decided, trained, judged, and what becomes of the candidate, each with its reason.

A run is carried on by any process: every step is stored before the next begins, and what was cut
off is begun again from what is stored. One process at a time works on a model.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa

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
from watchkeeper.identity import CONTROLLER, By, RecordId
from watchkeeper.labelling import Labelling
from watchkeeper.monitoring.retraining import RetrainingMonitor, RetrainingStatus
from watchkeeper.operations.changes import Change, Changes
from watchkeeper.operations.models import Models
from watchkeeper.operations.rollouts import Rollouts
from watchkeeper.operations.service import DocumentService, name_for
from watchkeeper.operations.shadows import Shadows
from watchkeeper.registry import ModelRegistry
from watchkeeper.retraining import Facts, Policy, RetrainingDecision, Run, RunState, decide
from watchkeeper.retraining.candidate import CHALLENGER, RETRAINING, Candidate, tidy
from watchkeeper.retraining.repository import RetrainingRepository
from watchkeeper.retraining.training import (
    Launch,
    TrainingFailedError,
    TrainingProgress,
    cancellable,
    launch,
)
from watchkeeper.rollouts import RolloutState
from watchkeeper.rollouts.shadow import ShadowState

__all__ = ["Retraining"]

_ATTEMPTS = 2  # trainings of one run, where processes die


class _ChangedError(Exception):
    """Another process has changed the run: most likely it was cancelled."""


class Retraining(DocumentService[RetrainingRepository, Run]):
    """Every change of a retraining, with its rules.

    Parameters
    ----------
    repository : RetrainingRepository
    monitor : RetrainingMonitor
        Gathers the facts of decisions.
    events : EventLog
    arrivals : Arrivals
    registry : ModelRegistry
    models : Models
    rollouts : Rollouts
    shadows : Shadows
        Where candidates go.
    changes : Changes
    clock : Clock
    policy : callable
        The retraining policy of a model's settings, by its name.
    labelling : callable
        What the labels of a model mean, by its name.
    """

    def __init__(
        self,
        repository: RetrainingRepository,
        *,
        monitor: RetrainingMonitor,
        events: EventLog,
        arrivals: Arrivals,
        registry: ModelRegistry,
        models: Models,
        rollouts: Rollouts,
        shadows: Shadows,
        changes: Changes,
        clock: Clock,
        policy: Callable[[str], Policy],
        labelling: Callable[[str], Labelling],
    ) -> None:
        super().__init__(repository)
        self._monitor, self._events, self._arrivals = monitor, events, arrivals
        self._registry, self._models = registry, models
        self._rollouts, self._shadows = rollouts, shadows
        self._changes, self._clock = changes, clock
        self._policy, self._labelling = policy, labelling

    def find(
        self,
        model: str | None = None,
        state: str | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Run]:
        """Return those of a model, in a state, or all; the newest first.

        Parameters
        ----------
        model, state : str, optional
        limit : int, optional
        offset : int

        Returns
        -------
        list of Run
        """
        return self.repository.find(model, state, limit=limit, offset=offset)

    def count(self, model: str | None = None, state: str | None = None) -> int:
        """Return how many `find` would return without a limit.

        Parameters
        ----------
        model, state : str, optional

        Returns
        -------
        int
        """
        return self.repository.count(model, state)

    def request(self, model: str, *, by: By, data: str = "", at: datetime | None = None) -> Run:
        """Decide that a model is retrained now; `carry_on`, or the next `advance`, does it.

        Parameters
        ----------
        model : str
        by : By
        data : str
            Path or address of the training data, in place of those of the policy.
        at : datetime, optional
            What had arrived by then counts; by default now.

        Returns
        -------
        Run

        Raises
        ------
        ConflictError
            If a retraining, a rollout or the shadow of a retraining of the model is under way.
        NotFoundError
            If nothing of the model is in production, and its policy names no trainer.
        """
        now = self._arrivals.settled() if at is None else at
        policy = self._policy(model)
        if data:
            policy = replace(policy, data=data, query="")
        if self._registry.get_production_model(model) is None and not policy.trainer:
            raise NotFoundError(
                "model in production",
                model,
                "Promote a version first, or name a trainer for the first one.",
            )
        facts = self._monitor.facts(model, policy, now, requested=by)
        decision = decide(policy, facts, now)
        if not decision.train:
            raise ConflictError(decision.reason, "Wait for its end, or abort it.")
        run = self._begin(model, policy, facts, decision, now, by.with_reason(decision.reason))
        self._changes.publish(Change("retraining", model))
        return run

    def abort(self, name: str, *, by: By) -> Run:
        """Abort a run; its training is ended within a second, wherever it runs.

        Parameters
        ----------
        name : str
        by : By

        Returns
        -------
        Run

        Raises
        ------
        ConflictError
            If it has ended.
        """
        before = self.repository.get(name)
        after = before.moved(RunState.CANCELLED, self._clock(), by.reason or "aborted by a person")
        self.repository.save(
            before, after, action=after.state.value, at=self._clock(),
            by=by.with_reason(after.reason), evidence={},
        )  # fmt: skip
        return after

    def advance(
        self,
        model: str,
        at: datetime | None = None,
        *,
        launch: Launch = launch,
        watch: Callable[[TrainingProgress], None] | None = None,
    ) -> RetrainingStatus:
        """Decide whether a model is retrained, and carry on what is under way, to its end.

        The controller calls it for each model again and again. It returns when the run is trained,
        judged and acted upon; where another process works on the model, it returns at once.

        Parameters
        ----------
        model : str
        at : datetime, optional
            What had arrived by then counts; by default now.
        launch : Launch
            How a training is done: in a process of its own.
        watch : callable, optional
            Called now and then while it trains.

        Returns
        -------
        RetrainingStatus
        """
        now = self._arrivals.settled() if at is None else at
        with self.repository.holding(model) as held:
            newest = self._monitor.newest(model)
            if not held:
                return RetrainingStatus(newest, None, changed=False)
            if newest is not None and newest.active:
                run = self.carry_on(newest.name, at=now, launch=launch, watch=watch)
                return RetrainingStatus(run, None, changed=True)
            settled = newest is not None and self._settle(newest, now)
            policy = self._policy(model)
            if not policy.enabled:
                return RetrainingStatus(self._monitor.newest(model), None, changed=settled)
            decision, begun = self._decide(model, policy, now)
            if begun is None:
                return RetrainingStatus(self._monitor.newest(model), decision, changed=settled)
            run = self.carry_on(begun.name, at=now, launch=launch, watch=watch)
            return RetrainingStatus(run, decision, changed=True)

    def carry_on(
        self,
        name: str,
        *,
        at: datetime | None = None,
        launch: Launch = launch,
        watch: Callable[[TrainingProgress], None] | None = None,
    ) -> Run:
        """Do the steps of a run that are missing, to its end; the caller holds the model.

        A run that fails, or is cancelled meanwhile, has touched nothing in production.

        Parameters
        ----------
        name : str
        at : datetime, optional
            By default now.
        launch, watch
            As of `advance`.

        Returns
        -------
        Run
        """
        run = self.repository.get(name)
        abandoned = run.state is RunState.TRAINING  # by a process that died
        while run.active:
            now = self._clock() if at is None else max(at, self._clock())
            try:
                if run.state is RunState.DECIDED or abandoned:
                    run, abandoned = self._to_training(run, now), False
                elif run.state is RunState.TRAINING:
                    run = self._train(run, launch, watch)
                elif run.gate is None:
                    run = self._judge(run, now)
                else:
                    run = self._act(run, now)
            except _ChangedError:
                run = self.repository.get(name)
            except (WatchkeeperError, OSError, pa.ArrowException) as error:
                run = self._fail(run, error, now)
        with suppress(OSError):
            tidy(self.repository.folder / run.name)
        return run

    def _decide(
        self, model: str, policy: Policy, at: datetime
    ) -> tuple[RetrainingDecision, Run | None]:
        """Return what is decided by the facts, and the run that begins."""
        scheduled = "schedule" in policy.triggers
        since = self.repository.watch_from(model, at) if scheduled else None
        facts = self._monitor.facts(model, policy, at, schedule_since=since)
        decision = decide(policy, facts, at)
        if not decision.train:
            if facts.fire is not None:
                evidence = {"facts": facts, "policy": policy}
                self.repository.pass_over(
                    model, facts.fire, at=at, reason=decision.reason, evidence=evidence
                )
            return decision, None
        numbers = [trigger.finding for trigger in decision.triggers if trigger.finding is not None]
        cause = RecordId("finding", str(numbers[0])) if numbers else None
        by = By(CONTROLLER, decision.reason, cause)
        try:
            return decision, self._begin(model, policy, facts, decision, at, by)
        except ConflictError:  # another process was faster
            return decision, None

    def _begin(
        self, model: str, policy: Policy, facts: Facts, decision: RetrainingDecision, at: datetime,
        by: By,
    ) -> Run:  # fmt: skip
        taken = {run.name for run in self.repository.find(model)}
        run = Run.begun(
            name_for(model, at, taken), model, policy, facts, decision, self._labelling(model),
            at=at, actor=by.actor,
        )  # fmt: skip
        self.repository.begin(run, facts.fire, at=at, by=by)
        return run

    def _to_training(self, run: Run, at: datetime) -> Run:
        if run.attempts >= _ATTEMPTS:
            reason = (
                f"{run.attempts} trainings were begun, and their processes ended before they did"
            )
            return self._save(run, run.moved(RunState.FAILED, at, reason), at)
        ended = ": the process that trained has ended" if run.attempts else ""
        reason = f"training begins{' again' if ended else ''}{ended}"
        after = run.moved(RunState.TRAINING, at, reason, attempts=run.attempts + 1)
        return self._save(run, after, at)

    def _train(
        self, run: Run, launch: Launch, watch: Callable[[TrainingProgress], None] | None
    ) -> Run:
        """Train, and store what the candidate learned from and how long it took."""
        candidate = self._candidate(run)
        material = candidate.prepare(self._events.as_of(run.known_at), Window(run.start, run.end))
        outcome = candidate.train(launch, cancellable(lambda: self._cancelled(run), watch)).outcome
        at = max(run.decided_at, self._clock())
        after = run.moved(
            RunState.GATING,
            at,
            f"trained on {material.rows:,} rows in {float(outcome['seconds']):.1f} s; "
            f"judged by {material.held_out:,}",
            table_versions=material.table_versions,
            rows=material.rows,
            held_out=material.held_out,
            boundary=material.boundary,
            learned_from=material.learned_from,
            learned_until=material.boundary,
            trained={name: value for name, value in outcome.items() if name != "ok"},
        )
        evidence = after.trained | {"table_versions": material.table_versions}
        return self._save(run, after, at, evidence=evidence)

    def _judge(self, run: Run, at: datetime) -> Run:
        """Judge the candidate, and store the report and the version that it gets."""
        candidate = self._candidate(run)
        report = candidate.judge(run.boundary)
        after = run.moved(
            RunState.GATING,
            at,
            f"{'passed' if report.passed else 'not passed'}: {report.reason}",
            gate=report,
            version=candidate.next_version(),
        )
        return self._save(run, after, at, evidence=report)

    def _act(self, run: Run, at: datetime) -> Run:
        """Register the candidate, once, and do with it what the gate and the policy say."""
        gate, model_id = run.gate, str(run.model_id)
        assert gate is not None
        self._register(run)
        outcome = f"{model_id} stays registered"
        if not gate.passed:
            return self._save(run, run.moved(RunState.KEPT, at, f"{outcome}: {gate.reason}"), at)
        cause = RecordId("retraining", run.name)
        self._registry.set_alias(
            model_id, CHALLENGER, reason=gate.reason, actor=CONTROLLER, cause=cause
        )
        production = self._registry.get_production_model(run.model)
        if production not in {run.champion, model_id}:
            reason = f"{outcome}: {production} is in production by now"
            return self._save(run, run.moved(RunState.KEPT, at, reason), at)
        try:
            state, reason, follows = self._release(run, production)
        except (ConflictError, NotFoundError, IntegrityError, InvalidValueError) as error:
            return self._save(run, run.moved(RunState.KEPT, at, f"{outcome}: {error}"), at)
        return self._save(run, run.moved(state, at, reason, follows=follows), at)

    def _release(self, run: Run, production: str | None) -> tuple[RunState, str, str]:
        """Promote the candidate, or begin its rollout or shadow, unless that was done already."""
        model_id, version = str(run.model_id), str(run.version)
        by = By(CONTROLLER, f"retraining {run.name}", RecordId("retraining", run.name))
        if run.policy.on_success == "direct" or run.champion is None:
            if production != model_id:
                self._rollouts.require_none_under_way(run.model, "It has the traffic.")
                self._models.promote(model_id, by=by)
            return RunState.PROMOTED, f"{model_id} is in production", ""
        if run.policy.on_success == "shadow":
            if all(shadow.name != run.name for shadow in self._shadows.find(run.model)):
                self._shadows.start(run.name, model=run.model, version=version, by=by)
            return RunState.SHADOWING, f"{model_id} gets mirrored traffic", run.name
        if all(rollout.name != run.name for rollout in self._rollouts.find(run.model)):
            self._rollouts.start(run.name, model=run.model, version=version, by=by)
        return RunState.ROLLING_OUT, f"the rollout {run.name} of {model_id} has begun", run.name

    def _register(self, run: Run) -> None:
        """Register the candidate from the files of its training, unless it is registered."""
        registered = self._registry.find(run.model, str(run.version))
        if registered is not None:
            if registered.tags.get(RETRAINING) == run.name:
                return
            raise ConflictError(
                f"another actor has registered {registered.model_id} meanwhile", "Retrain again."
            )
        assert run.gate is not None
        self._candidate(run).register(
            str(run.version), run.gate, run.material, run=run.name, reason=run.decision.reason,
            actor=CONTROLLER,
        )  # fmt: skip

    def _settle(self, run: Run, at: datetime) -> bool:
        """Let a run follow its rollout or shadow; return whether it has changed."""
        if run.state is RunState.ROLLING_OUT:
            rollout = self._rollouts.get(run.follows)
            if rollout.active:
                return False
            promoted = rollout.state is RolloutState.COMPLETED
            reason = f"the rollout {rollout.name} was {rollout.state.value.replace('_', ' ')}"
        elif run.state is RunState.SHADOWING:
            shadow = self._shadows.get(run.follows)
            promoted = self._registry.get_production_model(run.model) == run.model_id
            if not promoted and shadow.state is ShadowState.RUNNING:
                return False
            reason = f"the shadow {shadow.name} was stopped"
        else:
            return False
        after = run.moved(RunState.KEPT, at, reason)
        if promoted:
            after = run.moved(RunState.PROMOTED, at, f"{run.model_id} is in production")
        with suppress(_ChangedError):
            self._save(run, after, at)
        return True

    def _fail(self, run: Run, error: Exception, at: datetime) -> Run:
        """Store why a run failed; production is as it was."""
        if isinstance(error, UnavailableError):
            raise error  # later it may go
        kind, reason = type(error).__name__, str(error)
        if isinstance(error, TrainingFailedError):
            kind, reason = error.kind, error.reason
            if kind == "cancelled":
                return self.repository.get(run.name)
        after = run.moved(RunState.FAILED, at, " ".join(reason.split())[:1000])
        try:
            return self._save(run, after, at, evidence={"kind": kind, "error": reason[:4000]})
        except _ChangedError:
            return self.repository.get(run.name)

    def _candidate(self, run: Run) -> Candidate:
        return Candidate(
            self._registry,
            self.repository.folder / run.name,
            model=run.model,
            policy=run.policy,
            labelling=run.labelling,
            champion=run.champion,
        )

    def _cancelled(self, run: Run) -> bool:
        return self.repository.get(run.name).state is not RunState.TRAINING

    def _save(
        self, before: Run, after: Run, at: datetime, *, evidence: Mapping[str, Any] | None = None
    ) -> Run:
        try:
            self.repository.save(
                before, after, action=after.state.value, at=at,
                by=By(CONTROLLER, after.reason), evidence=evidence or {},
            )  # fmt: skip
        except ConflictError:
            if self.repository.get(before.name) == before:
                raise
            raise _ChangedError from None
        return after
