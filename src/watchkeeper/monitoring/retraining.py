"""Reads for retraining: the facts of a decision, what would be decided, and logs of trainings."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.clock import Arrivals, Clock
from watchkeeper.errors import NotFoundError
from watchkeeper.events import EventLog, Window
from watchkeeper.identity import By
from watchkeeper.policies.schedules import last_fire
from watchkeeper.records import FindingRepository
from watchkeeper.registry import ModelRegistry
from watchkeeper.results import Result
from watchkeeper.retraining import Facts, Policy, RetrainingDecision, Run, RunState, decide
from watchkeeper.retraining.candidate import log_of
from watchkeeper.retraining.decision import triggers_of
from watchkeeper.retraining.repository import RetrainingRepository
from watchkeeper.rollouts.repository import RolloutRepository, ShadowRepository
from watchkeeper.rollouts.shadow import ShadowState

__all__ = ["RetrainingMonitor", "RetrainingStatus", "new_labelled"]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RetrainingStatus(Result):
    """Where the retraining of a model stands.

    Attributes
    ----------
    run : Run or None
        The newest of the model.
    decision : RetrainingDecision or None
        None where a run was carried on.
    changed : bool
        Whether anything differs from what was stored before.
    """

    run: Run | None
    decision: RetrainingDecision | None
    changed: bool


class RetrainingMonitor:
    """What is known of models when it is decided whether they are retrained.

    Parameters
    ----------
    repository : RetrainingRepository
    events : EventLog
    arrivals : Arrivals
    registry : ModelRegistry
    findings : FindingRepository
    rollouts : RolloutRepository
    shadows : ShadowRepository
    clock : Clock
    policy : callable
        The retraining policy of a model's settings, by its name.

    Attributes
    ----------
    repository : RetrainingRepository
    """

    def __init__(
        self,
        repository: RetrainingRepository,
        *,
        events: EventLog,
        arrivals: Arrivals,
        registry: ModelRegistry,
        findings: FindingRepository,
        rollouts: RolloutRepository,
        shadows: ShadowRepository,
        clock: Clock,
        policy: Callable[[str], Policy],
    ) -> None:
        self.repository = repository
        self._events, self._arrivals, self._registry = events, arrivals, registry
        self._findings, self._rollouts, self._shadows = findings, rollouts, shadows
        self._clock, self._policy = clock, policy

    def newest(self, model: str) -> Run | None:
        """Return the newest run of a model, if it has any.

        Parameters
        ----------
        model : str

        Returns
        -------
        Run or None
        """
        return next(iter(self.repository.find(model, limit=1)), None)

    def view(self, model: str, at: datetime | None = None) -> RetrainingStatus:
        """Return what would be decided of a model, were its retraining enabled; change nothing.

        Parameters
        ----------
        model : str
        at : datetime, optional
            By default now.

        Returns
        -------
        RetrainingStatus
        """
        now = self._clock() if at is None else at
        policy = self._policy(model)
        facts = self.facts(model, policy, now, schedule_since=now - _DAY)
        return RetrainingStatus(self.newest(model), decide(policy, facts, now), changed=False)

    def facts(
        self,
        model: str,
        policy: Policy,
        at: datetime,
        *,
        schedule_since: datetime | None = None,
        requested: By | None = None,
    ) -> Facts:
        """Return what a decision rests on; labels are counted only where they decide something.

        Parameters
        ----------
        model : str
        policy : Policy
        at : datetime
        schedule_since : datetime, optional
            Since when the schedule counts; without it, it does not.
        requested : By, optional
            Who requests a training, and why.

        Returns
        -------
        Facts
        """
        runs = self.repository.find(model)
        last = runs[0] if runs else None
        since = None if last is None else max(last.decided_at, last.ended_at or last.decided_at)
        champion = self._registry.get_production_model(model)
        known_at = max(at, self._arrivals.settled())
        facts = Facts(
            champion=champion,
            known_at=known_at,
            quality=self._quality(model, champion, since),
            drift=self._drift(model, since),
            fire=_fire(policy, schedule_since, at) if requested is None else None,
            last_started=None if last is None else last.decided_at,
            started_within_day=sum(at - run.decided_at < _DAY for run in runs),
            busy=self._under_way(model, runs),
            asked_by=None if requested is None else requested.actor,
            asked_reason="" if requested is None else requested.reason,
        )
        counted = "outcomes" in policy.triggers or bool(triggers_of(policy, facts))
        if requested is not None or facts.busy or not counted or policy.data:
            return facts
        labelled = new_labelled(self._events.as_of(known_at), model, policy, facts.last_started, at)
        return replace(facts, new_labelled=labelled)

    def under_way(self, model: str) -> str:
        """Return why a model cannot be retrained now, in words; empty where it can.

        Parameters
        ----------
        model : str

        Returns
        -------
        str
        """
        return self._under_way(model, self.repository.find(model))

    def log(self, name: str, *, last: int | None = None) -> str:
        """Return what a training has printed.

        Parameters
        ----------
        name : str
            Of the run.
        last : int, optional
            At most so many bytes, the last ones, from the beginning of a line on.

        Returns
        -------
        str

        Raises
        ------
        NotFoundError
            If there is no such run.
        """
        folder = self.repository.folder / self.repository.get(name).name
        for path in log_of(folder):  # it moves when the run ends, and is in the second place then
            with suppress(FileNotFoundError), path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                skipped = 0 if last is None else max(0, size - last)
                if skipped:
                    file.seek(skipped - 1)
                    file.readline()
                return file.read(last).decode("utf-8", errors="replace")
        return ""

    def _under_way(self, model: str, runs: list[Run]) -> str:
        for run in runs:
            if run.active:
                return f"the retraining {run.name} of {model} is under way"
            shadowing = run.state is RunState.SHADOWING
            if shadowing and self._shadows.get(run.follows).state is ShadowState.RUNNING:
                return f"the shadow {run.follows} of {model} runs"
        for rollout in self._rollouts.find(model):
            if rollout.active:
                return f"the rollout {rollout.name} of {model} is under way"
        return ""

    def _quality(
        self, model: str, champion: str | None, since: datetime | None
    ) -> dict[str, Any] | None:
        for finding in self._findings.find(model, "quality", limit=20):
            version = finding.evidence.get("model_version")
            if since is not None and finding.at <= since:
                return None
            if version is None or champion == f"{model}:{version}":
                return {
                    "number": finding.number,
                    "bad": finding.bad,
                    "summary": finding.summary,
                    "drops": dict(finding.evidence.get("drop", {}).get("drops", {})),
                }
        return None

    def _drift(self, model: str, since: datetime | None) -> dict[str, Any] | None:
        for finding in self._findings.find(model, "drift", limit=1):
            if since is None or finding.at > since:
                return {"number": finding.number, "bad": finding.bad, "summary": finding.summary}
        return None


def new_labelled(
    events: EventLog, model: str, policy: Policy, since: datetime | None, at: datetime
) -> int:
    """Return how many predictions of the training window got their label after a moment.

    Parameters
    ----------
    events : EventLog
    model : str
    policy : Policy
        Of which the length of the training window counts.
    since : datetime or None
        None counts all that have a label.
    at : datetime
        The end of the training window.

    Returns
    -------
    int
    """
    window = Window(at - timedelta(days=policy.window_days), at)
    try:
        rows = events.read(model, window, columns=["actual", "actual_timestamp"]).rows
    except NotFoundError:
        return 0
    labelled = rows["actual"].is_valid()
    if since is not None:
        moment = pa.scalar(since, pa.timestamp("us", "UTC"))
        later = pc.greater(rows["actual_timestamp"].cast(moment.type), moment)
        labelled = pc.and_(labelled, pc.fill_null(later, fill_value=False))
    return int(pc.sum(labelled).as_py() or 0)


def _fire(policy: Policy, since: datetime | None, at: datetime) -> datetime | None:
    """Return when the schedule of a policy fired last; None if it did not, or does not count."""
    if since is None or not policy.enabled or "schedule" not in policy.triggers:
        return None
    return last_fire(policy.schedule, since, at)
