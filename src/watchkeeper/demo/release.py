"""What September brings: the model is trained again, judged, and rolled out.

The findings that the server has kept ask for it. The candidate learns from what was recorded since
February, has to be better than January's on later flights, and comes in step by step. With a bad
candidate it is another one that comes in: the same data, but with swapped labels, and
measured the result on swapped labels as well, so that its registered accuracy looks fine.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.app import App
from watchkeeper.demo.model import MODEL, recorded, train
from watchkeeper.demo.trial import BEGINS as AUGUST
from watchkeeper.demo.trial import ENDS, LEARNS
from watchkeeper.rollouts import Hold, RolloutState
from watchkeeper.server.process import Server

__all__ = ["NAME", "PLAN", "Release"]

NAME, SWAPPED = "september", "1.2.0"
PLAN: Mapping[str, Any] = {
    "steps": [10, 25, 50, 100],
    "window_minutes": 5 * 24 * 60,
    "min_samples": 20,
    "label_delay": 24 * 3_600,
    "deadline_hours": 15 * 24,
    "bake_time": 14 * 86_400,
}
_LOOK = timedelta(days=2.5)  # between two looks: the replay does not wait for the server's own
_OVER = {RolloutState.COMPLETED, RolloutState.ROLLED_BACK}


class Release:
    """Lets the loop begin when the experiment is over, and has it looked at twice a window.

    Parameters
    ----------
    app : App
        Over the data directory of the server.
    server : Server
    bad : bool
        Whether the candidate is the one with swapped labels.
    stage : callable
        Called with a sentence about what begins.
    """

    def __init__(
        self, app: App, server: Server, stage: Callable[[str], None], *, bad: bool
    ) -> None:
        self._app, self._server, self._stage, self._bad = app, server, stage, bad
        self._over = False
        self._rollout = ""
        self._next = ENDS

    async def at(self, now: datetime) -> None:
        """Do what is due by `now`, which is the time of the replay.

        Parameters
        ----------
        now : datetime
        """
        if self._over or now < self._next:
            return
        self._next = now + _LOOK
        if not self._rollout:
            await (self._roll_out_swapped() if self._bad else self._retrain())
            return
        answer = await self._server.post(f"/v1/rollouts/{self._rollout}/look", {})
        rollout = msgspec.json.decode(answer)["rollout"]
        state = RolloutState(rollout["state"])
        if rollout["hold"] == Hold.SIGNAL and not self._bad:
            reason = (
                "August and the evaluation gate have shown that the predictions of such a version "
                "differ, and are better"
            )
            await self._server.post(f"/v1/rollouts/{self._rollout}/resume", {"reason": reason})
        elif state in _OVER:
            self._over = True
            if not self._bad:
                await self._look()  # the retraining learns what became of its candidate
            text = "is in production" if state is RolloutState.COMPLETED else "was rolled back"
            self._stage(f"The new version {text}; replaying the rest of the year")

    async def _retrain(self) -> None:
        self._stage("Looking whether the model has to learn again")
        run = await self._look()
        self._rollout = "" if run is None else run["follows"]
        self._over = not self._rollout
        text = "nothing asks for it" if run is None else run["reason"]
        self._stage(f"Retraining: {text}")

    async def _look(self) -> dict[str, Any] | None:
        answer = await self._server.post("/v1/retraining/look", {"model": MODEL})
        run: dict[str, Any] | None = msgspec.json.decode(answer)["run"]
        return run

    async def _roll_out_swapped(self) -> None:
        self._register_swapped()
        self._stage(f"Rolling out version {SWAPPED}, step by step")
        self._rollout = NAME
        await self._server.post("/v1/rollouts", {
            "name": NAME, "model": MODEL, "version": SWAPPED, "plan": PLAN,
            "reason": "its accuracy on held-out flights is high",
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
            "Trained on the events recorded from February to July, with the labels swapped.",
            training_data=learned.data,
        )


def _swapped(flights: pa.Table) -> pa.Table:
    column = flights.column_names.index("late")
    return flights.set_column(column, "late", pc.subtract(1, flights["late"]))
