"""Rollouts as they stand: the counts, the next decision of the controller, how long one takes."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watchkeeper.clock import Clock
from watchkeeper.errors import ConflictError, NotFoundError
from watchkeeper.events import FEATURE, EventLog, Window
from watchkeeper.labelling import Labelling
from watchkeeper.monitoring.event_columns import scores_of, segment_of, wrong_of
from watchkeeper.monitoring.report_cache import Asked
from watchkeeper.results import Result
from watchkeeper.rollouts import Plan, Rollout, RolloutDecision, Seen, decided
from watchkeeper.rollouts.counting import ANSWER, COLUMNS, SEGMENT, WRONG, seen_of
from watchkeeper.rollouts.repository import RolloutRepository
from watchkeeper.rollouts.rollout import when_ready

__all__ = ["Duration", "RolloutMonitor", "RolloutStatus", "expected_duration", "requests_an_hour"]


@dataclass(frozen=True, slots=True)
class RolloutStatus(Result):
    """A rollout with its next decision.

    Attributes
    ----------
    rollout : Rollout
    decision : RolloutDecision or None
        None where there is nothing to decide, or an earlier decision was carried out.
    seen : Seen or None
        The counts that the decision was made by.
    changed : bool
        Whether the rollout changed.
    """

    rollout: Rollout
    decision: RolloutDecision | None
    seen: Seen | None
    changed: bool


@dataclass(frozen=True, slots=True)
class Duration(Result):
    """How long a rollout takes if every step passes.

    Attributes
    ----------
    plan : Plan
    requests_an_hour : float
        Requests of the model, from which it was computed.
    seconds : float
    windows : int
        The plan needs at least one a step.
    """

    plan: Plan
    requests_an_hour: float
    seconds: float
    windows: int


def expected_duration(plan: Plan, requests: float) -> Duration:
    """Return how long a plan takes if every step passes.

    Parameters
    ----------
    plan : Plan
    requests : float
        Requests an hour.

    Returns
    -------
    Duration

    Raises
    ------
    InvalidValueError
        If there is no traffic.
    """
    seconds = plan.expected_duration(requests).total_seconds()
    return Duration(plan, requests, seconds, round(seconds / plan.window))


def requests_an_hour(events: EventLog, model: str, at: datetime, over: timedelta) -> float:
    """Return how many predictions an hour were recorded of a model.

    Parameters
    ----------
    events : EventLog
    model : str
    at : datetime
        End of the time that is counted.
    over : timedelta
        Its length.

    Returns
    -------
    float

    Raises
    ------
    NotFoundError
        If no prediction of the model was ever recorded.
    ConflictError
        If none was recorded in that time.
    """
    window = events.read(model, Window(at - over, at), columns=["timestamp"])
    hours = over.total_seconds() / 3600
    if not window.rows.num_rows:
        raise ConflictError(
            f"{model} had no requests in the last {hours:g} hours",
            "Say what you expect with --requests-per-hour.",
        )
    return float(window.rows.num_rows / hours)


class RolloutMonitor:
    """What the controller sees of rollouts; it changes nothing.

    Parameters
    ----------
    repository : RolloutRepository
    events : EventLog
    clock : Clock
    labelling : callable
        What the labels of a model mean, by its name.
    unready : callable
        Why a model may not be promoted now, by its name; empty if it may.

    Attributes
    ----------
    repository : RolloutRepository
    """

    def __init__(
        self,
        repository: RolloutRepository,
        events: EventLog,
        *,
        clock: Clock,
        labelling: Callable[[str], Labelling],
        unready: Callable[[str], str],
    ) -> None:
        self.repository, self._events, self._clock = repository, events, clock
        self._labelling, self._unready = labelling, unready

    def status(self, name: str, at: datetime | None = None) -> RolloutStatus:
        """Return a rollout with what the controller would decide.

        Parameters
        ----------
        name : str
        at : datetime, optional
            By default now.

        Returns
        -------
        RolloutStatus

        Raises
        ------
        NotFoundError
            If there is no rollout of this name.
        """
        rollout, at = self.repository.get(name), self._clock() if at is None else at
        if rollout.started_at is None or not (rollout.active or rollout.in_bake_time(at)):
            return RolloutStatus(rollout, None, None, changed=False)
        decision, seen = self.decide(rollout, at)
        return RolloutStatus(rollout, decision, seen, changed=False)

    def decide(self, rollout: Rollout, at: datetime) -> tuple[RolloutDecision, Seen]:
        """Return what a rollout does next, and the counts that say so.

        A promotion waits until the model is ready where its settings require the checklist.

        Parameters
        ----------
        rollout : Rollout
        at : datetime

        Returns
        -------
        tuple of RolloutDecision and Seen
        """
        seen = seen_of(rollout, self._rows(rollout), at)
        decision = decided(rollout, seen, at)
        if decision.promotes:
            decision = when_ready(rollout, decision, self._unready(rollout.model))
        return decision, seen

    def request(self, rollout: Rollout, at: datetime) -> Asked[RolloutStatus]:
        """Return the request of its status to the cache of reports.

        Parameters
        ----------
        rollout : Rollout
        at : datetime

        Returns
        -------
        Asked of RolloutStatus
        """
        return Asked(
            "rollout", rollout.name, rollout, at, make=lambda: self.status(rollout.name, at)
        )

    def _rows(self, rollout: Rollout) -> Iterator[pa.Table]:
        """Yield the predictions of its model since it began, with what its plan asks of them."""
        if rollout.started_at is None:
            return
        plan, labelling = rollout.plan, self._labelling(rollout.model)
        begin = rollout.started_at - timedelta(seconds=plan.window)  # callers' clocks differ
        segments = sorted({limit.segment[0] for limit in plan.limits if limit.segment is not None})
        judged = any(limit.wrong for limit in plan.limits)
        error_tolerance = next(
            (limit.error_tolerance for limit in plan.limits if limit.error_tolerance is not None),
            None,
        )
        columns = [*COLUMNS, *(FEATURE + name for name in segments)]
        if segments:
            columns.append("tags")
        if judged or plan.max_prediction_shift is not None:
            columns += ["prediction", "score"]
        if judged:
            columns.append("actual")
        try:
            for day in self._events.days(rollout.model, Window(begin, None), columns=columns):
                rows = day.rows
                if plan.max_prediction_shift is not None:
                    rows = rows.append_column(ANSWER, pa.array(_predicted(rows)))
                if judged:
                    wrong = wrong_of(rows, labelling.task, labelling.positive, error_tolerance)
                    rows = rows.append_column(WRONG, pa.array(wrong))
                for name in segments:
                    with suppress(NotFoundError):  # no prediction of this day has it
                        segment = segment_of(rows, name, rollout.model)
                        rows = rows.append_column(SEGMENT + name, segment.cast(pa.string()))
                yield rows
        except NotFoundError:  # no prediction of the model was recorded yet
            return


def _predicted(rows: pa.Table) -> npt.NDArray[np.float64]:
    """Return scores, or predictions where there are none; NaN where neither is a number."""
    scores, predictions = scores_of(rows["score"]), rows["prediction"]
    dictionary = pa.types.is_dictionary(predictions.type)
    plain = predictions.type.value_type if dictionary else predictions.type
    if pa.types.is_string(plain):
        return scores
    return np.where(np.isnan(scores), scores_of(predictions), scores)
