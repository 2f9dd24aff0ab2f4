"""Viewer of a page: session, rights and time zone."""

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from watchkeeper.access import Rights, Session
from watchkeeper.app import App
from watchkeeper.clock import system_clock

__all__ = ["SESSION", "ZONE", "Viewer", "rights_in", "viewer_of"]

SESSION, ZONE = "watchkeeper_session", "watchkeeper_zone"
"""The cookies: who it is, and the name of their time zone."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """The user of a browser session.

    Attributes
    ----------
    session : Session
    rights : Rights or None
        None before sign-in.
    zone : ZoneInfo
        Time zone of the times on pages.
    token : str
        CSRF token of the forms.
    fresh : bool
        Whether the session has just been begun, and its cookie is to be set.
    """

    session: Session
    rights: Rights | None
    zone: ZoneInfo
    token: str
    fresh: bool

    @property
    def may_act(self) -> bool:
        """Whether they may change something."""
        return self.rights is Rights.ACT


def viewer_of(app: App, headers: Mapping[bytes, bytes]) -> Viewer:
    """Return who sent a request; a first visit begins a session.

    Parameters
    ----------
    app : App
    headers : mapping of bytes to bytes
        Names in lower case.

    Returns
    -------
    Viewer
    """
    cookies = _cookies(headers)
    session = _session(app, cookies)
    fresh = session is None
    if session is None:
        session = Session.new(now=system_clock().timestamp())
    return Viewer(
        session,
        app.access.rights_in(session),
        _zone(cookies.get(ZONE, "UTC")),
        app.access.token(session),
        fresh,
    )


def rights_in(app: App, headers: Mapping[bytes, bytes]) -> Rights | None:
    """Return what the owner of the session in a request may do; None without one.

    Parameters
    ----------
    app : App
    headers : mapping of bytes to bytes
        Names in lower case.

    Returns
    -------
    Rights or None
    """
    session = _session(app, _cookies(headers))
    return None if session is None else app.access.rights_in(session)


def _session(app: App, cookies: Mapping[str, str]) -> Session | None:
    cookie = cookies.get(SESSION)
    return None if not cookie else app.access.opened(cookie, now=system_clock().timestamp())


def _cookies(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    try:
        jar = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
