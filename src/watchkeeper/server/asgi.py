"""The server of one process as an ASGI application: the data plane itself, the rest by the console.

Requests to predict take the short way: no framework stands between the bytes and the model. All
other paths are FastAPI's, and OpenAPI describes those of the short way too.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from watchkeeper import dashboard
from watchkeeper.access import ForbiddenError, Rights, key_in
from watchkeeper.api.application import make_api
from watchkeeper.api.console import Console
from watchkeeper.app import App
from watchkeeper.jobs.controller import Controller
from watchkeeper.serving.bodies import Headers, Receive, headers_of
from watchkeeper.serving.gateway import Gateway, Scope
from watchkeeper.serving.responses import (
    Answer,
    MethodNotAllowedError,
    UnauthorizedError,
    error_answer,
)
from watchkeeper.serving.routing_table import RunningExperiments

__all__ = ["Send", "ServerApplication"]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_OPEN = frozenset(
    {
        "/v2/health/live", "/v2/health/ready", "/health/live", "/health/ready", "/ping", "/health",
        "/runbook",
    }
)  # fmt: skip


class ServerApplication:
    """Gateway, controller and console of one process.

    Parameters
    ----------
    app : App
        Its parts; the application does not close it.
    experiments : RunningExperiments, optional
        Which experiments share the traffic; by default those of the control database.

    Attributes
    ----------
    app, gateway, controller, console : App, Gateway, Controller, Console
    """

    def __init__(self, app: App, experiments: RunningExperiments | None = None) -> None:
        self.app = app
        self.gateway = Gateway(app, experiments)
        self.controller = Controller(app, self.gateway)
        self.console = Console(app, self.gateway, self.controller)
        self._api = make_api(self.console)

    async def start(self) -> None:
        """Load what is in production, and begin to follow the registry and to run the jobs."""
        await self.gateway.start()
        await self.controller.start()

    async def stop(self) -> None:
        """End what `start` began."""
        await self.controller.stop()
        await self.gateway.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        path: str = scope["path"]
        try:
            if not (self.app.access.open or path in _OPEN or dashboard.is_page(path)):
                self._require_rights(scope["method"], headers_of(scope))
            answering = self.gateway.answering(scope["method"], path)
        except (UnauthorizedError, ForbiddenError, MethodNotAllowedError) as error:
            await _respond(send, error_answer(error, protocol=path.startswith("/v2")))
            return
        if answering is None:
            await self._api(scope, receive, send)
        else:
            await _respond(send, await answering(scope, receive))

    def _require_rights(self, method: str, headers: Headers) -> None:
        """Refuse who may not do this; a user who is signed in may follow a link to the API."""
        key = key_in(headers.get(b"authorization", b"").decode("latin-1"))
        rights = self.app.access.rights_of(key) if key else None
        reading = method == "GET"
        if rights is None and reading:
            rights = dashboard.rights_in(self.app, headers)
        if rights is None:
            raise UnauthorizedError(
                "the request carries no key that this server knows",
                "Send the header Authorization: Bearer KEY.",
            )
        if rights is Rights.READ and not reading:
            raise ForbiddenError(
                f"the key of this request may only read, and {method} changes something",
                "Use one of server.api_keys.",
            )


def _without_body(send: Send) -> Send:
    """Return what sends an answer to GET as that to HEAD: the same status and headers alone."""

    async def send_head(message: MutableMapping[str, Any]) -> None:
        await send({**message, "body": b""} if "body" in message else message)

    return send_head


async def _respond(send: Send, answer: Answer) -> None:
    status, headers, body = answer
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
