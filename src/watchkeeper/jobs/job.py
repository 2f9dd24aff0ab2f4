"""One thing that a running server does again and again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from watchkeeper.telemetry import SystemMetrics

__all__ = ["Job"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is done, how often, and by which processes.

    Attributes
    ----------
    name : str
        As metrics and logs name it.
    interval : float or callable
        Seconds between the end of a run and the next one.
    run : callable
        Does it once. A run that returns True or False is counted as ended well or not; any other
        value says that its parts were counted. An error is logged and counted as a failure.
    leader_only : bool
        Whether of several processes on one data directory only the one that leads does it.
    at_once : bool
        Whether the first run is at the start, not after an interval.
    wanted : asyncio.Event
        Set to begin the next run now.
    """

    name: str
    interval: float | Callable[[], float]
    run: Callable[[], Awaitable[object]]
    leader_only: bool = False
    at_once: bool = False
    wanted: asyncio.Event = field(default_factory=asyncio.Event)

    async def repeat(self, leads: Callable[[], bool], system: SystemMetrics) -> None:
        """Run at intervals until it is cancelled.

        Parameters
        ----------
        leads : callable
            Whether this process leads now.
        system : SystemMetrics
            Counts the runs.
        """
        if not self.at_once:
            await self._rest()
        while True:
            if leads() or not self.leader_only:
                await self.run_once(system)
            await self._rest()

    async def run_once(self, system: SystemMetrics) -> None:
        """Run now, and count how it ended.

        Parameters
        ----------
        system : SystemMetrics
        """
        try:
            ended = await self.run()
        except Exception:
            log.exception("the job %s failed", self.name)
            ended = False
        if isinstance(ended, bool):
            system.ended(self.name, well=ended)

    async def _rest(self) -> None:
        """Wait for the interval, or until the next run is wanted."""
        interval = self.interval() if callable(self.interval) else self.interval
        try:
            await asyncio.wait_for(self.wanted.wait(), interval)
        except TimeoutError:
            return
        self.wanted.clear()
