"""Incidents over HTTP: read, taken in hand, resolved, learned from."""

from typing import Any

from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from watchkeeper.api.console import Console
from watchkeeper.api.experiments import ACTOR, Body
from watchkeeper.incidents import IncidentState
from watchkeeper.operations import incidents
from watchkeeper.results import plain

__all__ = ["add_incidents"]


class Said(Body):
    """What somebody says of an incident: a reason, an owner, a note, or a post-mortem."""

    text: str = ""


def add_incidents(api: FastAPI, console: Console) -> None:
    """Add the ways to act on incidents and to read them."""
    app = console.app

    @api.get("/v1/incidents", tags=["incidents"])
    def list_incidents(
        model: str | None = None, state: IncidentState | None = None
    ) -> dict[str, Any]:
        """List incidents, the newest first."""
        return {"incidents": [each.to_dict() for each in app.incidents.find(model, state)]}

    @api.get("/v1/incidents/{name}", tags=["incidents"])
    def one_incident(name: str) -> dict[str, Any]:
        """Tell what happened in an incident, and who has it in hand."""
        return app.incidents.get(name).to_dict()

    @api.get("/v1/incidents/{name}/history", tags=["incidents"])
    def history(name: str) -> dict[str, Any]:
        """List the changes of an incident, with who made them and why."""
        return {"history": plain(app.incidents.history(name))}

    @api.get("/v1/incidents/{name}/post-mortem", tags=["incidents"])
    def post_mortem(name: str) -> PlainTextResponse:
        """Return the post-mortem in Markdown: the finished one, or a draft of what is known."""
        found = app.incidents.get(name).post_mortem or incidents.draft(
            app.incidents, app.events, app.audit, name, app.clock()
        )
        return PlainTextResponse(found, media_type="text/markdown")

    def add(action: str, told: str) -> None:
        async def act(name: str, body: Said) -> dict[str, Any]:
            found = await console.acting.incident(
                name, action, body.text or body.reason, actor=ACTOR
            )
            return found.to_dict()

        act.__doc__, act.__name__ = told, f"{action}_incident"
        api.post(f"/v1/incidents/{{name}}/{action}", tags=["incidents"])(act)

    add("acknowledge", "Take an incident in hand.")
    add("assign", "Give an incident to an owner.")
    add("note", "Add to the timeline of an incident.")
    add("resolve", "Say that an incident is over, and why.")
    add("finish", "Keep the post-mortem of an incident that is over.")
