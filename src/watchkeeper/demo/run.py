"""The whole of the demo: prepare, train, promote, serve, replay; the server runs on at the end."""

import asyncio
import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import uvloop

from watchkeeper.app import App
from watchkeeper.config import load_settings
from watchkeeper.demo.flights import flights_of_2013, sample
from watchkeeper.demo.model import MODEL, TRAINED_AT, VERSION, TrainedModel, between, january
from watchkeeper.demo.release import PLAN, Release
from watchkeeper.demo.replay import Replay, flights_of, replay
from watchkeeper.demo.trial import BEGINS, ENDS, Trial
from watchkeeper.errors import ConflictError, UnavailableError
from watchkeeper.identity import By
from watchkeeper.server.process import HOST, Server, ServerDiedError, free_port, serving

__all__ = ["FAST", "Played", "ReplayPlan", "Spectator", "played"]

FAST = 0.15
"""The share of the flights that is replayed unless all are asked for."""

_SETTINGS = """\
# The settings of the demo's server.
data_dir = {data_dir}

[server]
port = {port}
clock = "events"   # it is 2013 here: time is what the newest flight says
retraining_interval = 86400   # of the clock on the wall: the replay says when it is time

[models.flights.drift]
window = 604800     # a week: of a day, its weekday is always another than the year's
interval = 604800

[models.flights.retraining]
enabled = true
triggers = ["quality", "drift"]
window_days = 210

[models.flights.health]
window_hours = 168
accuracy = 0.65   # a third of the flights of a bad month are late, and no model foresees them all

[models.flights.rollout]
{plan}"""
_MARK = "demo.lock"


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """How much is replayed.

    Attributes
    ----------
    share : float
        Of the flights, chosen at random over the whole of the time.
    days : int or None
        Stop after so many days of 2013.
    bad_candidate : bool
        Whether a bad version is rolled out in September, and not the one that learned in summer.
    """

    share: float = FAST
    days: int | None = None
    bad_candidate: bool = False


class Spectator(Protocol):
    """Who is told how far the demo is."""

    def stage(self, text: str) -> None:
        """Be told what begins.

        Parameters
        ----------
        text : str
        """
        ...

    def total(self, flights: int) -> None:
        """Be told how many flights will be replayed.

        Parameters
        ----------
        flights : int
        """
        ...

    def replayed(self, flights: int, at: datetime) -> None:
        """Be told how many flights were sent, and what time it is in the replay.

        Parameters
        ----------
        flights : int
        at : datetime
            Event time.
        """
        ...


@dataclass(frozen=True, slots=True)
class Played:
    """A demo that has been played, and whose server still runs.

    Attributes
    ----------
    app : App
        Over the same data directory as the server.
    server : Server
    trained : TrainedModel
    sent : Replay
    """

    app: App
    server: Server
    trained: TrainedModel
    sent: Replay


@contextmanager
def played(folder: Path, plan: ReplayPlan, spectator: Spectator) -> Iterator[Played]:
    """Play the demo in `folder`; its server ends with the context.

    Parameters
    ----------
    folder : Path
    plan : ReplayPlan
    spectator : Spectator

    Yields
    ------
    Played

    Raises
    ------
    ConflictError
        If `folder` holds something else, or another demo plays in it.
    MissingExtraError
        If the flights are not installed.
    ServerDiedError
        If the server ended, with its last words.
    """
    spectator.stage("Reading the flights of 2013")
    flights = flights_of_2013()
    with _own_folder(folder):
        config = folder / "watchkeeper.toml"
        port = free_port()
        kept_in = json.dumps(str(folder.resolve()))
        plan_of_rollouts = "".join(f"{key} = {value}\n" for key, value in PLAN.items())
        config.write_text(_SETTINGS.format(data_dir=kept_in, port=port, plan=plan_of_rollouts))
        with App(load_settings(config, folder), clock=lambda: TRAINED_AT) as app:
            spectator.stage("Training on January, and putting the model into production")
            trained = january(flights)
            model_id = app.registry.register_model(
                trained.estimator,
                MODEL,
                VERSION,
                trained.metrics,
                "Will the flight arrive more than 15 minutes late?",
                training_data=trained.data,
            )
            app.models.promote(model_id, by=By())
            spectator.stage("Starting the server")
            with serving(config, port) as server:
                chosen = sample(_first(flights, plan.days), plan.share)
                trial = Trial(app, server, _aircraft(chosen), spectator.stage)
                release = Release(app, server, spectator.stage, bad=plan.bad_candidate)
                sent = _replayed(chosen, server, spectator, (trial, release))
                yield Played(app, server, trained, sent)


def _aircraft(flights: pa.Table) -> int:
    """Return how many aircraft are expected in an experiment of August."""
    return pc.count_distinct(between(flights, BEGINS, ENDS)["tail"]).as_py() or 2


def _replayed(
    flights: pa.Table,
    server: Server,
    spectator: Spectator,
    acts: Sequence[Trial | Release],
) -> Replay:
    one_by_one = asyncio.Lock()  # several connections may begin an hour at once

    async def progress(sent: int, at: datetime) -> None:
        spectator.replayed(sent, at)
        async with one_by_one:
            for act in acts:
                await act.at(at)

    async def go() -> Replay:
        await server.ready()
        spectator.total(flights.num_rows)
        return await replay(
            flights_of(flights), model=MODEL, host=HOST, port=server.port, progress=progress
        )

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(go())
    except ServerDiedError:
        raise
    except (UnavailableError, OSError):
        _explain_death(server)
        raise


def _explain_death(server: Server) -> None:
    """Raise `ServerDiedError` if that is why the connections broke."""
    try:
        server.process.wait(2)
    except subprocess.TimeoutExpired:
        return
    server.require_alive()


def _first(flights: pa.Table, days: int | None) -> pa.Table:
    if days is None:
        return flights
    begins = flights["departs"][0].as_py()
    return flights.filter(pc.less(flights["departs"], begins + timedelta(days=days)))


@contextmanager
def _own_folder(folder: Path) -> Iterator[None]:
    """Empty the folder of an earlier demo, or make a new one, and keep others out of it."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise ConflictError(
            f"{folder} holds something that is not a demo", "Choose another folder with --dir."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _MARK).open("w") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"another demo plays in {folder}", "Wait for its end, or choose another with --dir."
            ) from None
        for old in folder.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
            elif old.name != _MARK:
                old.unlink()
        yield
