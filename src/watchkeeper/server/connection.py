"""A client's keep-alive connection to a server: all of HTTP that a load test needs, cheaply."""

import asyncio
import contextlib
from typing import Self

from watchkeeper.errors import UnavailableError, WatchkeeperError

__all__ = ["Connection", "RefusedError"]


class RefusedError(WatchkeeperError):
    """The server did not answer a request with 2xx."""

    def __init__(self, path: str, status: int, body: str) -> None:
        super().__init__(f"the server answered {status} to {path}: {body[:300]}")
        self.args = (path, status, body)
        self.path, self.status = path, status


class Connection:
    """One HTTP/1.1 connection to `host` and `port`; one request at a time.

    Parameters
    ----------
    reader : asyncio.StreamReader
    writer : asyncio.StreamWriter
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        """Connect.

        Parameters
        ----------
        host : str
        port : int

        Returns
        -------
        Connection

        Raises
        ------
        OSError
            If no server listens.
        """
        return cls(*await asyncio.open_connection(host, port))

    async def send(self, path: str, body: bytes = b"", method: str = "POST") -> bytes:
        """Send a request with a JSON `body` and return the body of the answer.

        Parameters
        ----------
        path : str
        body : bytes
            JSON.
        method : str

        Returns
        -------
        bytes
            The body of the answer.

        Raises
        ------
        RefusedError
            If the answer is not 2xx.
        UnavailableError
            If the server hung up.
        """
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: watchkeeper\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            self._writer.write(head.encode() + body)
            answer = await self._reader.readuntil(b"\r\n\r\n")
            status, length = _read_head(answer)
            content = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise UnavailableError(f"the server hung up on {path}") from error
        if not 200 <= status < 300:
            raise RefusedError(path, status, content.decode(errors="replace"))
        return content

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):  # it is to be gone, and it is
            await self._writer.wait_closed()


def _read_head(head: bytes) -> tuple[int, int]:
    """Return the status of an answer and the length of its body."""
    lines = head.lower().split(b"\r\n")
    length = next(
        (int(line[15:]) for line in lines if line.startswith(b"content-length:")),
        0,
    )
    return int(lines[0].split(b" ", 2)[1]), length
