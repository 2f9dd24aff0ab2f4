"""A loaded version that predicts in a process of its own, at the lowest priority.

Mirrored traffic must not delay responses: a model that computes in this process takes the
interpreter's lock, however low its thread is in rank. So a shadow computes in another process,
which the system lets run when nothing else wants the core.
"""

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from watchkeeper.errors import UnavailableError
from watchkeeper.registry.registry import ModelRegistry
from watchkeeper.registry.runtime import Answers, Batch, ModelOutputError, Runtime

__all__ = ["ApartRuntime"]

_BACK_AFTER = 10.0  # seconds between two starts of a process that ends by itself
_LOWEST = 19
_STDERR = 2

if TYPE_CHECKING:
    _Pipe = Connection[Any, Any]
else:  # at run time it takes no parameters
    _Pipe = Connection


class ApartRuntime(Runtime):
    """One loaded version, which computes in a process of its own.

    The process ends when this is not referenced any more, or with the process that began it.

    Parameters
    ----------
    registry : ModelRegistry
        Where the process loads the version from, with all checks.
    model_id : str
    timeout : float
        Seconds after which a process that has not answered is killed.

    Attributes
    ----------
    begun : threading.Event
        Set while its process can be asked.

    Raises
    ------
    NotFoundError, IntegrityError
        As `ModelRegistry.open_runtime`: it is loaded here first, for what it is asked with.
    """

    def __init__(self, registry: ModelRegistry, model_id: str, *, timeout: float = 30.0) -> None:
        super().__init__(registry.get(model_id), registry.load_model(model_id))
        self._wanted = (str(registry.path), registry.control_url, registry.public_key, model_id)
        self._timeout = timeout
        self._turn = threading.Lock()
        self.begun = threading.Event()
        self._begin()

    @property
    def ready(self) -> bool:
        """Whether its process has loaded the version; begins another one if it has ended."""
        if self._process.poll() is not None and time.monotonic() - self._at > _BACK_AFTER:
            self._begin()
        return self.begun.is_set()

    def predict(self, batch: Batch) -> Answers:
        """Return the answers to the rows of `batch`.

        Parameters
        ----------
        batch : Batch

        Returns
        -------
        Answers

        Raises
        ------
        ModelOutputError
            If the model raised, or did not give one answer a row.
        UnavailableError
            If its process has ended.
        """
        with self._turn:
            try:
                self._pipe.send(batch)
                if not self._pipe.poll(self._timeout):
                    self._process.kill()
                answer = self._pipe.recv()
            except (EOFError, OSError) as error:
                raise UnavailableError(
                    f"the process that {self.model_id} computes in has ended",
                    "The end of its output is in the server's log; a new process is started.",
                    retry_after=_BACK_AFTER,
                ) from error
        if isinstance(answer, Answers):
            return answer
        raise ModelOutputError(str(answer))

    def _begin(self) -> None:
        self._at = time.monotonic()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,
            )
        self._pipe = _Pipe(ours.detach())
        self._pipe.send(self._wanted)
        # It holds on to nothing of this object, so that the pipe closes with the last reference.
        threading.Thread(
            target=_attend, args=(self._process, [self._pipe], self.begun), daemon=True
        ).start()


def _attend(
    process: "subprocess.Popen[bytes]", pipe: "list[_Pipe]", begun: threading.Event
) -> None:
    """Note when a process has loaded its version, and when it has ended."""
    with contextlib.suppress(EOFError, OSError):
        pipe.pop().recv()
        begun.set()
    process.wait()
    begun.clear()


def _answer(pipe: _Pipe) -> None:
    """Answer batches until the other side has ended."""
    threading.Thread(target=_end_with_the_other_side, args=(pipe.fileno(),), daemon=True).start()
    path, url, key, model_id = pipe.recv()
    with ModelRegistry(path, database_url=url, public_key=key) as registry:
        runtime = registry.open_runtime(model_id)
    pipe.send(None)  # it has loaded
    while True:
        batch = pipe.recv()
        answer: object
        try:
            answer = runtime.predict(batch)
        except Exception as error:  # noqa: BLE001 - whatever a model raises
            answer = f"{type(error).__name__}: {error}"
        pipe.send(answer)


def _end_with_the_other_side(number: int) -> None:
    """End this process, whatever it computes, when the other side has ended."""
    hung_up = select.poll()
    hung_up.register(number, 0)
    hung_up.poll()
    os._exit(0)


if __name__ == "__main__":
    os.nice(_LOWEST)
    with contextlib.suppress(EOFError, ConnectionError, KeyboardInterrupt):
        _answer(_Pipe(int(sys.argv[1])))
