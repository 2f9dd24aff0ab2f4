"""The controller: all that a server does beside answering requests."""

import asyncio
from collections.abc import Callable
from functools import partial

from watchkeeper.app import App
from watchkeeper.background import run_task
from watchkeeper.jobs.committing import Committing
from watchkeeper.jobs.job import Job
from watchkeeper.jobs.maintenance import Upkeep
from watchkeeper.jobs.measuring import Measuring
from watchkeeper.jobs.notifications import Notifier
from watchkeeper.jobs.online_learning import Learner
from watchkeeper.jobs.retraining import Retrainer
from watchkeeper.jobs.rollouts import Rolling
from watchkeeper.jobs.timelines import Refreshing
from watchkeeper.operations.changes import Change
from watchkeeper.serving.gateway import Gateway

__all__ = ["Controller"]

_FOLLOW = 1.0  # seconds between two looks at the registry
_REWEIGH = 0.25  # seconds between two looks at how rollouts share the traffic
_WATCH = 0.1  # seconds between two looks for computations that hang
_LEARN = 5.0  # seconds between two looks whether there is something to learn online
_NOTIFY = 5.0  # seconds between two looks whether a receiver is to be told
_KEEP_UP = 60.0  # seconds between two looks whether it is time to compact or back up
_MEASURE = 1.0  # seconds between two looks at what is due to be measured
_COUNTED = (
    "registry", "landing", "accuracy", "drift", "rollouts", "retraining", "online", "compaction",
    "backup", "notifications", "timelines",
)  # fmt: skip


class Controller:
    """The jobs of one process; of several on one data directory the one that commits leads.

    Parameters
    ----------
    app : App
    gateway : Gateway
        Follows what the jobs change.

    Attributes
    ----------
    jobs : tuple of Job
    tasks : list of asyncio.Task
        In which the jobs run; empty before `start`.
    committing, measuring, rollouts, retraining, online_learning, maintenance, notifications, \
    timelines : object
        What the jobs run, for who wants a run now.
    """

    def __init__(self, app: App, gateway: Gateway) -> None:
        self._app, self._gateway = app, gateway
        system, metrics = gateway.system, gateway.metrics
        self.committing = Committing(app, system)
        self.measuring = Measuring(app, metrics, system)
        self.rollouts = Rolling(app, gateway.router, system, metrics)
        self.retraining = Retrainer(app, system, metrics)
        self.online_learning = Learner(app, system, self.follow)
        self.maintenance = Upkeep(app, system)
        self.notifications = Notifier(app, system)
        self.timelines = Refreshing(app, system)
        self.jobs = self._jobs()
        system.knows(*_COUNTED)
        self.tasks: list[asyncio.Task[None]] = []
        self._unsubscribe: Callable[[], None] | None = None
        self._faults: dict[str, str] | None = None  # of which incidents tell already

    def _jobs(self) -> tuple[Job, ...]:
        settings = self._app.settings
        leader = partial(Job, leader_only=True)
        return (
            Job(name="registry", interval=_FOLLOW, run=self._followed),
            Job(name="shares", interval=_REWEIGH, run=self._reweighed),
            Job(
                name="hangs",
                interval=min(_WATCH, settings.server.predict_timeout / 2),
                run=self._checked,
            ),
            Job(name="landing", interval=settings.store.landing_interval, run=self._committed),
            Job(
                name="timelines",
                interval=lambda: self.timelines.rest,
                run=self.timelines.look,
                at_once=True,
            ),
            leader(name="measuring", interval=_MEASURE, run=self._measured),
            leader(
                name="rollouts",
                interval=lambda: self.rollouts.rest,
                run=self.rollouts.look,
            ),
            leader(
                name="retraining",
                interval=settings.server.retraining_interval,
                run=self.retraining.look,
                wanted=self.retraining.wanted,
            ),
            leader(
                name="online",
                interval=_LEARN,
                run=self.online_learning.look,
            ),
            leader(
                name="maintenance",
                interval=_KEEP_UP,
                run=self.maintenance.look,
            ),
            leader(
                name="notifications",
                interval=_NOTIFY,
                run=self.notifications.look,
            ),
        )

    async def start(self) -> None:
        """Begin to run the jobs, and to follow what operations of this process change."""
        loop = asyncio.get_running_loop()

        def followed(change: Change) -> None:
            if loop.is_running():  # a server that has ended has no traffic to follow with
                asyncio.run_coroutine_threadsafe(self._follow_change(change), loop).result()

        self._unsubscribe = self._app.changes.subscribe(followed)
        await self.notifications.begin()
        self.tasks += [
            run_task(job.repeat(lambda: self.committing.leads, self._gateway.system), job.name)
            for job in self.jobs
        ]

    async def stop(self) -> None:
        """End what `start` began."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        self.retraining.stop()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    async def follow(self) -> None:
        """Let the next request see what has changed; what goes wrong is logged, and tried again."""
        await self.jobs[0].run_once(self._gateway.system)

    async def _follow_change(self, change: Change) -> None:
        """Let the next request see a change that an operation has just committed."""
        if change.noun == "retraining":
            self.retraining.wanted.set()
            return
        if change.noun == "rollout":  # the traffic first, then what has to be loaded
            await self._gateway.reweigh()
        await self.follow()

    async def _followed(self) -> bool:
        followed = await self._gateway.follow()
        faults = dict(self._gateway.router.unloadable)
        if self.committing.leads and faults != self._faults:
            await asyncio.to_thread(self._app.incidents.follow_loading, faults)
            self._faults = faults
        return followed

    async def _reweighed(self) -> None:
        await self._gateway.reweigh()

    async def _checked(self) -> None:
        self._gateway.check_versions()

    async def _committed(self) -> bool:
        labels = await self.committing.commit()
        self.measuring.labelled.update(labels)
        self.online_learning.labelled.update(labels)
        return not self.committing.failures

    async def _measured(self) -> None:
        await self.measuring.look(self._gateway.router.production.values())
