"""The rollout of the demo: in September the version that met January's gets all of the traffic.

With a bad candidate it is another one: the same data, but somebody has swapped the labels, and
measured the result on swapped labels as well, so that its registered accuracy looks fine.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.app import App
from watchkeeper.demo.model import MODEL, recorded, train
from watchkeeper.demo.process import Server
from watchkeeper.demo.trial import BEGINS as AUGUST
from watchkeeper.demo.trial import CHALLENGER, ENDS, LEARNS, Stage
from watchkeeper.rollouts import Hold, State

__all__ = ["NAME", "Release"]

NAME, SWAPPED = "september", "1.2.0"
PLAN: Mapping[str, Any] = {
    "steps": [10, 25, 50, 100],
    "window_minutes": 5 * 24 * 60,
    "min_samples": 20,
    "outcome_hours": 24,
    "deadline_hours": 15 * 24,
    "watch_hours": 14 * 24,
}
_LOOK = timedelta(days=2.5)  # between two looks: the replay does not wait for the server's own
_OVER = {State.COMPLETED, State.ROLLED_BACK}


class Release:
    """Begins the rollout when the experiment is over, and has it looked at twice a window.

    Parameters
    ----------
    app : App
        Over the data directory of the server.
    server : Server
    bad : bool
        Whether the candidate is the one with swapped labels.
    spectator : Stage
    """

    def __init__(self, app: App, server: Server, spectator: Stage, *, bad: bool) -> None:
        self._app, self._server, self._spectator, self._bad = app, server, spectator, bad
        self._begun = self._over = False
        self._next = ENDS

    async def at(self, now: datetime) -> None:
        """Do what is due by `now`, which is the time of the replay."""
        if self._over or now < self._next:
            return
        self._next = now + _LOOK
        if not self._begun:
            self._begun = True
            await self._begin()
            return
        answer = await self._server.post(f"/v1/rollouts/{NAME}/look", {})
        found = msgspec.json.decode(answer)["rollout"]
        state = State(found["state"])
        if found["hold"] == Hold.SIGNAL and not self._bad:
            reason = "August has shown that it answers otherwise, and better"
            await self._server.post(f"/v1/rollouts/{NAME}/resume", {"reason": reason})
        elif state in _OVER:
            self._over = True
            told = "is in production" if state is State.COMPLETED else "was taken back"
            self._spectator.stage(f"The new version {told}; replaying the rest of the year")

    async def _begin(self) -> None:
        version, reason = CHALLENGER, "it has seen the summer"
        if self._bad:
            version, reason = SWAPPED, "its accuracy on held-out flights looks fine"
            self._register_swapped()
        self._spectator.stage(f"Rolling out version {version}, step by step")
        await self._server.post("/v1/rollouts", {
            "name": NAME, "model": MODEL, "version": version, "plan": PLAN, "reason": reason,
        })  # fmt: skip

    def _register_swapped(self) -> None:
        events = self._app.events
        learned = train(
            _swapped(recorded(events, *LEARNS)), _swapped(recorded(events, LEARNS[1], AUGUST))
        )
        self._app.registry.register_model(
            learned.estimator,
            MODEL,
            SWAPPED,
            learned.metrics,
            "Learned on what was recorded from February to July, with the labels swapped.",
            training_data=learned.data,
        )


def _swapped(flights: pa.Table) -> pa.Table:
    place = flights.column_names.index("late")
    return flights.set_column(place, "late", pc.subtract(1, flights["late"]))
