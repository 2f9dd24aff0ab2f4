"""A model that another server computes: it speaks Open Inference Protocol or MLflow scoring.

The version keeps where it is and how it is asked; its bytes are the other server's business.
"""

import http.client
import json
import os
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from watchkeeper.errors import InvalidValueError, UnavailableError, WatchkeeperError
from watchkeeper.results import Result

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Protocol", "Remote", "RemoteAnswerError", "RemoteModel"]

_BUSY = (http.client.TOO_MANY_REQUESTS, http.client.SERVICE_UNAVAILABLE)

Protocol = Literal["v2", "mlflow"]


class RemoteAnswerError(WatchkeeperError):
    """Another server did not answer with predictions."""


@dataclass(frozen=True, slots=True)
class Remote(Result):
    """Where a model is computed, and how it is asked.

    Attributes
    ----------
    url : str
        Of the server, such as ``https://models.example.com``; for ``mlflow`` without
        ``/invocations``.
    protocol : {"v2", "mlflow"}
        Open Inference Protocol, or MLflow's scoring.
    model : str
        What it is called there; ``v2`` needs it, and takes ``NAME/versions/VERSION`` as well.
    timeout : float
        Seconds to wait for an answer.
    token_env : str
        Environment variable that holds a bearer token; secrets are not kept in a registry.

    Raises
    ------
    InvalidValueError
        If no server can be asked so.
    """

    url: str
    protocol: Protocol = "v2"
    model: str = ""
    timeout: float = 30.0
    token_env: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidValueError(
                "url", self.url, "an address such as https://models.example.com"
            )
        if self.protocol not in get_args(Protocol):
            raise InvalidValueError("protocol", self.protocol, "v2 or mlflow")
        if self.protocol == "v2" and not self.model:
            raise InvalidValueError("model", self.model, "what the model is called on that server")
        if not self.timeout > 0:
            raise InvalidValueError("timeout", self.timeout, "seconds above 0")

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Return what `to_json` wrote.

        Parameters
        ----------
        data : bytes
            As `to_json` returned it.

        Returns
        -------
        Remote

        Raises
        ------
        InvalidValueError
            If it is something else.
        """
        names = {field.name for field in fields(cls)}
        try:
            described = json.loads(data)
            return cls(**described)
        except (ValueError, TypeError) as error:
            if isinstance(error, InvalidValueError):
                raise
            raise InvalidValueError(
                "remote model", data[:100].decode(errors="replace"),
                f"a JSON object with url, and any of {', '.join(sorted(names - {'url'}))}",
            ) from None  # fmt: skip


class RemoteModel:
    """A client of a remote model; idle connections stay open for the next request.

    Parameters
    ----------
    remote : Remote
    """

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._at = urlsplit(remote.url)
        self._idle: deque[http.client.HTTPConnection] = deque()
        weakref.finalize(self, _close, self._idle)

    def predict(
        self, batch: "npt.NDArray[np.float64] | Mapping[str, Sequence[Any]]", names: Sequence[str]
    ) -> "tuple[npt.NDArray[Any], npt.NDArray[np.float64] | None]":
        """Return predictions, and the probabilities of the classes where the server tells them.

        Parameters
        ----------
        batch : numpy.ndarray of shape (n, k), or mapping of n values a column
        names : sequence of str
            Of the columns of a matrix.

        Returns
        -------
        tuple of (numpy.ndarray, numpy.ndarray of float or None)

        Raises
        ------
        RemoteAnswerError
            If the server answered with something else.
        UnavailableError
            If it cannot be reached, took too long, or says that it is busy.
        """
        import numpy as np

        if self.remote.protocol == "v2":
            return self._v2(batch)
        columns = names if isinstance(batch, np.ndarray) else list(batch)
        if isinstance(batch, np.ndarray):
            rows = [_values(row) for row in batch]
        else:
            rows = [list(row) for row in zip(*map(_values, batch.values()), strict=True)]
        body = {"dataframe_split": {"columns": list(columns), "data": rows}}
        answer = self._ask("/invocations", body)
        return self._array(answer.get("predictions")), None

    def _v2(self, batch: Any) -> "tuple[npt.NDArray[Any], npt.NDArray[np.float64] | None]":
        import numpy as np

        if isinstance(batch, np.ndarray):
            inputs = [_tensor("input-0", batch)]
        else:
            inputs = [_tensor(name, np.asarray(values)) for name, values in batch.items()]
        answer = self._ask(f"/v2/models/{self.remote.model}/infer", {"inputs": inputs})
        arrays: dict[str, npt.NDArray[Any]] = {}
        for output in answer.get("outputs") or ():
            arrays[output["name"]] = self._array(output.get("data")).reshape(
                output.get("shape", -1)
            )
        if not arrays:
            raise RemoteAnswerError(f"{self.remote.url} answered without outputs")
        probabilities = arrays.pop("predict_proba", None)
        if not arrays:
            raise RemoteAnswerError(f"{self.remote.url} answered without predictions")
        return arrays.get("predict", next(iter(arrays.values()))), probabilities

    def _array(self, values: object) -> "npt.NDArray[Any]":
        import numpy as np

        if not isinstance(values, list):
            raise RemoteAnswerError(
                f"{self.remote.url} answered with {type(values).__name__} where a list of "
                "predictions is expected"
            )
        return np.asarray(values)

    def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        token = os.environ.get(self.remote.token_env, "") if self.remote.token_env else ""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = json.dumps(body, allow_nan=False).encode()
        path = self._at.path.rstrip("/") + path
        connection = _popped(self._idle)
        try:
            status, retry_after, content = self._send(
                connection or self._open(), path, data, headers
            )
        except OSError as error:
            if connection is None or not isinstance(error, ConnectionError):
                raise self._unreachable(error) from error
            try:  # it was kept open, and the server has closed it meanwhile
                status, retry_after, content = self._send(self._open(), path, data, headers)
            except OSError as again:
                raise self._unreachable(again) from again
        if status in _BUSY:
            raise UnavailableError(
                f"{self.remote.url} answered {status}, that it is busy",
                "Send the request again later.",
                retry_after=retry_after,
            )
        if status != http.client.OK:
            excerpt = content[:300].decode(errors="replace")
            raise RemoteAnswerError(f"{self.remote.url} answered {status}: {excerpt}")
        try:
            answer = json.loads(content)
        except ValueError as error:
            raise RemoteAnswerError(f"{self.remote.url} answered with no JSON") from error
        if not isinstance(answer, dict):
            raise RemoteAnswerError(f"{self.remote.url} answered with no JSON object")
        return answer

    def _open(self) -> http.client.HTTPConnection:
        secure = self._at.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(str(self._at.hostname), self._at.port, timeout=self.remote.timeout)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        data: bytes,
        headers: Mapping[str, str],
    ) -> tuple[int, float, bytes]:
        try:
            connection.request("POST", path, data, headers)
            answer = connection.getresponse()
            content = answer.read()
        except http.client.HTTPException as error:
            connection.close()
            raise ConnectionError(f"{type(error).__name__} {error}") from error
        except OSError:
            connection.close()
            raise
        self._idle.append(connection)
        return answer.status, _seconds(answer.getheader("Retry-After")), content

    def _unreachable(self, error: OSError) -> UnavailableError:
        return UnavailableError(
            f"{self.remote.url} cannot be asked: {error}",
            "The model is computed there; see whether that server runs.",
        )


def _popped(
    connections: "deque[http.client.HTTPConnection]",
) -> http.client.HTTPConnection | None:
    try:
        return connections.pop()
    except IndexError:  # all are in use
        return None


def _close(connections: "deque[http.client.HTTPConnection]") -> None:
    for connection in connections:
        connection.close()


def _tensor(name: str, values: "npt.NDArray[Any]") -> dict[str, Any]:
    datatype = {"b": "BOOL", "i": "INT64", "u": "INT64", "f": "FP64"}.get(
        values.dtype.kind, "BYTES"
    )
    return {
        "name": name,
        "datatype": datatype,
        "shape": list(values.shape),
        "data": _values(values.ravel()),
    }


def _values(column: Any) -> list[Any]:
    """Return the values of a column as JSON has them: what is missing is null."""
    import numpy as np

    values = np.asarray(column, dtype=object).tolist()
    return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN is not itself


def _seconds(header: str | None) -> float:
    """Return after how many seconds to ask again; 1 where the header has no number of them."""
    return float(header) if header is not None and header.isdecimal() else 1.0
