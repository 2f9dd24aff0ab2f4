"""The gateway: an ASGI application that answers predictions itself and leaves the rest to FastAPI.

Requests to predict take the short way: no framework stands between the bytes and the model. All
other paths are described by OpenAPI, those of the short way included.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector

from watchkeeper import __version__, dashboard
from watchkeeper.access import ForbiddenError, Rights
from watchkeeper.api.actions import Acting
from watchkeeper.app import App
from watchkeeper.background import deaths, run_task
from watchkeeper.clock import ReplayClock, system_clock
from watchkeeper.errors import UnavailableError, WatchkeeperError
from watchkeeper.interpreter import behind_requests
from watchkeeper.jobs.maintenance import Upkeep
from watchkeeper.jobs.measuring import Measuring
from watchkeeper.jobs.notifications import Notifier
from watchkeeper.jobs.online_learning import Learner
from watchkeeper.jobs.retraining import Retrainer
from watchkeeper.jobs.rollouts import Rolling
from watchkeeper.jobs.timelines import Refreshing
from watchkeeper.monitoring.event_columns import newest_time
from watchkeeper.operations.changes import Change
from watchkeeper.registry import ModelOutputError, Runtime
from watchkeeper.serving import mlflow
from watchkeeper.serving import oip as v2
from watchkeeper.serving.bodies import Headers, Receive, headers_of, read_body
from watchkeeper.serving.live_version import Answered, Call, LiveVersion
from watchkeeper.serving.responses import (
    Answer,
    ModelFailedError,
    ModelRefusedInputError,
    ModelTimedOutError,
    UnauthorizedError,
    error_answer,
    status_of,
)
from watchkeeper.serving.routing import FAILOVER, PINNED, PRODUCTION, Router, RunningExperiments
from watchkeeper.telemetry import ModelMetrics, SystemMetrics, exposition
from watchkeeper.telemetry.exposition import families, shared_between_workers
from watchkeeper.telemetry.system import Job, jobs_of
from watchkeeper.telemetry.tracing import RequestSpan, tracing_to

__all__ = ["Gateway"]

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_INVOCATIONS = re.compile(r"(?:/v1/models/([^/]+))?/invocations")
_OPEN = frozenset(
    {
        "/v2/health/live", "/v2/health/ready", "/health/live", "/health/ready", "/ping", "/health",
        "/runbook",
    }
)  # fmt: skip

_Taken = tuple[LiveVersion, Call]
_CANNOT = (ModelFailedError, ModelTimedOutError, ModelRefusedInputError, ModelOutputError)
_MOST_COPIES = 64  # requests that shadows are asked at once
_FOLLOW = 1.0  # seconds between two looks at the registry
_REWEIGH = 0.25  # seconds between two looks at how rollouts share the traffic
_WATCH = 0.1  # seconds between two looks for computations that hang
_LEARN = 5.0  # seconds between two looks whether there is something to learn online
_NOTIFY = 5.0  # seconds between two looks whether somebody is to be told
_KEEP_UP = 60.0  # seconds between two looks whether it is time to compact or back up
_MEASURE = 1.0  # seconds between two looks at what is due to be measured
_JOBS = (
    "registry",
    "landing",
    "accuracy",
    "drift",
    "rollouts",
    "retraining",
    "online",
    "compaction",
    "backup",
    "notifications",
    "timelines",
)


class Gateway:
    """The server of one process.

    Parameters
    ----------
    app : App
        Its parts; the gateway does not close it.
    experiments : RunningExperiments, optional
        Which experiments share the traffic; by default those of the control database.

    Attributes
    ----------
    acting : Acting
        What people do through this server.
    started_at : datetime
    draining : bool
        Set when the process is about to end: it still answers, and says that it is not ready.
    """

    def __init__(self, app: App, experiments: RunningExperiments | None = None) -> None:
        self.app = app
        self.started_at = system_clock()
        self.metrics_registry = CollectorRegistry()
        telemetry = app.settings.telemetry
        self.metrics = ModelMetrics.of(self.metrics_registry, telemetry.latency_buckets)
        self.system = SystemMetrics(self.metrics_registry, version=__version__)
        self.system.knows(*_JOBS)
        if not shared_between_workers():  # of several processes it would show the one that answers
            ProcessCollector(registry=self.metrics_registry)
        self.tracing = tracing_to(
            telemetry.otlp_endpoint,
            service=telemetry.service,
            environment=telemetry.environment,
            version=__version__,
        )
        self.draining = False
        self.landing_failures: tuple[str, ...] = ()
        self.router = Router(
            app.registry,
            self._make_live,
            experiments or app.experiments,
            app.rollouts,
            app.shadows,
            app.clock,
            app.settings.server.predict_timeout,
        )
        self._settings = app.settings.server
        self._in_flight = 0
        self._copies: set[asyncio.Task[None]] = set()  # requests that shadows are being asked
        self.measuring = Measuring(app, self.metrics, self.system)
        self.rolling = Rolling(app, self.router, self.system, self.metrics, self.follow)
        self.upkeep = Upkeep(app, self.system)
        self.notifier = Notifier(app, self.system)
        self.refreshing = Refreshing(app, self.system)
        self.retrainer = Retrainer(app, self.system, self.metrics, self.follow)
        self.acting = Acting(self)
        self.learner = Learner(app, self.system, self.follow)
        self._shares_known = True  # whether the shares of rollouts could be read last
        self._landing = False  # whether this process is the one that lands
        self._tasks: list[asyncio.Task[None]] = []
        self._unsubscribe: Callable[[], None] | None = None
        self._dead: set[str] = set()  # background work whose death was counted
        from watchkeeper.api.application import make_api

        self._api = make_api(self)

    async def start(self) -> None:
        """Load what is in production and begin to follow the registry, to land and to measure."""
        self.app.recorder  # noqa: B018 - opened now, so that a data directory that is unfit says so
        self.app.recorder.on_dropped = self.system.dropped.inc
        if isinstance(self.app.clock, ReplayClock):
            self.saw(await asyncio.to_thread(newest_time, self.app.events))
        await self.router.refresh()
        await self.notifier.begin()
        self._show_production()
        loop = asyncio.get_running_loop()

        def followed(change: Change) -> None:
            asyncio.run_coroutine_threadsafe(self._follow_change(change), loop).result()

        self._unsubscribe = self.app.changes.subscribe(followed)
        for work in (
            self._follow, self._reweigh, self._watch, self._land, self._measure, self._roll,
            self._retrain, self._learn, self._keep_up, self._notify, self._refresh,
        ):  # fmt: skip
            self._tasks.append(run_task(work(), work.__name__.strip("_")))

    async def stop(self) -> None:
        """End what `start` began."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        ending = [*self._tasks, *self._copies]
        self.retrainer.stop()
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        self._tasks.clear()
        self.router.close()
        await asyncio.to_thread(self.tracing.close)

    def not_ready(self) -> list[str]:
        """Return why this process should not get traffic; nothing when it should."""
        reasons = list(self.router.faults)
        if self.draining:
            reasons.append("it is about to end")
        if not self._tasks:
            reasons.append("it is starting")
        reasons += self._deaths().values()
        fault = self.app.recorder.journal.fault
        if fault and self.app.settings.store.when_full == "refuse":
            reasons.append(f"predictions cannot be recorded: {fault}")
        return reasons

    def _deaths(self) -> dict[str, str]:
        """Return why background work has ended, by its name; each is counted once."""
        found = deaths([self.app.recorder.journal.worker, *self._tasks])
        for name in found.keys() - self._dead:
            self.system.deaths.labels(name).inc()
        self._dead.update(found)
        return found

    def scrape(self) -> bytes:
        """Return the metrics of this server in Prometheus' text format."""
        self._deaths()
        found = self.app.recorder.journal.waiting()
        self.system.waits(found.size, found.sealed, found.oldest)
        self._publish()
        return exposition(
            self.metrics_registry,
            local=[
                self.metrics.metadata,
                self.metrics.experiment_traffic,
                self.metrics.rollout_traffic,
            ],
        )

    def jobs(self) -> list[Job]:
        """Return the background jobs of this server, of all its processes."""
        return jobs_of(families(self.metrics_registry))

    def saw(self, at: Any) -> None:
        """Move the clock of a replay to the event time `at`."""
        if at is not None and isinstance(self.app.clock, ReplayClock):
            self.app.clock.advance_to(at)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        path: str = scope["path"]
        try:
            if not (self.app.access.open or path in _OPEN or dashboard.is_page(path)):
                self._require_rights(scope["method"], headers_of(scope))
            if scope["method"] == "POST":
                if (infer := _INFER.fullmatch(path)) is not None:
                    await _respond(send, await self._infer(scope, receive, *infer.groups()))
                    return
                if (scoring := _INVOCATIONS.fullmatch(path)) is not None:
                    await _respond(send, await self._score(scope, receive, scoring[1]))
                    return
        except (UnauthorizedError, ForbiddenError) as error:
            await _respond(send, error_answer(error, protocol=path.startswith("/v2")))
            return
        await self._api(scope, receive, send)

    async def _infer(
        self, scope: Scope, receive: Receive, model: str, version: str | None
    ) -> Answer:
        arrived = time.perf_counter()
        headers = headers_of(scope)
        with self.tracing.request(scope["path"], headers) as span:
            try:
                body = await read_body(receive, headers, self._settings.max_body_bytes)
                live = await self._live(model, version)
                request = v2.decode(body, headers)
                call_of = partial(
                    v2.call_of,
                    request,
                    headers=headers,
                    variant=PINNED if version else PRODUCTION,
                    arrived=arrived,
                    max_rows=self._settings.max_rows,
                )
                call = call_of(live)
                if version is None:
                    routed = self._routed(live, call, call_of)
                    live, call, answered = await self._answered(*routed, span)
                    self._copy(live, call, call_of, answered)
                else:
                    answered = await self._predict(live, call, span)
                return v2.infer_answer(request, call, answered, live)
            except Exception as error:  # noqa: BLE001 - every caller gets an answer
                return self._refuse(error, span, protocol=True)

    async def _score(self, scope: Scope, receive: Receive, model: str | None) -> Answer:
        arrived = time.perf_counter()
        headers = headers_of(scope)
        with self.tracing.request(scope["path"], headers) as span:
            try:
                body = await read_body(receive, headers, self._settings.max_body_bytes)
                live = self.router.only(model or self._settings.default_model)
                call_of = partial(
                    mlflow.call_of,
                    body,
                    headers=headers,
                    variant=PRODUCTION,
                    arrived=arrived,
                    max_rows=self._settings.max_rows,
                )
                routed = self._routed(live, call_of(live), call_of)
                live, call, answered = await self._answered(*routed, span)
                self._copy(live, call, call_of, answered)
                return mlflow.scoring_answer(call, answered)
            except Exception as error:  # noqa: BLE001 - every caller gets an answer
                return self._refuse(error, span)

    def _refuse(self, error: Exception, span: RequestSpan, *, protocol: bool = False) -> Answer:
        told = _explained(error)
        span.answered(status_of(told), type(error).__name__)
        if isinstance(told, UnavailableError):
            self.system.refused.inc()
        return error_answer(told, protocol=protocol)

    async def _live(self, model: str, version: str | None) -> LiveVersion:
        if version is None:
            return self.router.in_production(model)
        return await self.router.version(model, version)

    def _routed(
        self, live: LiveVersion, call: Call, call_of: Callable[[LiveVersion], Call]
    ) -> tuple[_Taken, _Taken | None]:
        """Return who answers a call with the call as it takes it, and who does if that one cannot.

        What a canary fails at is recorded as its own, and what production answers in its place as
        neither's.
        """
        route = self.router.route(live, call)
        if route.experiment is None and route.live is live:
            return (live, call), None

        def taken(by: LiveVersion, variant: str) -> _Taken:
            own = call if by.takes_what(live) else call_of(by)
            return by, own.answered_by(variant, route.experiment)

        instead = None if route.failover is None else taken(route.failover, FAILOVER)
        return taken(route.live, route.variant), instead

    async def _answered(
        self, taken: _Taken, instead: _Taken | None, span: RequestSpan
    ) -> tuple[LiveVersion, Call, Answered]:
        """Return who answered, the call, and the answer."""
        try:
            return *taken, await self._predict(*taken, span)
        except _CANNOT:
            if instead is None:
                raise
            return *instead, await self._predict(*instead, span)

    def _copy(
        self,
        live: LiveVersion,
        call: Call,
        call_of: Callable[[LiveVersion], Call],
        answered: Answered,
    ) -> None:
        """Let a shadow answer the same later; under load it is the first that is not asked."""
        shadow = self.router.shadow(call, live.runtime.model_name)
        if shadow is None or call.variant != PRODUCTION or not answered.recorded:
            return
        busy = 4 * self._in_flight > self._settings.max_in_flight
        if busy or len(self._copies) >= _MOST_COPIES:
            self.system.copies_shed.inc()
            return

        async def ask() -> None:
            with contextlib.suppress(WatchkeeperError):  # what it failed at is recorded
                own = call if shadow.takes_what(live) else call_of(shadow)
                await shadow.predict(own.copied(answered.prediction_ids, time.perf_counter()))

        copy = asyncio.create_task(ask())
        self._copies.add(copy)
        copy.add_done_callback(self._copies.discard)

    async def _predict(self, live: LiveVersion, call: Call, span: RequestSpan) -> Any:
        if self._in_flight >= self._settings.max_in_flight:
            raise UnavailableError(
                f"{self._in_flight} requests are being answered, which is the most",
                "Try again, or raise server.max_in_flight.",
            )
        self.saw(call.timestamp)
        span.predicts(
            live.runtime.model_name, live.runtime.version.version, len(call.rows.features)
        )
        self._in_flight += 1
        self.system.in_flight.inc()
        try:
            answered = await live.predict(call)
        finally:
            self._in_flight -= 1
            self.system.in_flight.dec()
        span.answered(200)
        return answered

    def _make_live(self, runtime: Runtime, stream: str | None = None) -> LiveVersion:
        return LiveVersion(
            runtime,
            stream=stream,
            recorder=self.app.recorder,
            metrics=self.metrics.of_version(
                stream or runtime.model_name,
                runtime.version.version,
                None if runtime.signature is None else runtime.signature.names,
            ),
            on_recorded=self.system.recorded.labels("prediction").inc,
            arrivals=self.app.arrivals,
            max_rows=self._settings.max_rows,
            timeout=self._settings.predict_timeout,
        )

    def _require_rights(self, method: str, headers: Headers) -> None:
        """Refuse who may not do this; somebody who is signed in may follow a link to the API."""
        scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        rights = self.app.access.rights_of(key.strip()) if scheme.lower() == "bearer" else None
        reading = method in {"GET", "HEAD"}
        if rights is None and reading:
            rights = dashboard.rights_in(self.app, headers)
        if rights is None:
            raise UnauthorizedError(
                "the request carries no key that this server knows",
                "Send the header Authorization: Bearer KEY.",
            )
        if rights is Rights.READ and not reading:
            raise ForbiddenError(
                f"the key of this request may only read, and {method} changes something",
                "Use one of server.api_keys.",
            )

    def _show_production(self) -> None:
        """Show what is in production, and what experiments take of it."""
        self.metrics.metadata.show(
            {model: _about(live.runtime) for model, live in self.router.production.items()}
        )
        self.metrics.experiment_traffic.show(self.router.shares())
        self.metrics.rollout_traffic.show(self.router.splits())

    def _publish(self) -> None:
        for live in self.router.live():
            live.metrics.publish()

    async def follow(self) -> None:
        """Let the next request see what has changed; what goes wrong is logged, and tried again."""
        try:
            if await self.router.refresh():
                self._show_production()
            await asyncio.to_thread(self._publish)
        except Exception:
            self.system.ended("registry", well=False)
            log.exception("the registry could not be read; what is loaded goes on answering")
        else:
            faults = self.router.faults or self.router.experiment_faults
            self.system.ended("registry", well=not faults)

    async def _follow_change(self, change: Change) -> None:
        """Let the next request see a change that an operation has just committed."""
        if change.noun == "retraining":
            self.retrainer.wake()
            return
        if change.noun == "rollout":  # the traffic first, then what has to be loaded
            await self._reweighed()
        await self.follow()

    async def _reweighed(self) -> None:
        """Share the traffic as the stored rollouts say now."""
        try:
            if await self.router.reweigh():
                self._show_production()
        except Exception:
            if self._shares_known:  # four times a second is too often to say it again
                log.exception("the rollouts could not be read; shares hold until they expire")
            self._shares_known = False
        else:
            self._shares_known = True

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_FOLLOW)
            await self.follow()

    async def _reweigh(self) -> None:
        """Let a canary that is taken back lose its traffic at once, whatever is being loaded."""
        while True:
            await asyncio.sleep(_REWEIGH)
            await self._reweighed()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(_WATCH, self._settings.predict_timeout / 2))
            for live in self.router.live():
                live.check()

    async def _land(self) -> None:
        while True:
            await asyncio.sleep(self.app.settings.store.landing_interval)
            try:
                report = await asyncio.to_thread(behind_requests, self.app.landing.land)
            except Exception:
                self.system.ended("landing", well=False)
                log.exception("journal segments could not be landed; they wait and are kept")
            else:
                self._note_landing(report)
                self._landing = not report.busy
                self.measuring.labelled.update(report.outcomes)
                self.learner.labelled.update(report.outcomes)

    def _note_landing(self, report: Any) -> None:
        for failure in report.failures:
            if failure not in self.landing_failures:
                log.error("cannot land events of %s", failure)
        for damage in report.damage:
            log.error("%s", damage)
        self.landing_failures = report.failures
        self.system.ended("landing", well=not report.failures)
        if report.predictions or report.outcomes:
            self.system.committed()

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(_MEASURE)
            if self._landing:  # of several processes the one that lands also measures
                await self.measuring.look(self.router.production.values())

    async def _roll(self) -> None:
        while True:
            await asyncio.sleep(self.rolling.rest)
            if self._landing:  # of several processes the one that lands also decides
                await self.rolling.look()

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(_KEEP_UP)
            if self._landing:
                await self.upkeep.look()

    async def _learn(self) -> None:
        while True:
            await asyncio.sleep(_LEARN)
            if self._landing:
                await self.learner.look()

    async def _notify(self) -> None:
        while True:
            await asyncio.sleep(_NOTIFY)
            if self._landing:
                await self.notifier.look()

    async def _refresh(self) -> None:
        while True:
            await self.refreshing.look()
            await asyncio.sleep(self.refreshing.rest)

    async def _retrain(self) -> None:
        while True:
            await self.retrainer.rest()
            if self._landing:
                await self.retrainer.look()


def _about(runtime: Runtime) -> dict[str, Any]:
    """Return what is known of a version in production."""
    version = runtime.version
    about = version.about
    return {
        "version": version.version,
        "framework": about.get("framework"),
        "algorithm": about.get("algorithm"),
        "format": version.format,
        "trained_date": version.tags.get("trained_date", version.registered_at.date()),
    }


def _explained(error: Exception) -> WatchkeeperError:
    """Return an error that a caller can be told; one of ours already says all there is to say."""
    if isinstance(error, WatchkeeperError):
        return error
    if not isinstance(error, ConnectionError):  # then the caller is gone, and nothing is wrong
        log.error("a prediction failed in the server", exc_info=error)
    return WatchkeeperError("the server failed", "Its log says where; please report it.")


async def _respond(send: Send, answer: Answer) -> None:
    status, headers, body = answer
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
