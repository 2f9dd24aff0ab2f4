"""What people do through this server: the change first, then this process follows it.

The control API and the pages call the same coroutines, so that both leave the same trail.
"""

from starlette.concurrency import run_in_threadpool

from watchkeeper.app import App
from watchkeeper.incidents import Incident
from watchkeeper.operations import incidents

__all__ = ["Acting"]


class Acting:
    """Changes of state by people, each with who and why.

    Parameters
    ----------
    app : App

    Attributes
    ----------
    app : App
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def incident(self, name: str, action: str, text: str, *, actor: str) -> Incident:
        """Let a person acknowledge, assign, note, resolve or finish an incident."""
        app = self.app
        return await run_in_threadpool(
            incidents.change, app.incidents, name, action, text, at=app.clock(), actor=actor
        )
