"""The experiment of the demo: in August, a version that learned on more meets January's.

Its data are what the server has recorded from February to July. Aircraft draw lots: every other one
is answered by the new version for the whole of August.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from watchkeeper.app import App
from watchkeeper.demo.model import MODEL, VERSION, recorded, train
from watchkeeper.experiments import ExperimentState
from watchkeeper.server.process import Server

__all__ = ["BEGINS", "CHALLENGER", "ENDS", "LEARNS", "NAME", "Trial"]

NAME, CHALLENGER = "august", "1.1.0"
LEARNS = (datetime(2013, 2, 1, 5, tzinfo=UTC), datetime(2013, 7, 15, 4, tzinfo=UTC))
BEGINS, ENDS = datetime(2013, 8, 1, 4, tzinfo=UTC), datetime(2013, 9, 1, 4, tzinfo=UTC)
_WEEK = 7 * 86_400.0


class Trial:
    """Begins and ends the experiment when the time has come.

    Parameters
    ----------
    app : App
        Over the data directory of the server.
    server : Server
    planned_units : int
        Aircraft, both arms together.
    stage : callable
        Called with a sentence about what begins.
    """

    def __init__(
        self, app: App, server: Server, planned_units: int, stage: Callable[[str], None]
    ) -> None:
        self._app, self._server = app, server
        self._planned, self._stage = planned_units, stage
        self._state = ExperimentState.DRAFT

    async def at(self, now: datetime) -> None:
        """Do what is due by `now`, which is the time of the replay.

        Parameters
        ----------
        now : datetime
        """
        if self._state is ExperimentState.DRAFT and BEGINS <= now < ENDS:
            self._state = ExperimentState.RUNNING
            self._stage("Training on February to July; August decides which is better")
            self._register()
            await self._server.post("/v1/experiments", self._described())
            await self._server.post(f"/v1/experiments/{NAME}/start", {})
        elif self._state is ExperimentState.RUNNING and now >= ENDS:
            self._state = ExperimentState.STOPPED
            body = {"reason": "August is over"}
            await self._server.post(f"/v1/experiments/{NAME}/stop", body)
            self._stage("The experiment has ended; replaying the rest of the year")

    def _register(self) -> None:
        events = self._app.events
        learned = train(recorded(events, *LEARNS), recorded(events, LEARNS[1], BEGINS))
        self._app.registry.register_model(
            learned.estimator,
            MODEL,
            CHALLENGER,
            learned.metrics,
            "Trained on the events recorded from February to July.",
            training_data=learned.data,
        )

    def _described(self) -> dict[str, Any]:
        return {
            "name": NAME,
            "model": MODEL,
            "arms": {"january": VERSION, "summer": CHALLENGER},
            "metric": "brier-score",
            "guardrails": {"accuracy": 0.06, "error-rate": 0.01},
            "conversion_window": _WEEK,
            "planned_units": self._planned,
            "hypothesis": "who has seen the summer knows better how likely a late arrival is",
        }
