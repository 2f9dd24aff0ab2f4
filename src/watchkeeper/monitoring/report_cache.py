"""Reports that take a while: shown at once as they last were, and made anew behind the scenes.

A report of an experiment reads each of its exposures, which takes seconds where there are millions.
Who asks for it every few seconds, as a page does, gets the last one with its time. One thread makes
the next, so that however many look, no more than one core is kept busy, and a tenth of the time.

>>> from datetime import UTC
>>> reports = Reports(patience=60.0)
>>> asked = Asked("shadow", "june", of=1, at=datetime(2026, 7, 1, tzinfo=UTC), make=lambda: "well")
>>> reports.latest(asked).report
'well'
>>> reports.close()
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

__all__ = ["Asked", "Known", "Reports"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_FRESH = 4.0  # seconds for which a report is new enough
_REST = 10.0  # rest after a report, in its durations: it must not take a core


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """A report that is asked for.

    Attributes
    ----------
    kind, name : str
        By which it is kept.
    of : object
        What it is a report of; one of something that has changed since is made anew.
    at : datetime
        Now, by the clock of the events.
    make : callable
        Makes it.
    lasting : bool
        Whether it says the same for ever.
    """

    kind: str
    name: str
    of: object
    at: datetime
    make: Callable[[], T]
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """What is known of a report.

    Attributes
    ----------
    report : T or None
        The last one; None while the first is being made, or if none could be.
    at : datetime or None
        The time that it is as of.
    current : bool
        Whether it is a report of what it was asked for, as that is now.
    making : bool
        Whether one is being made.
    error : str
        Why the last attempt failed; empty if it did not.
    """

    report: T | None
    at: datetime | None
    current: bool
    making: bool
    error: str


@dataclass(frozen=True, slots=True)
class _Made:
    of: object
    at: datetime
    report: Any
    error: str
    ended: float
    took: float


class Reports:
    """The last report of each thing that was asked about; safe to share between threads.

    Parameters
    ----------
    patience : float
        Seconds that who asks waits for a new report, before the last one has to do. One that took
        longer the last time is not waited for.
    most : int
        So many are kept: those that were asked for last.
    timer : callable
        Seconds that never go back.
    """

    def __init__(
        self,
        *,
        patience: float = 0.1,
        most: int = 256,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience, self._most, self._timer = patience, most, timer
        self._made: OrderedDict[tuple[str, str], _Made] = OrderedDict()
        self._making: dict[tuple[str, str], Future[None]] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="reports")

    def latest(self, asked: Asked[T]) -> Known[T]:
        """Return the last report of something, and have the next one made if it is time.

        Parameters
        ----------
        asked : Asked of T

        Returns
        -------
        Known of T
        """
        return self.latest_of([asked])[0]

    def latest_of(self, asked: Sequence[Asked[T]]) -> list[Known[T]]:
        """Return the same of several, which wait and rest for as long as all of them take.

        Parameters
        ----------
        asked : sequence of Asked of T

        Returns
        -------
        list of Known of T
            In the order of the requests.
        """
        with self._lock:
            latest = [self._made.get((request.kind, request.name)) for request in asked]
        took = sum(report.took for report in latest if report is not None)
        begun = [self._begun(request, took) for request in asked]
        wait([future for future in begun if future is not None], timeout=self._patience)
        with self._lock:
            return [self._known(request) for request in asked]

    def close(self) -> None:
        """Wait for the report that is being made, and make no more."""
        self._worker.shutdown(cancel_futures=True)

    def _begun(self, request: Asked[Any], took: float) -> "Future[None] | None":
        """Have a report made if it is due; return what is worth waiting for.

        `took` is what it took the last time, with all that are asked for beside it.
        """
        key = (request.kind, request.name)
        with self._lock:
            last = self._made.get(key)
            if key not in self._making:
                if last is not None and not self._due(last, request, took):
                    return None
                # What is done is put down before it is no longer being made, under the one lock.
                self._making[key] = self._worker.submit(self._make, request)
            return self._making[key] if last is None or took <= self._patience else None

    def _due(self, last: _Made, request: Asked[Any], took: float) -> bool:
        if last.of != request.of:
            return True
        if request.lasting and not last.error:
            return False
        return self._timer() - last.ended >= max(_FRESH, _REST * took)

    def _make(self, request: Asked[Any]) -> None:
        key = (request.kind, request.name)
        began, report, error = self._timer(), None, ""
        try:
            report = request.make()
        except Exception as failure:
            log.exception("the report of the %s %s could not be made", request.kind, request.name)
            error = str(failure) or type(failure).__name__
        with self._lock:
            ended, at = self._timer(), request.at
            former = self._made.get(key)
            if error and former is not None and former.report is not None:
                report, at = former.report, former.at
            self._made[key] = _Made(request.of, at, report, error, ended, ended - began)
            self._made.move_to_end(key)
            while len(self._made) > self._most:
                self._made.popitem(last=False)
            del self._making[key]

    def _known(self, request: Asked[T]) -> Known[T]:
        key = (request.kind, request.name)
        last, making = self._made.get(key), key in self._making
        if last is None:
            return Known(None, None, current=False, making=making, error="")
        self._made.move_to_end(key)
        at = None if last.report is None else last.at
        return Known(last.report, at, last.of == request.of, making, last.error)
