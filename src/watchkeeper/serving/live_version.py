"""One live version: its model computes what waits; every answer is recorded before it is given."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from watchkeeper.clock import Arrivals
from watchkeeper.errors import UnavailableError, WatchkeeperError
from watchkeeper.events import Prediction, Recorder, new_prediction_id
from watchkeeper.registry import Answers, ModelOutputError, Runtime
from watchkeeper.serving.batching import Batcher
from watchkeeper.serving.responses import (
    ModelBusyError,
    ModelFailedError,
    ModelRefusedInputError,
    ModelTimedOutError,
)
from watchkeeper.serving.rows import Rows, join
from watchkeeper.telemetry import VersionMetrics

__all__ = ["SHADOW", "Call", "CallResult", "LiveVersion"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """A request to predict.

    Attributes
    ----------
    arrived : float
        On the clock of `time.perf_counter`.
    timestamp : datetime or None
        Event time, when the caller gave one.
    variant, experiment : str, str or None
        As they are recorded with each prediction.
    forced_variant : str or None
        The arm of an experiment that the caller asks for.
    copy_of : list of str or None
        Ids of the predictions of which a shadow is asked the same.
    """

    rows: Rows
    request_id: str
    unit_id: str
    timestamp: datetime | None
    tags: dict[str, str] | None
    variant: str
    arrived: float
    forced_variant: str | None = None
    experiment: str | None = None
    copy_of: list[str] | None = None

    def copied(self, prediction_ids: list[str], arrived: float) -> "Call":
        """Return the call as a shadow is asked it.

        Parameters
        ----------
        prediction_ids : list of str
        arrived : float

        Returns
        -------
        Call
        """
        return replace(self, copy_of=prediction_ids, variant=SHADOW, arrived=arrived)

    def answered_by(self, variant: str, experiment: str | None) -> "Call":
        """Return the call as an arm of an experiment, or a side of a rollout, answers it.

        Parameters
        ----------
        variant : str
        experiment : str or None

        Returns
        -------
        Call
        """
        return Call(
            self.rows,
            self.request_id,
            self.unit_id,
            self.timestamp,
            self.tags,
            variant,
            self.arrived,
            self.forced_variant,
            experiment,
        )

    def attributes(self) -> dict[str, Any]:
        """Return what experiments may target by: features on which all rows agree, and tags.

        Returns
        -------
        dict of str to object
        """
        first, *rest = self.rows.features
        shared = first
        for row in rest:
            shared = {name: value for name, value in shared.items() if row.get(name) == value}
        return shared | {f"tag.{name}": value for name, value in (self.tags or {}).items()}


@dataclass(frozen=True, slots=True)
class CallResult:
    """The answer to a call, and whether it is recorded."""

    answers: Answers
    prediction_ids: list[str]
    recorded: bool


SHADOW = "shadow"
"""The variant of predictions of mirrored traffic."""

_Computed = Answers | WatchkeeperError


class LiveVersion:
    """A loaded version that takes calls.

    Parameters
    ----------
    runtime : Runtime
    recorder : Recorder
    metrics : VersionMetrics
    on_recorded : callable
        Told how many predictions were just recorded.
    arrivals : Arrivals
    max_rows : int
        Rows of one batch; requests to a model whose answers depend on all rows stay apart.
    timeout : float
        Seconds a batch may take.
    stream : str, optional
        The model as which its answers are recorded, where that is not its own.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        recorder: Recorder,
        metrics: VersionMetrics,
        on_recorded: Callable[[int], None],
        arrivals: Arrivals,
        max_rows: int,
        timeout: float,
        stream: str | None = None,
    ) -> None:
        self.runtime = runtime
        self.metrics = metrics
        self._stream = stream or runtime.model_name
        self._on_recorded = on_recorded
        self._recorder, self._arrivals, self._timeout = recorder, arrivals, timeout
        self._batcher: Batcher[Call, _Computed, CallResult | WatchkeeperError] = Batcher(
            runtime.model_id,
            compute=self._compute,
            finish=self._finish,
            timed_out=self._cut_off,
            size=lambda call: len(call.rows.features),
            max_rows=max_rows if runtime.rows_independent else 1,
            timeout=timeout,
        )

    @property
    def fault(self) -> str:
        """Why it cannot take calls; empty when it can."""
        if self._batcher.stuck:
            return f"{self.runtime.model_id} hangs"
        death = self._batcher.death
        return f"the thread of {self.runtime.model_id} has died: {death}" if death else ""

    def takes_what(self, other: "LiveVersion") -> bool:
        """Return whether calls that were read for `other` fit this version as they are.

        Parameters
        ----------
        other : LiveVersion

        Returns
        -------
        bool
        """
        return (
            self.runtime.signature == other.runtime.signature
            and self.runtime.wants_matrix == other.runtime.wants_matrix
        )

    async def predict(self, call: Call) -> CallResult:
        """Return the answer to a call.

        Parameters
        ----------
        call : Call

        Returns
        -------
        CallResult

        Raises
        ------
        WatchkeeperError
            If the model raised, hung or answered nonsense, or the answer cannot be recorded.
        """
        rows = len(call.rows.features)
        future = self._batcher.submit(call)
        self.metrics.entered(rows)
        try:
            answer = await future
        finally:
            self.metrics.left(rows)
        if isinstance(answer, WatchkeeperError):
            raise answer
        return answer

    def check(self) -> None:
        """Cut off a computation that hangs."""
        self._batcher.check()

    def close(self) -> None:
        """Take no more calls; those that wait are answered."""
        self._batcher.close()
        self.metrics.publish()

    def _compute(self, calls: Sequence[Call]) -> Sequence[_Computed]:
        answers = self._attempt(calls)
        if isinstance(answers, WatchkeeperError):
            if len(calls) == 1 or isinstance(answers, ModelBusyError):
                return [answers] * len(calls)
            # One of them is at fault: alone, the others are answered.
            return [self._attempt([call]) for call in calls]
        if len(calls) == 1:
            return [answers]
        parts: list[_Computed] = []
        start = 0
        for call in calls:
            end = start + len(call.rows.features)
            parts.append(_part(answers, slice(start, end)))
            start = end
        return parts

    def _attempt(self, calls: Sequence[Call]) -> _Computed:
        try:
            answers = self.runtime.predict(join([call.rows for call in calls]))
            _require_numbers(self.runtime.model_id, answers)
        except ModelOutputError as error:
            return error
        except UnavailableError as error:
            return ModelBusyError(
                f"{self.runtime.model_id} is not available: {error.message}",
                error.hint,
                retry_after=error.retry_after,
            )
        except ValueError as error:
            return ModelRefusedInputError(
                f"{self.runtime.model_id} cannot take these values: {_excerpt(error)}",
                "Send values like those it was trained on.",
            )
        except BaseException as error:  # one that ends a process elsewhere ends this request only
            failure = ModelFailedError(
                f"{self.runtime.model_id} failed with {type(error).__name__}: {_excerpt(error)}"
            )
            log.error("%s", failure, exc_info=error)
            return failure
        return answers

    def _finish(
        self, calls: Sequence[Call], computed: Sequence[_Computed]
    ) -> Sequence[CallResult | WatchkeeperError]:
        done = time.perf_counter()
        events: list[Prediction] = []
        ids: list[list[str]] = []
        with self._arrivals.writing() as now:
            for call, result in zip(calls, computed, strict=True):
                first = len(events)
                events += self._events(call, result, now, done)
                ids.append([event.prediction_id for event in events[first:]])
            try:
                recorded = self._recorder.record(events, required=False)
            except UnavailableError as error:
                computed = [error] * len(calls)
                recorded = False
        if recorded:
            self._on_recorded(len(events))
        results: list[CallResult | WatchkeeperError] = []
        for call, result, prediction_ids in zip(calls, computed, ids, strict=True):
            rows, seconds = len(call.rows.features), done - call.arrived
            if isinstance(result, WatchkeeperError):
                self.metrics.failed(rows, seconds)
                results.append(result)
            else:
                self.metrics.succeeded(rows, seconds)
                self._show(call.rows, result)
                results.append(CallResult(result, prediction_ids, recorded))
        return results

    def _show(self, rows: Rows, answers: Answers) -> None:
        """Let the distributions of features and scores know."""
        values = rows.matrix if rows.matrix is not None else rows.columns or {}
        names = tuple(rows.features[0]) if rows.features else ()
        self.metrics.saw(values, len(rows.features), names, answers.scores)

    def _cut_off(self, calls: Sequence[Call]) -> Sequence[CallResult | WatchkeeperError]:
        error = ModelTimedOutError(
            f"{self.runtime.model_id} did not answer within {self._timeout:g} s",
            "Send fewer rows at once, or raise server.predict_timeout.",
        )
        log.error("%s", error)
        return self._finish(calls, [error] * len(calls))

    def _events(
        self, call: Call, result: _Computed, now: datetime, done: float
    ) -> list[Prediction]:
        at = call.timestamp or now
        count = len(call.rows.features)
        failed = isinstance(result, WatchkeeperError)
        if isinstance(result, WatchkeeperError):
            predictions: list[Any] = [None] * count
            scores: list[Any] = [None] * count
        else:
            predictions = result.predictions.tolist()
            scores = [None] * count if result.scores is None else result.scores.tolist()
        ids = call.copy_of or [new_prediction_id(at) for _ in range(count)]
        return [
            Prediction(
                prediction_id=prediction_id,
                model=self._stream,
                model_version=self.runtime.version.version,
                variant=call.variant,
                experiment=call.experiment,
                timestamp=at,
                arrived_at=now,
                features=features,
                prediction=prediction,
                score=score,
                status="error" if failed else "success",
                error=str(result) if failed else None,
                latency_ms=(done - call.arrived) * 1e3,
                unit_id=call.unit_id,
                request_id=call.request_id,
                tags=call.tags,
            )
            for prediction_id, features, prediction, score in zip(
                ids, call.rows.features, predictions, scores, strict=True
            )
        ]


def _part(answers: Answers, rows: slice) -> Answers:
    return Answers(
        answers.predictions[rows],
        None if answers.scores is None else answers.scores[rows],
        None if answers.probabilities is None else answers.probabilities[rows],
        answers.classes,
    )


def _require_numbers(model_id: str, answers: Answers) -> None:
    for name, values in (
        ("predictions", answers.predictions),
        ("probabilities", answers.probabilities),
    ):
        if values is not None and values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ModelOutputError(f"{model_id} answered {name} that are not finite numbers")


def _excerpt(error: BaseException) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")
