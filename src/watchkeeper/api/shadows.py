"""Shadows over HTTP: started, compared with production, stopped."""

from typing import Any

from fastapi import FastAPI

from watchkeeper.api.actor import Actor
from watchkeeper.api.console import Console
from watchkeeper.api.experiments import Body, Why
from watchkeeper.identity import By
from watchkeeper.results import plain
from watchkeeper.rollouts.shadow import ShadowState

__all__ = ["add_shadows"]


class NewShadow(Body):
    """Which version answers a copy of the traffic, and of how much of it."""

    name: str
    model: str
    version: str
    share: float = 100.0


def add_shadows(api: FastAPI, console: Console) -> None:
    """Add the ways to act on shadows and to read them.

    Parameters
    ----------
    api : FastAPI
    console : Console
    """
    app = console.app

    @api.get("/v1/shadows", tags=["rollouts"])
    def list_shadows(model: str | None = None, state: ShadowState | None = None) -> dict[str, Any]:
        """List shadows, the newest first."""
        return {"shadows": [each.to_dict() for each in app.shadows.find(model, state)]}

    @api.post("/v1/shadows", tags=["rollouts"], status_code=201)
    def start_shadow(body: NewShadow, actor: Actor) -> dict[str, Any]:
        """Mirror traffic to a version; its predictions are recorded and not returned."""
        shadow = app.shadows.start(
            body.name,
            model=body.model,
            version=body.version,
            share=body.share,
            by=By(actor, body.reason),
        )
        return shadow.to_dict()

    @api.get("/v1/shadows/{name}", tags=["rollouts"])
    def report_shadow(name: str) -> dict[str, Any]:
        """Compare what it answered with what production answered to the same requests."""
        return app.shadow_reports.of(name).to_dict()

    @api.get("/v1/shadows/{name}/history", tags=["rollouts"])
    def history(name: str) -> dict[str, Any]:
        """List what happened to a shadow, with who did it, why, and the evidence."""
        return {"history": plain(app.shadows.history(name))}

    @api.post("/v1/shadows/{name}/stop", tags=["rollouts"])
    def stop_shadow(name: str, body: Why, actor: Actor) -> dict[str, Any]:
        """Ask it no more, and keep what it was compared by."""
        return app.shadows.stop(name, by=By(actor, body.reason)).to_dict()
