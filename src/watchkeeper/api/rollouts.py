"""Rollouts over HTTP: started, looked at, paused, stepped on, promoted, aborted."""

from datetime import datetime
from typing import Any

from fastapi import FastAPI
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from watchkeeper.api.console import Console
from watchkeeper.api.experiments import ACTOR, Body, Why
from watchkeeper.operations import rollouts
from watchkeeper.results import plain
from watchkeeper.rollouts import Event, State

__all__ = ["add_rollouts"]


class NewRollout(Body):
    """Which version gets traffic, and changes to the plan that the settings of its model make."""

    name: str
    model: str
    version: str
    plan: dict[str, Any] = Field(default_factory=dict)
    begins_at: datetime | None = None
    replace: bool = False


def add_rollouts(api: FastAPI, console: Console) -> None:
    """Add the ways to act on rollouts and to read them."""
    app = console.app

    @api.get("/v1/rollouts", tags=["rollouts"])
    def list_rollouts(model: str | None = None, state: State | None = None) -> dict[str, Any]:
        """List rollouts, the newest first."""
        return {"rollouts": [each.to_dict() for each in app.rollouts.find(model, state)]}

    @api.post("/v1/rollouts", tags=["rollouts"], status_code=201)
    async def start_rollout(body: NewRollout) -> dict[str, Any]:
        """Give a version the first step of its traffic, now or at `begins_at`.

        This server follows before it answers. With `replace`, a rollout of the model that is under
        way is taken back first.
        """
        made = await console.acting.start_rollout(**body.model_dump(), actor=ACTOR)
        return made.to_dict()

    def viewed(name: str) -> dict[str, Any]:
        policy = app.settings.policy(app.rollouts.get(name).model)
        return rollouts.view(
            app.rollouts,
            app.events,
            name,
            at=app.clock(),
            task=policy.task,
            positive=policy.positive,
        ).to_dict()

    @api.get("/v1/rollouts/{name}", tags=["rollouts"])
    def one_rollout(name: str) -> dict[str, Any]:
        """Tell what a rollout is, what was counted, and what the next look would decide."""
        return viewed(name)

    @api.post("/v1/rollouts/{name}/look", tags=["rollouts"])
    async def look(name: str) -> dict[str, Any]:
        """Look at all rollouts now, not at the next time; tell what became of this one."""
        await run_in_threadpool(app.rollouts.get, name)
        found = (await console.controller.rollouts.look()).get(name)
        return await run_in_threadpool(viewed, name) if found is None else found.to_dict()

    @api.get("/v1/rollouts/{name}/history", tags=["rollouts"])
    def history(name: str) -> dict[str, Any]:
        """List what happened to a rollout, with who did it, why, and the evidence."""
        return {"history": plain(app.rollouts.history(name))}

    def add(path: str, event: Event, told: str) -> None:
        async def act(name: str, body: Why) -> dict[str, Any]:
            found = await console.acting.rollout(name, event, actor=ACTOR, reason=body.reason)
            return found.to_dict()

        act.__doc__, act.__name__ = told, f"{path}_rollout"
        api.post(f"/v1/rollouts/{{name}}/{path}", tags=["rollouts"])(act)

    add("pause", Event.PAUSE, "Keep the share as it is until somebody resumes it.")
    add("resume", Event.RESUME, "Go on; the present step begins its window and its wait again.")
    add("step", Event.STEP, "Go to the next step now, whatever was counted.")
    add("promote", Event.PROMOTE, "Put the version in production now, whatever was counted.")
    add("abort", Event.ABORT, "Take the version back: production answers everything again.")
