"""Shadows: started, stopped, compared with production on the same requests."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import ConflictError, NotFoundError
from watchkeeper.events import EventLog, Window
from watchkeeper.identity import By
from watchkeeper.monitoring.event_columns import labels_of, scores_of
from watchkeeper.monitoring.repositories import Kept
from watchkeeper.registry import ModelRegistry
from watchkeeper.rollouts.shadow import (
    Pairs,
    Shadow,
    ShadowReport,
    ShadowState,
    compared,
    stream_of,
)

__all__ = ["kept_report", "report", "start", "stop"]

_ANSWERED = ("prediction_id", "prediction", "score", "latency_ms", "status")


def start(
    shadows: Kept[Shadow],
    registry: ModelRegistry,
    shadow: Shadow,
    *,
    actor: str = "",
    reason: str = "",
) -> Shadow:
    """Let a version answer a copy of the traffic.

    Raises
    ------
    NotFoundError
        If there is no such version, it is archived, or nothing of the model is in production.
    IntegrityError
        If its files are not what was registered.
    ConflictError
        If another shadow of the model runs, or there is one of this name.
    """
    found = registry.usable(shadow.model, shadow.version)
    if registry.get_production_model(shadow.model) is None:
        raise NotFoundError("model in production", shadow.model, "Promote a version first.")
    for each in shadows.find(shadow.model, ShadowState.RUNNING):
        raise ConflictError(f"the shadow {each.name} of {each.model} runs", "Stop it first.")
    registry.verify(found.model_id)
    shadows.add(shadow, at=shadow.started_at, by=By(actor, reason))
    return shadow


def stop(
    shadows: Kept[Shadow],
    events: EventLog,
    name: str,
    *,
    at: datetime,
    task: str = "binary",
    positive: object = 1,
    actor: str = "",
    reason: str = "",
) -> ShadowReport:
    """Ask a shadow no more, and keep what it was compared by."""
    before = shadows.get(name)
    after = before.stopped(at)
    found = report(events, after, at=at, task=task, positive=positive)
    shadows.save(before, after, action="stop", at=at, by=By(actor, reason), evidence=found)
    return found


def report(
    events: EventLog,
    shadow: Shadow,
    *,
    at: datetime,
    task: str = "binary",
    positive: object = 1,
) -> ShadowReport:
    """Compare what a shadow answered so far with what production answered to the same requests.

    Parameters
    ----------
    at : datetime
    task, positive : str, object
        What the model predicts, and the label of the positive class.
    """
    until = at if shadow.ended_at is None else min(at, shadow.ended_at)
    window = Window(shadow.started_at, until + timedelta(microseconds=1))
    try:
        own = events.read(stream_of(shadow.model), window, columns=[*_ANSWERED, "model_version"])
        others = events.read(shadow.model, window, columns=[*_ANSWERED, "actual"])
    except NotFoundError:  # nobody has asked yet
        nothing = np.empty(0)
        none = np.empty(0, dtype=bool)
        empty = (nothing, nothing, nothing, nothing)
        return compared(shadow, Pairs(none, *empty, 0, nothing, nothing))
    rows = own.rows.filter(pc.equal(own.rows["model_version"].cast(pa.string()), shadow.version))
    place = pc.index_in(rows["prediction_id"], value_set=others.rows["prediction_id"])
    rows, theirs = rows.filter(place.is_valid()), others.rows.take(place.drop_null())
    failed = _failed(rows)
    both = pa.array(~(failed | _failed(theirs)))
    return compared(
        shadow,
        _pairs(rows.filter(both), theirs.filter(both), int(failed.sum()), task, positive),
    )


def kept_report(history: Sequence[Mapping[str, Any]]) -> ShadowReport | None:
    """Return the report that `stop` kept in the history of a shadow, if it was stopped."""
    for entry in reversed(history):
        if entry["action"] == "shadow stop":
            return ShadowReport.from_dict(entry["evidence"])
    return None


def _pairs(own: pa.Table, theirs: pa.Table, failed: int, task: str, positive: object) -> Pairs:
    told, said = (labels_of(each["prediction"], task, positive) for each in (own, theirs))
    actual = labels_of(theirs["actual"], task, positive)
    known = theirs["actual"].is_valid().to_numpy()
    return Pairs(
        agree=np.asarray(told == said, dtype=bool),
        first=_number(theirs, task),
        second=_number(own, task),
        latency=scores_of(theirs["latency_ms"]),
        shadow_latency=scores_of(own["latency_ms"]),
        failed=failed,
        right=_quality(said, actual, known, task),
        shadow_right=_quality(told, actual, known, task),
    )


def _failed(rows: pa.Table) -> npt.NDArray[np.bool_]:
    errors = pc.equal(rows["status"].cast(pa.string()), "error")
    return np.asarray(errors.to_numpy(), dtype=bool)


def _number(rows: pa.Table, task: str) -> npt.NDArray[np.float64]:
    return scores_of(rows["prediction" if task == "regression" else "score"])


def _quality(
    told: npt.NDArray[Any], actual: npt.NDArray[Any], known: npt.NDArray[np.bool_], task: str
) -> npt.NDArray[np.float64]:
    if task == "regression":
        return np.where(known, -np.abs(told - actual), np.nan)
    return np.where(known, np.asarray(told == actual, dtype=np.float64), np.nan)
