"""What recorded predictions without an outcome promise, and how such promises were kept."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.events import FEATURE
from watchkeeper.monitoring.event_columns import labels_of, scores_of
from watchkeeper.quality import (
    Estimate,
    EstimateScore,
    LossEstimate,
    LossEstimator,
    estimate_binary,
    fit_calibrator,
    score_estimate,
)
from watchkeeper.quality.losses import FEWEST
from watchkeeper.stats import roc_auc

__all__ = ["promised", "scored"]

_MOST_LEARNED = 20_000  # labelled predictions, the newest: more teach little and cost seconds


def promised(
    rows: pa.Table, task: str, positive: object, min_samples: int
) -> Estimate | LossEstimate | None:
    """Return what the answered predictions without an outcome promise; see `WindowQuality`.

    Parameters
    ----------
    rows : pyarrow.Table
        Answered predictions of a window in the order of time, as an `EventLog` reads them.
    task : {"binary", "multiclass", "regression"}
    positive : label
    min_samples : int
        Labelled predictions, below which nothing is learned from them.

    Returns
    -------
    Estimate, LossEstimate or None
    """
    usable = _usable(rows, task)
    labelled = usable["actual"].is_valid()
    open_ones = usable.filter(pc.invert(labelled))
    return _estimated(usable.filter(labelled), open_ones, task, positive, min_samples)


def scored(
    labelled: pa.Table, task: str, positive: object, min_samples: int
) -> dict[str, EstimateScore]:
    """Return how an estimate of the later half, learned from the earlier one, fared by metric.

    Parameters are those of `promised`, of labelled predictions alone.

    Parameters
    ----------
    labelled : pyarrow.Table
    task : {"binary", "multiclass", "regression"}
    positive : label
    min_samples : int

    Returns
    -------
    dict of str to EstimateScore
        Empty where there are too few labelled predictions.
    """
    usable = _usable(labelled, task)
    half = usable.num_rows // 2
    if half < min_samples:
        return {}
    later = usable.slice(half)
    estimate = _estimated(usable.slice(0, half), later, task, positive, min_samples)
    if estimate is None:
        return {}
    predicted, came = (labels_of(later[name], task, positive) for name in ("prediction", "actual"))
    if task == "regression":
        return {"mae": score_estimate(estimate, float(np.mean(np.abs(predicted - came))), "mae")}
    scores = {"accuracy": score_estimate(estimate, float(np.mean(predicted == came)))}
    area = roc_auc(scores_of(later["score"]), came) if task == "binary" else None
    if area is not None and estimate["auc"] is not None:
        scores["auc"] = score_estimate(estimate, area.area, "auc")
    return scores


def _usable(rows: pa.Table, task: str) -> pa.Table:
    """Return the rows that can be estimated; a score that is no probability promises nothing."""
    if task == "regression":
        return rows
    scores = scores_of(rows["score"])
    return rows.filter(pa.array((scores >= 0.0) & (scores <= 1.0)))


def _estimated(
    labelled: pa.Table, rows: pa.Table, task: str, positive: object, min_samples: int
) -> Estimate | LossEstimate | None:
    if not rows.num_rows:
        return None
    newest = labelled.slice(max(0, labelled.num_rows - _MOST_LEARNED))
    predicted, came = (labels_of(newest[name], task, positive) for name in ("prediction", "actual"))
    if task == "regression":
        if len(came) < max(FEWEST, min_samples):
            return None
        return LossEstimator().fit(_inputs(newest), predicted, came).estimate(_inputs(rows))
    if task == "binary":
        truth, called = came, labels_of(rows["prediction"], task, positive)
    else:  # the score is the probability of the class predicted
        truth, called = predicted == came, np.ones(rows.num_rows, dtype=bool)
    calibrator = None
    if len(truth) >= min_samples and truth.any() and not truth.all():
        calibrator = fit_calibrator(scores_of(newest["score"]), truth)
    estimate = estimate_binary(scores_of(rows["score"]), called, calibrator)
    return estimate if task == "binary" else replace(estimate, auc=None, auc_interval=None)


def _inputs(rows: pa.Table) -> pa.Table:
    """Return features and predictions: how large an error is may depend on either."""
    names = [name for name in rows.schema.names if name.startswith(FEATURE)]
    return rows.select(["prediction", *names])
