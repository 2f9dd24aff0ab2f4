"""The control loop of rollouts: it looks, decides, and lets the traffic follow."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from watchkeeper.app import App
from watchkeeper.errors import ConflictError
from watchkeeper.identity import RecordId
from watchkeeper.operations import rollouts
from watchkeeper.rollouts import Rollout, State
from watchkeeper.serving.routing import Router
from watchkeeper.telemetry import ModelMetrics, SystemMetrics

__all__ = ["Rolling"]

log = logging.getLogger(__name__)

_PATIENCE = 4  # looks in a row that may fail before a rollout is held
_REST = 10.0  # times as long as a look took nobody looks again: it must not take a core
_MOST_CHANGES = 3  # of one rollout at once: a promotion, or a breach, and what follows from it


class Rolling:
    """Looks at the rollouts that are under way.

    Parameters
    ----------
    app : App
    router : Router
    system : SystemMetrics
    metrics : ModelMetrics
    follow : callable
        Lets this server follow the registry.
    """

    def __init__(
        self,
        app: App,
        router: Router,
        system: SystemMetrics,
        metrics: ModelMetrics,
        follow: Callable[[], Awaitable[None]],
    ) -> None:
        self._app, self._router, self._follow = app, router, follow
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

    async def look(self) -> dict[str, rollouts.Looked]:
        """Look at each rollout, let the traffic follow, and return what was found, by name."""
        async with self._looking:
            return await self._look()

    async def _look(self) -> dict[str, rollouts.Looked]:
        began, found = time.monotonic(), {}
        try:
            await self._begin_due()
            under_way = await asyncio.to_thread(self._app.rollouts.latest, self._app.clock())
            for rollout in under_way:
                looked = await self._look_at(rollout)
                if looked is not None:
                    found[rollout.name] = looked
            await asyncio.to_thread(self._tell_of_holds)
        except Exception:
            self._system.ended("rollouts", well=False)
            log.exception("the rollouts could not be looked at; shares hold until they expire")
        else:
            self._failures = {
                each.name: self._failures[each.name]
                for each in under_way
                if each.name in self._failures
            }
            self._system.ended("rollouts", well=not self._failures)
        self._took = time.monotonic() - began
        return found

    async def _begin_due(self) -> None:
        """Begin what was planned for now."""
        app, now = self._app, self._app.clock()
        for rollout in await asyncio.to_thread(app.rollouts.due, now):
            try:
                found = await asyncio.to_thread(
                    rollouts.begin,
                    app.rollouts,
                    app.registry,
                    app.experiments,
                    rollout.name,
                    at=now,
                )
            except ConflictError as error:  # another process was faster
                log.info("rollout %s: %s", rollout.name, error)
                continue
            log.warning("rollout %s: %s", rollout.name, found.state.value.replace("_", " "))
            await self._follow()

    async def _look_at(self, rollout: Rollout) -> rollouts.Looked | None:
        found: rollouts.Looked | None = None
        rollbacks = self._metrics.rollbacks.labels(rollout.model)  # 0 before it is 1
        for _ in range(_MOST_CHANGES):
            try:
                found = await asyncio.to_thread(self._decide, rollout)
            except ConflictError as error:  # a person, or another process, was faster
                log.info("rollout %s: %s", rollout.name, error)
                return None
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing was decided
                await self._failed(rollout, error)
                return None
            self._failures.pop(rollout.name, None)
            if not found.changed:
                break
            if found.decision is not None:
                log.warning(
                    "rollout %s: %s, %s",
                    rollout.name,
                    found.rollout.state.value.replace("_", " "),
                    found.decision.reason,
                )
                if found.rollout.state is State.ROLLING_BACK:
                    rollbacks.inc()
            await self._router.reweigh()  # the traffic first, the registry after it
            if found.rollout.state is State.ROLLING_BACK:
                await self._tell(found)
            if found.rollout.state not in {State.PROMOTING, State.ROLLING_BACK}:
                await self._follow()
                break
        return found

    async def _tell(self, found: rollouts.Looked) -> None:
        """Open an incident by a rollout that is taken back; production answers, so it warns."""
        app, rollout = self._app, found.rollout
        reason = "" if found.decision is None else found.decision.reason
        try:
            await asyncio.to_thread(
                app.incidents.open,
                rollout.model,
                f"the rollout {rollout.name} of {rollout.version} was taken back: {reason}",
                severity="warning",
                source=f"rollout:{rollout.name}",
                evidence={"rollout": rollout.name, "step": rollout.step + 1},
                cause=RecordId("rollout", rollout.name),
                runbook=app.incidents.runbook("rolloutrolledback"),
            )
        except Exception:  # what takes the version back must not wait for this
            log.exception("no incident could be opened of rollout %s", rollout.name)

    def _tell_of_holds(self) -> None:
        """Open an incident for each rollout that waits for a person, and end those of the rest."""
        app = self._app
        app.incidents.follow_holds(app.rollouts.latest(app.clock()))

    def _decide(self, rollout: Rollout) -> rollouts.Looked:
        policy = self._app.settings.policy(rollout.model)
        return rollouts.look(
            self._app.rollouts,
            self._app.events,
            self._app.registry,
            rollout.name,
            at=self._app.clock(),
            task=policy.task,
            positive=policy.positive,
            fault=self._router.rollout_fault(rollout.model),
        )

    async def _failed(self, rollout: Rollout, error: Exception) -> None:
        """Try again later; hold the rollout after some failures in a row."""
        failures = self._failures[rollout.name] = self._failures.get(rollout.name, 0) + 1
        log.error("rollout %s cannot be looked at: %s", rollout.name, error, exc_info=error)
        if failures > _PATIENCE:
            await asyncio.to_thread(
                rollouts.blind,
                self._app.rollouts,
                rollout.name,
                f"{failures} looks in a row failed: {error}",
                at=self._app.clock(),
            )
