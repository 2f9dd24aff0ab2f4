"""Shadows as they stand: compared with production on the same requests."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.clock import Clock
from watchkeeper.errors import NotFoundError
from watchkeeper.events import EventLog, Window
from watchkeeper.labelling import Labelling
from watchkeeper.monitoring.ended_reports import EndedReports
from watchkeeper.monitoring.event_columns import labels_of, scores_of
from watchkeeper.rollouts.repository import ShadowRepository
from watchkeeper.rollouts.shadow import (
    Pairs,
    Shadow,
    ShadowReport,
    compared,
    stream_of,
)

__all__ = ["ShadowReports", "report_of"]

_ANSWERED = ("prediction_id", "prediction", "score", "latency_ms", "status")


class ShadowReports(EndedReports[ShadowRepository, Shadow, ShadowReport]):
    """How shadows compare with production; it changes nothing.

    Parameters
    ----------
    repository : ShadowRepository
    events : EventLog
    clock : Clock
    labelling : callable
        What the labels of a model mean, by its name.

    Attributes
    ----------
    repository : ShadowRepository
    """

    kind = "shadow"
    report_type = ShadowReport

    def __init__(
        self,
        repository: ShadowRepository,
        events: EventLog,
        *,
        clock: Clock,
        labelling: Callable[[str], Labelling],
    ) -> None:
        super().__init__(repository, clock=clock)
        self._events, self._labelling = events, labelling

    def compute(self, subject: Shadow, at: datetime) -> ShadowReport:
        """Return how a shadow compares with production, by what was recorded until `at`.

        Parameters
        ----------
        subject : Shadow
        at : datetime

        Returns
        -------
        ShadowReport
        """
        return report_of(self._events, subject, self._labelling(subject.model), at=at)


def report_of(
    events: EventLog, shadow: Shadow, labelling: Labelling, *, at: datetime
) -> ShadowReport:
    """Compare the predictions of a shadow with those of production for the same requests.

    Parameters
    ----------
    events : EventLog
    shadow : Shadow
    labelling : Labelling
        Of its model.
    at : datetime

    Returns
    -------
    ShadowReport
    """
    until = at if shadow.ended_at is None else min(at, shadow.ended_at)
    window = Window(shadow.started_at, until + timedelta(microseconds=1))
    try:
        mirrored = events.read(
            stream_of(shadow.model), window, columns=[*_ANSWERED, "model_version"]
        )
        production = events.read(shadow.model, window, columns=[*_ANSWERED, "actual"])
    except NotFoundError:  # nothing was recorded yet
        nothing = np.empty(0)
        none = np.empty(0, dtype=bool)
        empty = (nothing, nothing, nothing, nothing)
        return compared(shadow, Pairs(none, *empty, 0, nothing, nothing))
    rows = mirrored.rows.filter(
        pc.equal(mirrored.rows["model_version"].cast(pa.string()), shadow.version)
    )
    position = pc.index_in(rows["prediction_id"], value_set=production.rows["prediction_id"])
    rows = rows.filter(position.is_valid())
    paired = production.rows.take(position.drop_null())
    failed = _failed(rows)
    both = pa.array(~(failed | _failed(paired)))
    return compared(
        shadow,
        _pairs(rows.filter(both), paired.filter(both), int(failed.sum()), labelling),
    )


def _pairs(mirrored: pa.Table, production: pa.Table, failed: int, labelling: Labelling) -> Pairs:
    task, positive = labelling.task, labelling.positive
    shadow, stable = (
        labels_of(rows["prediction"], task, positive) for rows in (mirrored, production)
    )
    actual = labels_of(production["actual"], task, positive)
    labelled = production["actual"].is_valid().to_numpy()
    return Pairs(
        agree=np.asarray(shadow == stable, dtype=bool),
        first=_number(production, task),
        second=_number(mirrored, task),
        latency=scores_of(production["latency_ms"]),
        shadow_latency=scores_of(mirrored["latency_ms"]),
        failed=failed,
        right=_quality(stable, actual, labelled, task),
        shadow_right=_quality(shadow, actual, labelled, task),
    )


def _failed(rows: pa.Table) -> npt.NDArray[np.bool_]:
    errors = pc.equal(rows["status"].cast(pa.string()), "error")
    return np.asarray(errors.to_numpy(), dtype=bool)


def _number(rows: pa.Table, task: str) -> npt.NDArray[np.float64]:
    return scores_of(rows["prediction" if task == "regression" else "score"])


def _quality(
    predicted: npt.NDArray[Any],
    actual: npt.NDArray[Any],
    labelled: npt.NDArray[np.bool_],
    task: str,
) -> npt.NDArray[np.float64]:
    if task == "regression":
        return np.where(labelled, -np.abs(predicted - actual), np.nan)
    return np.where(labelled, np.asarray(predicted == actual, dtype=np.float64), np.nan)
