"""Every change of a rollout, with its rules.

The traffic follows a change before the registry does: each change is published, and what was
decided is carried out in the registry afterwards. What was cut off anywhere is carried on by the
controller, since what it decides is a function of what is stored.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace as changed
from datetime import datetime
from functools import partial
from typing import Any

from watchkeeper.clock import Clock, as_utc
from watchkeeper.errors import ConflictError, IntegrityError, InvalidValueError, NotFoundError
from watchkeeper.experiments.repository import ExperimentRepository
from watchkeeper.identity import CONTROLLER, By, RecordId
from watchkeeper.monitoring.rollouts import RolloutMonitor, RolloutStatus
from watchkeeper.operations.changes import Change, Changes
from watchkeeper.operations.checklists import Checklists
from watchkeeper.operations.incidents import Incidents
from watchkeeper.operations.rollout_base import RolloutBase
from watchkeeper.operations.service import DocumentService, require_reason
from watchkeeper.registry import ModelRegistry
from watchkeeper.rollouts import Event, Hold, Plan, Rollout, RolloutDecision, RolloutState, Seen
from watchkeeper.rollouts.repository import RolloutRepository

__all__ = ["Rollouts"]

log = logging.getLogger(__name__)

_DECIDED = frozenset(
    {RolloutState.PROMOTING, RolloutState.ROLLING_BACK}
)  # what the registry has to follow


class Rollouts(DocumentService[RolloutRepository, Rollout]):
    """Every change of a rollout, with its rules.

    Parameters
    ----------
    repository : RolloutRepository
    monitor : RolloutMonitor
    registry : ModelRegistry
    experiments : ExperimentRepository
        Running experiments have the traffic of their models.
    incidents : Incidents
    changes : Changes
    clock : Clock
    plan : callable
        The plan of a model's settings, by its name.
    checklists : Checklists
    """

    def __init__(
        self,
        repository: RolloutRepository,
        *,
        monitor: RolloutMonitor,
        registry: ModelRegistry,
        experiments: ExperimentRepository,
        incidents: Incidents,
        changes: Changes,
        clock: Clock,
        plan: Callable[[str], Plan],
        checklists: Checklists,
    ) -> None:
        super().__init__(repository)
        self._monitor, self._registry = monitor, registry
        self._base = RolloutBase(registry, experiments)
        self._incidents, self._changes, self._clock = incidents, changes, clock
        self._plan, self._checklists = plan, checklists

    def start(
        self,
        name: str,
        *,
        model: str,
        version: str,
        plan: Plan | None = None,
        begins_at: datetime | None = None,
        replace: bool = False,
        by: By,
    ) -> Rollout:
        """Give a version the first step of the traffic, now or later.

        Parameters
        ----------
        name, model, version : str
        plan : Plan, optional
            By default that of the settings.
        begins_at : datetime, optional
            When it is to begin; the controller begins it then, or cancels it with the reason why it
            cannot. A time that has passed is now.
        replace : bool
            Whether a rollout of the model that is under way is aborted first. What was counted of
            it says nothing of the new one.
        by : By

        Returns
        -------
        Rollout

        Raises
        ------
        NotFoundError
            If there is no such version, it is archived, or nothing of the model is in production.
        IntegrityError
            If its files are not what was registered.
        ConflictError
            If the model has to be ready first and is not, the version is in production already,
            another rollout or an experiment has the traffic of the model, or there is a rollout of
            this name.
        InvalidValueError
            If one for later is to replace another.
        """
        self._checklists.require_ready(model)
        at, rollouts = self._clock(), self.repository.find()
        former = [one for one in rollouts if (one.model, one.version) == (model, version)]
        draft = Rollout(
            name=name,
            model=model,
            version=version,
            plan=self._plan(model) if plan is None else plan,
            stable=None if replace else self._stable(model, version),
            retries=former[0].name if former else None,
            begins_at=None if begins_at is None else as_utc(begins_at),
        )
        if draft.begins_at is not None and draft.begins_at > as_utc(at):
            if replace:
                raise InvalidValueError(
                    "replace", replace, "no other rollout under way when one is planned for later"
                )
            return self._add(draft.moved(Event.SCHEDULE, at), at, by)
        if replace and all(one.name != name for one in rollouts):
            self._make_room(draft, by)
            draft = changed(draft, stable=self._stable(model, version))
        return self._add(draft.moved(Event.START, at), at, by)

    def begin_due(self) -> list[Rollout]:
        """Begin the rollouts whose time has come, or cancel them with the reason why they cannot.

        Returns
        -------
        list of Rollout
            Those that were begun or cancelled here.
        """
        at, moved = self._clock(), []
        for rollout in self.repository.due(at):
            try:
                moved.append(self._begin(rollout, at))
            except (ConflictError, NotFoundError) as error:  # another process was faster
                log.info("rollout %s: %s", rollout.name, error)
        return moved

    def pause(self, name: str, *, by: By) -> Rollout:
        """Keep the weight as it is until a person resumes the rollout.

        Parameters
        ----------
        name : str
        by : By

        Returns
        -------
        Rollout

        Raises
        ------
        ConflictError
            If it cannot be paused in its state.
        """
        return self._act(name, Event.PAUSE, by)

    def resume(self, name: str, *, by: By) -> Rollout:
        """Go on; the present step begins its window and its deadline again.

        Parameters
        ----------
        name : str
        by : By

        Returns
        -------
        Rollout

        Raises
        ------
        ConflictError
            If it cannot be resumed in its state.
        """
        return self._act(name, Event.RESUME, by)

    def step(self, name: str, *, by: By) -> Rollout:
        """Go to the next step now, whatever was counted.

        Parameters
        ----------
        name : str
        by : By

        Returns
        -------
        Rollout

        Raises
        ------
        InvalidValueError
            If there is no reason.
        ConflictError
            If it has no further step, or is in a state without steps.
        """
        require_reason(by, "why the next step is taken, whatever was counted")
        return self._act(name, Event.STEP, by)

    def promote(self, name: str, *, by: By) -> Rollout:
        """Put the version into production now, whatever was counted.

        Parameters
        ----------
        name : str
        by : By

        Returns
        -------
        Rollout

        Raises
        ------
        InvalidValueError
            If there is no reason.
        ConflictError
            If the model has to be ready first and is not, or it cannot be promoted in its state.
        """
        require_reason(by, "why it is promoted, whatever was counted")
        return self._act(name, Event.PROMOTE, by)

    def abort(self, name: str, *, by: By) -> Rollout:
        """Send all traffic back to the stable version; one that has not begun is cancelled.

        Parameters
        ----------
        name : str
        by : By

        Returns
        -------
        Rollout

        Raises
        ------
        ConflictError
            If it cannot be aborted in its state.
        """
        return self._act(name, Event.ABORT, by)

    def advance(self, name: str, fault: str = "") -> RolloutStatus:
        """Decide what a rollout does next, and do it; or carry out what was decided before.

        There is one change a call, so that the traffic follows each of them before the next.

        Parameters
        ----------
        name : str
        fault : str
            Why its version cannot answer, where it cannot.

        Returns
        -------
        RolloutStatus

        Raises
        ------
        ConflictError
            If it was changed by another process or a person meanwhile: nothing was changed here.
        """
        before, at = self.repository.get(name), self._clock()
        if before.state in _DECIDED:
            return RolloutStatus(self._carry_out(before), None, None, changed=True)
        if not (before.active or before.in_bake_time(at)):
            return RolloutStatus(before, None, None, changed=False)
        seen: Seen | None = None
        breach = self._base.displaced(before) or fault
        if breach:
            decision = RolloutDecision(Event.BREACH, None, breach)
        else:
            decision, seen = self._monitor.decide(before, at)
        self.repository.extend(before, at)
        if decision.event is None:
            return RolloutStatus(before, decision, seen, changed=False)
        after = before.moved(decision.event, at, decision.hold)
        evidence = {"decision": decision, "seen": seen}
        self._save(before, after, decision.event, at, decision.reason, evidence)
        self._publish(after)
        self._report(after, decision.reason)
        return RolloutStatus(after, decision, seen, changed=True)

    def hold_unreadable(self, name: str, error: str) -> Rollout:
        """Hold a rollout of which nothing can be read; that is neither passed nor failed.

        Parameters
        ----------
        name : str
        error : str
            Why.

        Returns
        -------
        Rollout
        """
        before, at = self.repository.get(name), self._clock()
        if (
            before.state not in {RolloutState.RUNNING, RolloutState.HOLDING}
            or before.hold is Hold.ANALYSIS_ERROR
        ):
            return before
        after = before.moved(Event.HOLD, at, Hold.ANALYSIS_ERROR)
        self._save(before, after, Event.HOLD, at, error, {"error": error})
        self._publish(after)
        return after

    def settle(self, name: str) -> Rollout:
        """Let the registry follow what was decided, if anything is left of it.

        Parameters
        ----------
        name : str

        Returns
        -------
        Rollout

        Raises
        ------
        IntegrityError
            If the files of the version that is to be in production again are not what was
            registered.
        """
        rollout = self.repository.get(name)
        while rollout.state in _DECIDED:
            try:
                rollout = self._carry_out(rollout)
            except ConflictError:  # the controller was faster
                rollout = self.repository.get(name)
        return rollout

    def require_none_under_way(self, model: str, why: str, version: str | None = None) -> None:
        """Refuse what must not happen beside a rollout of a model, or of one of its versions.

        Parameters
        ----------
        model : str
        why : str
            What it is that must not happen; a sentence.
        version : str, optional
            By default any version of the model.

        Raises
        ------
        ConflictError
            If one is under way.
        """
        for rollout in self.repository.find(model):
            if rollout.active and version in {None, rollout.version, rollout.stable}:
                raise ConflictError(
                    f"the rollout {rollout.name} of {model} is under way",
                    f"{why} Abort it first, or wait for its end.",
                )

    def _add(self, rollout: Rollout, at: datetime, by: By) -> Rollout:
        check = partial(self._base.require, rollout) if rollout.active else None
        self.repository.add(rollout, at=at, by=by, check=check)
        if rollout.active:
            self.repository.renew(rollout.name, at + rollout.plan.lease)
        self._publish(rollout)
        return rollout

    def _begin(self, before: Rollout, at: datetime) -> Rollout:
        event, reason, ready = Event.START, "its time has come", before
        try:
            self._checklists.require_ready(before.model)
            self.require_none_under_way(before.model, "Only one at a time has the traffic.")
            ready = changed(before, stable=self._stable(before.model, before.version))
        except (NotFoundError, ConflictError, IntegrityError) as error:
            event, reason = Event.ABORT, f"it cannot begin: {error}"
        after = ready.moved(event, at)
        check = partial(self._base.require, after) if after.active else None
        self._save(before, after, event, at, reason, {}, check)
        if after.active:
            self.repository.renew(before.name, at + after.plan.lease)
        self._publish(after)
        return after

    def _act(self, name: str, event: Event, by: By) -> Rollout:
        """Do what a person asks for: the traffic first, the registry after it."""
        before, at = self.repository.get(name), self._clock()
        after = before.moved(event, at)
        if event is Event.PROMOTE:
            self._checklists.require_ready(before.model)
        self.repository.save(before, after, action=event.value, at=at, by=by, evidence=after)
        self._publish(after)
        return self.settle(name)

    def _stable(self, model: str, version: str) -> str:
        """Return the version in production that a version can be compared with; refuse others."""
        stable = self._base.of(model, version)
        self._registry.verify(f"{model}:{version}")
        return stable

    def _make_room(self, draft: Rollout, by: By) -> None:
        """Abort what is under way, once it is certain that the new one could begin instead."""
        under_way = [rollout for rollout in self.repository.find(draft.model) if rollout.active]
        if any(rollout.version == draft.version for rollout in under_way):
            raise ConflictError(
                f"the rollout {under_way[0].name} of {draft.model}:{draft.version} is under way",
                "Abort it, and start another one of this version then.",
            )
        self._stable(draft.model, draft.version)
        reason = f"the rollout {draft.name} takes its place"
        for rollout in under_way:
            self.abort(rollout.name, by=By(by.actor, reason, RecordId("rollout", draft.name)))

    def _carry_out(self, before: Rollout) -> Rollout:
        """Let the registry follow what was decided, as often as it takes."""
        at, registry = self._clock(), self._registry
        canary, stable = (f"{before.model}:{side}" for side in (before.version, before.stable))
        production = registry.get_production_model(before.model)
        event, reason = Event.ROLLED_BACK, f"{stable} gets all traffic"
        why, cause = f"rollout {before.name}", RecordId("rollout", before.name)
        if before.state is RolloutState.PROMOTING:
            event, reason = Event.PROMOTED, f"{canary} is in production"
            if production == stable:
                try:
                    registry.promote_to_production(
                        canary, instead_of=stable, reason=why, actor=CONTROLLER, cause=cause
                    )
                except (IntegrityError, NotFoundError, ConflictError) as error:
                    event, reason = Event.BREACH, str(error)
            elif production != canary:
                event = Event.BREACH
                reason = f"{production or 'nothing'} is in production, which the rollout did not do"
        elif production == canary:
            if registry.check_rollback(before.model) == stable:
                registry.rollback(
                    before.model, to=stable, reason=why, actor=CONTROLLER, cause=cause
                )
            else:
                registry.promote_to_production(
                    stable, instead_of=canary, reason=why, actor=CONTROLLER, cause=cause
                )
        elif production != stable:
            reason = f"{production or 'nothing'} is in production and stays there"
        after = before.moved(event, at)
        self._save(before, after, event, at, reason, {"production": production})
        self._publish(after)
        self._report(after, reason)
        return after

    def _report(self, rollout: Rollout, reason: str) -> None:
        """Open an incident of one that the controller rolls back; production answers: it warns."""
        if rollout.state is not RolloutState.ROLLING_BACK:
            return
        try:
            self._incidents.open(
                rollout.model,
                f"the rollout {rollout.name} of {rollout.version} was rolled back: {reason}",
                severity="warning",
                source=f"rollout:{rollout.name}",
                evidence={"rollout": rollout.name, "step": rollout.step + 1},
                cause=RecordId("rollout", rollout.name),
                runbook=self._incidents.runbook("rolloutrolledback"),
            )
        except Exception:  # the rollback must not wait for this
            log.exception("no incident could be opened of rollout %s", rollout.name)

    def _save(
        self, before: Rollout, after: Rollout, event: Event, at: datetime, reason: str,
        evidence: Mapping[str, Any], check: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        """Store a change that the controller makes."""
        self.repository.save(
            before, after, action=event.value, at=at, by=By(CONTROLLER, reason),
            evidence={"rollout": after, **evidence}, check=check,
        )  # fmt: skip

    def _publish(self, rollout: Rollout) -> None:
        self._changes.publish(Change("rollout", rollout.model))
