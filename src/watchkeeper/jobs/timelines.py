"""Keeps the time lines of all models up to date while the server runs."""

import asyncio
import logging
import time

from watchkeeper.app import App
from watchkeeper.errors import NotFoundError
from watchkeeper.interpreter import behind_requests
from watchkeeper.telemetry import SystemMetrics

__all__ = ["Refreshing"]

log = logging.getLogger(__name__)

_REST = 60.0  # seconds between two rounds, at least; who asks in between has it refreshed
_SHARE = 100  # as many times as long as the last round took, at least: requests feel each


class Refreshing:
    """Keeps the time lines of all models up to date, and takes at most a hundredth of a core.

    Every process does, for each answers by what it has in memory; they share the files.

    Parameters
    ----------
    app : App
    system : SystemMetrics
    """

    def __init__(self, app: App, system: SystemMetrics) -> None:
        self._app, self._system = app, system
        self.rest = _REST

    async def look(self) -> None:
        """Refresh all models, one after the other; what goes wrong with one keeps back no other."""
        began = time.perf_counter()
        well = True
        try:
            models = await asyncio.to_thread(behind_requests, self._app.events.models)
        except Exception:
            log.exception("the models with events could not be listed")
            models, well = [], False
        for model in models:
            well &= await asyncio.to_thread(self._refresh, model)
        self._system.ended("timelines", well=well)
        self.rest = max(_REST, _SHARE * (time.perf_counter() - began))

    def _refresh(self, model: str) -> bool:
        try:
            behind_requests(self._app.timelines.refresh, model)
        except NotFoundError:  # retention has just dropped all of it
            pass
        except Exception:
            log.exception("the time lines of %s could not be refreshed", model)
            return False
        return True
