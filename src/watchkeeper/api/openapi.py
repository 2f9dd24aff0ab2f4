"""OpenAPI for the routes that FastAPI does not see: predictions and ingest."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from watchkeeper.events import Outcome, Prediction
from watchkeeper.serving.responses import ErrorBody, ProtocolErrorBody
from watchkeeper.serving.tensors import InferRequest

__all__ = ["describe"]

Scalar = str | int | float | bool | None
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
NotEmpty = Annotated[str, msgspec.Meta(min_length=1)]

# What an event's own type leaves open, since it is checked where errors name the record.
_POSTED = {
    "prediction_id": NotEmpty,
    "timestamp": Moment,
    "prediction": Scalar,
    "actual": str | int | float | bool,
}


def _posted(event: type[msgspec.Struct], required: set[str]) -> type[msgspec.Struct]:
    """Return what is posted of an event: the server knows the model and the time of arrival."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(event):
        if field.name not in {"model", "arrived_at"}:
            kind = _POSTED.get(field.name, field.type)
            optional = () if field.name in required else (msgspec.UNSET,)
            fields.append((field.name, kind | msgspec.UnsetType if optional else kind, *optional))
    name = f"Posted{event.__name__}"
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)


class DataframeSplit(msgspec.Struct):
    """Rows of a data frame, in pandas' orientation ``split``."""

    columns: list[str]
    data: list[list[Scalar]]


class SplitScoring(msgspec.Struct):
    """A scoring request of MLflow with ``dataframe_split``."""

    dataframe_split: DataframeSplit


class RecordsScoring(msgspec.Struct):
    """A scoring request of MLflow with ``dataframe_records``."""

    dataframe_records: list[dict[str, Scalar]]


class InputsScoring(msgspec.Struct):
    """A scoring request of MLflow with ``inputs``."""

    inputs: Any


class InstancesScoring(msgspec.Struct):
    """A scoring request of MLflow with ``instances``."""

    instances: Any


class PostedAlert(msgspec.Struct, rename="camel"):
    """An alert as Alertmanager posts it."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    starts_at: Moment
    fingerprint: NotEmpty
    annotations: dict[str, str] = {}
    ends_at: Moment | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")


class PostedAlerts(msgspec.Struct):
    """A notification of Alertmanager."""

    alerts: list[PostedAlert]
    receiver: str = ""


_SCORING = (SplitScoring, RecordsScoring, InputsScoring, InstancesScoring)
_TYPES = (
    InferRequest,
    *_SCORING,
    list[_posted(Prediction, set())],  # type: ignore[misc]
    list[_posted(Outcome, {"prediction_id", "actual"})],  # type: ignore[misc]
    PostedAlerts,
    ErrorBody,
    ProtocolErrorBody,
)
_REF = "#/components/schemas/{name}"


def describe(api: FastAPI) -> None:
    """Make ``/openapi.json`` describe every route of the server.

    Parameters
    ----------
    api : FastAPI
    """

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            schema = get_openapi(
                title="Watchkeeper",
                version=api.version,
                summary="Predictions, their outcomes, and how models fare",
                routes=api.routes,
            )
            bodies, components = msgspec.json.schema_components(_TYPES, ref_template=_REF)
            infer, *scoring, predictions, outcomes, alerts, error, protocol_error = bodies
            schema["paths"].update(_paths(infer, {"oneOf": scoring}, predictions, outcomes, alerts))
            schema.setdefault("components", {}).setdefault("schemas", {}).update(components)
            _state_errors(schema["paths"], error, protocol_error)
            api.openapi_schema = schema
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


def _paths(
    infer_body: Any, scoring_body: Any, predictions: Any, outcomes: Any, alerts: Any
) -> dict[str, Any]:
    model, version = _parameter("model"), _parameter("version")
    infer = ("inference", "Predict", infer_body)
    scoring = ("scoring", "Predict, in MLflow's protocol", scoring_body)
    return {
        "/v2/models/{model}/infer": _post(*infer, [model]),
        "/v2/models/{model}/versions/{version}/infer": _post(*infer, [model, version]),
        "/invocations": _post(*scoring, []),
        "/v1/models/{model}/invocations": _post(*scoring, [model]),
        "/v1/models/{model}/predictions": _post(
            "ingest", "Record predictions that were made elsewhere", predictions, [model], bulk=True
        ),
        "/v1/alerts/alertmanager": _post("alerts", "Receive alerts", alerts, []),
        "/v1/models/{model}/outcomes": _post(
            "ingest", "Record outcomes (labels)", outcomes, [model], bulk=True
        ),
    }


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _post(
    tag: str, summary: str, body: Any, parameters: list[Any], *, bulk: bool = False
) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": body}}
    if bulk:
        content["application/x-ndjson"] = {"schema": {"type": "string"}}
        content["application/vnd.apache.arrow.stream"] = {
            "schema": {"type": "string", "format": "binary"}
        }
    return {
        "post": {
            "tags": [tag],
            "summary": summary,
            "parameters": parameters,
            "requestBody": {"required": True, "content": content},
            "responses": {
                "200": {
                    "description": "Done",
                    "content": {"application/json": {"schema": {"type": "object"}}},
                }
            },
        }
    }


def _state_errors(paths: dict[str, Any], error: Any, protocol_error: Any) -> None:
    for path, operations in paths.items():
        shape = protocol_error if path.startswith("/v2") else error
        for operation in operations.values():
            operation["responses"].pop("422", None)
            for status in ("4XX", "5XX"):
                operation["responses"][status] = {
                    "description": "It could not be done",
                    "content": {"application/json": {"schema": shape}},
                }
