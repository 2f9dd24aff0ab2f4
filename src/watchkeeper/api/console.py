"""The console: what the control API and the dashboard know of the process that they run in."""

from collections.abc import Sequence

from watchkeeper.app import App
from watchkeeper.background import deaths
from watchkeeper.clock import system_clock
from watchkeeper.jobs.controller import Controller
from watchkeeper.serving.gateway import Gateway
from watchkeeper.telemetry.endpoint import families
from watchkeeper.telemetry.system import JobStatus, jobs_of

__all__ = ["Console"]


class Console:
    """One process, as its API and its pages see it.

    Parameters
    ----------
    app : App
    gateway : Gateway
    controller : Controller

    Attributes
    ----------
    app, gateway, controller : App, Gateway, Controller
    started_at : datetime
    draining : bool
        Set when the process is about to end: it still answers, and says that it is not ready.
    """

    def __init__(self, app: App, gateway: Gateway, controller: Controller) -> None:
        self.app, self.gateway, self.controller = app, gateway, controller
        self.started_at = system_clock()
        self.draining = False
        self._dead: set[str] = set()  # background work whose death was counted

    def not_ready(self) -> list[str]:
        """Return why this process should not get traffic; nothing when it should.

        Returns
        -------
        list of str
            A reason each, as a sentence or part of one.
        """
        reasons = self.gateway.not_ready()
        if self.draining:
            reasons.append("it is about to end")
        if not self.controller.tasks:
            reasons.append("it is starting")
        return [*reasons, *self._deaths().values()]

    def scrape(self) -> bytes:
        """Return the metrics of this server in Prometheus' text format.

        Returns
        -------
        bytes
        """
        self._deaths()
        return self.gateway.scrape()

    def jobs(self) -> Sequence[JobStatus]:
        """Return the background jobs of this server, of all its processes.

        Returns
        -------
        sequence of JobStatus
        """
        return jobs_of(families(self.gateway.metrics_registry))

    def _deaths(self) -> dict[str, str]:
        """Return why background work has ended, by its name; each is counted once."""
        dead = deaths([self.app.recorder.journal.worker, *self.controller.tasks])
        for name in dead.keys() - self._dead:
            self.gateway.system.deaths.labels(name).inc()
        self._dead.update(dead)
        return dead
