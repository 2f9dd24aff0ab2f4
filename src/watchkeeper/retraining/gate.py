"""The gate: candidate and champion on the same later rows, by paired tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from watchkeeper.policies.retraining import Policy
from watchkeeper.quality.metrics import binary_metrics
from watchkeeper.quality.multiclass import multiclass_metrics
from watchkeeper.quality.regression import regression_metrics
from watchkeeper.results import Result
from watchkeeper.stats.multiplicity import adjusted
from watchkeeper.stats.paired import paired_bootstrap

__all__ = ["Answered", "Cost", "GateCheck", "GateReport", "judge"]

Labels = npt.NDArray[Any]
CheckKind = Literal["later rows", "rows", "gain", "segment", "latency", "size"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a version answered to the rows to judge by.

    Attributes
    ----------
    predicted : numpy.ndarray, shape (n,)
        As `watchkeeper.quality.labels.labels_of` gives them.
    scores : numpy.ndarray of float, shape (n,), or None
        Probabilities of the positive class.
    """

    predicted: Labels
    scores: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Cost(Result):
    """What an answer costs.

    Attributes
    ----------
    latency_ms : float
        95th percentile for one row.
    size : int
        Bytes of the model.
    """

    latency_ms: float
    size: int


@dataclass(frozen=True, slots=True)
class GateCheck(Result):
    """One row of the report.

    Attributes
    ----------
    kind : {"later rows", "rows", "gain", "segment", "latency", "size"}
    check : str
        The title of the row.
    figure, limit : str
        As a person reads them.
    passed : bool
    """

    kind: CheckKind
    check: str
    figure: str
    limit: str
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport(Result):
    """Whether a candidate is better than the champion.

    Attributes
    ----------
    passed : bool
    reason : str
        A sentence with the figures.
    checks : tuple of GateCheck
    rows : int
        That both were judged by.
    boundary : datetime or None
        When these rows begin; what the candidate learned from lies before.
    candidate, champion : dict of str to float
        Metrics of each on these rows; the champion's are empty where there is none.
    cost : Cost
        Of the candidate. It was measured, so that it is the one figure that differs from run to
        run.
    """

    passed: bool
    reason: str
    checks: tuple[GateCheck, ...]
    rows: int
    boundary: datetime | None
    candidate: dict[str, float]
    champion: dict[str, float]
    cost: Cost


def judge(
    policy: Policy,
    actual: Labels,
    candidate: Answered,
    champion: Answered | None,
    *,
    task: str,
    cost: Cost,
    segments: Mapping[str, Sequence[object]] | None = None,
    boundary: datetime | None = None,
    champion_learned_until: datetime | None = None,
) -> GateReport:
    """Judge a candidate by rows that are later than what it, and the champion, learned from.

    It is better when one metric (accuracy, and AUC where both give scores; for regression the mean
    absolute error) gains beyond chance and by at least ``min_gain``, Holm's correction over the
    metrics included, and no metric loses beyond chance. Accuracy is tested by McNemar's exact test,
    the others by a paired bootstrap of the rows. In no guarded segment it may be worse beyond
    chance, Holm's correction over all of them included.

    Parameters
    ----------
    policy : Policy
    actual : numpy.ndarray, shape (n,)
    candidate, champion : Answered
        No champion: the first version of a model has none.
    task : {"binary", "multiclass", "regression"}
    cost : Cost
    segments : mapping of str to sequence, optional
        Values of the guarded features, a row each.
    boundary : datetime, optional
        When the rows begin.
    champion_learned_until : datetime, optional
        None where that is unknown.

    Returns
    -------
    GateReport
    """
    checks = [_later(boundary, champion, champion_learned_until)]
    rows = len(actual)
    checks.append(
        GateCheck(
            "rows",
            "rows",
            f"{rows:,}",
            f"at least {policy.min_holdout:,}",
            rows >= policy.min_holdout,
        )
    )
    if champion is not None:
        checks += _gains(policy, actual, candidate, champion, task)
        checks += _segment_checks(policy, actual, candidate, champion, task, segments or {})
    checks.append(
        GateCheck(
            "latency",
            "latency",
            f"{cost.latency_ms:.3g} ms",
            f"at most {policy.max_latency_ms:g} ms",
            cost.latency_ms <= policy.max_latency_ms,
        )
    )
    checks.append(
        GateCheck(
            "size",
            "size",
            f"{cost.size:,} bytes",
            f"at most {policy.max_size:,}",
            cost.size <= policy.max_size,
        )
    )
    failed = [check for check in checks if not check.passed]
    decisive = [check for check in checks if check.kind == "gain"] or checks
    reason = "; ".join(
        f"{check.check}: {check.figure}, {check.limit}" for check in failed or decisive
    )
    return GateReport(
        passed=not failed,
        reason=reason,
        checks=tuple(checks),
        rows=rows,
        boundary=boundary,
        candidate=_metrics(task, actual, candidate),
        champion={} if champion is None else _metrics(task, actual, champion),
        cost=cost,
    )


def _later(
    boundary: datetime | None, champion: Answered | None, until: datetime | None
) -> GateCheck:
    moment = "in the order of the rows" if boundary is None else f"from {boundary:%Y-%m-%d %H:%M}"
    if champion is None or until is None or boundary is None:
        limit = "after the candidate's training data"
        if champion is not None:
            limit += "; the training data of the champion are not known"
        return GateCheck("later rows", "later rows", moment, limit, passed=True)
    limit = f"after the training data of both, until {until:%Y-%m-%d %H:%M}"
    return GateCheck("later rows", "later rows", moment, limit, until <= boundary)


def _gains(
    policy: Policy, actual: Labels, candidate: Answered, champion: Answered, task: str
) -> list[GateCheck]:
    tests = list(_tests(actual, candidate, champion, task))
    better = adjusted([p_more for _, _, p_more, _ in tests], "holm")
    gained = [
        gain >= policy.min_gain and (p or 0.0) < policy.alpha
        for (_, gain, _, _), p in zip(tests, better, strict=True)
    ]
    checks = []
    for (name, gain, p_more, p_less), p, won in zip(tests, better, gained, strict=True):
        lost = p_less < policy.alpha
        limit = (
            f"no loss beyond chance, p < {policy.alpha:g}"
            if any(gained) and not won
            else f"a gain of {policy.min_gain:g} or more beyond chance, p < {policy.alpha:g}"
        )
        shown = p_less if lost else p_more if p is None else p
        checks.append(
            GateCheck(
                "gain", f"gain of {name}", f"{gain:+.4g} (p = {shown:.2g})", limit,
                won or (any(gained) and not lost),
            )
        )  # fmt: skip
    return checks


def _tests(
    actual: Labels, candidate: Answered, champion: Answered, task: str
) -> list[tuple[str, float, float, float]]:
    """Return of each metric its gain, and the p-values of no gain and of no loss."""
    if task == "regression":
        saved = _losses(actual, champion) - _losses(actual, candidate)
        drawn = paired_bootstrap(lambda counts: float(counts @ saved / counts.sum()), len(saved))
        return [("mae", drawn.difference, drawn.p_more, drawn.p_less)]
    candidate_right, theirs = candidate.predicted == actual, champion.predicted == actual
    gain = float(np.mean(candidate_right.astype(np.float64) - theirs.astype(np.float64)))
    p_more, p_less = _one_sided(np.asarray(candidate_right), np.asarray(theirs))
    tests = [("accuracy", gain, p_more, p_less)]
    if task == "binary" and candidate.scores is not None and champion.scores is not None:
        scored = np.isfinite(candidate.scores) & np.isfinite(champion.scores)
        truth = np.asarray(actual, dtype=bool)[scored]
        if truth.any() and not truth.all():
            mine = _weighted_area(candidate.scores[scored], truth)
            other = _weighted_area(champion.scores[scored], truth)

            def difference(counts: npt.NDArray[np.float64]) -> float | None:
                first, second = mine(counts), other(counts)
                return None if first is None or second is None else first - second

            drawn = paired_bootstrap(difference, len(truth))
            tests.append(("auc", drawn.difference, drawn.p_more, drawn.p_less))
    return tests


def _one_sided(
    candidate_right: npt.NDArray[np.bool_], theirs: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Return McNemar's p-values that `own` is right no more often, and no less often."""
    from scipy.stats import binom

    only_own, only_theirs = (
        int(np.sum(candidate_right & ~theirs)),
        int(np.sum(theirs & ~candidate_right)),
    )
    count = only_own + only_theirs
    if not count:
        return 1.0, 1.0
    return (
        float(binom.sf(only_own - 1, count, 0.5)),
        float(binom.sf(only_theirs - 1, count, 0.5)),
    )


def _weighted_area(scores: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> Any:
    """Return the AUC as a function of how often each row counts; ties count half."""
    _, places = np.unique(scores, return_inverse=True)
    levels = int(places.max()) + 1
    of_true, of_false = places[truth], places[~truth]

    def area(counts: npt.NDArray[np.float64]) -> float | None:
        true = np.bincount(of_true, counts[truth], minlength=levels)
        false = np.bincount(of_false, counts[~truth], minlength=levels)
        pairs = true.sum() * false.sum()
        if not pairs:
            return None
        below = np.cumsum(false) - false
        return float(true @ (below + false / 2) / pairs)

    return area


def _segment_checks(
    policy: Policy,
    actual: Labels,
    candidate: Answered,
    champion: Answered,
    task: str,
    segments: Mapping[str, Sequence[object]],
) -> list[GateCheck]:
    losses: list[tuple[str, int, float, float]] = []
    for name, values in segments.items():
        labels = np.array([str(value) for value in values], dtype=object)
        for value in sorted(set(labels.tolist())):
            inside = np.asarray(labels == value)
            count = int(inside.sum())
            if count >= policy.min_segment:
                gain, p_less = _loss_within(actual, candidate, champion, task, inside)
                losses.append((f"{name}={value}", count, gain, p_less))
    worse = adjusted([p for *_, p in losses], "holm")
    return [
        GateCheck(
            "segment",
            f"segment {segment}",
            f"{gain:+.4g} of {count:,} rows (p = {p or 0.0:.2g})",
            f"no loss beyond chance, p < {policy.alpha:g}",
            gain >= 0 or (p or 0.0) >= policy.alpha,
        )
        for (segment, count, gain, _), p in zip(losses, worse, strict=True)
    ]


def _loss_within(
    actual: Labels,
    candidate: Answered,
    champion: Answered,
    task: str,
    inside: npt.NDArray[np.bool_],
) -> tuple[float, float]:
    """Return the gain within a segment, and the p-value that it is no loss."""
    if task == "regression":
        saved = (_losses(actual, champion) - _losses(actual, candidate))[inside]
        drawn = paired_bootstrap(lambda counts: float(counts @ saved / counts.sum()), len(saved))
        return drawn.difference, drawn.p_less
    candidate_right = np.asarray(candidate.predicted == actual)[inside]
    theirs = np.asarray(champion.predicted == actual)[inside]
    return float(candidate_right.mean() - theirs.mean()), _one_sided(candidate_right, theirs)[1]


def _losses(actual: Labels, answered: Answered) -> npt.NDArray[np.float64]:
    return np.asarray(np.abs(answered.predicted - actual), dtype=np.float64)


def _metrics(task: str, actual: Labels, answered: Answered) -> dict[str, float]:
    if task == "regression":
        metrics: Mapping[str, Any] = regression_metrics(answered.predicted, actual)
    elif task == "multiclass":
        metrics = multiclass_metrics(answered.predicted, actual)
    else:
        none = np.full(len(actual), np.nan)
        scores = none if answered.scores is None else answered.scores
        metrics = binary_metrics(answered.predicted, actual, scores)
    return {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
