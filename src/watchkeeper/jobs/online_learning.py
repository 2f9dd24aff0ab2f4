"""Online learning of a running server: each run in a process of its own, with low priority.

Learning row by row takes long and holds the interpreter; no prediction
may wait for it. Of several processes on one data directory only the leader lets models learn.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.errors import WatchkeeperError
from watchkeeper.process_limits import LOOK, limit_memory, memory_of
from watchkeeper.results import strict_json
from watchkeeper.telemetry import SystemMetrics

__all__ = ["CHILD", "Learner", "main"]

log = logging.getLogger(__name__)

CHILD = "import os; os.nice(10); from watchkeeper.jobs.online_learning import main; main()"
"""What such a process runs, with the model and the time after it and the settings to read."""

_SOURCE = "online learning"
_LAST_WORDS = 500  # characters
_AGAIN_AFTER = 60.0  # seconds, when it failed


class Learner:
    """Lets models learn when enough outcomes have come.

    Parameters
    ----------
    app : App
    system : SystemMetrics
    follow : callable
        Lets this server follow the registry: what another process changes is not published here.

    Attributes
    ----------
    labelled : set of str
        Models with outcomes that have landed since they were looked at.
    """

    def __init__(
        self, app: App, system: SystemMetrics, follow: Callable[[], Awaitable[None]]
    ) -> None:
        self._app, self._system, self._follow = app, system, follow
        self.labelled: set[str] = set()
        self._due: dict[str, int] = {}  # outcomes that have to wait before there is enough to learn
        self._rests: dict[str, float] = {}  # until when a model that failed is left alone

    async def look(self) -> dict[str, dict[str, Any]]:
        """Let each model learn that has something to learn; return what came of it.

        Returns
        -------
        dict of str to dict
            By model.
        """
        policy = self._app.settings.policy
        found: dict[str, dict[str, Any]] = {}
        try:
            models = await asyncio.to_thread(self._app.registry.production)
        except Exception:
            log.exception("what is in production could not be read")
            self._system.ended("online", well=False)
            return found
        for model in sorted(models):
            if not policy(model).online.enabled or self._rests.get(model, 0.0) > time.monotonic():
                continue
            if model in self._due and model not in self.labelled:
                continue
            self.labelled.discard(model)
            try:
                if not await asyncio.to_thread(self._has_to, model):
                    continue
                found[model] = await self._learn(model)
            except Exception as error:  # noqa: BLE001 - it is told, and tried again
                await self._failed(model, error)
            else:
                await self._ended(model, found[model])
        return found

    def _has_to(self, model: str) -> bool:
        most = self._due.setdefault(model, self._app.settings.policy(model).online.snapshot_every)
        return self._app.online_learning.waiting(model) >= most

    async def _learn(self, model: str) -> dict[str, Any]:
        """Look in another process, within its limits, and return what it has found."""
        own = self._app.settings.policy(model).online
        given = self._app.settings.model_dump_json().encode()
        async with _started(model, self._app.clock()) as process:
            try:
                async with asyncio.timeout(own.time_limit):
                    out, err = await _told_to(process, given, model, own.memory_limit)
            except TimeoutError:
                raise WatchkeeperError(
                    f"it took more than {own.time_limit:g} seconds", _hint(model, "time_limit")
                ) from None
        if process.returncode:
            told = err.decode(errors="replace").strip()[-_LAST_WORDS:].removesuffix(".")
            raise WatchkeeperError(told or f"its process ended with {process.returncode}")
        return dict(json.loads(out))

    async def _ended(self, model: str, found: dict[str, Any]) -> None:
        # What is counted may have taught before, so that many more have to come than are there now.
        self._due[model] = found["waiting"] + found["missing"]
        if not found["missing"]:  # there is more: the next look goes on
            self._due[model] = self._app.settings.policy(model).online.snapshot_every
            self.labelled.add(model)
        faults = [step["reason"] for step in found["steps"] if step["failed"]]
        self._system.ended("online", well=not faults)
        back = [step for step in found["steps"] if step["returned"]]
        for step in found["steps"]:
            level = logging.INFO if step["kept"] and not step["returned"] else logging.WARNING
            log.log(level, "online learning of %s, batch %s: %s", model, step["number"],
                    step["reason"])  # fmt: skip
        if any(step["promoted"] or step["returned"] for step in found["steps"]):
            await self._follow()
        if faults:
            await asyncio.to_thread(
                self._open, model, f"{model} could not learn online: {faults[-1]}"
            )
        elif back:
            told = f"{back[-1]['returned']} is in production again"
            await asyncio.to_thread(
                self._open, model, f"online learning of {model} has gone wrong: {told}"
            )
        elif found["steps"]:
            await asyncio.to_thread(self._over, model)

    async def _failed(self, model: str, error: Exception) -> None:
        log.error("%s could not learn online: %s", model, error, exc_info=_unexpected(error))
        self._system.ended("online", well=False)
        self._rests[model] = time.monotonic() + _AGAIN_AFTER
        self.labelled.add(model)
        try:
            await asyncio.to_thread(self._open, model, f"{model} could not learn online: {error}")
        except Exception:
            log.exception("no incident could be opened")

    def _open(self, model: str, title: str) -> None:
        incidents = self._app.incidents
        incidents.open(
            model, " ".join(title.split())[:300], severity="warning", source=_SOURCE, evidence={},
            runbook=incidents.runbook("watchkeeperjobfailing"),
        )  # fmt: skip

    def _over(self, model: str) -> None:
        text = "a later checkpoint passed, and the model is not worse than the champion"
        self._app.incidents.recover(model, _SOURCE, text)


@asynccontextmanager
async def _started(model: str, at: datetime) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yield the process in which a model learns; leave nothing of it, nor of what it started."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, model, at.isoformat(), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _told_to(
    process: asyncio.subprocess.Process, given: bytes, model: str, most: int
) -> tuple[bytes, bytes]:
    """Return what a process says to what it is given; refuse one that holds too much memory."""
    talk = asyncio.create_task(process.communicate(given))
    try:
        while not (await asyncio.wait({talk}, timeout=LOOK))[0]:
            held = await asyncio.to_thread(memory_of, process.pid)
            if held > most:
                raise WatchkeeperError(
                    f"it held {held:,} bytes; {most:,} are allowed", _hint(model, "memory_limit")
                )
        return talk.result()
    finally:
        talk.cancel()


def _hint(model: str, limit: str) -> str:
    return f"Lower models.{model}.online.snapshot_every, or raise its {limit}."


def _unexpected(error: Exception) -> Exception | None:
    return None if isinstance(error, WatchkeeperError) else error


def main() -> None:
    """Let the model that is named learn, by the settings on standard input, and tell what came."""
    model, at = sys.argv[1], datetime.fromisoformat(sys.argv[2])
    settings = Settings.model_validate_json(sys.stdin.read())
    limit = settings.policy(model).online.memory_limit
    limit_memory(limit)
    try:
        with App(settings, clock=lambda: at) as app:
            status = app.online_learning.advance(model, at)
    except WatchkeeperError as error:
        sys.stderr.write(str(error))
        sys.exit(1)
    except MemoryError:
        told = f"it needed more memory than the {limit:,} bytes that it may hold"
        sys.stderr.write(f"{told}. {_hint(model, 'memory_limit')}")
        sys.exit(1)
    sys.stdout.write(strict_json(status))
