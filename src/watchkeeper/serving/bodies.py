"""Request bodies: read whole or spooled to disk, decompressed, never beyond their limit."""

import tempfile
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import IO, Any

import msgspec

from watchkeeper.errors import InvalidValueError, UnavailableError
from watchkeeper.serving.responses import TooLargeError

__all__ = ["Headers", "Receive", "decode_json", "headers_of", "read_body", "spool_body"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = Mapping[bytes, bytes]

_IN_MEMORY = 4 << 20  # bytes of an ingest body before it goes to a temporary file
_decoder = msgspec.json.Decoder()


def headers_of(scope: Mapping[str, Any]) -> Headers:
    """Return the headers of a request by their lower-case names; of repeated ones the last.

    Parameters
    ----------
    scope : mapping of str to object

    Returns
    -------
    Headers
    """
    return dict(scope["headers"])


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """Return a request's body, decompressed.

    Parameters
    ----------
    receive : Receive
    headers : Headers
        Of the request, names in lower case.
    limit : int

    Returns
    -------
    bytes

    Raises
    ------
    TooLargeError
        If it is above `limit` bytes, compressed or not.
    InvalidValueError
        If its encoding is unknown or its compressed bytes are damaged.
    """
    inflate = _inflater(headers)
    _require_announced(headers, limit)
    parts: list[bytes] = []
    size = 0
    async for part in _parts(receive):
        plain = part if inflate is None else _inflated(inflate, part, limit - size)
        parts.append(plain)
        size += len(plain)
        if size > limit:
            raise _too_large(limit)
    _require_whole(inflate)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def spool_body(receive: Receive, headers: Headers, limit: int) -> IO[bytes]:
    """Return a request's body as a file, in memory while it is small.

    Parameters
    ----------
    receive : Receive
    headers : Headers
        Of the request, names in lower case.
    limit : int

    Returns
    -------
    IO[bytes]

    Raises
    ------
    TooLargeError, InvalidValueError
        As `read_body`.
    UnavailableError
        If it cannot be written to disk.
    """
    inflate = _inflater(headers)
    _require_announced(headers, limit)
    file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - the caller closes it
    size = 0
    try:
        async for part in _parts(receive):
            plain = part if inflate is None else _inflated(inflate, part, limit - size)
            size += len(plain)
            if size > limit:
                raise _too_large(limit)
            file.write(plain)
        _require_whole(inflate)
    except OSError as error:
        file.close()
        raise UnavailableError(
            f"the body cannot be spooled: {error.strerror}", "Free disk space."
        ) from error
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def decode_json(body: bytes, decoder: "msgspec.json.Decoder[Any]" = _decoder) -> Any:
    """Return what a JSON body says.

    Parameters
    ----------
    body : bytes
    decoder : msgspec.json.Decoder

    Returns
    -------
    object

    Raises
    ------
    InvalidValueError
        If it is not JSON (NaN and infinities are not), nested too deep, or of another shape.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".") or "body"
        raise InvalidValueError(
            field, _beginning(body), message[:1].lower() + message[1:]
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidValueError("body", _beginning(body), f"JSON ({error})") from None
    except RecursionError:
        raise InvalidValueError(
            "body", _beginning(body), "JSON that is not nested so deep"
        ) from None


def _beginning(body: bytes) -> str:
    return body[:60].decode(errors="replace")


async def _parts(receive: Receive) -> Any:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client went away while it was sending")
        more = message.get("more_body", False)
        if part := message.get("body", b""):
            yield part


def _require_announced(headers: Headers, limit: int) -> None:
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(
        f"the body is larger than {limit} bytes",
        "Send several smaller requests, or raise the server's limit.",
    )


def _inflater(headers: Headers) -> Any:
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding in {b"", b"identity"}:
        return None
    if encoding in {b"gzip", b"x-gzip", b"deflate"}:
        return zlib.decompressobj(wbits=47)  # tells gzip and zlib apart by itself
    raise InvalidValueError("Content-Encoding", encoding.decode("latin-1"), "gzip, deflate or none")


def _inflated(inflate: Any, part: bytes, room: int) -> bytes:
    try:
        plain: bytes = inflate.decompress(part, max(room, 0) + 1)
    except zlib.error as error:
        raise InvalidValueError("body", "bytes", f"gzip or deflate data ({error})") from None
    return plain


def _require_whole(inflate: Any) -> None:
    if inflate is not None and not inflate.eof:
        raise InvalidValueError("body", "compressed bytes", "a whole gzip or deflate stream")
