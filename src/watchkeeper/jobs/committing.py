"""Commits sealed journal segments to the event store."""

import asyncio
import logging
from collections.abc import Mapping

from watchkeeper.app import App
from watchkeeper.interpreter import behind_requests
from watchkeeper.telemetry import SystemMetrics

__all__ = ["Committing"]

log = logging.getLogger(__name__)


class Committing:
    """Turns sealed segments into rows of tables; of several processes one at a time does.

    Parameters
    ----------
    app : App
    system : SystemMetrics

    Attributes
    ----------
    leads : bool
        Whether this process was the one that committed last.
    failures : tuple of str
        What could not be committed last, each with the reason.
    """

    def __init__(self, app: App, system: SystemMetrics) -> None:
        self._app, self._system = app, system
        self.leads = False
        self.failures: tuple[str, ...] = ()

    async def commit(self) -> Mapping[str, int]:
        """Commit what is sealed, behind requests; what fails waits, and is kept.

        Returns
        -------
        mapping of str to int
            Labels that were committed, by model.
        """
        report = await asyncio.to_thread(behind_requests, self._app.landing.land)
        for failure in report.failures:
            if failure not in self.failures:
                log.error("events of %s cannot be committed", failure)
        for damage in report.damage:
            log.error("%s", damage)
        self.failures = report.failures
        self.leads = not report.busy
        if report.predictions or report.outcomes:
            self._system.committed()
        return report.outcomes
