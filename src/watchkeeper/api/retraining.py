"""Retraining over HTTP: asked for, looked at, aborted."""

from typing import Any, NoReturn

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse

from watchkeeper.api.actor import Actor
from watchkeeper.api.console import Console
from watchkeeper.api.experiments import Body, Why
from watchkeeper.app import App
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.identity import By
from watchkeeper.results import plain
from watchkeeper.retraining import RunState

__all__ = ["add_retraining"]


class NewRun(Body):
    """Which model is to be trained."""

    model: str


class CheckRequest(Body):
    """Which model is to be looked at."""

    model: str


def add_retraining(api: FastAPI, console: Console) -> None:
    """Add the ways to ask for retrainings and to read them.

    Parameters
    ----------
    api : FastAPI
    console : Console
    """
    app = console.app

    @api.get("/v1/retraining/runs", tags=["retraining"])
    def list_runs(model: str | None = None, state: RunState | None = None) -> dict[str, Any]:
        """List retrainings, the newest first."""
        return {"runs": [each.to_dict() for each in app.retraining.find(model, state)]}

    @api.post("/v1/retraining/runs", tags=["retraining"], status_code=202)
    def start_run(body: NewRun, actor: Actor) -> dict[str, Any]:
        """Decide that a model is trained now; a server begins within seconds."""
        return app.retraining.request(body.model, by=By(actor, body.reason)).to_dict()

    @api.post("/v1/retraining/look", tags=["retraining"])
    async def look(body: CheckRequest) -> dict[str, Any]:
        """Look at a model now, and answer when what came of it has ended."""
        status = (await console.controller.retraining.look(body.model)).get(body.model)
        if status is None:
            status = await run_in_threadpool(app.retraining_monitor.view, body.model)
        return status.to_dict()

    @api.get("/v1/retraining/check", tags=["retraining"])
    def check(model: str) -> dict[str, Any]:
        """Tell what would be decided of a model now, were its retraining enabled."""
        return app.retraining_monitor.view(model).to_dict()

    @api.get("/v1/retraining/runs/{name}", tags=["retraining"])
    def one_run(name: str) -> dict[str, Any]:
        """Tell why a retraining was decided, what was trained, and what the gate said."""
        return app.retraining.get(name).to_dict()

    @api.get("/v1/retraining/runs/{name}/history", tags=["retraining"])
    def history(name: str) -> dict[str, Any]:
        """List what happened to a retraining, with who did it, why, and the evidence."""
        return {"history": plain(app.retraining.history(name))}

    @api.get("/v1/retraining/runs/{name}/log", tags=["retraining"])
    def log(name: str) -> PlainTextResponse:
        """Return what the trainer has printed."""
        return PlainTextResponse(app.retraining_monitor.log(name))

    @api.post("/v1/retraining/runs/{name}/abort", tags=["retraining"])
    def abort_run(name: str, body: Why, actor: Actor) -> dict[str, Any]:
        """Abort a retraining run; its training ends within seconds, wherever it runs."""
        return app.retraining.abort(name, by=By(actor, body.reason)).to_dict()

    @api.post("/v1/retraining/runs/{name}/cancel", include_in_schema=False, response_model=None)
    def cancel_run(name: str) -> NoReturn:
        """Refuse the path of before 0.2.0."""
        path = f"/v1/retraining/runs/{name}"
        raise NotFoundError("path", f"{path}/cancel", f"It is now {path}/abort.")

    _add_history(api, app)


def _add_history(api: FastAPI, app: App) -> None:
    """Add the ways to read the history of a model, and to compute its decisions again."""

    @api.get("/v1/models/{model}/history", tags=["models"])
    def model_history(model: str, everything: bool = False, limit: int = 200) -> dict[str, Any]:
        """List what happened to a model, as records that name those they came of."""
        if not 1 <= limit <= 10_000:
            raise InvalidValueError("limit", limit, "between 1 and 10000")
        found = app.history.records(model, everything=everything, limit=limit)
        return {"history": [each.to_dict() for each in found]}

    @api.get("/v1/models/{model}/history/{record:path}", tags=["models"])
    def replay(model: str, record: str) -> dict[str, Any]:
        """Make a decision again from what is stored, and tell whether it is the same."""
        if app.history.model_of(record) != model:
            raise NotFoundError("record", record, f"It is not of {model}.")
        return app.replays.replay(record).to_dict()
