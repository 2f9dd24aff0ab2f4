"""The job of rollouts: begin what is due, and advance what is under way."""

import asyncio
import logging
import time

from watchkeeper.app import App
from watchkeeper.errors import ConflictError
from watchkeeper.monitoring.rollouts import RolloutStatus
from watchkeeper.rollouts import Rollout, RolloutState
from watchkeeper.serving.routing import Router
from watchkeeper.telemetry import ModelMetrics, SystemMetrics

__all__ = ["Rolling"]

log = logging.getLogger(__name__)

_PATIENCE = 4  # looks in a row that may fail before a rollout is held
_REST = 10.0  # rest after an analysis, in its durations: it must not take a core
_MOST_CHANGES = 3  # of one rollout at once: a promotion, or a breach, and what follows from it


class Rolling:
    """Looks at the rollouts that are under way.

    Parameters
    ----------
    app : App
    router : Router
    system : SystemMetrics
    metrics : ModelMetrics
    """

    def __init__(
        self,
        app: App,
        router: Router,
        system: SystemMetrics,
        metrics: ModelMetrics,
    ) -> None:
        self._app, self._router = app, router
        self._system, self._metrics = system, metrics
        self._failures: dict[str, int] = {}
        self._took = 0.0
        self._looking = asyncio.Lock()

    @property
    def rest(self) -> float:
        """Seconds until the next look: longer after one that took long, or that failed."""
        failures = max(self._failures.values(), default=0)
        interval = self._app.settings.server.rollout_interval * 2.0 ** min(failures, 6)
        return max(interval, _REST * self._took)

    async def look(self) -> dict[str, RolloutStatus]:
        """Look at each rollout, let the traffic follow, and return what was found, by name.

        Returns
        -------
        dict of str to RolloutStatus
        """
        async with self._looking:
            return await self._look()

    async def _look(self) -> dict[str, RolloutStatus]:
        began, statuses = time.monotonic(), {}
        try:
            await self._begin_due()
            rollouts = self._app.rollouts.repository
            under_way = await asyncio.to_thread(rollouts.latest, self._app.clock())
            for rollout in under_way:
                status = await self._advance(rollout)
                if status is not None:
                    statuses[rollout.name] = status
            await asyncio.to_thread(self._report_holds)
        except Exception:
            self._system.ended("rollouts", well=False)
            log.exception("the rollouts could not be read; weights hold until they expire")
        else:
            self._failures = {
                each.name: self._failures[each.name]
                for each in under_way
                if each.name in self._failures
            }
            self._system.ended("rollouts", well=not self._failures)
        self._took = time.monotonic() - began
        return statuses

    async def _begin_due(self) -> None:
        for rollout in await asyncio.to_thread(self._app.rollouts.begin_due):
            log.warning("rollout %s: %s", rollout.name, rollout.state.value.replace("_", " "))

    async def _advance(self, rollout: Rollout) -> RolloutStatus | None:
        status: RolloutStatus | None = None
        rollbacks = self._metrics.rollbacks.labels(rollout.model)  # 0 before it is 1
        for _ in range(_MOST_CHANGES):
            try:
                fault = self._router.rollout_fault(rollout.model)
                status = await asyncio.to_thread(self._app.rollouts.advance, rollout.name, fault)
            except ConflictError as error:  # a person, or another process, was faster
                log.info("rollout %s: %s", rollout.name, error)
                return None
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing was decided
                await self._failed(rollout, error)
                return None
            self._failures.pop(rollout.name, None)
            if not status.changed:
                break
            state = status.rollout.state
            if status.decision is not None:
                told = state.value.replace("_", " ")
                log.warning("rollout %s: %s, %s", rollout.name, told, status.decision.reason)
                if state is RolloutState.ROLLING_BACK:
                    rollbacks.inc()
            if state not in {RolloutState.PROMOTING, RolloutState.ROLLING_BACK}:
                break
        return status

    def _report_holds(self) -> None:
        """Open an incident for each rollout that waits for a person, and end those of the rest."""
        app = self._app
        app.incidents.follow_holds(app.rollouts.repository.latest(app.clock()))

    async def _failed(self, rollout: Rollout, error: Exception) -> None:
        """Try again later; hold the rollout after some failures in a row."""
        failures = self._failures[rollout.name] = self._failures.get(rollout.name, 0) + 1
        log.error("rollout %s cannot be analysed: %s", rollout.name, error, exc_info=error)
        if failures > _PATIENCE:
            reason = f"{failures} analyses in a row failed: {error}"
            await asyncio.to_thread(self._app.rollouts.hold_unreadable, rollout.name, reason)
