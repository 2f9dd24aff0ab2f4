"""The readiness checklist over HTTP."""

from datetime import datetime
from typing import Any

from fastapi import FastAPI

from watchkeeper.api.actor import Actor
from watchkeeper.api.console import Console
from watchkeeper.api.experiments import Body
from watchkeeper.identity import By

__all__ = ["add_readiness"]


class NewWaiver(Body):
    """Which point need not pass, and until when; with the reason."""

    item: str
    until: datetime


def add_readiness(api: FastAPI, console: Console) -> None:
    """Add the checklist of each model, and the way to waive a point.

    Parameters
    ----------
    api : FastAPI
    console : Console
    """
    app = console.app

    @api.get("/v1/checklist/{model}", tags=["readiness"])
    def one_checklist(model: str) -> dict[str, Any]:
        """Return the readiness checklist of a model, each item with its evidence."""
        return app.checklists.of(model).to_dict()

    @api.post("/v1/checklist/{model}/waive", tags=["readiness"])
    def waive(model: str, body: NewWaiver, actor: Actor) -> dict[str, Any]:
        """Keep that a point need not pass until a day; a day that has passed ends it."""
        by = By(actor, body.reason)
        return app.checklists.waive(model, body.item, until=body.until, by=by).to_dict()
