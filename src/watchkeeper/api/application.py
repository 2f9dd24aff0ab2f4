"""The control API: everything beside predicting, and the description of all of it."""

import asyncio
import logging
from typing import Any, Literal

from fastapi import FastAPI, Path, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from watchkeeper import __version__
from watchkeeper.alerting.runbook import page
from watchkeeper.api.console import Console
from watchkeeper.api.experiments import add_experiments
from watchkeeper.api.incidents import add_incidents
from watchkeeper.api.openapi import describe
from watchkeeper.api.readiness import add_readiness
from watchkeeper.api.retraining import add_retraining
from watchkeeper.api.rollouts import add_rollouts
from watchkeeper.api.shadows import add_shadows
from watchkeeper.api.timelines import add_timelines
from watchkeeper.api.versions import HIDDEN, add_versions
from watchkeeper.clock import parse_timestamp
from watchkeeper.dashboard import add_dashboard
from watchkeeper.errors import InvalidValueError, NotFoundError, WatchkeeperError
from watchkeeper.events import EventKind, Window, check_name
from watchkeeper.monitoring.health import ModelHealth, served
from watchkeeper.monitoring.measurements import drift_of_window, quality_of_window
from watchkeeper.results import plain
from watchkeeper.serving import oip as v2
from watchkeeper.serving.bodies import decode_json, headers_of, read_body, spool_body
from watchkeeper.serving.ingest import ingest
from watchkeeper.serving.responses import Answer, error_answer, json_answer
from watchkeeper.telemetry.endpoint import CONTENT_TYPE

__all__ = ["make_api"]

log = logging.getLogger(__name__)


def make_api(console: Console) -> FastAPI:
    """Return the application that answers what the gateway does not answer itself.

    Parameters
    ----------
    console : Console

    Returns
    -------
    FastAPI
    """
    api = FastAPI(
        title="Watchkeeper",
        version=__version__,
        redirect_slashes=False,
        docs_url=None,  # the dashboard has a page of it: FastAPI's load scripts from other servers
        redoc_url=None,
    )
    api.state.access = console.app.access
    _add_errors(api)
    _add_protocol(api, console)
    _add_scoring(api)
    _add_ingest(api, console)
    _add_models(api, console)
    _add_measurements(api, console)
    _add_health(api, console)
    _add_findings(api, console)
    _add_audit(api, console)
    _add_alerts(api, console)
    add_experiments(api, console)
    add_rollouts(api, console)
    add_retraining(api, console)
    add_shadows(api, console)
    add_incidents(api, console)
    add_readiness(api, console)
    add_timelines(api, console)
    add_versions(api, console)
    add_dashboard(api, console.app, console)

    @api.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(await asyncio.to_thread(console.scrape), media_type=CONTENT_TYPE)

    @api.get("/runbook", include_in_schema=False)
    async def runbook() -> Response:
        thresholds = console.app.settings.surroundings().thresholds
        return Response(page(thresholds), media_type="text/html")

    describe(api)
    return api


def _add_errors(api: FastAPI) -> None:
    def answered(request: Request, error: WatchkeeperError) -> Response:
        return _response(error_answer(error, protocol=request.url.path.startswith("/v2")))

    @api.exception_handler(WatchkeeperError)
    async def ours(request: Request, error: WatchkeeperError) -> Response:
        return answered(request, error)

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, WatchkeeperError):  # what a body says of all its fields
            return answered(request, cause)
        field = ".".join(str(part) for part in first["loc"])
        return answered(request, InvalidValueError(field, first.get("input"), first["msg"]))

    @api.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        if error.status_code == 404:
            return answered(request, NotFoundError("path", path, "See /docs for those there are."))
        message = f"{request.method} {path}: {error.detail}"
        body: Any = {"error": message}
        if not path.startswith("/v2"):
            code = str(error.detail).lower().replace(" ", "_")
            body = {"error": {"code": code, "message": message, "hint": "", "details": {}}}
        extra = [(k.lower().encode(), v.encode()) for k, v in (error.headers or {}).items()]
        return _response(json_answer(body, error.status_code, extra))

    @api.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return answered(
            request,
            WatchkeeperError(
                "the server failed", "The server's log has the traceback; please report it."
            ),
        )


def _add_protocol(api: FastAPI, console: Console) -> None:
    """Add what the Open Inference Protocol asks beside inference."""

    @api.get("/v2", tags=["inference"])
    async def server_metadata() -> dict[str, Any]:
        """Tell what this server is."""
        return {"name": "watchkeeper", "version": __version__, "extensions": ["binary_tensor_data"]}

    @api.get("/v2/health/live", tags=["inference"])
    @api.get("/health/live", tags=["health"])
    async def live() -> dict[str, bool]:
        """Tell that the process runs."""
        return {"live": True}

    @api.get("/v2/health/ready", tags=["inference"])
    @api.get("/health/ready", tags=["health"])
    async def ready() -> Response:
        """Tell whether this process can answer and record, and why not."""
        reasons = await asyncio.to_thread(console.not_ready)
        if reasons:
            return _response(json_answer({"ready": False, "reasons": reasons}, 503))
        return _response(json_answer({"ready": True}))

    @api.get("/v2/models/{model}", tags=["inference"])
    async def model_metadata(model: str) -> dict[str, Any]:
        """Tell what the version in production takes and gives."""
        return v2.metadata(console.gateway.router.in_production(model))

    @api.get("/v2/models/{model}/versions/{version}", tags=["inference"])
    async def version_metadata(model: str, version: str) -> dict[str, Any]:
        """Tell what one version takes and gives."""
        return v2.metadata(await console.gateway.router.version(model, version))

    @api.get("/v2/models/{model}/ready", tags=["inference"])
    async def model_ready(model: str) -> Response:
        """Tell whether the version in production can answer."""
        fault = console.gateway.router.in_production(model).fault
        body = {"name": model, "ready": not fault}
        return _response(json_answer(body, 503 if fault else 200))

    @api.get("/v2/models/{model}/versions/{version}/ready", tags=["inference"])
    async def version_ready(model: str, version: str) -> Response:
        """Tell whether one version can answer."""
        fault = (await console.gateway.router.version(model, version)).fault
        body = {"name": model, "ready": not fault}
        return _response(json_answer(body, 503 if fault else 200))


def _add_scoring(api: FastAPI) -> None:
    """Add what MLflow's clients ask beside invocations."""

    @api.get("/ping", tags=["scoring"])
    @api.get("/health", tags=["scoring"])
    async def ping() -> Response:
        """Answer."""
        return Response("\n", media_type="text/plain")

    @api.get("/version", tags=["scoring"])
    async def version() -> Response:
        """Tell the server's version."""
        return Response(__version__, media_type="text/plain")


def _add_ingest(api: FastAPI, console: Console) -> None:
    """Add the ways in for what was predicted elsewhere, and for the truth."""

    async def take(request: Request, model: str, event: EventKind) -> Response:
        check_name(model, "model")
        limit = console.app.settings.server.max_ingest_bytes
        body = await spool_body(request.receive, headers_of(request.scope), limit)
        with body:
            kept = await asyncio.to_thread(
                ingest, body, event, model, console.app.recorder, console.app.arrivals
            )
        console.gateway.system.recorded.labels(event).inc(kept.accepted)
        console.gateway.saw(kept.newest)
        return _response(json_answer({"accepted": kept.accepted}))

    async def predictions(request: Request) -> Response:
        return await take(request, request.path_params["model"], "prediction")

    async def outcomes(request: Request) -> Response:
        return await take(request, request.path_params["model"], "outcome")

    api.router.add_route("/v1/models/{model}/predictions", predictions, methods=["POST"])
    api.router.add_route("/v1/models/{model}/outcomes", outcomes, methods=["POST"])


def _add_models(api: FastAPI, console: Console) -> None:
    """Add what there is to read of models."""
    app = console.app

    def about(name: str) -> dict[str, Any]:
        versions = app.registry.list_models(model_name=name)
        recorded = name in app.events.models()
        if not versions and not recorded:
            raise NotFoundError("model", name, "See /v1/models for those there are.")
        return {
            "name": name,
            "production": app.registry.get_production_model(name),
            "versions": [version.version for version in versions],
            "events": app.events.counts(name).to_dict() if recorded else None,
        }

    @api.get("/v1/models", tags=["models"])
    def models() -> dict[str, Any]:
        """List the models that are registered or have events."""
        registered = {version.model_name for version in app.registry.list_models()}
        names = sorted(registered.union(app.events.models()))
        production = app.registry.production()
        return {"models": [{"name": name, "production": production.get(name)} for name in names]}

    @api.get("/v1/models/{model}", tags=["models"])
    def model(model: str = Path(description="Name of the model")) -> dict[str, Any]:
        """Tell which versions a model has, and how much is recorded of it."""
        return about(model)

    @api.get("/v1/models/{model}/versions", tags=["models"])
    def versions(model: str) -> dict[str, Any]:
        """List the versions of a model, the newest first."""
        found = app.registry.list_models(model_name=model)
        if not found:
            raise NotFoundError("registered model", model, "See /v1/models for those there are.")
        return {
            "versions": [
                {name: value for name, value in each.to_dict().items() if name not in HIDDEN}
                for each in found
            ]
        }


def _add_measurements(api: FastAPI, console: Console) -> None:
    """Add what is measured of recorded windows."""
    app = console.app

    @api.get("/v1/models/{model}/drift", tags=["models"])
    def drift(
        model: str, start: str | None = None, end: str | None = None, checks: int = 1
    ) -> Response:
        """Compare the inputs of a window with what the version in production learned on.

        The level holds for so many `checks` together.
        """
        policy = app.settings.policy(model)
        found = drift_of_window(
            app.events,
            app.registry,
            model,
            _window(start, end),
            threshold=policy.drift.alpha,
            checks=checks,
        )
        return Response(found.to_json(), media_type="application/json")

    @api.get("/v1/models/{model}/quality", tags=["models"])
    def quality(model: str, start: str | None = None, end: str | None = None) -> Response:
        """Compare the predictions of a window with their labels, and with the baseline."""
        policy = app.settings.policy(model)
        found = quality_of_window(
            app.events,
            app.registry,
            model,
            _window(start, end),
            task=policy.task,
            positive=policy.positive,
            alert_threshold=policy.quality.max_relative_drop,
            min_samples=policy.quality.min_samples,
        )
        return Response(found.to_json(), media_type="application/json")


def _add_health(api: FastAPI, console: Console) -> None:
    """Add whether models are well."""
    app = console.app

    def found(model: str, at: str | None) -> ModelHealth:
        return app.health(model, None if at is None else parse_timestamp(at, "at"))

    @api.get("/v1/models/{model}/health", tags=["health"])
    def model_health(model: str, at: str | None = None) -> Response:
        """Tell whether a model is well, since when not, and what is left of its error budgets."""
        return Response(found(model, at).to_json(), media_type="application/json")

    @api.get("/v1/health", tags=["health"])
    def health(at: str | None = None) -> Response:
        """Tell the same of every model."""
        each = {name: found(name, at) for name in served(app.events, app.registry)}
        healthy = bool(each) and all(one.is_healthy for one in each.values())
        return _response(json_answer(plain({"is_healthy": healthy, "models": each})))


def _add_findings(api: FastAPI, console: Console) -> None:
    """Add what was measured before, and kept."""
    app = console.app

    @api.get("/v1/models/{model}/findings", tags=["models"])
    def findings(
        model: str, kind: Literal["drift", "quality"] | None = None, limit: int = 100
    ) -> Response:
        """List the measurements of a model that were kept, the newest first."""
        if not 1 <= limit <= 1000:
            raise InvalidValueError("limit", limit, "between 1 and 1000")
        found = app.findings.find(model, kind, limit=limit)
        return _response(json_answer({"findings": [each.to_dict() for each in found]}))


def _add_audit(api: FastAPI, console: Console) -> None:
    """Add who did what, when and why."""

    @api.get("/v1/audit", tags=["audit"])
    def entries(
        model: str | None = None,
        subject: str | None = None,
        action: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> Response:
        """List the audit trail, the newest entry first; the next page is before its last number."""
        if not 1 <= limit <= 1000:
            raise InvalidValueError("limit", limit, "between 1 and 1000")
        found = console.app.audit.entries(
            model, subject=subject, action=action, before=before, limit=limit
        )
        return _response(json_answer({"entries": [each.to_dict() for each in found]}))


def _add_alerts(api: FastAPI, console: Console) -> None:
    """Add the way in for Alertmanager, and what it has told."""
    app = console.app

    async def webhook(request: Request) -> Response:
        limit = app.settings.server.max_body_bytes
        body = await read_body(request.receive, headers_of(request.scope), limit)
        received = await asyncio.to_thread(app.incidents.receive, decode_json(body))
        for alert in received.news:
            console.gateway.system.alerts.labels(alert.status).inc()
        if received.refused is not None:
            raise received.refused
        return _response(json_answer({"received": len(received.news)}))

    api.router.add_route("/v1/alerts/alertmanager", webhook, methods=["POST"])

    @api.get("/v1/alerts", tags=["alerts"])
    def received(status: str | None = None, name: str | None = None) -> Response:
        """List the alerts that Alertmanager has posted, those that began last first."""
        if status is not None and status not in {"firing", "resolved"}:
            raise InvalidValueError("status", status, "firing or resolved")
        found = [alert.to_dict() for alert in app.alerts.find(status, name)]
        return _response(json_answer({"alerts": found}))


def _window(start: str | None, end: str | None) -> Window:
    return Window(
        None if start is None else parse_timestamp(start, "start"),
        None if end is None else parse_timestamp(end, "end"),
    )


def _response(answer: Answer) -> Response:
    status, headers, body = answer
    response = Response(body, status)
    response.raw_headers = headers
    return response
