"""Incidents over HTTP: reads, acknowledgement, resolution, post-mortem."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from watchkeeper.api.actor import Actor
from watchkeeper.api.console import Console
from watchkeeper.api.experiments import Body
from watchkeeper.identity import By
from watchkeeper.incidents import Incident, IncidentState
from watchkeeper.monitoring.incidents import draft
from watchkeeper.results import plain

__all__ = ["add_incidents"]


class Said(Body):
    """The text of a change of an incident: a reason, an owner, a note, or a post-mortem."""

    text: str = ""


def add_incidents(api: FastAPI, console: Console) -> None:
    """Add the ways to act on incidents and to read them.

    Parameters
    ----------
    api : FastAPI
    console : Console
    """
    app = console.app

    @api.get("/v1/incidents", tags=["incidents"])
    def list_incidents(
        model: str | None = None, state: IncidentState | None = None
    ) -> dict[str, Any]:
        """List incidents, the newest first."""
        return {"incidents": [each.to_dict() for each in app.incidents.find(model, state)]}

    @api.get("/v1/incidents/{name}", tags=["incidents"])
    def one_incident(name: str) -> dict[str, Any]:
        """Return an incident with its timeline and its assignee."""
        return app.incidents.get(name).to_dict()

    @api.get("/v1/incidents/{name}/history", tags=["incidents"])
    def history(name: str) -> dict[str, Any]:
        """List the changes of an incident, with who made them and why."""
        return {"history": plain(app.incidents.history(name))}

    @api.get("/v1/incidents/{name}/post-mortem", tags=["incidents"])
    def post_mortem(name: str) -> PlainTextResponse:
        """Return the post-mortem in Markdown: the finished one, or a draft of what is known."""
        found = app.incidents.get(name).post_mortem or draft(
            app.incidents.repository, app.events, app.audit, name, app.clock()
        )
        return PlainTextResponse(found, media_type="text/markdown")

    def add(action: str, change: Callable[..., Incident], summary: str) -> None:
        def act(name: str, body: Said, actor: Actor) -> dict[str, Any]:
            return change(name, body.text or body.reason, by=By(actor)).to_dict()

        act.__doc__, act.__name__ = summary, f"{action}_incident"
        api.post(f"/v1/incidents/{{name}}/{action}", tags=["incidents"])(act)

    incidents = app.incidents
    add("acknowledge", incidents.acknowledge, "Acknowledge an incident.")
    add("assign", incidents.assign, "Give an incident to an owner.")
    add("note", incidents.note, "Add to the timeline of an incident.")
    add("resolve", incidents.resolve, "Say that an incident is over, and why.")
    add("finish", incidents.finish, "Store the post-mortem of a resolved incident.")
