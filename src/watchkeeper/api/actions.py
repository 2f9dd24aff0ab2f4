"""What people do through this server: the change first, then this process follows it.

The control API and the pages call the same coroutines, so that both leave the same trail.
"""

from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool

from watchkeeper.app import App
from watchkeeper.experiments import Experiment
from watchkeeper.experiments.report import ExperimentReport
from watchkeeper.jobs.controller import Controller
from watchkeeper.operations import experiments, retraining, rollouts
from watchkeeper.operations import shadows as shadowing
from watchkeeper.retraining import Run
from watchkeeper.rollouts import Event, Rollout
from watchkeeper.rollouts.shadow import ShadowReport
from watchkeeper.serving.gateway import Gateway

__all__ = ["Acting"]


class Acting:
    """Changes of state by people, each with who and why.

    Parameters
    ----------
    app : App
    gateway : Gateway
    controller : Controller
    """

    def __init__(self, app: App, gateway: Gateway, controller: Controller) -> None:
        self._app, self._gateway, self._controller = app, gateway, controller
        self.app = app

    async def start_rollout(
        self,
        name: str,
        model: str,
        version: str,
        *,
        actor: str,
        reason: str,
        plan: dict[str, Any] | None = None,
        begins_at: datetime | None = None,
        replace: bool = False,
    ) -> Rollout:
        """Give a version the first step of its traffic, now or at `begins_at`."""
        app = self._app

        def started() -> Rollout:
            app.checklists.require_ready(model)
            return rollouts.start(
                app.rollouts,
                app.registry,
                app.experiments,
                name,
                model,
                version,
                app.settings.policy(model).rollout_plan(**(plan or {})),
                at=app.clock(),
                begins_at=begins_at,
                replace=replace,
                actor=actor,
                reason=reason,
            )

        made = await run_in_threadpool(started)
        await self._controller.follow()
        return made

    async def rollout(self, name: str, event: Event, *, actor: str, reason: str) -> Rollout:
        """Let a person act on a rollout: the traffic first, the registry after it."""
        app = self._app
        await run_in_threadpool(
            rollouts.act, app.rollouts, name, event, at=app.clock(), actor=actor, reason=reason
        )
        await self._gateway.reweigh()
        found = await run_in_threadpool(
            rollouts.settle, app.rollouts, app.registry, name, at=app.clock()
        )
        await self._controller.follow()
        return found

    async def start_experiment(self, name: str, *, actor: str, reason: str) -> Experiment:
        """Let an experiment take traffic."""
        app = self._app
        found = await run_in_threadpool(
            experiments.start,
            app.experiments,
            app.rollouts,
            name,
            at=app.clock(),
            actor=actor,
            reason=reason,
        )
        await self._controller.follow()
        return found

    async def stop_experiment(self, name: str, *, actor: str, reason: str) -> ExperimentReport:
        """End an experiment and keep its verdict with its evidence."""
        app = self._app

        def stopped() -> ExperimentReport:
            policy = app.settings.policy(app.experiments.get(name).model)
            _, found = experiments.stop(
                app.experiments,
                app.events,
                name,
                at=app.clock(),
                task=policy.task,
                positive=policy.positive,
                actor=actor,
                reason=reason,
            )
            return found

        found = await run_in_threadpool(stopped)
        await self._controller.follow()
        return found

    async def stop_shadow(self, name: str, *, actor: str, reason: str) -> ShadowReport:
        """Ask a shadow no more, and keep what it was compared by."""
        app = self._app

        def stopped() -> ShadowReport:
            policy = app.settings.policy(app.shadows.get(name).model)
            return shadowing.stop(
                app.shadows,
                app.events,
                name,
                at=app.clock(),
                task=policy.task,
                positive=policy.positive,
                actor=actor,
                reason=reason,
            )

        found = await run_in_threadpool(stopped)
        await self._controller.follow()
        return found

    async def retrain(self, model: str, *, actor: str, reason: str) -> Run:
        """Decide that a model is trained now; a server begins within seconds."""
        app = self._app

        def asked() -> Run:
            setup = app.settings.policy(model).retraining_setup()
            return retraining.ask(
                app, model, app.arrivals.settled(), setup, actor=actor, reason=reason
            )

        made = await run_in_threadpool(asked)
        self._controller.retraining.wanted.set()
        return made

    async def cancel(self, name: str, *, actor: str, reason: str) -> Run:
        """Give a retraining up; a training ends within seconds, wherever it runs."""
        app = self._app
        return await run_in_threadpool(
            retraining.cancel, app, name, at=app.clock(), actor=actor, reason=reason
        )
