"""What drifted between the month that the model learned on and a later one, and whether it hurt.

In plain words, and of nothing but what is kept: the reference rows of the version in production and
recorded events.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from watchkeeper.events import FEATURE, EventWindow
from watchkeeper.monitoring.measurements import WindowDrift, WindowQuality
from watchkeeper.results import Result

__all__ = ["Story", "story_of"]

_MOST = 5  # features that are told of

_NUMBERS = {
    "temp": ("the temperature", " °F"),
    "dewp": ("the dew point", " °F"),
    "humid": ("the humidity", " %"),
    "wind_speed": ("the wind", " mph"),
    "precip": ("the rain of an hour", " inches"),
    "visib": ("the visibility", " miles"),
    "pressure": ("the air pressure", " mbar"),
    "hour": ("the scheduled hour", " o'clock"),
    "weekday": ("the day of the week", ""),
    "distance": ("the distance", " miles"),
}
_WORDS = {"carrier": "airline", "origin": "origin", "dest": "destination"}


@dataclass(frozen=True, slots=True)
class Story(Result):
    """A later month beside the one that the model learned on.

    Attributes
    ----------
    month : datetime
    drifted : tuple of str
        A sentence a feature, the strongest first.
    quality : str
        Whether it hurt.
    predictions : str
        Predictions, and their labels.
    """

    month: datetime
    drifted: tuple[str, ...]
    quality: str
    predictions: str


def story_of(
    month: datetime,
    learned: pa.Table,
    read: EventWindow,
    drift: WindowDrift,
    quality: WindowQuality,
) -> Story:
    """Return the story of a month.

    Parameters
    ----------
    month : datetime
    learned : pyarrow.Table
        Rows that the model learned on.
    read : EventWindow
        The month's recorded predictions and outcomes.
    drift, quality
        As measured of the month.

    Returns
    -------
    Story
    """
    features = drift.report.features
    strongest = sorted(drift.report.drifted, key=lambda name: -(features[name].effect_size or 0.0))
    return Story(
        month=month,
        drifted=tuple(
            _moved(name, learned[name], read.rows[FEATURE + name]) for name in strongest[:_MOST]
        ),
        quality=_hurt(quality),
        predictions=_rates(read.rows),
    )


def _moved(name: str, before: pa.ChunkedArray, now: pa.ChunkedArray) -> str:
    if name in _NUMBERS:
        title, unit = _NUMBERS[name]
        was, became = (_mean(column) for column in (before, now))
        return f"{title} was {became:,.4g}{unit} on average, and {was:,.4g}{unit} before"
    was_of, now_of = (_shares(column) for column in (before, now))
    labels = was_of.keys() | now_of.keys()
    label = max(labels, key=lambda choice: abs(now_of[choice] - was_of[choice]))
    return (
        f"{now_of[label]:.1%} of the flights had the {_WORDS.get(name, name)} {label}, and "
        f"{was_of[label]:.1%} before"
    )


def _hurt(quality: WindowQuality) -> str:
    drop = quality.drop
    interval = drop.accuracy_drop_interval
    if drop.reason is not None or interval is None or drop.baseline_accuracy is None:
        return (
            f"The effect on quality is unknown: {(drop.reason or 'no_baseline').replace('_', ' ')}."
        )
    low, high = interval
    figures = f"accuracy was {drop.current_accuracy:.3f}, and {drop.baseline_accuracy:.3f} before"
    if low > 0:
        return (
            f"It hurt: {figures}. Chance does not explain it: with 95 % confidence it lost "
            f"{low:.1%} to {high:.1%} of what it was."
        )
    if high < 0:
        return f"It did not hurt: {figures}, a rise by {-high:.1%} to {-low:.1%}."
    return f"The effect on quality is not significant: {figures}."


def _rates(rows: pa.Table) -> str:
    labelled = rows.filter(rows["actual"].is_valid())
    predicted, true = (
        float(np.mean(labelled[name].to_numpy())) for name in ("prediction", "actual")
    )
    return f"The model called {predicted:.1%} of the flights late; {true:.1%} were."


def _mean(column: pa.ChunkedArray) -> float:
    return float(np.nanmean(column.cast(pa.float64()).to_numpy()))


def _shares(column: pa.ChunkedArray) -> Counter[str]:
    counts: Counter[str] = Counter(column.drop_null().to_pylist())
    total = counts.total()
    return Counter({label: count / total for label, count in counts.items()})
