"""Threads and tasks that run as long as their process does, and what is said when one dies.

A thread that nothing waits for would die in silence. One of these logs the error that ended it and
keeps it, so that readiness can tell it. One that returns has ended on purpose.

>>> worker = Worker(name="journal", target=lambda: None)
>>> worker.start()
>>> worker.join()
>>> deaths([worker])
{}
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable

__all__ = ["Worker", "deaths", "run_task"]

log = logging.getLogger(__name__)


class Worker(threading.Thread):
    """A daemon thread that works until it is told to end.

    Parameters
    ----------
    name : str
        As the log and readiness tell it.
    target : callable
        What it does.

    Attributes
    ----------
    death : str
        The error that ended it; empty while it runs, and when it has returned.
    """

    def __init__(self, *, name: str, target: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._work = target
        self.death = ""

    def run(self) -> None:
        """Do the work; keep and log the error that ends it."""
        try:
            self._work()
        except BaseException as error:
            self.death = _described(error)
            log.critical("the background thread %s has died", self.name, exc_info=True)


def run_task(work: Coroutine[object, object, None], name: str) -> "asyncio.Task[None]":
    """Return a task that runs until it is cancelled, and whose death is logged.

    Parameters
    ----------
    work : coroutine
    name : str
        As the log and readiness tell it.

    Returns
    -------
    asyncio.Task
    """
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_death)
    return task


def deaths(workers: "Iterable[Worker | asyncio.Task[None]]") -> dict[str, str]:
    """Return a sentence about each of `workers` that has died, by its name.

    Parameters
    ----------
    workers : iterable of Worker and asyncio.Task

    Returns
    -------
    dict of str to str
    """
    sentences = {}
    for worker in workers:
        if isinstance(worker, Worker):
            if worker.death:
                sentences[worker.name] = (
                    f"the background thread {worker.name} has died: {worker.death}"
                )
        elif death := _death_of(worker):
            name = worker.get_name()
            sentences[name] = f"the background task {name} has died: {death}"
    return sentences


def _death_of(task: "asyncio.Task[None]") -> str:
    error = None if not task.done() or task.cancelled() else task.exception()
    return "" if error is None else _described(error)


def _log_death(task: "asyncio.Task[None]") -> None:
    if _death_of(task):
        name, error = task.get_name(), task.exception()
        log.critical("the background task %s has died", name, exc_info=error)


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
