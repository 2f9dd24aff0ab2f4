"""The interpreter is one, and those who ask for a prediction come first.

A thread that computes keeps the interpreter for as long as it may, 5 ms by default, whenever
another one wants it. A request changes threads a few times, and waits as often: while a segment
lands, or a page of metrics is made, it would take ten times as long as usual. Who gives way also
rests, between one piece of work and the next, for as long as it took: requests that came meanwhile
are answered, and do not queue up.

>>> import sys
>>> before = sys.getswitchinterval()
>>> with giving_way():
...     sys.getswitchinterval() < before
True
>>> sys.getswitchinterval() == before
True
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

__all__ = ["behind_requests", "giving_way", "rest"]

P = ParamSpec("P")
T = TypeVar("T")

_SWITCH = 0.0005  # seconds for which one that gives way may keep the interpreter from others
_LONGEST = 0.02  # seconds of one rest
_changing = threading.Lock()
_under_way = 0
_usual = sys.getswitchinterval()
_own = threading.local()  # since: when this thread, if it gives way, began or rested last


@contextmanager
def giving_way() -> Iterator[None]:
    """Let other threads have the interpreter sooner than usual, while this one is busy."""
    global _under_way, _usual  # noqa: PLW0603 - the interval is the whole process's
    with _changing:
        _under_way += 1
        if _under_way == 1:
            _usual = sys.getswitchinterval()
            sys.setswitchinterval(min(_usual, _SWITCH))
    outermost = not hasattr(_own, "since")
    if outermost:
        _own.since = time.perf_counter()
    try:
        yield
    finally:
        if outermost:
            del _own.since
        with _changing:
            _under_way -= 1
            if not _under_way:
                sys.setswitchinterval(_usual)


def rest() -> None:
    """Rest for as long as this thread has worked since it last did, if it gives way."""
    if hasattr(_own, "since"):
        time.sleep(min(time.perf_counter() - _own.since, _LONGEST))
        _own.since = time.perf_counter()


def behind_requests(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function, giving way.

    Parameters
    ----------
    function : callable
    *args : object
    **kwargs : object
        Arguments of the function.

    Returns
    -------
    T
        What the function returns.
    """
    with giving_way():
        return function(*args, **kwargs)
