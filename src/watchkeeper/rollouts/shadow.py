"""Shadows: a version gets mirrored traffic, and its predictions are recorded, not returned.

What it answers is recorded apart, as of the model ``NAME.shadow``, with the ids of production's own
predictions: so each pair is known, and an outcome that is posted for one holds for both.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

import numpy as np
import numpy.typing as npt

from watchkeeper.clock import as_utc
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.experiments.hashing import hash_of, prefix_of
from watchkeeper.results import Result
from watchkeeper.stats import wilson
from watchkeeper.stats.mcnemar import mcnemar

__all__ = ["Pairs", "Shadow", "ShadowReport", "ShadowState", "compared", "stream_of"]

Floats = npt.NDArray[np.float64]


class ShadowState(StrEnum):
    """Whether a shadow is asked."""

    RUNNING = "running"
    STOPPED = "stopped"


def stream_of(model: str) -> str:
    """Return the name under which the answers of a model's shadow are recorded.

    Parameters
    ----------
    model : str

    Returns
    -------
    str
    """
    return f"{model}.shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow(Result):
    """A version that answers a copy of the traffic.

    Attributes
    ----------
    name, model, version : str
    share : float
        Percent of the requests that are copied.
    state : ShadowState
    started_at, ended_at : datetime or None

    Raises
    ------
    InvalidValueError
        If a name is none, or the share is not a percentage above 0.
    """

    name: str
    model: str
    version: str
    share: float = 100.0
    state: ShadowState = ShadowState.RUNNING
    started_at: datetime
    ended_at: datetime | None = None

    def __post_init__(self) -> None:
        for field in ("name", "model", "version"):
            check_name(getattr(self, field), field)
        check_name(stream_of(self.model), "the name of the model's shadow")
        if not 0.0 < self.share <= 100.0:
            raise InvalidValueError("share", self.share, "a percentage above 0 and up to 100")

    def takes(self, request: str) -> bool:
        """Return whether a request is copied.

        Parameters
        ----------
        request : str
            Its id: the same request is always copied, or never.

        Returns
        -------
        bool
        """
        if self.share == 100.0:
            return True
        return hash_of(prefix_of(self.name, "shadow"), request) < self.share / 100 * 2**64

    def stopped(self, at: datetime) -> Self:
        """Return it as it is when it is asked no more.

        Parameters
        ----------
        at : datetime

        Returns
        -------
        Shadow

        Raises
        ------
        ConflictError
            If it was stopped before.
        """
        if self.state is ShadowState.STOPPED:
            raise ConflictError(f"the shadow {self.name} was stopped before", "Begin another one.")
        return replace(self, state=ShadowState.STOPPED, ended_at=as_utc(at))


@dataclass(frozen=True, slots=True)
class Pairs:
    """What production and its shadow answered to the same requests, one row a request.

    Attributes
    ----------
    agree : ndarray of bool
        Where both answered: whether they said the same. Two regressions are never exactly equal:
        there the answers stand in `first` and `second`.
    first, second : ndarray of float
        Scores, or answers that are numbers, of production and of the shadow; NaN where there is
        none.
    latency, shadow_latency : ndarray of float
        Milliseconds.
    failed : int
        Requests at which the shadow failed, which are in no array but the latencies.
    right, shadow_right : ndarray of float
        Whether each was right, 1 or 0, or minus its absolute error; NaN where that is not known.
    """

    agree: npt.NDArray[np.bool_]
    first: Floats
    second: Floats
    latency: Floats
    shadow_latency: Floats
    failed: int
    right: Floats
    shadow_right: Floats


@dataclass(frozen=True, slots=True)
class ShadowReport(Result):
    """How a shadow compares with production on the same requests.

    Attributes
    ----------
    shadow : Shadow
    pairs : int
        Requests that both answered.
    failed : int
        Requests at which the shadow failed.
    agreement : float or None
        Share of the pairs in which both said the same.
    agreement_low, agreement_high : float or None
        Wilson's interval of it, 95 %.
    score_shift : float or None
        Mean of the shadow's score minus production's.
    largest_shifts : float or None
        Of all absolute shifts, 5 % are larger.
    latency_p50, latency_p95, shadow_latency_p50, shadow_latency_p95 : float or None
        Milliseconds. A shadow waits behind other traffic, so that its latency is an upper bound.
    labelled : int
        Pairs whose outcome is known.
    quality, shadow_quality : float or None
        Share of right answers, or minus the mean absolute error of a regression, on these pairs.
    p_value : float or None
        McNemar's exact test of the right answers, for one look.
    """

    shadow: Shadow
    pairs: int
    failed: int
    agreement: float | None
    agreement_low: float | None
    agreement_high: float | None
    score_shift: float | None
    largest_shifts: float | None
    latency_p50: float | None
    latency_p95: float | None
    shadow_latency_p50: float | None
    shadow_latency_p95: float | None
    labelled: int
    quality: float | None
    shadow_quality: float | None
    p_value: float | None


def compared(shadow: Shadow, pairs: Pairs) -> ShadowReport:
    """Return how a shadow compares with production.

    Parameters
    ----------
    shadow : Shadow
    pairs : Pairs
        Answers of both to the same requests.

    Returns
    -------
    ShadowReport
    """
    count = len(pairs.agree)
    low, high = wilson(int(pairs.agree.sum()), count) if count else (None, None)
    shift = pairs.second - pairs.first
    shift = shift[~np.isnan(shift)]
    judged = ~(np.isnan(pairs.right) | np.isnan(pairs.shadow_right))
    right, shadow_right = pairs.right[judged], pairs.shadow_right[judged]
    binary = bool(np.isin(right, (0.0, 1.0)).all() and np.isin(shadow_right, (0.0, 1.0)).all())
    p_value = None
    if len(right) and binary:
        p_value = mcnemar(int(np.sum(right > shadow_right)), int(np.sum(right < shadow_right)))
    return ShadowReport(
        shadow=shadow,
        pairs=count,
        failed=pairs.failed,
        agreement=float(pairs.agree.mean()) if count else None,
        agreement_low=low,
        agreement_high=high,
        score_shift=float(shift.mean()) if len(shift) else None,
        largest_shifts=_quantile(np.abs(shift), 0.95),
        latency_p50=_quantile(pairs.latency, 0.5),
        latency_p95=_quantile(pairs.latency, 0.95),
        shadow_latency_p50=_quantile(pairs.shadow_latency, 0.5),
        shadow_latency_p95=_quantile(pairs.shadow_latency, 0.95),
        labelled=len(right),
        quality=float(right.mean()) if len(right) else None,
        shadow_quality=float(shadow_right.mean()) if len(right) else None,
        p_value=p_value,
    )


def _quantile(values: Floats, at: float) -> float | None:
    measured = values[~np.isnan(values)]
    return float(np.quantile(measured, at)) if len(measured) else None
