"""Who may do what: keys by their digest, and sessions of browsers that gave one.

>>> access = Access(act=["secret"], read=["sha256:" + digest("guest")], secret=b"0" * 32)
>>> access.rights_of("secret"), access.rights_of("guest"), access.rights_of("wrong")
(<Rights.ACT: 'act'>, <Rights.READ: 'read'>, None)
>>> access.actor_of("secret"), Access([], [], secret=b"").actor_of("")
('key:2bb80d53', 'api')
>>> cookie = access.signed(Session(id="4f", name="maria", key=digest("guest"), at=1_800_000_000))
>>> access.opened(cookie, now=1_800_000_060).name
'maria'
>>> access.opened("A" + cookie[1:], now=1_800_000_060) is None  # not what was signed
True
"""

import base64
import hmac
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from watchkeeper.durable import sync
from watchkeeper.errors import WatchkeeperError

__all__ = ["Access", "ForbiddenError", "Rights", "Session", "digest", "kept_secret", "key_in"]

LASTS = 7 * 86_400
"""Seconds for which a session holds."""

_SECRET_BYTES = 32


class ForbiddenError(WatchkeeperError):
    """It is known who asks, and they may not do this."""


class Rights(StrEnum):
    """What a key permits."""

    ACT = "act"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Session:
    """A person at a browser.

    Attributes
    ----------
    id : str
        Made anew at each sign-in.
    name : str
        Who they say they are, for the audit trail; empty until they have said it.
    key : str
        Digest of the key that they gave; empty where none is asked for.
    at : int
        When it began, in seconds since the Unix epoch.
    """

    id: str
    name: str
    key: str
    at: int

    @classmethod
    def new(cls, name: str = "", key: str = "", *, now: float) -> "Session":
        """Return one that cannot be guessed.

        Parameters
        ----------
        name : str
            Of the person, as the audit trail tells it.
        key : str
            The API key that was signed in with; only its digest is stored.
        now : float
            Seconds since 1970.

        Returns
        -------
        Session
        """
        return cls(secrets.token_hex(16), name, key and digest(key), int(now))


class Access:
    """The keys of a server, and the sessions that were begun with them.

    Parameters
    ----------
    act, read : iterable of str
        Keys, or ``sha256:`` and their digest, of those who may do everything and of those who may
        only read.
    secret : bytes
        What sessions are signed with.
    """

    def __init__(self, act: Iterable[str], read: Iterable[str], *, secret: bytes) -> None:
        self._rights = {
            **{_digest_of(key): Rights.READ for key in read},
            **{_digest_of(key): Rights.ACT for key in act},
        }
        self._secret = secret

    @property
    def open(self) -> bool:
        """Whether there are no keys: then every client may do everything."""
        return not self._rights

    def rights_of(self, key: str) -> Rights | None:
        """Return what the owner of a key may do; None if this server does not know it.

        Parameters
        ----------
        key : str

        Returns
        -------
        Rights or None
        """
        return self._of_digest(digest(key))

    def actor_of(self, key: str) -> str:
        """Return the name of the owner of a key in the audit trail.

        It is ``key:`` and the first eight digits of the key's digest, so that two keys are two
        actors. Where no key is asked for, every request is of the same actor, ``api``.

        Parameters
        ----------
        key : str

        Returns
        -------
        str
        """
        return "api" if self.open else f"key:{digest(key)[:8]}"

    def rights_in(self, session: Session) -> Rights | None:
        """Return what a person may do now: a key that was taken away ends its sessions.

        Parameters
        ----------
        session : Session

        Returns
        -------
        Rights or None
        """
        return Rights.ACT if self.open else self._of_digest(session.key)

    def signed(self, session: Session) -> str:
        """Return a session as a cookie holds it.

        Parameters
        ----------
        session : Session

        Returns
        -------
        str
        """
        told = base64.urlsafe_b64encode(json.dumps(asdict(session)).encode()).decode()
        return f"{told}.{self._mac('session', told)}"

    def opened(self, cookie: str, *, now: float) -> Session | None:
        """Return the session in a cookie; None if it was not signed here, or is too old.

        Parameters
        ----------
        cookie : str
        now : float
            Seconds since 1970.

        Returns
        -------
        Session or None
        """
        told, _, mac = cookie.partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac("session", told).encode()):
            return None
        session = Session(**json.loads(base64.urlsafe_b64decode(told)))
        return session if now - session.at < LASTS else None

    def token(self, session: Session) -> str:
        """Return what a form of this session carries, so that no other site can send it.

        Parameters
        ----------
        session : Session

        Returns
        -------
        str
        """
        return self._mac("form", session.id)

    def is_token(self, token: str, session: Session) -> bool:
        """Return whether a form came from a page of this session.

        Parameters
        ----------
        token : str
        session : Session

        Returns
        -------
        bool
        """
        return hmac.compare_digest(token.encode(), self.token(session).encode())

    def _of_digest(self, given: str) -> Rights | None:
        found = None
        for known, rights in self._rights.items():  # all of them, so that time tells nothing
            if hmac.compare_digest(given, known):
                found = rights
        return found

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"{purpose}\x1f{text}".encode(), sha256).hexdigest()


def digest(key: str) -> str:
    """Return what keys are compared by; settings may hold that instead of the key itself.

    Parameters
    ----------
    key : str

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.
    """
    return sha256(key.encode()).hexdigest()


def key_in(authorization: str) -> str:
    """Return the key in an ``Authorization`` header; empty if there is none.

    Parameters
    ----------
    authorization : str

    Returns
    -------
    str

    Examples
    --------
    >>> key_in("Bearer secret"), key_in("Basic dXNlcg==")
    ('secret', '')
    """
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def kept_secret(path: Path) -> bytes:
    """Return the secret in a file that only its owner reads, made by the first process.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bytes
    """
    while True:
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            found = b""
        if len(found) == _SECRET_BYTES:
            return found
        partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
        sync(partial)
        try:
            path.hardlink_to(partial)  # fails where another process was faster
        except FileExistsError:
            if path.stat().st_size != _SECRET_BYTES:
                partial.replace(path)
        partial.unlink(missing_ok=True)


def _digest_of(key: str) -> str:
    if key.startswith("sha256:"):
        return key.removeprefix("sha256:").lower()
    return digest(key)
