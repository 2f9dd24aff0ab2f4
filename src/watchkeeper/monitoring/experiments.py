"""Experiments as they stand: what the recorded events say of one."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.clock import Clock
from watchkeeper.errors import ConflictError
from watchkeeper.events import METRIC, METRIC_TIMESTAMP, UNIT_HASH, EventLog, EventWindow, Window
from watchkeeper.experiments import Experiment, Metric, Observations, observe
from watchkeeper.experiments.report import ExperimentReport, analyse
from watchkeeper.experiments.repository import ExperimentRepository
from watchkeeper.fingerprints import fingerprints
from watchkeeper.labelling import Labelling
from watchkeeper.monitoring.ended_reports import EndedReports
from watchkeeper.monitoring.event_columns import labels_of

__all__ = ["ExperimentReports", "exposures_of", "report_of"]

_COLUMNS = (UNIT_HASH, "experiment", "variant", "timestamp")
_OF_SOURCE = {
    "error": ("status",),
    "latency_ms": ("latency_ms",),
    "score": ("score",),
    "actual": ("actual", "actual_timestamp"),
    "correct": ("prediction", "actual", "actual_timestamp"),
    "absolute_error": ("prediction", "actual", "actual_timestamp"),
    "brier": ("prediction", "score", "actual", "actual_timestamp"),
}


class ExperimentReports(EndedReports[ExperimentRepository, Experiment, ExperimentReport]):
    """What the recorded events say of experiments; it changes nothing.

    Parameters
    ----------
    repository : ExperimentRepository
    events : EventLog
    clock : Clock
    labelling : callable
        What the labels of a model mean, by its name.

    Attributes
    ----------
    repository : ExperimentRepository
    """

    kind = "experiment"
    report_type = ExperimentReport

    def __init__(
        self,
        repository: ExperimentRepository,
        events: EventLog,
        *,
        clock: Clock,
        labelling: Callable[[str], Labelling],
    ) -> None:
        super().__init__(repository, clock=clock)
        self._events, self._labelling = events, labelling

    def compute(self, subject: Experiment, at: datetime) -> ExperimentReport:
        """Return what the recorded events say of an experiment until `at`.

        Parameters
        ----------
        subject : Experiment
        at : datetime

        Returns
        -------
        ExperimentReport

        Raises
        ------
        ConflictError
            If it was never started.
        """
        return report_of(self._events, subject, self._labelling(subject.model), at=at)


def report_of(
    events: EventLog, experiment: Experiment, labelling: Labelling, *, at: datetime
) -> ExperimentReport:
    """Return what the recorded events say of an experiment until `at`.

    Parameters
    ----------
    events : EventLog
    experiment : Experiment
    labelling : Labelling
        Of its model.
    at : datetime

    Returns
    -------
    ExperimentReport

    Raises
    ------
    ConflictError
        If it was never started.
    """
    if experiment.started_at is None:
        raise ConflictError(
            f"the experiment {experiment.name} has not been started", "Start it first."
        )
    until = at if experiment.ended_at is None else min(at, experiment.ended_at)
    window = Window(experiment.started_at, until + timedelta(microseconds=1))
    if experiment.model not in events.models():  # no prediction of it was recorded yet
        return analyse(experiment, Observations(at, (), (), 0, {}))
    wanted = {name for metric in experiment.metrics for name in _columns_of(metric)}
    columns = [*_COLUMNS, *sorted(wanted)]
    # A day at a time: no more than the exposures are ever held.
    days: list[tuple[pa.Table, pa.Table]] = []
    versions: dict[str, int] = {}
    for read in events.days(experiment.model, window, columns=columns):
        days.append(_halves(exposures_of(read, experiment, labelling)))
        versions = read.versions
    if not days:
        read = events.read(experiment.model, window, columns=columns)
        days.append(_halves(exposures_of(read, experiment, labelling)))
        versions = read.versions
    halves = [pa.concat_tables(half, promote_options="default") for half in zip(*days, strict=True)]
    seen = observe(halves, experiment.metrics, experiment.arms, at=at)
    return analyse(experiment, seen, table_versions=versions)


def exposures_of(read: EventWindow, experiment: Experiment, labelling: Labelling) -> pa.Table:
    """Return the exposures of an experiment as `watchkeeper.experiments.observe` takes them.

    Units with an override are left out, since their variant is not random. So are
    predictions without a unit.

    Parameters
    ----------
    read : EventWindow
        With ``unit_hash``.
    experiment : Experiment
    labelling : Labelling

    Returns
    -------
    pyarrow.Table
    """
    rows = read.rows
    phase = _phases(rows["experiment"], experiment.name)
    drawn = phase >= 0
    if rows[UNIT_HASH].null_count:
        drawn &= rows[UNIT_HASH].is_valid().to_numpy()
    if experiment.allocation.overrides:
        testers = pa.array(
            [override.unit for override in experiment.allocation.overrides], pa.string()
        )
        hashes = fingerprints(pa.chunked_array([testers])).combine_chunks()
        drawn &= ~pc.is_in(rows[UNIT_HASH], value_set=hashes).to_numpy()
    if not drawn.all():
        rows, phase = rows.filter(pa.array(drawn)), phase[drawn]
    columns: dict[str, Any] = {
        "unit": rows[UNIT_HASH],
        "arm": rows["variant"],
        "phase": phase,
        "timestamp": rows["timestamp"],
    }
    for metric in experiment.metrics:
        columns[metric.name] = _values(rows, metric, labelling)
        if metric.needs_outcome:
            columns[f"{metric.name}.at"] = rows["actual_timestamp"]
        elif metric.source == "value" and _posted(metric) in rows.schema.names:
            columns[f"{metric.name}.at"] = rows[METRIC_TIMESTAMP + (metric.posted or metric.name)]
    return pa.table(columns)


def _halves(exposures: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the exposures of half of the units and those of the others, for two cores."""
    unit = exposures["unit"]
    odd = pc.equal(pc.bit_wise_and(unit, pa.scalar(1, unit.type)), pa.scalar(1, unit.type))
    return exposures.filter(odd), exposures.filter(pc.invert(odd))


def _phases(labels: pa.ChunkedArray, experiment: str) -> npt.NDArray[np.int32]:
    """Return the phase of each label ``NAME/PHASE`` of an experiment; -1 of all others."""
    coded = _coded(labels)
    names = [str(label).rpartition("/") for label in coded.dictionary.to_pylist()]
    phases = [
        int(phase) if name == experiment and phase.isdecimal() else -1 for name, _, phase in names
    ]
    # What has no experiment has no label either.
    phase_of_row = pc.fill_null(pa.array(phases, pa.int32()).take(coded.indices), -1)
    return np.asarray(phase_of_row.to_numpy(), dtype=np.int32)


def _coded(words: pa.ChunkedArray) -> pa.DictionaryArray:
    return words.cast(pa.dictionary(pa.int32(), pa.string())).unify_dictionaries().combine_chunks()


def _columns_of(metric: Metric) -> tuple[str, ...]:
    """Return the columns of a window that a metric is made of."""
    if metric.source == "value":
        return _posted(metric), METRIC_TIMESTAMP + (metric.posted or metric.name)
    return _OF_SOURCE[metric.source]


def _posted(metric: Metric) -> str:
    """Return the column of a window that holds a posted value."""
    return METRIC + (metric.posted or metric.name)


def _values(
    rows: pa.Table, metric: Metric, labelling: Labelling
) -> pa.Array | npt.NDArray[np.float64]:
    """Return what a metric takes of each prediction; null or NaN where it is not known."""
    if metric.source == "error":
        status = _coded(rows["status"])
        return pc.equal(status.dictionary, "error").cast(pa.int8()).take(status.indices)
    if metric.source in {"latency_ms", "score"}:
        return np.asarray(rows[metric.source].cast(pa.float64()).to_numpy(), dtype=np.float64)
    if metric.source == "value":
        if _posted(metric) not in rows.schema.names:  # nothing has been posted yet
            return np.full(rows.num_rows, np.nan)
        return np.asarray(rows[_posted(metric)].to_numpy(), dtype=np.float64)
    task, positive = labelling.task, labelling.positive
    labelled = rows["actual"].is_valid().to_numpy()
    if metric.source == "actual":
        kind = task if task == "binary" else "regression"
        actual = np.asarray(labels_of(rows["actual"], kind, positive), dtype=np.float64)
        return np.where(labelled, actual, np.nan)
    labelled = labelled & rows["prediction"].is_valid().to_numpy()
    predicted, actual = (
        labels_of(rows[column], task, positive) for column in ("prediction", "actual")
    )
    if metric.source in {"correct", "brier"}:
        correct = np.asarray(predicted == actual, dtype=np.float64)
        if metric.source == "correct":
            return pa.array(correct.astype(np.int8), mask=~labelled)
        # The score is the probability of the positive class, or, of several, of the one predicted.
        came = actual if task == "binary" else correct
        score = np.asarray(rows["score"].cast(pa.float64()).to_numpy(), dtype=np.float64)
        return np.where(labelled, (score - came) ** 2, np.nan)
    return np.where(labelled, np.abs(predicted.astype(np.float64) - actual), np.nan)
