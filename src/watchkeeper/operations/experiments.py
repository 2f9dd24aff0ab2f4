"""Experiments: created, started, given other weights, looked at, stopped, each with its reason."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.events import METRIC, METRIC_TIMESTAMP, UNIT_HASH, EventLog, EventWindow, Window
from watchkeeper.experiments import (
    Allocation,
    Arm,
    Experiment,
    Guardrail,
    Holdout,
    Metric,
    Mode,
    Namespace,
    Observations,
    Override,
    State,
    Targeting,
    basis_points,
    observe,
)
from watchkeeper.experiments.assignment import Hash
from watchkeeper.experiments.report import ExperimentReport, analyse
from watchkeeper.fingerprints import fingerprints
from watchkeeper.identity import By
from watchkeeper.monitoring.event_columns import labels_of
from watchkeeper.monitoring.repositories import Kept
from watchkeeper.operations.rollouts import Rollouts, require_none_under_way
from watchkeeper.registry import ModelRegistry

__all__ = [
    "change_weights",
    "create",
    "draft",
    "exposures_of",
    "kept_report",
    "report",
    "start",
    "stop",
]

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


def draft(
    name: str,
    model: str,
    arms: Mapping[str, str],
    *,
    weights: Mapping[str, float] | None = None,
    share: float = 100.0,
    metric: str = "accuracy",
    secondary: Sequence[str] = (),
    guardrails: Mapping[str, float] | None = None,
    maturity: float = 86_400.0,
    hypothesis: str = "",
    mode: Mode = Mode.GROUP_SEQUENTIAL,
    alpha: float = 0.05,
    power: float = 0.8,
    planned_units: int | None = None,
    looks: int = 5,
    namespace: tuple[str, float, float] | None = None,
    holdout: float = 0.0,
    targeting: Sequence[Mapping[str, Any]] = (),
    overrides: Mapping[str, str] | None = None,
    hashing: str = "sha256",
    salt: str = "",
) -> Experiment:
    """Return an experiment as people describe it.

    Parameters
    ----------
    arms : mapping of str to str
        Versions by arm; the first one is the control.
    weights : mapping of str to float, optional
        Percent of the experiment's units by arm; by default equal.
    share : float
        Percent of all units that take part.
    metric, secondary
        Names of metrics; see `watchkeeper.experiments.Metric.named`.
    guardrails : mapping of str to float, optional
        Margins by name of metric.
    maturity : float
        Seconds, of all metrics.
    namespace : tuple of str, float, float, optional
        Its name, and from which percent to which of its units the experiment has.
    holdout : float
        Percent of all units that no experiment with a holdout has.
    targeting : sequence of mapping
        Rules that all have to hold; see `watchkeeper.experiments.Targeting`.
    overrides : mapping of str to str, optional
        The arm of some units, whatever their hash says.
    hashing, salt : str
        As `hash` and `salt` of `watchkeeper.experiments.Allocation`.

    Raises
    ------
    InvalidValueError
        If anything of it is not what it has to be.
    """
    equal = dict.fromkeys(arms, 10_000 // max(1, len(arms)))
    given = equal if not weights else {arm: basis_points(each) for arm, each in weights.items()}
    if set(given) != set(arms):
        raise InvalidValueError("weights", sorted(given), f"one of each of {', '.join(arms)}")
    allocation = Allocation(
        experiment=name,
        arms=tuple(Arm(key, given[key], version) for key, version in arms.items()),
        included_bp=basis_points(share),
        namespace=None if namespace is None else _namespace(*namespace),
        holdout=Holdout(basis_points(holdout)) if holdout else None,
        targeting=Targeting.from_dicts(targeting),
        overrides=tuple(Override(unit, arm, "") for unit, arm in (overrides or {}).items()),
        hash=cast("Hash", hashing),  # which is checked there
        salt=salt,
    )
    return Experiment(
        model=model,
        allocation=allocation,
        metric=Metric.named(metric, maturity=maturity),
        secondary=tuple(Metric.named(each, maturity=maturity) for each in secondary),
        guardrails=tuple(
            Guardrail(metric=Metric.named(each, maturity=maturity), margin=margin)
            for each, margin in (guardrails or {}).items()
        ),
        hypothesis=hypothesis,
        mode=mode,
        alpha=alpha,
        power=power,
        planned_units=planned_units,
        looks=looks,
    )


def _namespace(name: str, start: float, end: float) -> Namespace:
    return Namespace(name, basis_points(start), basis_points(end))


def create(
    experiments: Kept[Experiment],
    registry: ModelRegistry,
    experiment: Experiment,
    *,
    at: datetime,
    actor: str = "",
    reason: str = "",
) -> Experiment:
    """Keep a new experiment of versions that are there.

    Raises
    ------
    NotFoundError
        If a version is not registered, or archived.
    ConflictError
        If there is an experiment of this name.
    """
    for arm in experiment.allocation.arms:
        if arm.model_version is None:  # the one in production, whichever that is
            continue
        registry.usable(experiment.model, arm.model_version)
    experiments.add(experiment, at=at, by=By(actor, reason))
    return experiment


def start(
    experiments: Kept[Experiment],
    rollouts: Rollouts,
    name: str,
    *,
    at: datetime,
    actor: str = "",
    reason: str = "",
) -> Experiment:
    """Let an experiment take traffic.

    Raises
    ------
    ConflictError
        If it is not a draft, or another experiment or a rollout takes the same traffic.
    """
    before = experiments.get(name)
    after = before.started(at)
    require_none_under_way(rollouts, before.model, "An experiment needs versions that stay.")
    for other in experiments.find(before.model, State.RUNNING):
        if not before.apart_from(other):
            raise ConflictError(
                f"the experiment {other.name} takes the traffic of {before.model} already",
                "Stop it first, or give both a share of one namespace.",
            )
    experiments.save(
        before, after, action="start", at=at, by=By(actor, reason), evidence=after.phases[-1]
    )
    return after


def change_weights(
    experiments: Kept[Experiment],
    name: str,
    *,
    weights: Mapping[str, int] | None = None,
    included_bp: int | None = None,
    at: datetime,
    actor: str = "",
    reason: str = "",
) -> Experiment:
    """Begin another phase, with other weights; what was seen stays in its own phase."""
    before = experiments.get(name)
    after = before.with_weights(at, weights, included_bp)
    experiments.save(
        before,
        after,
        action="change weights",
        at=at,
        by=By(actor, reason),
        evidence=after.phases[-1],
    )
    return after


def report(
    events: EventLog,
    experiment: Experiment,
    *,
    at: datetime,
    task: str = "binary",
    positive: object = 1,
) -> ExperimentReport:
    """Return what the recorded events say of an experiment until `at`.

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
    if experiment.model not in events.models():  # nobody has asked it anything yet
        return analyse(experiment, Observations(at, (), (), 0, {}))
    wanted = {name for each in experiment.metrics for name in _columns_of(each)}
    columns = [*_COLUMNS, *sorted(wanted)]
    # A day at a time: no more than the exposures are ever held.
    days: list[tuple[pa.Table, pa.Table]] = []
    versions: dict[str, int] = {}
    for read in events.days(experiment.model, window, columns=columns):
        days.append(_halves(exposures_of(read, experiment, task=task, positive=positive)))
        versions = read.versions
    if not days:
        read = events.read(experiment.model, window, columns=columns)
        days.append(_halves(exposures_of(read, experiment, task=task, positive=positive)))
        versions = read.versions
    halves = [pa.concat_tables(each, promote_options="default") for each in zip(*days, strict=True)]
    seen = observe(halves, experiment.metrics, experiment.arms, at=at)
    return analyse(experiment, seen, table_versions=versions)


def stop(
    experiments: Kept[Experiment],
    events: EventLog,
    name: str,
    *,
    at: datetime,
    task: str = "binary",
    positive: object = 1,
    actor: str = "",
    reason: str = "",
) -> tuple[Experiment, ExperimentReport]:
    """End an experiment: production answers again, and the verdict is kept with its evidence."""
    before = experiments.get(name)
    found = report(events, before, at=at, task=task, positive=positive)
    after = before.stopped(at, found.decision.to_dict())
    experiments.save(
        before,
        after,
        action="stop",
        at=at,
        by=By(actor, reason or found.decision.reason),
        evidence=found,
    )
    return after, found


def kept_report(history: Sequence[Mapping[str, Any]]) -> ExperimentReport | None:
    """Return the report that `stop` kept in the history of an experiment, if it has ended."""
    for entry in reversed(history):
        if entry["action"] == "experiment stop":
            return ExperimentReport.from_dict(entry["evidence"])
    return None


def exposures_of(
    read: EventWindow, experiment: Experiment, *, task: str, positive: object
) -> pa.Table:
    """Return the exposures of an experiment as `watchkeeper.experiments.observe` takes them.

    Units that were put into an arm by hand are left out: nobody drew lots for them. So are
    predictions for nobody.
    """
    rows = read.rows
    phase = _phases(rows["experiment"], experiment.name)
    drawn = phase >= 0
    if rows[UNIT_HASH].null_count:
        drawn &= rows[UNIT_HASH].is_valid().to_numpy()
    if experiment.allocation.overrides:
        testers = pa.array([each.unit for each in experiment.allocation.overrides], pa.string())
        hashes = fingerprints(pa.chunked_array([testers])).combine_chunks()
        drawn &= ~pc.is_in(rows[UNIT_HASH], value_set=hashes).to_numpy()
    if not drawn.all():
        rows, phase = rows.filter(pa.array(drawn)), phase[drawn]
    found: dict[str, Any] = {
        "unit": rows[UNIT_HASH],
        "arm": rows["variant"],
        "phase": phase,
        "timestamp": rows["timestamp"],
    }
    for metric in experiment.metrics:
        found[metric.name] = _values(rows, metric, task, positive)
        if metric.needs_outcome:
            found[f"{metric.name}.at"] = rows["actual_timestamp"]
        elif metric.source == "value" and _posted(metric) in rows.schema.names:
            found[f"{metric.name}.at"] = rows[METRIC_TIMESTAMP + (metric.posted or metric.name)]
    return pa.table(found)


def _halves(exposures: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the exposures of half of the units and those of the others, for two cores."""
    unit = exposures["unit"]
    odd = pc.equal(pc.bit_wise_and(unit, pa.scalar(1, unit.type)), pa.scalar(1, unit.type))
    return exposures.filter(odd), exposures.filter(pc.invert(odd))


def _phases(labels: pa.ChunkedArray, experiment: str) -> npt.NDArray[np.int32]:
    """Return the phase of each label ``NAME/PHASE`` of an experiment; -1 of all others."""
    coded = _coded(labels)
    names = [str(each).rpartition("/") for each in coded.dictionary.to_pylist()]
    phases = [
        int(phase) if name == experiment and phase.isdecimal() else -1 for name, _, phase in names
    ]
    # What has no experiment has no label either.
    found = pc.fill_null(pa.array(phases, pa.int32()).take(coded.indices), -1)
    return np.asarray(found.to_numpy(), dtype=np.int32)


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
    rows: pa.Table, metric: Metric, task: str, positive: object
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
    known = rows["actual"].is_valid().to_numpy()
    if metric.source == "actual":
        kind = task if task == "binary" else "regression"
        actual = np.asarray(labels_of(rows["actual"], kind, positive), dtype=np.float64)
        return np.where(known, actual, np.nan)
    known = known & rows["prediction"].is_valid().to_numpy()
    predicted, actual = (labels_of(rows[each], task, positive) for each in ("prediction", "actual"))
    if metric.source in {"correct", "brier"}:
        correct = np.asarray(predicted == actual, dtype=np.float64)
        if metric.source == "correct":
            return pa.array(correct.astype(np.int8), mask=~known)
        # The score is the probability of the positive class, or, of several, of the one predicted.
        came = actual if task == "binary" else correct
        score = np.asarray(rows["score"].cast(pa.float64()).to_numpy(), dtype=np.float64)
        return np.where(known, (score - came) ** 2, np.nan)
    return np.where(known, np.abs(predicted.astype(np.float64) - actual), np.nan)
