"""Notifications of a running server: what is due is sent, and tried again."""

import asyncio
import logging

from watchkeeper.app import App
from watchkeeper.operations.receivers import Delivery
from watchkeeper.telemetry import SystemMetrics

__all__ = ["Notifier"]

log = logging.getLogger(__name__)


class Notifier:
    """Tells receivers what is due.

    Parameters
    ----------
    app : App
    system : SystemMetrics
    """

    def __init__(self, app: App, system: SystemMetrics) -> None:
        self._app, self._system = app, system

    async def begin(self) -> None:
        """Give new receivers their places: they are told of all that comes from now on."""
        try:
            await asyncio.to_thread(self._app.receivers.begin)
        except Exception:
            self._system.ended("notifications", well=False)
            log.exception("receivers cannot be read; requests are answered all the same")

    async def look(self) -> list[Delivery]:
        """Send what is due; return what was tried.

        Returns
        -------
        list of Delivery
        """
        if not self._app.settings.receivers():
            return []
        try:
            deliveries = await asyncio.to_thread(self._app.receivers.deliver)
        except Exception:
            self._system.ended("notifications", well=False)
            log.exception("pending notifications could not be sent")
            return []
        for delivery in deliveries:
            if delivery.error:
                log.error("the delivery to %s failed: %s", delivery.receiver, delivery.error)
            self._system.ended("notifications", well=not delivery.error)
        return deliveries
