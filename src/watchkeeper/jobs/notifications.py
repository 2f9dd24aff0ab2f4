"""Notifications of a running server: what is due is sent, and tried again."""

import asyncio
import logging

from watchkeeper.app import App
from watchkeeper.clock import system_clock
from watchkeeper.operations import receivers as notifications
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
            receivers = self._app.settings.receivers()
            await asyncio.to_thread(notifications.begin, self._app, receivers)
        except Exception:
            self._system.ended("notifications", well=False)
            log.exception("receivers cannot be read; requests are answered all the same")

    async def look(self) -> list[notifications.Told]:
        """Send what is due; return what was tried."""
        receivers = self._app.settings.receivers()
        if not receivers:
            return []
        try:
            found = await asyncio.to_thread(self._tell)
        except Exception:
            self._system.ended("notifications", well=False)
            log.exception("nobody could be told of what is pending")
            return []
        for each in found:
            if each.error:
                log.error("%s could not be told: %s", each.receiver, each.error)
            self._system.ended("notifications", well=not each.error)
        return found

    def _tell(self) -> list[notifications.Told]:
        from watchkeeper.notifications.sending import send

        settings = self._app.settings
        return notifications.tell(
            self._app, settings.receivers(), send, at=system_clock(), url=settings.url,
            group_wait=settings.notifications.group_wait,
        )  # fmt: skip
