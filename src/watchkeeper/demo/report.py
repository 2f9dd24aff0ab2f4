"""What became of the model, month by month, measured on nothing but recorded events."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from watchkeeper.app import App
from watchkeeper.control.measurements import drift_of_window, quality_of_window
from watchkeeper.demo.model import MODEL
from watchkeeper.demo.run import Played
from watchkeeper.events import Window
from watchkeeper.results import Result

__all__ = ["Month", "Report", "report"]


@dataclass(frozen=True, slots=True)
class Month(Result):
    """One month of recorded predictions.

    Attributes
    ----------
    month : str
        Such as ``2013-02``, in UTC.
    predictions : int
    labelled : float
        Share whose outcome is known.
    accuracy, auc : float or None
    verdict : str
        Whether quality fell below the baseline by more than the policy allows, and in what.
    drifted : tuple of str
        Features that differ from those the model learned on, the strongest first.
    """

    month: str
    predictions: int
    labelled: float
    accuracy: float | None
    auc: float | None
    verdict: str
    drifted: tuple[str, ...]


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
    data_dir : str
    """

    model: str
    predictions: int
    outcomes: int
    accuracy: float
    auc: float
    months: tuple[Month, ...]
    data_dir: str


def report(played: Played) -> Report:
    """Measure what the demo has recorded, while its server still writes."""
    app = played.app
    counts = app.events.counts(MODEL)
    return Report(
        model=MODEL,
        predictions=counts.predictions,
        outcomes=counts.outcomes,
        accuracy=played.trained.metrics["accuracy"],
        auc=played.trained.metrics["auc"],
        months=tuple(_measured(app, each) for each in _months(counts.oldest, counts.newest)),
        data_dir=str(app.settings.data_dir),
    )


def _measured(app: App, window: Window) -> Month:
    policy = app.settings.policy(MODEL)
    quality = quality_of_window(
        app.events,
        app.registry,
        MODEL,
        window,
        positive=policy.positive,
        alert_threshold=policy.quality.alert_threshold,
        min_samples=policy.quality.min_samples,
    )
    drift = drift_of_window(
        app.events, app.registry, MODEL, window, threshold=policy.drift.threshold
    )
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
        month=f"{window.start:%Y-%m}",
        predictions=quality.predictions,
        labelled=quality.coverage,
        accuracy=drop.current_accuracy,
        auc=drop.current_auc,
        verdict=drop.reason.replace("_", " ") if drop.reason else verdict,
        drifted=tuple(drift.report.drifted),
    )


def _months(oldest: datetime | None, newest: datetime | None) -> Iterator[Window]:
    """Yield the months from the first event to the last."""
    if oldest is None or newest is None:
        return
    start = datetime(oldest.year, oldest.month, 1, tzinfo=UTC)
    while start <= newest:
        following = start.year + start.month // 12, start.month % 12 + 1
        end = datetime(*following, 1, tzinfo=UTC)
        yield Window(start, end)
        start = end
