"""What became of the model, month by month, measured on nothing but recorded events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from watchkeeper.app import App
from watchkeeper.demo.model import MODEL, VERSION
from watchkeeper.demo.run import Played
from watchkeeper.demo.story import Story, story_of
from watchkeeper.events import Window
from watchkeeper.experiments import ExperimentState
from watchkeeper.incidents import Incident
from watchkeeper.monitoring.health import ModelHealth
from watchkeeper.monitoring.incidents import draft
from watchkeeper.monitoring.measurements import (
    WindowDrift,
    WindowQuality,
    baseline_of,
    drift_of_window,
    quality_of_rows,
)
from watchkeeper.readiness import Checklist
from watchkeeper.results import Result
from watchkeeper.rollouts import RolloutState

__all__ = ["Month", "Released", "Report", "Tried", "report"]

NEW_YORK = ZoneInfo("America/New_York")
_FIGURES = ("accuracy", "auc", "brier")
_LEARNED, _TOLD = 1, 7  # months: what the model knows, and what is told beside it


@dataclass(frozen=True, slots=True)
class Month(Result):
    """One month of recorded predictions.

    Attributes
    ----------
    begins : datetime
        Its first moment, in New York.
    predictions : int
    labelled : float
        Share whose outcome is known.
    accuracy, auc : float or None
    verdict : str
        Whether quality fell below the baseline by more than the policy allows, and in what.
    drifted : tuple of str
        Features that differ from those the model learned on, the strongest first.
    """

    begins: datetime
    predictions: int
    labelled: float
    accuracy: float | None
    auc: float | None
    verdict: str
    drifted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tried(Result):
    """The verdict of an experiment, as it is kept.

    Attributes
    ----------
    experiment, hypothesis : str
    verdict, reason : str
    ship : str or None
        The version that did better, as ``watchkeeper models promote`` takes it.
    """

    experiment: str
    hypothesis: str
    verdict: str
    reason: str
    ship: str | None


@dataclass(frozen=True, slots=True)
class Released(Result):
    """A rollout, as its history has it.

    Attributes
    ----------
    rollout, version : str
    state : str
    history : tuple of (datetime, str, str)
        When, what and why, the oldest first.
    """

    rollout: str
    version: str
    state: str
    history: tuple[tuple[datetime, str, str], ...]


@dataclass(frozen=True, slots=True)
class Renewed(Result):
    """A retraining, as it is kept.

    Attributes
    ----------
    run : str
    triggers : str
        Why it was triggered.
    outcome : str
    gate : tuple of (str, str, str, bool)
        Check, figure, limit, and whether it was passed.
    before, after : dict of str to float
        Metrics of the champion and of the candidate on the same later flights.
    rows : int
        Of these flights.
    """

    run: str
    triggers: str
    outcome: str
    gate: tuple[tuple[str, str, str, bool], ...]
    before: dict[str, float]
    after: dict[str, float]
    rows: int


@dataclass(frozen=True, slots=True)
class Report(Result):
    """The year of one model.

    Attributes
    ----------
    model : str
    predictions, outcomes : int
        As the event store counts them.
    accuracy, auc : float
        The baseline that was registered with the version.
    months : tuple of Month
    story : Story or None
        Of July, or of the last month where July was not played; None while it is January.
    tried : Tried or None
        The experiment of August; None where August was not played to its end.
    renewed : Renewed or None
        The retraining of September; None where September was not played.
    released : Released or None
        The rollout of September; None where September was not played.
    incidents : tuple of Incident
        The newest first.
    post_mortem : str
        The draft of the first one; empty without any.
    health : ModelHealth
        At the last event.
    readiness : Checklist
        Then, too.
    data_dir : str
    """

    model: str
    predictions: int
    outcomes: int
    accuracy: float
    auc: float
    months: tuple[Month, ...]
    story: Story | None
    tried: Tried | None
    renewed: Renewed | None
    released: Released | None
    incidents: tuple[Incident, ...]
    post_mortem: str
    health: ModelHealth
    readiness: Checklist
    data_dir: str


def report(played: Played) -> Report:
    """Measure what the demo has recorded, while its server still writes.

    Parameters
    ----------
    played : Played

    Returns
    -------
    Report
    """
    app = played.app
    counts = app.events.counts(MODEL)
    newest = counts.newest or app.clock()
    months = list(_months(counts.oldest, counts.newest))
    return Report(
        model=MODEL,
        predictions=counts.predictions,
        outcomes=counts.outcomes,
        accuracy=played.trained.metrics["accuracy"],
        auc=played.trained.metrics["auc"],
        months=tuple(_measured(app, month) for month in months),
        story=_story(app, months),
        tried=_tried(app),
        renewed=_renewed(app),
        released=_released(app),
        incidents=tuple(app.incidents.find(MODEL)),
        post_mortem=_post_mortem(app, newest),
        health=app.health(MODEL, newest),
        readiness=app.checklists.of(MODEL, newest),
        data_dir=str(app.settings.data_dir),
    )


def _measured(app: App, begins: datetime) -> Month:
    drift, quality = _drift(app, begins), _quality(app, begins)
    drop = quality.drop
    fallen = [
        f"{name} {-percentage:+.0f} %"
        for name, percentage in (
            ("accuracy", drop.accuracy_drop_percentage),
            ("AUC", drop.auc_drop_percentage),
        )
        if percentage is not None and percentage > drop.threshold_percentage
    ]
    verdict = f"dropped: {', '.join(fallen)}" if fallen else "holds"
    return Month(
        begins=begins,
        predictions=quality.predictions,
        labelled=quality.coverage,
        accuracy=drop.current_accuracy,
        auc=drop.current_auc,
        verdict=drop.reason.replace("_", " ") if drop.reason else verdict,
        drifted=tuple(drift.report.drifted),
    )


def _story(app: App, months: Sequence[datetime]) -> Story | None:
    """Return what became of July, or of the last month there is."""
    month = next(
        (month for month in months if month.month == _TOLD), months[-1] if months else None
    )
    learned = app.registry.reference(f"{MODEL}:{VERSION}")
    if month is None or month.month == _LEARNED or learned is None:
        return None
    read = app.events.read(MODEL, Window(month, _next_month(month)))
    return story_of(month, learned, read, _drift(app, month), _quality(app, month))


def _tried(app: App) -> Tried | None:
    for experiment in app.experiments.find(MODEL, ExperimentState.STOPPED):
        versions = {arm.key: arm.model_version for arm in experiment.allocation.arms}
        decision = experiment.decision or {}
        better = versions.get(decision["arm"])
        return Tried(
            experiment=experiment.name,
            hypothesis=experiment.hypothesis,
            verdict=decision["verdict"],
            reason=decision["reason"],
            ship=None if better is None else f"{MODEL}:{better}",
        )
    return None


def _renewed(app: App) -> Renewed | None:
    for run in app.retraining.find(MODEL):
        gate = run.gate
        checks = () if gate is None else gate.checks
        return Renewed(
            run=run.name,
            triggers="; ".join(trigger.reason for trigger in run.decision.triggers),
            outcome=f"{run.state.value.replace('_', ' ')}: {run.reason}",
            gate=tuple((one.check, one.figure, one.limit, one.passed) for one in checks),
            before={} if gate is None else {name: gate.champion[name] for name in _FIGURES},
            after={} if gate is None else {name: gate.candidate[name] for name in _FIGURES},
            rows=0 if gate is None else gate.rows,
        )
    return None


def _post_mortem(app: App, at: datetime) -> str:
    opened = app.incidents.find(MODEL)
    if not opened:
        return ""
    return draft(app.incidents.repository, app.events, app.audit, opened[-1].name, at)


def _released(app: App) -> Released | None:
    for rollout in app.rollouts.find(MODEL):
        history = tuple(
            (entry.at, entry.verb, entry.reason) for entry in app.rollouts.history(rollout.name)
        )
        return Released(rollout.name, rollout.version, rollout.state.value, history)
    return None


def _in_production(app: App, at: datetime) -> str:
    """Return the version that was in production at a time."""
    version = VERSION
    for rollout in reversed(app.rollouts.find(MODEL)):
        if (
            rollout.state is RolloutState.COMPLETED
            and rollout.ended_at is not None
            and rollout.ended_at <= at
        ):
            version = rollout.version
    return version


def _drift(app: App, begins: datetime) -> WindowDrift:
    window, policy = Window(begins, _next_month(begins)), app.settings.policy(MODEL)
    return drift_of_window(
        app.events,
        app.registry,
        MODEL,
        window,
        version=_in_production(app, begins),
        threshold=policy.drift.alpha,
    )


def _quality(app: App, begins: datetime) -> WindowQuality:
    window, policy = Window(begins, _next_month(begins)), app.settings.policy(MODEL)
    return quality_of_rows(
        app.events.read(MODEL, window),
        baseline_of(app.registry, MODEL, _in_production(app, begins)),
        task=policy.task,
        positive=policy.positive,
        alert_threshold=policy.quality.max_relative_drop,
        min_samples=policy.quality.min_samples,
    )


def _months(oldest: datetime | None, newest: datetime | None) -> Iterator[datetime]:
    """Yield the first moment of each month from the first event to the last."""
    if oldest is None or newest is None:
        return
    first = oldest.astimezone(NEW_YORK)
    begins = datetime(first.year, first.month, 1, tzinfo=NEW_YORK)
    while begins <= newest:
        yield begins
        begins = _next_month(begins)


def _next_month(begins: datetime) -> datetime:
    return begins.replace(year=begins.year + begins.month // 12, month=begins.month % 12 + 1)
