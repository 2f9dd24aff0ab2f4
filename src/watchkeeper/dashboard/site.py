"""Pages over HTTP: requests, rendering and compression; forms are checked before any change.

No page has inline scripts or styles, so its content security policy forbids both.
"""

import asyncio
import gzip
import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from watchkeeper import __version__
from watchkeeper.access import LASTS, ForbiddenError, Rights, Session
from watchkeeper.app import App
from watchkeeper.clock import system_clock
from watchkeeper.dashboard.forms import FORMS, Form, Sent
from watchkeeper.dashboard.page import Ask, Page, Running
from watchkeeper.dashboard.pages import PAGES
from watchkeeper.dashboard.rendering import STATIC, environment, static_file
from watchkeeper.dashboard.time_range import RANGES
from watchkeeper.dashboard.viewer import SESSION, ZONE, Viewer, viewer_of
from watchkeeper.errors import (
    InvalidValueError,
    NotFoundError,
    WatchkeeperError,
)
from watchkeeper.incidents import IncidentState
from watchkeeper.serving.responses import status_of

__all__ = ["add_dashboard", "is_page"]

log = logging.getLogger(__name__)

_NOTICE = "watchkeeper_said"  # cookie with the notice that the next page shows
_SECTIONS = (
    "models", "experiments", "rollouts", "shadows", "retraining", "incidents", "system",
)  # fmt: skip
_PATHS = re.compile(rf"/(?:(?:{'|'.join(_SECTIONS)}|docs|static|sign-in|sign-out|zone)(?:/.*)?)?")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_LONGEST = 1 << 20  # bytes of a form
_SHORT = 1_000  # bytes that are not worth packing


def is_page(path: str) -> bool:
    """Return whether a path belongs to the dashboard, which has its own sign-in.

    Parameters
    ----------
    path : str
        Of a request.

    Returns
    -------
    bool
    """
    return _PATHS.fullmatch(path) is not None


def add_dashboard(api: FastAPI, app: App, server: Running) -> None:
    """Add the routes of pages, forms and static files.

    Parameters
    ----------
    api : FastAPI
    app : App
    server : Running
        Says how the server fares.
    """
    site = _Site(app, server)
    for path, page in PAGES.items():
        api.router.add_route(path, site.shows(page), methods=["GET"], include_in_schema=False)
    for path, form in FORMS.items():
        api.router.add_route(path, site.does(form), methods=["POST"], include_in_schema=False)
    for path, endpoint, method in (
        ("/sign-in", site.sign_in_form, "GET"),
        ("/sign-in", site.sign_in, "POST"),
        ("/sign-out", site.sign_out, "POST"),
        ("/zone", site.set_zone, "POST"),
        ("/static/{name}", site.static, "GET"),
        ("/docs", site.shows(lambda _app, _ask: _calls(api)), "GET"),
    ):
        api.router.add_route(path, endpoint, methods=[method], include_in_schema=False)
    for section in _SECTIONS:
        path = f"/{section}/{{rest:path}}"
        api.router.add_route(path, site.shows(_no_page), methods=["GET"], include_in_schema=False)


class _Site:
    def __init__(self, app: App, server: Running) -> None:
        self._app, self._server = app, server

    def shows(self, page: Callable[[App, Ask], Page]) -> Callable[[Request], Any]:
        """Return the endpoint that shows a page."""

        async def endpoint(request: Request) -> Response:
            viewer = self._viewer(request)
            if viewer.rights is None:
                return self._to_sign_in(request)
            return await asyncio.to_thread(self._shown, request, viewer, page)

        return endpoint

    def does(self, form: Form) -> Callable[[Request], Any]:
        """Return the endpoint of a form."""

        async def endpoint(request: Request) -> Response:
            viewer = self._viewer(request)
            fields: dict[str, str] = {}
            try:
                fields = await _fields(request)
                actor = self._actor(request, viewer, fields)
                sent = Sent(request.path_params, fields, actor, self._app.clock())
                message = await asyncio.to_thread(form, self._app, sent)
            except WatchkeeperError as error:
                return self._failed(
                    request, viewer, status_of(error), error.message, error.hint, again=fields
                )
            answer = _redirect(fields.get("next") or _path(request))
            answer.set_cookie(_NOTICE, quote(message), max_age=60, httponly=True, samesite="lax")
            if actor != viewer.session.name:
                named = Session(viewer.session.id, actor, viewer.session.key, viewer.session.at)
                self._set_session(answer, request, named)
            return answer

        return endpoint

    async def sign_in_form(self, request: Request) -> Response:
        """Return the form of the sign-in page."""
        viewer = self._viewer(request)
        return self._sign_in_page(request, viewer, 200, "")

    async def sign_in(self, request: Request) -> Response:
        """Start a session for a client with a valid key, or with a name on an open server."""
        viewer = self._viewer(request)
        fields = await _fields(request)
        key, name = fields.get("key", ""), fields.get("name", "").strip()[:100]
        access = self._app.access
        if not access.is_token(fields.get("token", ""), viewer.session):
            text = "The page has expired. Send the form again."
            return self._sign_in_page(request, viewer, 403, text)
        if not name:
            return self._sign_in_page(
                request, viewer, 400, "A name is required for the audit trail."
            )
        if not access.open and access.rights_of(key) is None:
            return self._sign_in_page(request, viewer, 403, "This key is not valid.")
        answer = _redirect(fields.get("next") or "/")
        now = system_clock().timestamp()
        self._set_session(answer, request, Session.new(name, key, now=now))
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End a session."""
        viewer = self._viewer(request)
        fields = await _fields(request)
        answer = _redirect("/sign-in")
        if self._app.access.is_token(fields.get("token", ""), viewer.session):
            answer.delete_cookie(SESSION)
        return answer

    async def set_zone(self, request: Request) -> Response:
        """Tell times in another zone from now on."""
        fields = await _fields(request)
        answer = _redirect(fields.get("next") or "/")
        answer.set_cookie(ZONE, quote(fields.get("zone", "UTC"), safe="/"), max_age=365 * 86_400,
                          samesite="lax")  # fmt: skip
        return answer

    async def static(self, request: Request) -> Response:
        """Return a file that pages are made of; its address changes with its content."""
        name = request.path_params["name"]
        if name not in STATIC:
            raise NotFoundError("file", name)
        content, _ = static_file(name)
        headers = {
            **_HEADERS,
            "cache-control": "public, max-age=31536000, immutable"
            if "v" in request.query_params
            else "no-cache",
        }
        return _packed(request, content, 200, {**headers, "content-type": STATIC[name]})

    def _viewer(self, request: Request) -> Viewer:
        return viewer_of(self._app, dict(request.scope["headers"]))

    def _shown(
        self, request: Request, viewer: Viewer, page: Callable[[App, Ask], Page]
    ) -> Response:
        query = dict(request.query_params)
        now = self._app.clock()
        ask = Ask(_path(request), request.path_params, query, viewer, now, self._server)
        try:
            shown = page(self._app, ask)
            if (wanted := query.get("csv")) is not None:
                return _csv(shown, wanted)
            body = self._render(request, viewer, shown)
        except WatchkeeperError as error:
            return self._failed(request, viewer, status_of(error), error.message, error.hint)
        return self._answer(request, viewer, body, 200)

    def _render(self, request: Request, viewer: Viewer, page: Page) -> str:
        app = self._app
        query = {name: value for name, value in request.query_params.items() if name != "csv"}
        return environment().get_template(page.template).render(
            page=page,
            charts=page.charts,
            viewer=viewer,
            open_server=app.access.open,
            said=unquote(request.cookies.get(_NOTICE, "")),
            path=_path(request),
            here=_path(request) + (f"?{urlencode(query)}" if query else ""),
            query=query,
            ranges=RANGES,
            active_incidents=app.incidents.count(active=True),
            unowned=app.incidents.count(state=IncidentState.OPEN),
            environment_name=app.settings.telemetry.environment,
            version=__version__,
            **page.context,
        )  # fmt: skip

    def _failed(
        self,
        request: Request,
        viewer: Viewer,
        status: int,
        text: str,
        hint: str,
        *,
        again: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the error page, with the values of the form to send again."""
        page = Page(
            template="error.html",
            title="Request failed",
            section="",
            context={"message": text, "hint": hint, "again": dict(again or {})},
        )
        return self._answer(request, viewer, self._render(request, viewer, page), status)

    def _sign_in_page(self, request: Request, viewer: Viewer, status: int, text: str) -> Response:
        page = Page(
            template="sign_in.html",
            title="Sign in",
            section="",
            context={
                "message": text,
                "onward": _local_address(request.query_params.get("next") or "/"),
            },
        )
        return self._answer(request, viewer, self._render(request, viewer, page), status)

    def _answer(self, request: Request, viewer: Viewer, body: str, status: int) -> Response:
        content = body.encode()
        tag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
        headers = {**_HEADERS, "cache-control": "private, no-cache", "etag": tag}
        if status == 200 and request.headers.get("if-none-match") == tag and not viewer.fresh:
            return Response(status_code=304, headers=headers)
        headers["content-type"] = "text/html; charset=utf-8"
        answer = _packed(request, content, status, headers)
        if _NOTICE in request.cookies:
            answer.delete_cookie(_NOTICE)
        if viewer.fresh:
            self._set_session(answer, request, viewer.session)
        return answer

    def _set_session(self, answer: Response, request: Request, session: Session) -> None:
        answer.set_cookie(
            SESSION,
            self._app.access.signed(session),
            max_age=LASTS,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )

    def _actor(self, request: Request, viewer: Viewer, fields: Mapping[str, str]) -> str:
        """Return the actor of a form, if the key may write and the token is valid."""
        if viewer.rights is not Rights.ACT:
            raise ForbiddenError(
                "this key may read, and may not change anything", "Use another key."
            )
        origin = request.headers.get("origin", "")
        foreign = origin not in {"", "null"} and urlsplit(origin).netloc != request.url.netloc
        if foreign or not self._app.access.is_token(fields.get("token", ""), viewer.session):
            raise ForbiddenError(
                "the form did not come from a page of this session",
                "Go back, reload the page, and send it again.",
            )
        actor = (viewer.session.name or fields.get("actor", "")).strip()[:100]
        if not actor:
            raise InvalidValueError(
                "your name", actor, "the name of the actor, for the audit trail"
            )
        return actor

    def _to_sign_in(self, request: Request) -> Response:
        onward = _path(request) + (f"?{request.url.query}" if request.url.query else "")
        return _redirect(f"/sign-in?{urlencode({'next': onward})}")


def _calls(api: FastAPI) -> Page:
    from watchkeeper.dashboard.pages import api_reference as calls

    return calls.page(api.openapi())


def _no_page(_: App, ask: Ask) -> Page:
    raise NotFoundError("page", ask.path, "The overview leads to all there are.")


async def _fields(request: Request) -> dict[str, str]:
    """Return the fields of an ordinary form."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > _LONGEST:
            raise InvalidValueError("form", f"{size:,} bytes", f"at most {_LONGEST:,} bytes")
        parts.append(part)
    try:
        return dict(parse_qsl(b"".join(parts).decode(), keep_blank_values=True, max_num_fields=64))
    except (UnicodeDecodeError, ValueError):
        raise InvalidValueError("form", "bytes", "fields as a browser sends them") from None


def _csv(page: Page, name: str) -> Response:
    if name not in page.charts:
        raise NotFoundError("chart", name, f"There are {', '.join(page.charts) or 'none'}.")
    headers = {**_HEADERS, "content-disposition": f'attachment; filename="{name}.csv"'}
    content = page.charts[name].table().csv()
    return Response(content, headers=headers, media_type="text/csv; charset=utf-8")


def _packed(request: Request, content: bytes, status: int, headers: dict[str, str]) -> Response:
    headers = {**headers, "vary": "accept-encoding, cookie"}
    if len(content) > _SHORT and "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, 5, mtime=0)
        headers["content-encoding"] = "gzip"
    return Response(content, status, headers)


def _path(request: Request) -> str:
    """Return the path as it was asked for: a name in it may hold a slash, or a question mark."""
    raw: bytes | None = request.scope.get("raw_path")
    return quote(request.scope["path"]) if raw is None else raw.decode("ascii", "replace")


def _redirect(to: str) -> RedirectResponse:
    return RedirectResponse(_local_address(to), 303, headers=_HEADERS)


def _local_address(address: str) -> str:
    """Return an address of this server; one that leads away becomes the overview."""
    away = not address.startswith("/") or address.startswith(("//", "/\\")) or "\n" in address
    return "/" if away else address
