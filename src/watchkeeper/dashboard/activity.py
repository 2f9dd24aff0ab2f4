"""What was done to models, and what happened to them, gathered from where it is stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from watchkeeper.app import App
from watchkeeper.charts import Mark
from watchkeeper.dashboard.episodes import Deed
from watchkeeper.incidents import Incident
from watchkeeper.records import Entry
from watchkeeper.retraining import Run

__all__ = ["Deeds", "Promotion", "deeds_of", "marks_of"]

_MOST = 200  # of each kind, the newest
_ENTERS = ("promote", "rollback")  # as the audit trail tells of what comes into production
_ENDED = {"promoted": "promoted", "kept": "kept aside: not better", "failed": "failed"}


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
class Deeds:
    """All that is known to have been done to one model.

    Attributes
    ----------
    told : tuple of Deed
        The oldest first.
    promotions : tuple of Promotion
        The oldest first.
    runs : tuple of Run
        Retrainings, the newest first.
    incidents : tuple of Incident
        The newest first.
    """

    told: tuple[Deed, ...]
    promotions: tuple[Promotion, ...]
    runs: tuple[Run, ...]
    incidents: tuple[Incident, ...]

    def in_production(self, at: datetime) -> str | None:
        """Return the version that was in production at a time; before the first, the first."""
        earlier = [each.version for each in self.promotions if each.at <= at]
        if earlier:
            return earlier[-1]
        return self.promotions[0].version if self.promotions else None


def deeds_of(app: App, model: str) -> Deeds:
    """Return what was done to a model."""
    entered = (app.audit.entries(model, action=each, limit=_MOST) for each in _ENTERS)
    promotions = tuple(_promotions([entry for found in entered for entry in found]))
    runs = tuple(app.retraining.find(model))[:_MOST]
    incidents = tuple(app.incidents.find(model))[:_MOST]
    told = [
        *_of_promotions(model, promotions),
        *_of_runs(runs),
        *_of_rollouts(app, model),
        *_of_experiments(app, model),
        *_of_incidents(incidents),
    ]
    return Deeds(tuple(sorted(told, key=lambda each: each.at)), promotions, runs, incidents)


def marks_of(deeds: Sequence[Deed]) -> list[Mark]:
    """Return deeds as marks of a chart."""
    return [Mark(each.at, each.told, each.kind, each.href) for each in deeds]


def _promotions(trail: Sequence[Entry]) -> Iterator[Promotion]:
    for entry in sorted(trail, key=lambda each: (each.at, each.number or 0)):
        version = entry.subject.partition(":")[2]
        back = entry.action == "rollback"
        yield Promotion(entry.at, version, entry.reason, entry.actor, back)


def _of_promotions(model: str, promotions: Sequence[Promotion]) -> Iterator[Deed]:
    for each in promotions:
        where = f"/models/{quote(model)}/versions/{quote(each.version)}"
        if each.back:
            yield Deed(each.at, "rollback", f"rolled back to {each.version}", where)
        else:
            yield Deed(each.at, "promotion", f"{each.version} promoted", where)


def _of_runs(runs: Sequence[Run]) -> Iterator[Deed]:
    for each in runs:
        where = f"/retraining/{quote(each.name)}"
        asked = ", ".join(trigger.kind for trigger in each.decision.triggers) or "nobody"
        yield Deed(each.decided_at, "retraining", f"retraining, asked for by {asked}", where)
        if each.ended_at is not None and each.state.value in _ENDED:
            told = f"retraining {_ENDED[each.state.value]}"
            yield Deed(each.ended_at, "retraining", told, where)


def _of_rollouts(app: App, model: str) -> Iterator[Deed]:
    for each in app.rollouts.find(model)[:_MOST]:
        where = f"/rollouts/{quote(each.name)}"
        if each.started_at is not None:
            yield Deed(each.started_at, "rollout", f"rollout of {each.version} began", where)
        if each.ended_at is not None:
            told = f"rollout of {each.version} {each.state.value.replace('_', ' ')}"
            yield Deed(each.ended_at, "rollout", told, where)


def _of_experiments(app: App, model: str) -> Iterator[Deed]:
    for each in app.experiments.find(model)[:_MOST]:
        where = f"/experiments/{quote(each.name)}"
        if each.started_at is not None:
            yield Deed(each.started_at, "experiment", f"experiment {each.name} began", where)
        if each.ended_at is not None:
            verdict = str((each.decision or {}).get("verdict", "ended")).replace("_", " ")
            yield Deed(each.ended_at, "experiment", f"experiment {each.name}: {verdict}", where)


def _of_incidents(incidents: Sequence[Incident]) -> Iterator[Deed]:
    for each in incidents:
        where = f"/incidents/{quote(each.name)}"
        yield Deed(each.opened_at, "incident", f"{each.severity} incident", where)
