"""Rollouts over HTTP: started, looked at, paused, stepped on, promoted, aborted."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from watchkeeper.api.actor import Actor
from watchkeeper.api.console import Console
from watchkeeper.api.experiments import Body, Why
from watchkeeper.config.tables import PolicyTable, table_of
from watchkeeper.identity import By
from watchkeeper.operations.rollouts import Rollouts
from watchkeeper.policies.rollouts import RolloutPolicy
from watchkeeper.results import plain
from watchkeeper.rollouts import Rollout, RolloutState

__all__ = ["add_rollouts"]


_PLAN = {
    "properties": table_of(RolloutPolicy, PolicyTable()).model_json_schema()["properties"],
    "additionalProperties": False,
}


class NewRollout(Body):
    """Which version gets traffic, and changes to the plan that the settings of its model make."""

    name: str
    model: str
    version: str
    plan: dict[str, Any] = Field(default_factory=dict, json_schema_extra=_PLAN)
    begins_at: datetime | None = None
    replace: bool = False


def add_rollouts(api: FastAPI, console: Console) -> None:
    """Add the ways to act on rollouts and to read them.

    Parameters
    ----------
    api : FastAPI
    console : Console
    """
    app = console.app

    @api.get("/v1/rollouts", tags=["rollouts"])
    def list_rollouts(
        model: str | None = None, state: RolloutState | None = None
    ) -> dict[str, Any]:
        """List rollouts, the newest first."""
        return {"rollouts": [each.to_dict() for each in app.rollouts.find(model, state)]}

    @api.post("/v1/rollouts", tags=["rollouts"], status_code=201)
    def start_rollout(body: NewRollout, actor: Actor) -> dict[str, Any]:
        """Give a version the first step of its traffic, now or at `begins_at`.

        This server follows before it answers. With `replace`, a rollout of the model that is under
        way is aborted first.
        """
        rollout = app.rollouts.start(
            body.name,
            model=body.model,
            version=body.version,
            plan=app.settings.policy(body.model).rollout_plan(**body.plan),
            begins_at=body.begins_at,
            replace=body.replace,
            by=By(actor, body.reason),
        )
        return rollout.to_dict()

    @api.get("/v1/rollouts/{name}", tags=["rollouts"])
    def one_rollout(name: str) -> dict[str, Any]:
        """Tell what a rollout is, what was counted, and what the next look would decide."""
        return app.rollout_monitor.status(name).to_dict()

    @api.post("/v1/rollouts/{name}/look", tags=["rollouts"])
    async def look(name: str) -> dict[str, Any]:
        """Look at all rollouts now, not at the next time; tell what became of this one."""
        await run_in_threadpool(app.rollouts.get, name)
        status = (await console.controller.rollouts.look()).get(name)
        if status is None:
            status = await run_in_threadpool(app.rollout_monitor.status, name)
        return status.to_dict()

    @api.get("/v1/rollouts/{name}/history", tags=["rollouts"])
    def history(name: str) -> dict[str, Any]:
        """List what happened to a rollout, with who did it, why, and the evidence."""
        return {"history": plain(app.rollouts.history(name))}

    _add_changes(api, app.rollouts)


def _add_changes(api: FastAPI, rollouts: Rollouts) -> None:
    """Add what changes a rollout that is there."""

    def add(action: str, change: Callable[..., Rollout], summary: str) -> None:
        def act(name: str, body: Why, actor: Actor) -> dict[str, Any]:
            return change(name, by=By(actor, body.reason)).to_dict()

        act.__doc__, act.__name__ = summary, f"{action}_rollout"
        api.post(f"/v1/rollouts/{{name}}/{action}", tags=["rollouts"])(act)

    add("pause", rollouts.pause, "Keep the weight until the rollout is resumed.")
    add(
        "resume",
        rollouts.resume,
        "Go on; the present step begins its window and its wait again.",
    )
    add(
        "step",
        rollouts.step,
        "Go to the next step now, whatever was counted; the reason is required.",
    )
    add(
        "promote",
        rollouts.promote,
        "Put the version in production now, whatever was counted; the reason is required.",
    )
    add("abort", rollouts.abort, "Take the version back: production answers everything again.")
