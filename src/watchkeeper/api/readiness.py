"""The readiness checklist over HTTP."""

from datetime import datetime
from typing import Any

from fastapi import FastAPI

from watchkeeper.api.console import Console
from watchkeeper.api.experiments import ACTOR, Body

__all__ = ["add_readiness"]


class NewWaiver(Body):
    """Which point need not pass, and until when; with the reason."""

    item: str
    until: datetime


def add_readiness(api: FastAPI, console: Console) -> None:
    """Add the checklist of each model, and the way to waive a point."""
    app = console.app

    @api.get("/v1/checklist/{model}", tags=["readiness"])
    def one_checklist(model: str) -> dict[str, Any]:
        """Tell what has to be in order before a model answers people, each point by evidence."""
        return app.checklist(model).to_dict()

    @api.post("/v1/checklist/{model}/waive", tags=["readiness"])
    async def waive(model: str, body: NewWaiver) -> dict[str, Any]:
        """Keep that a point need not pass until a day; a day that has passed ends it."""
        found = await console.acting.waive(
            model, body.item, until=body.until, actor=ACTOR, reason=body.reason
        )
        return found.to_dict()
