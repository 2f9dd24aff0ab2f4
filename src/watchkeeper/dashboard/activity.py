"""Activity of a model: promotions, retraining runs, rollouts, experiments and incidents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from watchkeeper.app import App
from watchkeeper.charts import Mark
from watchkeeper.dashboard.periods import ActivityEvent
from watchkeeper.incidents import Incident
from watchkeeper.records import Entry
from watchkeeper.retraining import Run

__all__ = ["Activity", "Promotion", "activity_of", "marks_of"]

_MOST = 200  # of each kind, the newest
_ENTERS = ("promote", "rollback")  # as the audit trail tells of what comes into production
_ENDED = {
    "promoted": "promoted",
    "kept": "kept: the candidate did not pass the gate",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class Promotion:
    """A version that came into production.

    Attributes
    ----------
    at : datetime
    version : str
    reason, actor : str
    back : bool
        Whether it came back by a rollback.
    """

    at: datetime
    version: str
    reason: str
    actor: str
    back: bool


@dataclass(frozen=True, slots=True)
class Activity:
    """The activity of one model.

    Attributes
    ----------
    events : tuple of ActivityEvent
        The oldest first.
    promotions : tuple of Promotion
        The oldest first.
    runs : tuple of Run
        Retrainings, the newest first.
    incidents : tuple of Incident
        The newest first.
    """

    events: tuple[ActivityEvent, ...]
    promotions: tuple[Promotion, ...]
    runs: tuple[Run, ...]
    incidents: tuple[Incident, ...]

    def in_production(self, at: datetime) -> str | None:
        """Return the version that was in production at a time; before the first, the first.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        str or None
            None without any promotion.
        """
        earlier = [promotion.version for promotion in self.promotions if promotion.at <= at]
        if earlier:
            return earlier[-1]
        return self.promotions[0].version if self.promotions else None


def activity_of(app: App, model: str) -> Activity:
    """Return the activity of a model.

    Parameters
    ----------
    app : App
    model : str

    Returns
    -------
    Activity
    """
    entered = (app.audit.entries(model, action=action, limit=_MOST) for action in _ENTERS)
    promotions = tuple(_promotions([entry for entries in entered for entry in entries]))
    runs = tuple(app.retraining.find(model))[:_MOST]
    incidents = tuple(app.incidents.find(model))[:_MOST]
    events = [
        *_of_promotions(model, promotions),
        *_of_runs(runs),
        *_of_rollouts(app, model),
        *_of_experiments(app, model),
        *_of_incidents(incidents),
    ]
    return Activity(tuple(sorted(events, key=lambda event: event.at)), promotions, runs, incidents)


def marks_of(events: Sequence[ActivityEvent]) -> list[Mark]:
    """Return events of the activity as marks of a chart.

    Parameters
    ----------
    events : sequence of ActivityEvent

    Returns
    -------
    list of Mark
    """
    return [Mark(event.at, event.summary, event.kind, event.href) for event in events]


def _promotions(trail: Sequence[Entry]) -> Iterator[Promotion]:
    for entry in sorted(trail, key=lambda entry: (entry.at, entry.number or 0)):
        version = entry.subject.partition(":")[2]
        back = entry.action == "rollback"
        yield Promotion(entry.at, version, entry.reason, entry.actor, back)


def _of_promotions(model: str, promotions: Sequence[Promotion]) -> Iterator[ActivityEvent]:
    for promotion in promotions:
        where = f"/models/{quote(model)}/versions/{quote(promotion.version)}"
        if promotion.back:
            yield ActivityEvent(
                promotion.at, "rollback", f"rolled back to {promotion.version}", where
            )
        else:
            yield ActivityEvent(promotion.at, "promotion", f"{promotion.version} promoted", where)


def _of_runs(runs: Sequence[Run]) -> Iterator[ActivityEvent]:
    for run in runs:
        where = f"/retraining/{quote(run.name)}"
        triggers = ", ".join(trigger.kind for trigger in run.decision.triggers) or "no trigger"
        yield ActivityEvent(
            run.decided_at, "retraining", f"retraining, triggered by {triggers}", where
        )
        if run.ended_at is not None and run.state.value in _ENDED:
            text = f"retraining {_ENDED[run.state.value]}"
            yield ActivityEvent(run.ended_at, "retraining", text, where)


def _of_rollouts(app: App, model: str) -> Iterator[ActivityEvent]:
    for rollout in app.rollouts.find(model)[:_MOST]:
        where = f"/rollouts/{quote(rollout.name)}"
        if rollout.started_at is not None:
            yield ActivityEvent(
                rollout.started_at, "rollout", f"rollout of {rollout.version} began", where
            )
        if rollout.ended_at is not None:
            text = f"rollout of {rollout.version} {rollout.state.value.replace('_', ' ')}"
            yield ActivityEvent(rollout.ended_at, "rollout", text, where)


def _of_experiments(app: App, model: str) -> Iterator[ActivityEvent]:
    for experiment in app.experiments.find(model)[:_MOST]:
        where = f"/experiments/{quote(experiment.name)}"
        if experiment.started_at is not None:
            yield ActivityEvent(
                experiment.started_at, "experiment", f"experiment {experiment.name} began", where
            )
        if experiment.ended_at is not None:
            verdict = str((experiment.decision or {}).get("verdict", "ended")).replace("_", " ")
            yield ActivityEvent(
                experiment.ended_at, "experiment", f"experiment {experiment.name}: {verdict}", where
            )


def _of_incidents(incidents: Sequence[Incident]) -> Iterator[ActivityEvent]:
    for incident in incidents:
        where = f"/incidents/{quote(incident.name)}"
        yield ActivityEvent(incident.opened_at, "incident", f"{incident.severity} incident", where)
