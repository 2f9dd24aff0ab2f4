"""The life of the server's processes: bind, start, answer, drain, end.

On SIGTERM a process says that it is not ready, waits until balancers have noticed, takes no more
connections, answers what is in flight, seals its journal and ends with exit code 0.
"""

import asyncio
import contextlib
import gc
import ipaddress
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, MutableMapping
from multiprocessing.process import BaseProcess
from typing import Any

import uvicorn

from watchkeeper.app import App
from watchkeeper.config import ServerSettings, Settings
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.server.asgi import Send, ServerApplication
from watchkeeper.serving.bodies import Receive
from watchkeeper.serving.routing_table import RunningExperiments
from watchkeeper.telemetry.endpoint import share_between_workers, worker_ended
from watchkeeper.telemetry.logs import configure_logging

__all__ = ["UnprotectedBindError", "create_asgi", "serve"]

log = logging.getLogger(__name__)

_BACKLOG = 2048
_SETTLED = 20.0  # seconds until all that a process keeps is loaded: what its work needs, and models
_LOOK_AFTER = 0.5  # seconds between two looks for workers, or a parent, that died
_AT_ONCE = 10.0  # seconds; a worker that lives shorter has failed to start
_MOST_FAILED = 5  # of them in a row, before the server gives up


class UnprotectedBindError(InvalidValueError):
    """A server was to listen beyond this machine without asking who calls."""

    def __init__(self, host: str) -> None:
        super().__init__(
            "server.host",
            host,
            "a loopback address such as 127.0.0.1 while there are no server.api_keys",
            "Anybody who reaches the port could read and write. Set server.api_keys (or "
            "WATCHKEEPER_SERVER__API_KEYS), or bind to 127.0.0.1 behind a proxy that asks.",
        )
        self.args = (host,)
        self.host = host


def create_asgi(app: App, experiments: RunningExperiments | None = None) -> Any:
    """Return the server as an ASGI application, for a server or a test client of one's own.

    Parameters
    ----------
    app : App
    experiments : RunningExperiments, optional
        Which experiments share the traffic; by default those of the control database.

    Returns
    -------
    ASGI application
    """
    return _WithLifespan(app, experiments)


def serve(app: App) -> int:
    """Answer until SIGTERM or SIGINT, and return the exit code.

    Parameters
    ----------
    app : App

    Returns
    -------
    int

    Raises
    ------
    UnprotectedBindError
        If it should listen beyond loopback without authentication; nothing was opened.
    ConflictError
        If the address cannot be bound.
    """
    settings = app.settings.server
    _require_protection(settings)
    listening = _bind(settings)
    if settings.workers == 1:
        _begin_to_log(app.settings)
        _run(app, listening)
        return 0
    return _supervise(app.settings, listening)


class _WithLifespan:
    def __init__(self, app: App, experiments: RunningExperiments | None) -> None:
        self._app, self._experiments = app, experiments
        self.application: ServerApplication | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self.application = ServerApplication(self._app, self._experiments)
            await self.application.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.application.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
        if self.application is None:
            self.application = ServerApplication(self._app, self._experiments)
            await self.application.start()
        await self.application(scope, receive, send)


def _require_protection(settings: ServerSettings) -> None:
    if settings.api_keys or settings.host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UnprotectedBindError(settings.host)


def _bind(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ConflictError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}",
            "Choose another --port, or stop what listens there.",
        ) from None
    listening.set_inheritable(True)
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Uvicorn, with signals left to us: it would refuse connections at once and end with -15."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            sys.stdout.write(f"Watchkeeper is listening on {_address(listening)}\n")
        sys.stdout.flush()


def _run(app: App, listening: socket.socket, parent: int | None = None) -> None:
    loop_factory = None
    with contextlib.suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_answer(app, listening, parent))


def _begin_to_log(settings: Settings) -> None:
    configure_logging(
        level=settings.log_level,
        style=settings.log_format,
        log_file=settings.log_file,
        redact=settings.log_redact,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # what it says otherwise, we say


async def _answer(app: App, listening: socket.socket, parent: int | None) -> None:
    settings = app.settings.server
    application = ServerApplication(app)
    server = _Server(
        uvicorn.Config(
            application,
            http="httptools",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,  # load balancers keep a connection for 60, and close first
            timeout_graceful_shutdown=max(1, round(settings.drain_timeout)),
        )
    )
    drain = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, drain.set)
    await application.start()
    answering = asyncio.create_task(server.serve(sockets=[listening]))
    ending = asyncio.create_task(drain.wait())
    orphaned = asyncio.create_task(_orphaned(parent))
    settling = asyncio.create_task(_settle(_SETTLED))
    await asyncio.wait({answering, ending, orphaned}, return_when=asyncio.FIRST_COMPLETED)
    application.console.draining = True
    await asyncio.sleep(settings.drain_delay)
    server.should_exit = True
    await answering
    ending.cancel()
    orphaned.cancel()
    settling.cancel()
    await application.stop()


async def _settle(seconds: float) -> None:
    """Leave out of all later garbage collections what is there by then, as it stays.

    A full collection looks at every object of every library, which takes 0.2 s without a
    response; commits and measuring bring one about a few times a minute.
    """
    await asyncio.sleep(seconds)
    gc.collect()
    gc.freeze()


async def _orphaned(parent: int | None) -> None:
    """Return when the process that started this worker is gone; without one, never."""
    while parent is None or os.getppid() == parent:  # noqa: ASYNC110 - the kernel sets no event
        await asyncio.sleep(_LOOK_AFTER)


def _supervise(settings: Settings, listening: socket.socket) -> int:
    """Keep the workers running; each answers on the same socket and has a journal of its own."""
    _begin_to_log(settings)
    share_between_workers(settings.data_dir / "metrics")
    spawn = multiprocessing.get_context("spawn")
    ending = False

    def end(*_: object) -> None:
        nonlocal ending
        ending = True
        for worker in workers:
            if worker.is_alive() and worker.pid is not None:
                os.kill(worker.pid, signal.SIGTERM)

    def start() -> BaseProcess:
        worker = spawn.Process(target=_work, args=(settings, listening, os.getpid()))
        worker.start()
        born[worker] = time.monotonic()
        return worker

    workers: list[BaseProcess] = []
    born: dict[BaseProcess, float] = {}
    failed = 0  # workers in a row that ended almost at once
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    workers += [start() for _ in range(settings.server.workers)]
    while not ending:
        multiprocessing.connection.wait([worker.sentinel for worker in workers], _LOOK_AFTER)
        for place, worker in enumerate(workers):
            if worker.is_alive() or ending:
                continue
            failed = failed + 1 if time.monotonic() - born.pop(worker) < _AT_ONCE else 0
            if failed >= _MOST_FAILED:
                log.error("workers end as soon as they start; giving up")
                end()
                break
            log.error("worker %s ended with %s; starting another", worker.pid, worker.exitcode)
            worker_ended(worker.pid or 0)
            workers[place] = start()
    end()  # also one that was being started when the signal came
    for worker in workers:
        worker.join()
    return 2 if failed >= _MOST_FAILED else 0


def _work(settings: Settings, listening: socket.socket, parent: int) -> None:
    _begin_to_log(settings)
    with App(settings) as app:
        _run(app, listening, parent)
