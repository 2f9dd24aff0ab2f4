"""OpenAPI for the routes that FastAPI does not see: predictions and ingest."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

__all__ = ["describe"]

_VALUE: dict[str, Any] = {}
_SCALAR = {"type": ["number", "string", "boolean", "null"]}
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {
            "type": "string",
            "enum": [
                "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64",
                "FP16", "FP32", "FP64", "BYTES",
            ],
        },
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}  # fmt: skip
_INFER = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "inputs": {"type": "array", "minItems": 1, "items": _TENSOR},
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"enum": ["predict", "predict_proba"]}},
            },
        },
        "parameters": {
            "type": "object",
            "properties": {
                "unit_id": {"type": "string"},
                "force_variant": {"type": "string"},
                "timestamp": {"type": "string", "format": "date-time"},
                "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
    },
}
_RECORDS = {"type": "array", "items": {"type": "object", "additionalProperties": _SCALAR}}
_SCORING = {
    "oneOf": [
        {
            "type": "object",
            "required": ["dataframe_split"],
            "properties": {
                "dataframe_split": {
                    "type": "object",
                    "required": ["columns", "data"],
                    "properties": {
                        "columns": {"type": "array", "items": {"type": "string"}},
                        "data": {"type": "array", "items": {"type": "array", "items": _SCALAR}},
                    },
                }
            },
        },
        {
            "type": "object",
            "required": ["dataframe_records"],
            "properties": {"dataframe_records": _RECORDS},
        },
        {"type": "object", "required": ["inputs"], "properties": {"inputs": _VALUE}},
        {"type": "object", "required": ["instances"], "properties": {"instances": _VALUE}},
    ]
}
_PREDICTIONS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "prediction_id": {"type": "string", "minLength": 1},
            "timestamp": {"type": "string", "format": "date-time"},
            "features": {"type": "object"},
            "prediction": _SCALAR,
            "score": {"type": "number"},
            "model_version": {"type": "string"},
            "variant": {"type": "string"},
            "experiment": {"type": "string"},
            "unit_id": {"type": "string"},
            "request_id": {"type": "string"},
            "status": {"enum": ["success", "error"]},
            "error": {"type": "string"},
            "latency_ms": {"type": "number"},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "additionalProperties": False,
    },
}
_OUTCOMES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["prediction_id", "actual"],
        "properties": {
            "prediction_id": {"type": "string", "minLength": 1},
            "actual": {"type": ["number", "string", "boolean"]},
            "timestamp": {"type": "string", "format": "date-time"},
            "metric": {
                "type": "string",
                "description": "What else came of it: `actual` is its value.",
            },
        },
        "additionalProperties": False,
    },
}
_NOTIFICATION = {
    "type": "object",
    "required": ["alerts"],
    "properties": {
        "receiver": {"type": "string"},
        "alerts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["status", "labels", "startsAt", "fingerprint"],
                "properties": {
                    "status": {"enum": ["firing", "resolved"]},
                    "fingerprint": {"type": "string", "minLength": 1},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
                    "startsAt": {"type": "string", "format": "date-time"},
                    "endsAt": {"type": "string", "format": "date-time"},
                    "generatorURL": {"type": "string"},
                },
            },
        },
    },
}
_PROTOCOL_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "hint", "details"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "hint": {"type": "string"},
                "details": {"type": "object"},
            },
        }
    },
}


def describe(api: FastAPI) -> None:
    """Make ``/openapi.json`` describe every route of the server."""

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            schema = get_openapi(
                title="Watchkeeper",
                version=api.version,
                summary="Predictions, their outcomes, and how models fare",
                routes=api.routes,
            )
            schema["paths"].update(_paths())
            _state_errors(schema["paths"])
            api.openapi_schema = schema
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


def _paths() -> dict[str, Any]:
    model, version = _parameter("model"), _parameter("version")
    infer = ("inference", "Predict", _INFER)
    scoring = ("scoring", "Predict, in MLflow's words", _SCORING)
    return {
        "/v2/models/{model}/infer": _post(*infer, [model]),
        "/v2/models/{model}/versions/{version}/infer": _post(*infer, [model, version]),
        "/invocations": _post(*scoring, []),
        "/v1/models/{model}/invocations": _post(*scoring, [model]),
        "/v1/models/{model}/predictions": _post(
            "ingest", "Keep predictions that were made elsewhere", _PREDICTIONS, [model], bulk=True
        ),
        "/v1/alerts/alertmanager": _post("alerts", "Receive alerts", _NOTIFICATION, []),
        "/v1/models/{model}/outcomes": _post(
            "ingest", "Keep what came true", _OUTCOMES, [model], bulk=True
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


def _state_errors(paths: dict[str, Any]) -> None:
    for path, operations in paths.items():
        shape = _PROTOCOL_ERROR if path.startswith("/v2") else _ERROR
        for operation in operations.values():
            operation["responses"].pop("422", None)
            for status in ("4XX", "5XX"):
                operation["responses"][status] = {
                    "description": "It could not be done",
                    "content": {"application/json": {"schema": shape}},
                }
