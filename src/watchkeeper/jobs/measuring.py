"""What a running server measures of its models now and then, and shows as metrics."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from watchkeeper.app import App
from watchkeeper.errors import NotFoundError
from watchkeeper.events import Window
from watchkeeper.interpreter import behind_requests
from watchkeeper.monitoring.findings import keep_drift, keep_quality
from watchkeeper.monitoring.measurements import drift_of_window, latest_accuracy, quality_of_window
from watchkeeper.monitoring.prediction_drift import LearnedAnswers, answers_to_training
from watchkeeper.serving.live_version import LiveVersion
from watchkeeper.telemetry import ModelMetrics, SystemMetrics

__all__ = ["Measuring"]

log = logging.getLogger(__name__)

_YEAR = 365.25 * 86_400  # seconds over whose checks the level of drift holds


class Measuring:
    """Measures accuracy and drift when they are due, by the clock of the events.

    Parameters
    ----------
    app : App
    metrics : ModelMetrics
    system : SystemMetrics

    Attributes
    ----------
    labelled : set of str
        Models with outcomes that have landed since their accuracy was measured.
    """

    def __init__(self, app: App, metrics: ModelMetrics, system: SystemMetrics) -> None:
        self._app, self._metrics, self._system = app, metrics, system
        self.labelled: set[str] = set()
        self._measured: dict[tuple[str, str], datetime] = {}
        self._learned: dict[str, tuple[str, LearnedAnswers | None]] = {}

    async def look(self, versions: Iterable[LiveVersion]) -> None:
        """Measure what is due of `versions`, one after the other.

        Parameters
        ----------
        versions : iterable of LiveVersion
        """
        for live in list(versions):
            model = live.runtime.model_name
            policy = self._app.settings.policy(model)
            if model in self.labelled and self._due("accuracy", model, policy.quality.interval):
                self.labelled.discard(model)
                await self._run("accuracy", self._accuracy, live)
            if self._due("drift", model, policy.drift.interval):
                await self._run("drift", self._drift, live)
                await self._run("accuracy", self._quality, live)

    def _due(self, job: str, model: str, interval: float) -> bool:
        """Return whether it is time for `job`, and if so remember that it was done now."""
        now, last = self._app.clock(), self._measured.get((job, model))
        if last is not None and (now - last).total_seconds() < interval:
            return False
        self._measured[job, model] = now
        return True

    async def _run(self, job: str, measure: Callable[[LiveVersion], None], on: LiveVersion) -> None:
        try:
            await asyncio.to_thread(behind_requests, measure, on)
        except Exception:
            self._system.ended(job, well=False)
            log.exception("the %s of %s could not be measured", job, on.runtime.model_id)
        else:
            self._system.ended(job, well=True)

    def _accuracy(self, live: LiveVersion) -> None:
        policy = self._app.settings.policy(live.runtime.model_name)
        live.metrics.set_accuracy(
            latest_accuracy(
                self._app.events,
                live.runtime.model_name,
                live.runtime.version.version,
                window_size=policy.quality.window_size,
                min_samples=policy.quality.min_samples,
                at=self._app.clock(),
                task=policy.task,
                positive=policy.positive,
            )
        )

    def _quality(self, live: LiveVersion) -> None:
        """Keep what the quality of the window is whose drift was measured."""
        model = live.runtime.model_name
        policy = self._app.settings.policy(model)
        now = self._app.arrivals.settled()
        try:
            found = quality_of_window(
                self._app.events.as_of(now),
                self._app.registry,
                model,
                Window(now - timedelta(seconds=policy.drift.window), now),
                version=live.runtime.version.version,
                task=policy.task,
                positive=policy.positive,
                alert_threshold=policy.quality.max_relative_drop,
                min_samples=policy.quality.min_samples,
            )
        except NotFoundError:  # nothing was predicted
            return
        if found.labelled or found.estimate is not None:
            self._app.incidents.follow_finding(keep_quality(self._app.findings, found, at=now))

    def _drift(self, live: LiveVersion) -> None:
        model = live.runtime.model_name
        policy = self._app.settings.policy(model).drift
        now = self._app.arrivals.settled()
        window = Window(now - timedelta(seconds=policy.window), now)
        try:
            found = drift_of_window(
                self._app.events.as_of(now),
                self._app.registry,
                model,
                window,
                threshold=policy.alpha,
                checks=max(1, round(_YEAR / policy.interval)),
                answers=lambda: self._answers(live),
            )
        except NotFoundError:  # nothing was predicted, or there is nothing to compare it with
            return
        self._app.incidents.follow_finding(keep_drift(self._app.findings, found, at=now))
        self._app.drift_history.checks(model)  # read here, so that no page waits for a year of them
        self._metrics.show_drift(
            model,
            [
                (name, each.method or "", each.effect_size, each.drift_detected)
                for name, each in found.report.features.items()
            ],
            share=found.report.drift_share,
            detected=found.report.drift_detected,
            answers=(
                (None, None)
                if found.answers is None
                else (found.answers.effect_size, found.answers.drift_detected)
            ),
        )

    def _answers(self, live: LiveVersion) -> LearnedAnswers | None:
        """Return what the version answers to its training data, asked once a version.

        A copy of the model is asked: few models are safe to call from two threads.
        """
        model, model_id = live.runtime.model_name, live.runtime.model_id
        known = self._learned.get(model)
        if known is None or known[0] != model_id:
            known = model_id, answers_to_training(self._app.registry, model_id)
            self._learned[model] = known
        return known[1]
