"""The Open Inference Protocol, version 2: what its requests say and how it answers them."""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import InvalidValueError
from watchkeeper.registry import Signature
from watchkeeper.serving.bodies import Headers, decode_json
from watchkeeper.serving.live_version import Call, CallResult, LiveVersion
from watchkeeper.serving.responses import Answer, TooLargeError, json_answer
from watchkeeper.serving.rows import Rows, rows_of_columns, rows_of_matrix
from watchkeeper.serving.tensors import (
    OUTPUTS,
    InferRequest,
    Tensor,
    datatype_of,
    take_binary,
    values_of,
)

__all__ = [
    "OUTPUTS",
    "call_of",
    "decode",
    "forced_variant_of",
    "infer_answer",
    "metadata",
    "request_id_of",
    "unit_id_of",
]

_DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "string": "BYTES"}

_decoder = msgspec.json.Decoder(InferRequest)
_BINARY = b"inference-header-content-length"


def decode(body: bytes, headers: Headers) -> InferRequest:
    """Return the request that a body holds.

    Parameters
    ----------
    body : bytes
    headers : Headers
        Of the request, names in lower case.

    Returns
    -------
    InferRequest

    Raises
    ------
    InvalidValueError
        If it is not a request of the protocol.
    """
    announced = headers.get(_BINARY)
    if announced is None:
        request = decode_json(body, _decoder)
    else:
        if not announced.isdigit() or int(announced) > len(body):
            raise InvalidValueError(
                "Inference-Header-Content-Length",
                announced.decode("latin-1"),
                f"the length of the JSON, at most {len(body)}",
            )
        request = decode_json(body[: int(announced)], _decoder)
        take_binary(request, body[int(announced) :])
    names = [tensor.name for tensor in request.inputs]
    if not names or len(set(names)) != len(names):
        raise InvalidValueError("inputs", names, "at least one tensor, and each name once")
    for output in request.outputs or ():
        if output.name not in OUTPUTS:
            raise InvalidValueError("outputs", output.name, f"one of {', '.join(OUTPUTS)}")
    return request  # type: ignore[no-any-return]


def call_of(
    request: InferRequest,
    live: LiveVersion,
    headers: Headers,
    *,
    variant: str,
    arrived: float,
    max_rows: int,
) -> Call:
    """Return a request as a call of a live version.

    Parameters
    ----------
    request : InferRequest
    live : LiveVersion
    headers : Headers
        Of the request, names in lower case.
    variant : str
    arrived : float
    max_rows : int
        Rows of one request at most.

    Returns
    -------
    Call

    Raises
    ------
    InvalidValueError
        If the tensors are not what the version's signature says.
    TooLargeError
        If there are more than `max_rows` rows.
    """
    parameters = request.parameters or {}
    request_id = request.id or request_id_of(headers)
    unit = parameters.get("unit_id")
    if unit is not None and not isinstance(unit, str | int):
        raise InvalidValueError("parameters.unit_id", unit, "a string")
    at = parameters.get("timestamp")
    return Call(
        rows=_rows(request.inputs, live, max_rows),
        request_id=request_id,
        unit_id=str(unit) if unit is not None else unit_id_of(headers, request_id),
        timestamp=None if at is None else parse_timestamp(at, "parameters.timestamp"),
        tags=_tags(parameters.get("tags")),
        variant=variant,
        arrived=arrived,
        forced_variant=forced_variant_of(parameters.get("force_variant"), headers),
    )


def request_id_of(headers: Headers) -> str:
    """Return the id that a proxy gave a request, or a new one.

    Parameters
    ----------
    headers : Headers
        Of the request, names in lower case.

    Returns
    -------
    str
    """
    header = headers.get(b"x-request-id")
    return header.decode("latin-1") if header else uuid.uuid4().hex


def unit_id_of(headers: Headers, request_id: str) -> str:
    """Return whom a request is for: its header says, or it stands for itself.

    Parameters
    ----------
    headers : Headers
        Of the request, names in lower case.
    request_id : str

    Returns
    -------
    str
    """
    header = headers.get(b"x-unit-id")
    return header.decode("latin-1") if header else request_id


def forced_variant_of(parameter: object, headers: Headers) -> str | None:
    """Return the arm of an experiment that a request asks for.

    Parameters
    ----------
    parameter : object
        What the request says; it goes before the header.
    headers : Headers
        Of the request, names in lower case.

    Returns
    -------
    str or None

    Raises
    ------
    InvalidValueError
        If it is no text.
    """
    if parameter is None:
        header = headers.get(b"x-force-variant")
        return header.decode("latin-1") if header else None
    if not isinstance(parameter, str):
        raise InvalidValueError("force_variant", parameter, "the name of a variant")
    return parameter


def _tags(tags: object) -> dict[str, str] | None:
    if tags is None:
        return None
    if not isinstance(tags, Mapping):
        raise InvalidValueError("parameters.tags", tags, "an object of strings")
    return {str(name): str(value) for name, value in tags.items()}


def _rows(tensors: list[Tensor], live: LiveVersion, max_rows: int) -> Rows:
    signature, as_matrix = live.runtime.signature, live.runtime.wants_matrix
    count = tensors[0].shape[0] if tensors[0].shape else 0
    if count > max_rows:
        raise TooLargeError(
            f"the request has {count} rows; expected at most {max_rows}",
            "Send several smaller requests.",
        )
    first = tensors[0]
    if len(tensors) == 1 and len(first.shape) == 2 and not _is_feature(first, signature):
        values = values_of(first, "inputs[0]")
        _require_rows(count)
        if signature is not None:
            _require_datatype(first, None, signature, "inputs[0]")
        return rows_of_matrix(values, count, signature, as_matrix=as_matrix, field="inputs[0]")
    columns: dict[str, list[Any]] = {}
    for number, tensor in enumerate(tensors):
        field = f"inputs[{number}]"
        values = values_of(tensor, field)
        if len(tensor.shape) > 2 or (len(tensor.shape) == 2 and tensor.shape[1] != 1):
            raise InvalidValueError(
                f"{field}.shape", tensor.shape, "[rows] or [rows, 1], for one feature"
            )
        columns[tensor.name] = values
        if signature is not None:
            _require_datatype(tensor, tensor.name, signature, field)
    _require_rows(count)
    return rows_of_columns(columns, signature, as_matrix=as_matrix, field="inputs")


def _is_feature(tensor: Tensor, signature: Signature | None) -> bool:
    return tensor.shape[1] == 1 and signature is not None and tensor.name in signature.names


def _require_rows(count: int) -> None:
    if not count:
        raise InvalidValueError("inputs[0].shape", [0], "at least one row")


def _require_datatype(tensor: Tensor, name: str | None, signature: Signature, field: str) -> None:
    """Check a tensor's datatype against one feature, or against all that it stands for."""
    for feature in signature.features:
        if name is not None and feature.name != name:
            continue
        fits = {
            "number": tensor.datatype not in {"BOOL", "BYTES"},
            "integer": tensor.datatype not in {"BOOL", "BYTES"},
            "boolean": tensor.datatype == "BOOL",
            "string": tensor.datatype == "BYTES",
            "any": True,
        }
        if not fits[feature.type]:
            raise InvalidValueError(
                f"{field}.datatype",
                tensor.datatype,
                f"{_DATATYPES[feature.type]}, for the feature {feature.name}",
            )


def infer_answer(
    request: InferRequest, call: Call, answered: CallResult, live: LiveVersion
) -> Answer:
    """Return the answer to a request, in the protocol's words.

    Parameters
    ----------
    request : InferRequest
    call : Call
    answered : CallResult
    live : LiveVersion

    Returns
    -------
    Answer
    """
    answers = answered.answers
    wanted = {output.name for output in request.outputs} if request.outputs else set(OUTPUTS)
    outputs = []
    for name, values in (
        ("predict", answers.predictions),
        ("predict_proba", answers.probabilities),
    ):
        if name in wanted and values is not None:
            outputs.append(
                {
                    "name": name,
                    "datatype": datatype_of(values),
                    "shape": list(values.shape),
                    "data": values.ravel().tolist(),
                }
            )
    parameters: dict[str, Any] = {"variant": call.variant, "request_id": call.request_id}
    if not answered.recorded:
        parameters["recorded"] = False
    elif len(answered.prediction_ids) == 1:
        parameters["prediction_id"] = answered.prediction_ids[0]
    else:
        parameters["prediction_ids"] = answered.prediction_ids
    return json_answer(
        {
            "model_name": live.runtime.model_name,
            "model_version": live.runtime.version.version,
            "id": call.request_id,
            "parameters": parameters,
            "outputs": outputs,
        }
    )


def metadata(live: LiveVersion) -> dict[str, Any]:
    """Return what the protocol tells of a model: its inputs are those of its signature.

    Parameters
    ----------
    live : LiveVersion

    Returns
    -------
    dict of str to object
    """
    version = live.runtime.version
    features = version.signature.features if version.signature else ()
    inputs = [
        {"name": feature.name, "datatype": _DATATYPES.get(feature.type, "BYTES"), "shape": [-1]}
        for feature in features
    ]
    classes = live.runtime.classes
    outputs: list[dict[str, Any]] = [
        {
            "name": "predict",
            "datatype": "FP64" if classes is None else datatype_of(classes),
            "shape": [-1],
        }
    ]
    if classes is not None:
        outputs.append({"name": "predict_proba", "datatype": "FP64", "shape": [-1, len(classes)]})
    return {
        "name": version.model_name,
        "versions": [version.version],
        "platform": str(version.about.get("framework", version.format)),
        "inputs": inputs or [{"name": "inputs", "datatype": "FP64", "shape": [-1, -1]}],
        "outputs": outputs,
    }
