"""What people do through this server: the change first, then this process follows it.

The control API and the pages call the same coroutines, so that both leave the same trail.
"""

from starlette.concurrency import run_in_threadpool

from watchkeeper.app import App
from watchkeeper.jobs.controller import Controller
from watchkeeper.operations import retraining
from watchkeeper.retraining import Run

__all__ = ["Acting"]


class Acting:
    """Changes of state by people, each with who and why.

    Parameters
    ----------
    app : App
    controller : Controller

    Attributes
    ----------
    app : App
    """

    def __init__(self, app: App, controller: Controller) -> None:
        self.app, self._controller = app, controller

    async def retrain(self, model: str, *, actor: str, reason: str) -> Run:
        """Decide that a model is trained now; a server begins within seconds."""
        app = self.app

        def asked() -> Run:
            setup = app.settings.policy(model).retraining_setup()
            return retraining.ask(
                app, model, app.arrivals.settled(), setup, actor=actor, reason=reason
            )

        made = await run_in_threadpool(asked)
        self._controller.retraining.wanted.set()
        return made

    async def cancel(self, name: str, *, actor: str, reason: str) -> Run:
        """Give a retraining up; a training ends within seconds, wherever it runs."""
        app = self.app
        return await run_in_threadpool(
            retraining.cancel, app, name, at=app.clock(), actor=actor, reason=reason
        )
