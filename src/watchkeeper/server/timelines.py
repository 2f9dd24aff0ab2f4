"""Time lines over HTTP, and what keeps them up to date while the server runs."""

import asyncio
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.responses import Response

from watchkeeper.app import App
from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import NotFoundError
from watchkeeper.interpreter import behind_requests
from watchkeeper.telemetry import SystemMetrics

if TYPE_CHECKING:
    from watchkeeper.server.gateway import Gateway

__all__ = ["Refreshing", "add_timelines"]

log = logging.getLogger(__name__)

_REST = 60.0  # seconds between two rounds, at least; who asks in between has it refreshed
_SHARE = 100  # as many times as long as the last round took, at least: requests feel each
_FRESH = timedelta(seconds=60)  # beyond, whoever asks waits until it is brought up to date


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


def add_timelines(api: FastAPI, gateway: "Gateway") -> None:
    """Add what became of a model's predictions over time."""
    app = gateway.app

    @api.get("/v1/models/{model}/timeline", tags=["models"])
    def timeline(
        model: str,
        start: str | None = None,
        end: str | None = None,
        points: int = 120,
        version: str | None = None,
        variant: str | None = None,
    ) -> Response:
        """Tell traffic, failures, latency and quality of a model, by natural stretches of time."""
        found = app.timelines.timeline(
            model,
            None if start is None else parse_timestamp(start, "start"),
            None if end is None else parse_timestamp(end, "end"),
            points=points,
            version=version,
            variant=variant,
            fresh=_FRESH,
        )
        return Response(found.to_json(), media_type="application/json")
