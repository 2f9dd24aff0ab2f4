"""Shadows over HTTP: started, compared with production, stopped."""

from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from watchkeeper.api.console import Console
from watchkeeper.api.experiments import ACTOR, Body, Why
from watchkeeper.operations import shadows
from watchkeeper.results import plain
from watchkeeper.rollouts.shadow import Shadow, ShadowState

__all__ = ["add_shadows"]


class NewShadow(Body):
    """Which version answers a copy of the traffic, and of how much of it."""

    name: str
    model: str
    version: str
    share: float = 100.0


def add_shadows(api: FastAPI, console: Console) -> None:
    """Add the ways to act on shadows and to read them."""
    app = console.app

    @api.get("/v1/shadows", tags=["rollouts"])
    def list_shadows(model: str | None = None, state: ShadowState | None = None) -> dict[str, Any]:
        """List shadows, the newest first."""
        return {"shadows": [each.to_dict() for each in app.shadows.find(model, state)]}

    @api.post("/v1/shadows", tags=["rollouts"], status_code=201)
    async def start_shadow(body: NewShadow) -> dict[str, Any]:
        """Let a version answer a copy of the traffic; nobody is told what it says."""

        def started() -> dict[str, Any]:
            made = Shadow(**body.model_dump(exclude={"reason"}), started_at=app.clock())
            kept = shadows.start(app.shadows, app.registry, made, actor=ACTOR, reason=body.reason)
            return kept.to_dict()

        found = await run_in_threadpool(started)
        await console.controller.follow()
        return found

    @api.get("/v1/shadows/{name}", tags=["rollouts"])
    def report_shadow(name: str) -> dict[str, Any]:
        """Compare what it answered with what production answered to the same requests."""
        own = app.shadows.get(name)
        policy = app.settings.policy(own.model)
        return shadows.report(
            app.events, own, at=app.clock(), task=policy.task, positive=policy.positive
        ).to_dict()

    @api.get("/v1/shadows/{name}/history", tags=["rollouts"])
    def history(name: str) -> dict[str, Any]:
        """List what happened to a shadow, with who did it, why, and the evidence."""
        return {"history": plain(app.shadows.history(name))}

    @api.post("/v1/shadows/{name}/stop", tags=["rollouts"])
    async def stop_shadow(name: str, body: Why) -> dict[str, Any]:
        """Ask it no more, and keep what it was compared by."""
        found = await console.acting.stop_shadow(name, actor=ACTOR, reason=body.reason)
        return found.to_dict()
