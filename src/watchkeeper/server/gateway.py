"""The gateway: an ASGI application that answers predictions itself and leaves the rest to FastAPI.

Requests to predict take the short way: no framework stands between the bytes and the model. All
other paths are described by OpenAPI, those of the short way included.
"""

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any

from prometheus_client import CollectorRegistry

from watchkeeper.app import App
from watchkeeper.clock import ReplayClock
from watchkeeper.control.measurements import latest_accuracy
from watchkeeper.errors import UnavailableError, WatchkeeperError
from watchkeeper.registry import Runtime
from watchkeeper.server import mlflow, v2
from watchkeeper.server.answers import Answer, UnauthorizedError, error_answer
from watchkeeper.server.bodies import Headers, Receive, headers_of, read_body
from watchkeeper.server.predicting import Call, LiveVersion
from watchkeeper.server.routing import PINNED, PRODUCTION, Router
from watchkeeper.telemetry import Metrics

__all__ = ["Gateway"]

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_INVOCATIONS = re.compile(r"(?:/v1/models/([^/]+))?/invocations")
_OPEN = frozenset(
    {"/v2/health/live", "/v2/health/ready", "/health/live", "/health/ready", "/ping", "/health"}
)

_FOLLOW = 1.0  # seconds between two looks at the registry
_WATCH = 0.1  # seconds between two looks for computations that hang
_MEASURE = 60.0  # seconds between two measurements of accuracy


class Gateway:
    """The server of one process.

    Parameters
    ----------
    app : App
        Its parts; the gateway does not close it.

    Attributes
    ----------
    draining : bool
        Set when the process is about to end: it still answers, and says that it is not ready.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.metrics_registry = CollectorRegistry()
        self.metrics = Metrics(self.metrics_registry)
        self.draining = False
        self.landing_failures: tuple[str, ...] = ()
        self.router = Router(app.registry, self._make_live)
        self._settings = app.settings.server
        self._keys = [_digest(key) for key in self._settings.api_keys]
        self._in_flight = 0
        self._tasks: list[asyncio.Task[None]] = []
        from watchkeeper.server.api import make_api

        self._api = make_api(self)

    async def start(self) -> None:
        """Load what is in production and begin to follow the registry, to land and to measure."""
        self.app.recorder  # noqa: B018 - opened now, so that a data directory that is unfit says so
        self.app.recorder.on_dropped = self.metrics.dropped.inc
        await self.router.refresh()
        for work in (self._follow, self._watch, self._land):
            self._tasks.append(asyncio.create_task(work(), name=work.__name__))

    async def stop(self) -> None:
        """End what `start` began."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self.router.close()

    def not_ready(self) -> list[str]:
        """Return why this process should not get traffic; nothing when it should."""
        reasons = list(self.router.faults)
        if self.draining:
            reasons.append("it is about to end")
        if not self._tasks:
            reasons.append("it is starting")
        fault = self.app.recorder.journal.fault
        if fault and self.app.settings.store.when_full == "refuse":
            reasons.append(f"predictions cannot be recorded: {fault}")
        return reasons

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
            if self._keys and path not in _OPEN:
                self._require_key(headers_of(scope))
            if scope["method"] == "POST":
                if (infer := _INFER.fullmatch(path)) is not None:
                    await _respond(send, await self._infer(scope, receive, *infer.groups()))
                    return
                if (scoring := _INVOCATIONS.fullmatch(path)) is not None:
                    await _respond(send, await self._score(scope, receive, scoring[1]))
                    return
        except UnauthorizedError as error:
            await _respond(send, error_answer(error, protocol=path.startswith("/v2")))
            return
        await self._api(scope, receive, send)

    async def _infer(
        self, scope: Scope, receive: Receive, model: str, version: str | None
    ) -> Answer:
        arrived = time.perf_counter()
        try:
            headers = headers_of(scope)
            body = await read_body(receive, headers, self._settings.max_body_bytes)
            live = await self._live(model, version)
            request = v2.decode(body, headers)
            call = v2.call_of(
                request,
                live,
                headers,
                variant=PINNED if version else PRODUCTION,
                arrived=arrived,
                max_rows=self._settings.max_rows,
            )
            return v2.infer_answer(request, call, await self._predict(live, call), live)
        except Exception as error:  # noqa: BLE001 - every caller gets an answer
            return error_answer(_explained(error), protocol=True)

    async def _score(self, scope: Scope, receive: Receive, model: str | None) -> Answer:
        arrived = time.perf_counter()
        try:
            headers = headers_of(scope)
            body = await read_body(receive, headers, self._settings.max_body_bytes)
            live = self.router.only(model or self._settings.default_model)
            call = mlflow.call_of(
                body,
                live,
                headers,
                variant=PRODUCTION,
                arrived=arrived,
                max_rows=self._settings.max_rows,
            )
            return mlflow.scoring_answer(call, await self._predict(live, call))
        except Exception as error:  # noqa: BLE001 - every caller gets an answer
            return error_answer(_explained(error))

    async def _live(self, model: str, version: str | None) -> LiveVersion:
        if version is None:
            return self.router.in_production(model)
        return await self.router.version(model, version)

    async def _predict(self, live: LiveVersion, call: Call) -> Any:
        if self._in_flight >= self._settings.max_in_flight:
            raise UnavailableError(
                f"{self._in_flight} requests are being answered, which is the most",
                "Try again, or raise server.max_in_flight.",
            )
        self.saw(call.timestamp)
        self._in_flight += 1
        try:
            return await live.predict(call)
        finally:
            self._in_flight -= 1

    def _make_live(self, runtime: Runtime) -> LiveVersion:
        return LiveVersion(
            runtime,
            recorder=self.app.recorder,
            metrics=self.metrics.of_version(runtime.model_name, runtime.version.version),
            clock=self.app.clock,
            max_rows=self._settings.max_rows,
            timeout=self._settings.predict_timeout,
        )

    def _require_key(self, headers: Headers) -> None:
        scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        given = _digest(key.strip())
        known = [hmac.compare_digest(given, own) for own in self._keys]
        if scheme.lower() != "bearer" or not any(known):
            raise UnauthorizedError(
                "the request carries no key that this server knows",
                "Send the header Authorization: Bearer KEY.",
            )

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_FOLLOW)
            try:
                await self.router.refresh()
            except Exception:
                log.exception("the registry could not be read; what is loaded goes on answering")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(_WATCH, self._settings.predict_timeout / 2))
            for live in self.router.live():
                live.check()

    async def _land(self) -> None:
        measured = -_MEASURE
        while True:
            await asyncio.sleep(self.app.settings.store.landing_interval)
            try:
                report = await asyncio.to_thread(self.app.landing.land)
                self._note_landing(report)
                if report.outcomes and time.monotonic() - measured >= _MEASURE:
                    await asyncio.to_thread(self._measure, list(report.outcomes))
                    measured = time.monotonic()
            except Exception:
                self.metrics.landing_failures.inc()
                log.exception("journal segments could not be landed; they wait and are kept")

    def _note_landing(self, report: Any) -> None:
        for failure in report.failures:
            if failure not in self.landing_failures:
                log.error("cannot land events of %s", failure)
        for damage in report.damage:
            log.error("%s", damage)
        self.landing_failures = report.failures
        if report.failures:
            self.metrics.landing_failures.inc()

    def _measure(self, models: list[str]) -> None:
        for model in models:
            live = self.router.production.get(model)
            if live is None:
                continue
            policy = self.app.settings.policy(model)
            live.metrics.set_accuracy(
                latest_accuracy(
                    self.app.events,
                    model,
                    live.runtime.version.version,
                    window_size=policy.quality.window_size,
                    min_samples=policy.quality.min_samples,
                    positive=policy.positive,
                )
            )


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


def _digest(key: str) -> str:
    """Return what keys are compared by; settings may hold that instead of the key itself."""
    if key.startswith("sha256:"):
        return key.removeprefix("sha256:").lower()
    return sha256(key.encode()).hexdigest()
