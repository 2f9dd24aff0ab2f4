"""Errors as answers: one mapping from what went wrong to what an HTTP client is told."""

from collections.abc import Sequence
from typing import Any

import msgspec

from watchkeeper.access import ForbiddenError
from watchkeeper.errors import (
    ConflictError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
    WatchkeeperError,
)
from watchkeeper.registry import ModelOutputError

__all__ = [
    "Answer",
    "ErrorBody",
    "MethodNotAllowedError",
    "ModelBusyError",
    "ModelFailedError",
    "ModelRefusedInputError",
    "ModelTimedOutError",
    "ProtocolErrorBody",
    "TooLargeError",
    "UnauthorizedError",
    "UnsupportedEncodingError",
    "error_answer",
    "json_answer",
    "status_of",
]

_encode = msgspec.json.Encoder().encode

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]
"""Status, headers and body."""


class TooLargeError(WatchkeeperError, ValueError):
    """A body, or what it holds, is above a limit."""


class MethodNotAllowedError(WatchkeeperError):
    """The path does not have the method of the request.

    Parameters
    ----------
    method, path : str
        Of the request.
    allowed : str
        The method that the path has.
    """

    def __init__(self, method: str, path: str, allowed: str) -> None:
        super().__init__(f"{path} does not answer {method}; expected {allowed}")
        self.args = (method, path, allowed)
        self.allowed = allowed


class UnsupportedEncodingError(InvalidValueError):
    """The body is encoded in a way that this server does not read.

    Parameters
    ----------
    encoding : str
        What the request says of its body.
    supported : sequence of str
        What this server reads.
    """

    def __init__(self, encoding: str, supported: Sequence[str]) -> None:
        super().__init__("Content-Encoding", encoding, f"{', '.join(supported)} or none")
        self.args = (encoding, supported)
        self.supported = tuple(supported)


class UnauthorizedError(WatchkeeperError):
    """The request does not carry a key that this server knows."""


class ModelRefusedInputError(WatchkeeperError, ValueError):
    """The model itself said that it cannot take these values."""


class ModelFailedError(WatchkeeperError):
    """The model raised an error that is not about the values it was given."""


class ModelBusyError(UnavailableError):
    """The server that computes the model cannot do so now."""


class ModelTimedOutError(WatchkeeperError):
    """The model did not answer within its time limit."""


class ErrorDetails(msgspec.Struct):
    """What a client is told of an error."""

    code: str
    message: str
    hint: str
    details: dict[str, Any]


class ErrorBody(msgspec.Struct):
    """The body of an answer that is an error."""

    error: ErrorDetails


class ProtocolErrorBody(msgspec.Struct):
    """The same in the Open Inference Protocol: text alone."""

    error: str


_STATUSES: Sequence[tuple[type[WatchkeeperError], int]] = (
    (TooLargeError, 413),
    (UnauthorizedError, 401),
    (ForbiddenError, 403),
    (MethodNotAllowedError, 405),
    (UnsupportedEncodingError, 415),
    (ModelTimedOutError, 504),
    (ModelFailedError, 500),
    (ModelOutputError, 500),
    (NotFoundError, 404),
    (ConflictError, 409),
    (UnavailableError, 503),
    (IntegrityError, 503),
    (InvalidValueError, 400),
    (ModelRefusedInputError, 400),
)


def status_of(error: WatchkeeperError) -> int:
    """Return the HTTP status that tells a client what kind of thing went wrong.

    Parameters
    ----------
    error : WatchkeeperError

    Returns
    -------
    int
    """
    for family, status in _STATUSES:
        if isinstance(error, family):
            return status
    return 400 if isinstance(error, ValueError) else 500


def json_answer(body: object, status: int = 200, extra: Headers | None = None) -> Answer:
    """Return `body` as an answer in JSON.

    Parameters
    ----------
    body : object
    status : int
    extra : Headers, optional

    Returns
    -------
    Answer
    """
    data = _encode(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(data)).encode()),
        *(extra or ()),
    ]
    return status, headers, data


def error_answer(error: WatchkeeperError, *, protocol: bool = False) -> Answer:
    """Return an error as an answer.

    Parameters
    ----------
    error : WatchkeeperError
    protocol : bool
        In the shape of the Open Inference Protocol, exactly ``{"error": "text"}``.

    Returns
    -------
    Answer
    """
    body: ErrorBody | ProtocolErrorBody = ProtocolErrorBody(str(error))
    if not protocol:
        details = _jsonable(error.details())
        body = ErrorBody(ErrorDetails(error.code, error.message, error.hint, details))
    extra: Headers = []
    if isinstance(error, UnavailableError):
        extra.append((b"retry-after", str(max(1, round(error.retry_after))).encode()))
    if isinstance(error, UnauthorizedError):
        extra.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, MethodNotAllowedError):
        extra.append((b"allow", error.allowed.encode()))
    if isinstance(error, UnsupportedEncodingError):
        extra.append((b"accept-encoding", ", ".join(error.supported).encode()))
    return json_answer(body, status_of(error), extra)


def _jsonable(details: dict[str, Any]) -> dict[str, Any]:
    return msgspec.to_builtins(details, enc_hook=str)  # type: ignore[no-any-return]
