"""The control loop of retraining: it looks, decides, and lets models be trained, one at a time."""

import asyncio
import logging
import threading

from watchkeeper.app import App
from watchkeeper.identity import RecordId
from watchkeeper.monitoring.retraining import RetrainingStatus
from watchkeeper.retraining import Run, RunState
from watchkeeper.retraining.training import TrainingProgress
from watchkeeper.telemetry import ModelMetrics, SystemMetrics

__all__ = ["Retrainer"]

log = logging.getLogger(__name__)

_UNSETTLED = (
    RunState.DECIDED, RunState.TRAINING, RunState.GATING, RunState.ROLLING_OUT, RunState.SHADOWING,
)  # fmt: skip


class _StoppedError(Exception):
    """The server ends: what trains is ended, and the next process begins it again."""


class Retrainer:
    """Looks at the models that are to be trained again, and carries their trainings on.

    Parameters
    ----------
    app : App
    system : SystemMetrics
    metrics : ModelMetrics

    Attributes
    ----------
    wanted : asyncio.Event
        Set when the next look is to be now.
    """

    def __init__(self, app: App, system: SystemMetrics, metrics: ModelMetrics) -> None:
        self._app, self._system, self._metrics = app, system, metrics
        self._stopped = threading.Event()
        self.wanted = asyncio.Event()
        self._looking = asyncio.Lock()

    def stop(self) -> None:
        """End what trains; the next process begins it again."""
        self._stopped.set()

    async def look(self, model: str | None = None) -> dict[str, RetrainingStatus]:
        """Look at one model, or at each that may have to be trained; return what was found.

        Parameters
        ----------
        model : str, optional
            By default each.

        Returns
        -------
        dict of str to RetrainingStatus
            By model; without those that could not be looked at.
        """
        async with self._looking:
            found: dict[str, RetrainingStatus] = {}
            well = True
            try:
                models = [model] if model else await asyncio.to_thread(self._models)
            except Exception:
                log.exception("the retrainings could not be read")
                models, well = [], False
            for each in models:
                try:
                    found[each] = await asyncio.to_thread(self._look, each)
                except Exception:
                    if self._stopped.is_set():
                        return found
                    log.exception("retraining of %s could not be evaluated", each)
                    well = False
            self._system.ended("retraining", well=well)
            return found

    def _models(self) -> list[str]:
        """Return the models that may be trained by themselves, and those with something to do."""
        policy = self._app.settings.policy
        enabled = {
            name for name in self._app.registry.production() if policy(name).retraining.enabled
        }
        runs = [run for state in _UNSETTLED for run in self._app.retraining.find(state=state)]
        return sorted(enabled.union(run.model for run in runs))

    def _look(self, model: str) -> RetrainingStatus:
        before = self._app.retraining_monitor.newest(model)
        status = self._app.retraining.advance(model, watch=self._watch)
        if status.changed and status.run is not None and status.run != before:
            self._count(status.run)
            if not status.run.active:
                self._tell(status.run)
        return status

    def _tell(self, run: Run) -> None:
        """Open an incident by a training that failed; end it by one that did not."""
        incidents, cause = self._app.incidents, RecordId("retraining", run.name)
        if run.state is not RunState.FAILED:
            text = f"the retraining {run.name} did not fail"
            incidents.recover(run.model, "retraining", text, cause=cause)
            return
        incidents.open(
            run.model, f"the retraining {run.name} failed: {run.reason}", severity="warning",
            source="retraining", evidence={"run": run.name}, cause=cause,
            runbook=incidents.runbook("retrainingfailed"),
        )  # fmt: skip

    def _watch(self, _: TrainingProgress) -> None:
        if self._stopped.is_set():
            raise _StoppedError

    def _count(self, run: Run) -> None:
        self._metrics.retrained_at.labels(run.model).set(run.decided_at.timestamp())
        if run.active:
            return
        for outcome in RunState:  # 0 before it is 1
            if outcome not in {RunState.DECIDED, RunState.TRAINING, RunState.GATING}:
                self._metrics.retrainings.labels(run.model, outcome.value)
        self._metrics.retrainings.labels(run.model, run.state.value).inc()
        level = logging.ERROR if run.state is RunState.FAILED else logging.WARNING
        log.log(level, "retraining %s: %s, %s", run.name, run.state.value, run.reason)
