"""Request bodies: read whole or spooled to disk, decompressed, never beyond their limit."""

import tempfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import IO, Any

import msgspec

from watchkeeper.errors import InvalidValueError, UnavailableError
from watchkeeper.serving.responses import TooLargeError, UnsupportedEncodingError

__all__ = ["Headers", "Receive", "decode_json", "headers_of", "read_body", "spool_body"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = Mapping[bytes, bytes]

_IN_MEMORY = 4 << 20  # bytes of an ingest body before it goes to a temporary file
_ZLIB_OR_GZIP, _GZIP = 47, 31  # zlib's `wbits`; the first tells the two apart by itself
_GZIP_BEGINS = b"\x1f"
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
    UnsupportedEncodingError
        If its encoding is unknown.
    InvalidValueError
        If its compressed bytes are damaged.
    """
    inflater = _inflater(headers)
    _require_announced(headers, limit)
    parts: list[bytes] = []
    size = 0
    async for part in _parts(receive, limit):
        plain = part if inflater is None else inflater.plain(part, limit - size)
        parts.append(plain)
        size += len(plain)
        if size > limit:
            raise _too_large(limit)
    if inflater is not None:
        inflater.require_whole()
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
    TooLargeError, UnsupportedEncodingError, InvalidValueError
        As `read_body`.
    UnavailableError
        If it cannot be written to disk.
    """
    inflater = _inflater(headers)
    _require_announced(headers, limit)
    file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - the caller closes it
    size = 0
    try:
        async for part in _parts(receive, limit):
            plain = part if inflater is None else inflater.plain(part, limit - size)
            size += len(plain)
            if size > limit:
                raise _too_large(limit)
            file.write(plain)
        if inflater is not None:
            inflater.require_whole()
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


async def _parts(receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """Yield what arrives, of which there are at most `limit` bytes."""
    more = True
    size = 0
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client went away while it was sending")
        more = message.get("more_body", False)
        if part := message.get("body", b""):
            size += len(part)
            if size > limit:
                raise _too_large(limit)
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


def _inflater(headers: Headers) -> "_Inflater | None":
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding in {b"", b"identity"}:
        return None
    if encoding in {b"gzip", b"x-gzip", b"deflate"}:
        return _Inflater()
    raise UnsupportedEncodingError(encoding.decode("latin-1"), ("gzip", "deflate"))


class _Inflater:
    """Decompresses a body that arrives in parts: a zlib stream, or gzip members one after another.

    Bytes after the end that begin no gzip member are damage.
    """

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=_ZLIB_OR_GZIP)
        self._begun = False  # whether bytes of this stream have arrived
        self._members = False  # whether it is gzip, of which more may follow

    def plain(self, part: bytes, room: int) -> bytes:
        """Return what `part` says, of which one byte more than `room` at most."""
        texts: list[bytes] = []
        room = max(room, 0) + 1
        while part and room:
            if self._stream.eof:
                self._begin_member()
            if not self._begun:
                self._begun = True
                self._members = part[:1] == _GZIP_BEGINS
            try:
                text = self._stream.decompress(part, room)
            except zlib.error as error:
                raise InvalidValueError(
                    "body", "bytes", f"gzip or deflate data ({error})"
                ) from None
            texts.append(text)
            room -= len(text)
            part = self._stream.unused_data
        return b"".join(texts)

    def require_whole(self) -> None:
        """Refuse a body that was cut short."""
        if not self._stream.eof:
            raise InvalidValueError("body", "compressed bytes", "a whole gzip or deflate stream")

    def _begin_member(self) -> None:
        if not self._members:
            raise InvalidValueError(
                "body", "bytes after the end of its deflate stream", "no bytes after its end"
            )
        self._stream = zlib.decompressobj(wbits=_GZIP)
