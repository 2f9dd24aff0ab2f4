"""Batching: what waits is computed together, without a timer.

Each batcher has a thread. While it computes, items gather; when it is done, it takes all that
wait. A lone item is computed at once. A computation that does not end in time is cut off: its
callers are answered, its thread is left behind, and a new one goes on with those who wait.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from watchkeeper.background import Worker
from watchkeeper.errors import UnavailableError

__all__ = ["Batcher"]

_MOST_ABANDONED = 3  # threads that never came back, before a model counts as stuck

Item = TypeVar("Item")
Computed = TypeVar("Computed")
Answered = TypeVar("Answered")


@dataclass(slots=True)
class _Lane(Generic[Item]):
    """One thread and what it is at."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    batch: "list[_Waiting[Item]]" = field(default_factory=list)
    since: float = 0.0
    cut_off: bool = False


@dataclass(slots=True)
class _Waiting(Generic[Item]):
    item: Item
    future: "asyncio.Future[object]"
    since: float


class Batcher(Generic[Item, Computed, Answered]):
    """Computes items in batches, in a thread of its own.

    Parameters
    ----------
    name : str
        Of the thread.
    compute : callable
        Items to as many results; may hang. Runs in the thread.
    finish : callable
        Items and their results to answers; must not hang. Runs in the thread.
    timed_out : callable
        Items to answers for those that took too long. Runs in the event loop.
    size : callable
        Rows of an item.
    max_rows : int
        Rows after which a batch takes no further item.
    timeout : float
        Seconds until a computation is cut off.
    """

    def __init__(
        self,
        name: str,
        *,
        compute: Callable[[Sequence[Item]], Sequence[Computed]],
        finish: Callable[[Sequence[Item], Sequence[Computed]], Sequence[Answered]],
        timed_out: Callable[[Sequence[Item]], Sequence[Answered]],
        size: Callable[[Item], int],
        max_rows: int,
        timeout: float,
    ) -> None:
        self._name = name
        self._compute, self._finish, self._timed_out = compute, finish, timed_out
        self._size, self._max_rows, self._timeout = size, max_rows, timeout
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting[Item] | None] = queue.SimpleQueue()
        self._abandoned = 0
        self._start()

    @property
    def stuck(self) -> bool:
        """Whether so many computations never came back that no more are begun."""
        return self._abandoned >= _MOST_ABANDONED

    @property
    def death(self) -> str:
        """The error that ended the thread that computes; empty while it runs."""
        return self._worker.death

    def submit(self, item: Item) -> "asyncio.Future[Answered]":
        """Return a future of the answer to `item`.

        Parameters
        ----------
        item : Item

        Returns
        -------
        asyncio.Future[Answered]

        Raises
        ------
        UnavailableError
            If the batcher is stuck.
        """
        if self.stuck:
            raise UnavailableError(
                f"{self._name} has {self._abandoned} calls that never returned",
                "The model serves again when one returns; restart the server if none does.",
                retry_after=5.0,
            )
        future: asyncio.Future[Answered] = self._loop.create_future()
        self._queue.put(_Waiting(item, future, time.monotonic()))  # type: ignore[arg-type]
        return future

    def check(self) -> None:
        """Cut off what has taken too long; to be called now and then from the event loop."""
        lane = self._lane
        with lane.lock:
            late = bool(lane.batch) and time.monotonic() - lane.since > self._timeout
            if late:
                lane.cut_off = True
                batch = lane.batch
        if late:
            self._abandoned += 1
            self._start()
            self._deliver(batch, self._timed_out([entry.item for entry in batch]))

    def close(self) -> None:
        """Let the thread end after what waits now."""
        self._queue.put(None)

    def _start(self) -> None:
        self._lane: _Lane[Item] = _Lane()
        self._worker = Worker(name=self._name, target=partial(self._work, self._lane))
        self._worker.start()

    def _work(self, lane: _Lane[Item]) -> None:
        while (first := self._queue.get()) is not None:
            batch, closing = self._gather(first)
            with lane.lock:
                lane.batch, lane.since = batch, time.monotonic()
            try:
                self._answer(lane, batch)
            except Exception as error:  # noqa: BLE001 - who waits must hear of it, whatever it is
                self._tell(self._fail, batch, error)
            with lane.lock:
                lane.batch = []
            if lane.cut_off:
                self._tell(self._returned)
                return
            if closing:
                return

    def _answer(self, lane: _Lane[Item], batch: list[_Waiting[Item]]) -> None:
        in_time = [entry for entry in batch if lane.since - entry.since <= self._timeout]
        late = [entry for entry in batch if lane.since - entry.since > self._timeout]
        if late:
            self._tell(self._expire, late)
        if not in_time:
            return
        items = [entry.item for entry in in_time]
        results = self._compute(items)
        with lane.lock:
            if lane.cut_off:
                return  # its callers have been answered
            lane.batch = []
        self._tell(self._deliver, in_time, self._finish(items, results))

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        """Run a callback in the event loop, unless that has ended and no caller waits."""
        if not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # it may end between the two
                self._loop.call_soon_threadsafe(callback, *arguments)

    def _gather(self, first: _Waiting[Item]) -> tuple[list[_Waiting[Item]], bool]:
        batch = [first]
        rows = self._size(first.item)
        while rows < self._max_rows:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
            rows += self._size(following.item)
        return batch, False

    def _deliver(self, batch: Sequence[_Waiting[Item]], answers: Sequence[Answered]) -> None:
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.future.done():  # its caller may have gone
                waiting.future.set_result(answer)

    def _fail(self, batch: Sequence[_Waiting[Item]], error: Exception) -> None:
        for waiting in batch:
            if not waiting.future.done():
                waiting.future.set_exception(error)

    def _expire(self, late: Sequence[_Waiting[Item]]) -> None:
        self._deliver(late, self._timed_out([entry.item for entry in late]))

    def _returned(self) -> None:
        self._abandoned -= 1
