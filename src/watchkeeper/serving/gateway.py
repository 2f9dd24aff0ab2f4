"""The gateway: the data plane of one process, from the bytes of a request to those of its response.

No web framework stands between the bytes and the model. What the gateway answers is routed by what
it last read of the registry, the experiments, the rollouts and the shadows; `follow` reads them
again.
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

from watchkeeper import __version__
from watchkeeper.app import App
from watchkeeper.clock import ReplayClock
from watchkeeper.errors import UnavailableError, WatchkeeperError
from watchkeeper.monitoring.event_columns import newest_time
from watchkeeper.registry import ModelOutputError, Runtime
from watchkeeper.serving import mlflow, oip
from watchkeeper.serving.bodies import Receive, headers_of, read_body
from watchkeeper.serving.live_version import Call, CallResult, LiveVersion
from watchkeeper.serving.responses import (
    Answer,
    MethodNotAllowedError,
    ModelBusyError,
    ModelFailedError,
    ModelRefusedInputError,
    ModelTimedOutError,
    error_answer,
    status_of,
)
from watchkeeper.serving.routing import FAILOVER, PINNED, PRODUCTION, Router
from watchkeeper.serving.routing_table import RunningExperiments
from watchkeeper.telemetry import ModelMetrics, SystemMetrics, exposition
from watchkeeper.telemetry.endpoint import shared_between_workers
from watchkeeper.telemetry.tracing import RequestSpan, tracing_to

__all__ = ["Gateway", "Scope"]

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]

_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_INVOCATIONS = re.compile(r"(?:/v1/models/([^/]+))?/invocations")
_Taken = tuple[LiveVersion, Call]
_CANNOT = (
    ModelBusyError,
    ModelFailedError,
    ModelTimedOutError,
    ModelRefusedInputError,
    ModelOutputError,
)
_MOST_COPIES = 64  # requests that shadows are asked at once


class Gateway:
    """The data plane of one process.

    Parameters
    ----------
    app : App
        Its parts; the gateway does not close it.
    experiments : RunningExperiments, optional
        Which experiments share the traffic; by default those of the control database.

    Attributes
    ----------
    app : App
    metrics_registry : CollectorRegistry
        What `scrape` shows.
    metrics : ModelMetrics
    system : SystemMetrics
    router : Router
        Which loaded version answers a request.
    """

    def __init__(self, app: App, experiments: RunningExperiments | None = None) -> None:
        self.app = app
        self.metrics_registry = CollectorRegistry()
        telemetry = app.settings.telemetry
        self.metrics = ModelMetrics.of(self.metrics_registry, telemetry.latency_buckets)
        self.system = SystemMetrics(self.metrics_registry, version=__version__)
        if not shared_between_workers():  # of several processes it would show the one that answers
            ProcessCollector(registry=self.metrics_registry)
        self.tracing = tracing_to(
            telemetry.otlp_endpoint,
            service=telemetry.service,
            environment=telemetry.environment,
            version=__version__,
        )
        self.router = Router(
            app.registry,
            self._make_live,
            experiments or app.experiments.repository,
            app.rollouts.repository,
            app.shadows.repository,
            app.clock,
            app.settings.server.predict_timeout,
        )
        self._settings = app.settings.server
        self._in_flight = 0
        self._copies: set[asyncio.Task[None]] = set()  # requests that shadows are being asked
        self._shares_known = True  # whether the shares of rollouts could be read last

    async def start(self) -> None:
        """Open the journal and load what is in production."""
        self.app.recorder  # noqa: B018 - opened now, so that a data directory that is unfit says so
        self.app.recorder.on_dropped = self.system.dropped.inc
        if isinstance(self.app.clock, ReplayClock):
            self.saw(await asyncio.to_thread(newest_time, self.app.events))
        await self.router.refresh()
        self._show_production()

    async def stop(self) -> None:
        """Give up copied requests and close the versions; the caller closes the app."""
        for task in self._copies:
            task.cancel()
        await asyncio.gather(*self._copies, return_exceptions=True)
        self.router.close()
        await asyncio.to_thread(self.tracing.close)

    def not_ready(self) -> list[str]:
        """Return why this process cannot answer or record; nothing when it can.

        Returns
        -------
        list of str
        """
        reasons = self.router.outages
        fault = self.app.recorder.journal.fault
        if fault and self.app.settings.store.when_full == "refuse":
            reasons.append(f"predictions cannot be recorded: {fault}")
        return reasons

    def scrape(self) -> bytes:
        """Return the metrics of this server in Prometheus' text format.

        Returns
        -------
        bytes
        """
        waiting = self.app.recorder.journal.waiting()
        self.system.waits(waiting.size, waiting.sealed, waiting.oldest)
        self._publish()
        return exposition(
            self.metrics_registry,
            local=[
                self.metrics.metadata,
                self.metrics.experiment_traffic,
                self.metrics.rollout_traffic,
            ],
        )

    def saw(self, at: Any) -> None:
        """Move the clock of a replay to the event time `at`.

        Parameters
        ----------
        at : object
        """
        if at is not None and isinstance(self.app.clock, ReplayClock):
            self.app.clock.advance_to(at)

    def answering(
        self, method: str, path: str
    ) -> Callable[[Scope, Receive], Awaitable[Answer]] | None:
        """Return what answers a request of the data plane; None for any other request.

        Parameters
        ----------
        method, path : str

        Returns
        -------
        callable or None

        Raises
        ------
        MethodNotAllowedError
            If the path is one of the data plane, and the method is another than POST.
        """
        answering: Callable[[Scope, Receive], Awaitable[Answer]]
        if (infer := _INFER.fullmatch(path)) is not None:
            model, version = infer.groups()
            answering = partial(self._infer, model=model, version=version)
        elif (scoring := _INVOCATIONS.fullmatch(path)) is not None:
            answering = partial(self._score, model=scoring[1])
        else:
            return None
        if method != "POST":
            raise MethodNotAllowedError(method, path, "POST")
        return answering

    async def _infer(
        self, scope: Scope, receive: Receive, model: str, version: str | None
    ) -> Answer:
        arrived = time.perf_counter()
        headers = headers_of(scope)
        with self.tracing.request(scope["path"], headers) as span:
            try:
                body = await read_body(receive, headers, self._settings.max_body_bytes)
                live = await self._live(model, version)
                request = oip.decode(body, headers)
                call_of = partial(
                    oip.call_of,
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
                return oip.infer_answer(request, call, answered, live)
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
        refusal = _explained(error)
        span.answered(status_of(refusal), type(error).__name__)
        if isinstance(refusal, UnavailableError):
            self.system.refused.inc()
        return error_answer(refusal, protocol=protocol)

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
            version_call = call if by.takes_what(live) else call_of(by)
            return by, version_call.answered_by(variant, route.experiment)

        instead = None if route.failover is None else taken(route.failover, FAILOVER)
        return taken(route.live, route.variant), instead

    async def _answered(
        self, taken: _Taken, instead: _Taken | None, span: RequestSpan
    ) -> tuple[LiveVersion, Call, CallResult]:
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
        answered: CallResult,
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
                shadow_call = call if shadow.takes_what(live) else call_of(shadow)
                await shadow.predict(
                    shadow_call.copied(answered.prediction_ids, time.perf_counter())
                )

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

    async def follow(self) -> bool:
        """Load what has changed in the registry; return whether all of it can be served.

        What is loaded goes on answering, whatever goes wrong.

        Returns
        -------
        bool
        """
        if await self.router.refresh():
            self._show_production()
        await asyncio.to_thread(self._publish)
        return not (self.router.faults or self.router.experiment_faults)

    async def reweigh(self) -> None:
        """Share the traffic as the rollouts say now; shares hold until they expire."""
        try:
            if await self.router.reweigh():
                self._show_production()
        except Exception:
            if self._shares_known:  # four times a second is too often to say it again
                log.exception("the rollouts could not be read; weights hold until they expire")
            self._shares_known = False
        else:
            self._shares_known = True

    def check_versions(self) -> None:
        """Mark the versions whose computation hangs."""
        for live in self.router.live():
            live.check()


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
    return WatchkeeperError(
        "the server failed", "The server's log has the traceback; please report it."
    )
