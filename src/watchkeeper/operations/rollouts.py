"""Rollouts: started, looked at, acted on by people, ended; each change with its reason."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watchkeeper.clock import as_utc
from watchkeeper.errors import (
    ConflictError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
)
from watchkeeper.events import FEATURE, EventLog, Window
from watchkeeper.experiments import Experiment
from watchkeeper.experiments import State as ExperimentState
from watchkeeper.identity import CONTROLLER, By, RecordId
from watchkeeper.monitoring.event_columns import scores_of, segment_of, wrong_of
from watchkeeper.monitoring.repositories import Kept
from watchkeeper.registry import ModelRegistry
from watchkeeper.results import Result
from watchkeeper.rollouts import Decision, Event, Hold, Plan, Rollout, Seen, State, decided
from watchkeeper.rollouts.counting import ANSWER, COLUMNS, SEGMENT, WRONG, seen_of

__all__ = [
    "Expected",
    "Looked",
    "Rollouts",
    "act",
    "begin",
    "blind",
    "expected",
    "look",
    "requests_an_hour",
    "require_none_under_way",
    "settle",
    "start",
    "view",
]

_ACTOR = "watchkeeper"


class Rollouts(Kept[Rollout], Protocol):
    """Where rollouts are kept, and until when each has been looked at."""

    def renew(self, name: str, until: datetime) -> None:
        """Say until when one has been looked at."""
        ...

    def watched_until(self, name: str) -> datetime | None:
        """Return until when one has been looked at."""
        ...


@dataclass(frozen=True, slots=True)
class Looked(Result):
    """What a look at a rollout has found.

    Attributes
    ----------
    rollout : Rollout
        As it is now.
    decision : Decision or None
        None where a change that was decided before was carried out.
    seen : Seen or None
        What it was decided by.
    changed : bool
        Whether it is another than before.
    """

    rollout: Rollout
    decision: Decision | None
    seen: Seen | None
    changed: bool


@dataclass(frozen=True, slots=True)
class Expected(Result):
    """What a rollout takes, all going well.

    Attributes
    ----------
    plan : Plan
    requests_an_hour : float
        Of the model, by which it was reckoned.
    seconds : float
    windows : int
        Of which the plan needs at least one a step.
    """

    plan: Plan
    requests_an_hour: float
    seconds: float
    windows: int


def expected(plan: Plan, requests: float) -> Expected:
    """Return how long a plan takes at `requests` an hour.

    Raises
    ------
    InvalidValueError
        If there is no traffic.
    """
    seconds = plan.expected_duration(requests).total_seconds()
    return Expected(plan, requests, seconds, round(seconds / plan.window))


def requests_an_hour(events: EventLog, model: str, at: datetime, over: timedelta) -> float:
    """Return the predictions an hour that were recorded of a model until `at`.

    Raises
    ------
    NotFoundError
        If nothing was ever recorded of it.
    ConflictError
        If nothing was recorded in that time.
    """
    read = events.read(model, Window(at - over, at), columns=["timestamp"])
    if not read.rows.num_rows:
        raise ConflictError(
            f"{model} was asked nothing in the last {over.total_seconds() / 3600:g} hours",
            "Say what you expect with --requests-per-hour.",
        )
    return float(read.rows.num_rows / (over.total_seconds() / 3600))


def start(
    rollouts: Rollouts,
    registry: ModelRegistry,
    experiments: Kept[Experiment],
    name: str,
    model: str,
    version: str,
    plan: Plan,
    *,
    at: datetime,
    begins_at: datetime | None = None,
    replace: bool = False,
    actor: str = "",
    reason: str = "",
) -> Rollout:
    """Give a version the first step of its traffic, now or later.

    Parameters
    ----------
    begins_at : datetime, optional
        When it is to begin; the control loop does that then, or cancels it with the reason why it
        cannot. A time that has passed is now.
    replace : bool
        Whether a rollout of the model that is under way is taken back first. What was counted of it
        says nothing of the new one.

    Raises
    ------
    NotFoundError
        If there is no such version, it is archived, or nothing of the model is in production.
    IntegrityError
        If its files are not what was registered.
    ConflictError
        If it is in production already, another rollout or an experiment has the traffic of the
        model, or there is a rollout of this name.
    """
    known = rollouts.find()
    former = [each for each in known if each.model == model and each.version == version]
    draft = Rollout(
        name=name,
        model=model,
        version=version,
        plan=plan,
        stable=None if replace else _stable(registry, experiments, model, version),
        retries=former[0].name if former else None,
        begins_at=None if begins_at is None else as_utc(begins_at),
    )
    if begins_at is not None and as_utc(begins_at) > as_utc(at):
        if replace:
            raise InvalidValueError(
                "replace", replace, "no other rollout under way when one is planned for later"
            )
        planned = draft.moved(Event.SCHEDULE, at)
        rollouts.add(planned, at=at, by=By(actor, reason))
        return planned
    if replace and all(each.name != name for each in known):
        _make_room(rollouts, registry, experiments, draft, at=at, actor=actor)
        draft = changed(draft, stable=_stable(registry, experiments, model, version))
    begun = draft.moved(Event.START, at)
    rollouts.add(begun, at=at, by=By(actor, reason))
    rollouts.renew(name, at + plan.lease)
    return begun


def begin(
    rollouts: Rollouts,
    registry: ModelRegistry,
    experiments: Kept[Experiment],
    name: str,
    *,
    at: datetime,
) -> Rollout:
    """Begin a rollout whose time has come, or cancel it with the reason why it cannot.

    Raises
    ------
    ConflictError
        If somebody else changed it meanwhile: nothing was changed then.
    """
    before = rollouts.get(name)
    if before.state is not State.SCHEDULED or before.begins_at is None or at < before.begins_at:
        return before
    event, reason = Event.START, "its time has come"
    ready = before
    try:
        require_none_under_way(rollouts, before.model, "Only one at a time has the traffic.")
        stable = _stable(registry, experiments, before.model, before.version)
        ready = changed(before, stable=stable)
    except (NotFoundError, ConflictError, IntegrityError) as error:
        event, reason = Event.ABORT, f"it cannot begin: {error}"
    after = ready.moved(event, at)
    _save(rollouts, before, after, event, at, reason, {})
    if after.active:
        rollouts.renew(name, at + after.plan.lease)
    return after


def _stable(
    registry: ModelRegistry, experiments: Kept[Experiment], model: str, version: str
) -> str:
    """Return the version in production that a version can be compared with; refuse what cannot."""
    found = registry.usable(model, version)
    production = registry.get_production_model(model)
    if production is None:
        raise NotFoundError(
            "model in production", model, "A rollout needs one to compare with: promote it."
        )
    if production == found.model_id:
        raise ConflictError(f"{production} is in production already", "Choose another version.")
    for each in experiments.find(model, ExperimentState.RUNNING):
        raise ConflictError(
            f"the experiment {each.name} takes the traffic of {model}",
            "Stop it first: of two changes at once nobody could tell which one did it.",
        )
    registry.verify(found.model_id)
    return registry.get(production).version


def _make_room(
    rollouts: Rollouts,
    registry: ModelRegistry,
    experiments: Kept[Experiment],
    draft: Rollout,
    *,
    at: datetime,
    actor: str,
) -> None:
    """Take back what is under way, once it is known that the new one could begin in its place."""
    under_way = [each for each in rollouts.find(draft.model) if each.active]
    if any(each.version == draft.version for each in under_way):
        told = f"the rollout {under_way[0].name} of {draft.model}:{draft.version} is under way"
        raise ConflictError(told, "Abort it, and start another one of this version then.")
    _stable(registry, experiments, draft.model, draft.version)
    for each in under_way:
        told = f"the rollout {draft.name} takes its place"
        act(rollouts, each.name, Event.ABORT, at=at, actor=actor, reason=told)
        settle(rollouts, registry, each.name, at=at)


def act(
    rollouts: Rollouts,
    name: str,
    event: Event,
    *,
    at: datetime,
    actor: str = "",
    reason: str = "",
) -> Rollout:
    """Let a person pause, resume, step on, promote or abort a rollout.

    Raises
    ------
    ConflictError
        If that cannot happen in its state.
    """
    before = rollouts.get(name)
    after = before.moved(event, at)
    rollouts.save(before, after, action=event.value, at=at, by=By(actor, reason), evidence=after)
    return after


def view(
    rollouts: Rollouts,
    events: EventLog,
    name: str,
    *,
    at: datetime,
    task: str = "binary",
    positive: object = 1,
) -> Looked:
    """Return what the next look would decide, and change nothing."""
    rollout = rollouts.get(name)
    if rollout.started_at is None or not (rollout.active or rollout.watched(at)):
        return Looked(rollout, None, None, changed=False)
    seen = seen_of(rollout, _rows(events, rollout, task, positive), at)
    return Looked(rollout, decided(rollout, seen, at), seen, changed=False)


def look(
    rollouts: Rollouts,
    events: EventLog,
    registry: ModelRegistry,
    name: str,
    *,
    at: datetime,
    task: str = "binary",
    positive: object = 1,
    fault: str = "",
) -> Looked:
    """Decide what a rollout does next, keep it with its evidence, or carry out what was decided.

    One change a look, so that the router hears of each before the next. A look that was cut off
    anywhere is made again by the next one: what it decides is a function of what is stored.

    Parameters
    ----------
    at : datetime
    task, positive : str, object
        What the model predicts, and the label of the positive class, for limits on wrong answers.
    fault : str
        Why its version cannot answer, where it cannot.

    Raises
    ------
    ConflictError
        If somebody else changed it meanwhile: nothing was changed then.
    """
    before = rollouts.get(name)
    if before.state in {State.PROMOTING, State.ROLLING_BACK}:
        return Looked(_carried_out(rollouts, registry, before, at), None, None, changed=True)
    if not (before.active or before.watched(at)):
        return Looked(before, None, None, changed=False)
    seen: Seen | None = None
    astray = _displaced(registry, before) or fault
    if astray:
        found = Decision(Event.BREACH, None, astray)
    else:
        seen = seen_of(before, _rows(events, before, task, positive), at)
        found = decided(before, seen, at)
    _renew(rollouts, before, at)
    if found.event is None:
        return Looked(before, found, seen, changed=False)
    after = before.moved(found.event, at, found.hold)
    _save(rollouts, before, after, found.event, at, found.reason, {"decision": found, "seen": seen})
    return Looked(after, found, seen, changed=True)


def require_none_under_way(
    rollouts: Rollouts, model: str, why: str, version: str | None = None
) -> None:
    """Refuse what must not happen beside a rollout of a model, or of one of its versions.

    Raises
    ------
    ConflictError
        If one is under way.
    """
    for each in rollouts.find(model):
        if each.active and version in {None, each.version, each.stable}:
            raise ConflictError(
                f"the rollout {each.name} of {model} is under way",
                f"{why} Abort it first, or wait for its end.",
            )


def settle(rollouts: Rollouts, registry: ModelRegistry, name: str, *, at: datetime) -> Rollout:
    """Carry out what was decided, if anything is left of it: the registry follows the traffic.

    Raises
    ------
    IntegrityError
        If the files of the version that is to be in production again are not what was registered.
    """
    rollout = rollouts.get(name)
    while rollout.state in {State.PROMOTING, State.ROLLING_BACK}:
        try:
            rollout = _carried_out(rollouts, registry, rollout, at)
        except ConflictError:  # the control loop was faster
            rollout = rollouts.get(name)
    return rollout


def blind(rollouts: Rollouts, name: str, error: str, *, at: datetime) -> Rollout:
    """Hold a rollout of which nothing can be read; that is neither passed nor failed."""
    before = rollouts.get(name)
    if before.state not in {State.RUNNING, State.HOLDING} or before.hold is Hold.ANALYSIS_ERROR:
        return before
    after = before.moved(Event.HOLD, at, Hold.ANALYSIS_ERROR)
    _save(rollouts, before, after, Event.HOLD, at, error, {"error": error})
    return after


def _rows(events: EventLog, rollout: Rollout, task: str, positive: object) -> Iterator[pa.Table]:
    """Yield what was recorded of its model since it began, by what the predictions say."""
    if rollout.started_at is None:
        return
    plan = rollout.plan
    begin = rollout.started_at - timedelta(seconds=plan.window)  # callers' clocks differ
    segments = sorted({limit.segment[0] for limit in plan.limits if limit.segment is not None})
    judged = any(limit.wrong for limit in plan.limits)
    off_by = next((limit.off_by for limit in plan.limits if limit.off_by is not None), None)
    columns = [*COLUMNS, *(FEATURE + name for name in segments)]
    if segments:
        columns.append("tags")
    if judged or plan.max_answer_shift is not None:
        columns += ["prediction", "score"]
    if judged:
        columns.append("actual")
    try:
        for day in events.days(rollout.model, Window(begin, None), columns=columns):
            rows = day.rows
            if plan.max_answer_shift is not None:
                rows = rows.append_column(ANSWER, pa.array(_answers(rows)))
            if judged:
                rows = rows.append_column(WRONG, pa.array(wrong_of(rows, task, positive, off_by)))
            for name in segments:
                with suppress(NotFoundError):  # nothing of this day has it
                    found = segment_of(rows, name, rollout.model)
                    rows = rows.append_column(SEGMENT + name, found.cast(pa.string()))
            yield rows
    except NotFoundError:  # nobody has asked the model anything yet
        return


def _answers(rows: pa.Table) -> npt.NDArray[np.float64]:
    """Return scores, or answers where there are none, as numbers; NaN where neither is one."""
    scores = scores_of(rows["score"])
    answers = rows["prediction"]
    plain = answers.type.value_type if pa.types.is_dictionary(answers.type) else answers.type
    if pa.types.is_string(plain):
        return scores
    return np.where(np.isnan(scores), scores_of(answers), scores)


def _renew(rollouts: Rollouts, rollout: Rollout, at: datetime) -> None:
    """Let the share hold for two windows more; not at every look, since each is a write."""
    until = rollouts.watched_until(rollout.name)
    lease = rollout.plan.lease
    if until is None or not at + lease * 0.75 < until <= at + lease:
        rollouts.renew(rollout.name, at + lease)


def _displaced(registry: ModelRegistry, rollout: Rollout) -> str:
    """Return what is in production in place of the version that the rollout stands on."""
    production = registry.get_production_model(rollout.model)
    expected = rollout.version if rollout.state is State.COMPLETED else rollout.stable
    if production == f"{rollout.model}:{expected}":
        return ""
    return f"{production or 'nothing'} is in production, which the rollout did not put there"


def _carried_out(
    rollouts: Rollouts, registry: ModelRegistry, before: Rollout, at: datetime
) -> Rollout:
    """Let the registry follow what was decided, as often as it takes."""
    canary, stable = (f"{before.model}:{each}" for each in (before.version, before.stable))
    production = registry.get_production_model(before.model)
    event, reason = Event.ROLLED_BACK, f"{stable} answers everything"
    why, cause = f"rollout {before.name}", RecordId("rollout", before.name)
    if before.state is State.PROMOTING:
        event, reason = Event.PROMOTED, f"{canary} is in production"
        if production == stable:
            try:
                registry.promote_to_production(canary, reason=why, actor=_ACTOR, cause=cause)
            except (IntegrityError, NotFoundError, ConflictError) as error:
                event, reason = Event.BREACH, str(error)
        elif production != canary:
            event = Event.BREACH
            reason = f"{production or 'nothing'} is in production, which the rollout did not do"
    elif production == canary:
        if registry.check_rollback(before.model) == stable:
            registry.rollback(before.model, reason=why, actor=_ACTOR, cause=cause)
        else:
            registry.promote_to_production(stable, reason=why, actor=_ACTOR, cause=cause)
    elif production != stable:
        reason = f"{production or 'nothing'} is in production and stays there"
    after = before.moved(event, at)
    _save(rollouts, before, after, event, at, reason, {"production": production})
    return after


def _save(
    rollouts: Rollouts,
    before: Rollout,
    after: Rollout,
    event: Event,
    at: datetime,
    reason: str,
    evidence: Mapping[str, Any],
) -> None:
    rollouts.save(
        before,
        after,
        action=event.value,
        at=at,
        by=By(CONTROLLER, reason),
        evidence={"rollout": after, **evidence},
    )
