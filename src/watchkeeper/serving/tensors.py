"""Tensors of the Open Inference Protocol: their data as Python values, checked against their type.

Data come as JSON, flat or nested, or, in the binary extension that some clients use unasked, as raw
little-endian bytes after the JSON.
"""

import struct
from collections.abc import Sequence
from math import prod
from typing import Annotated, Any

import msgspec
import numpy as np

from watchkeeper.errors import InvalidValueError

__all__ = ["InferRequest", "Tensor", "datatype_of", "take_binary", "values_of"]


_NUMPY: dict[str, Any] = {
    "BOOL": np.bool_,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}

OUTPUTS = ("predict", "predict_proba")

# What a schema says of them; that a value is one of these is checked where errors name the field.
Datatype = Annotated[str, msgspec.Meta(extra_json_schema={"enum": [*_NUMPY, "BYTES"]})]
OutputName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": [*OUTPUTS]})]
Parameters = Annotated[
    dict[str, Any],
    msgspec.Meta(
        extra_json_schema={
            "properties": {
                "unit_id": {"type": "string"},
                "force_variant": {"type": "string"},
                "timestamp": {"type": "string", "format": "date-time"},
                "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            }
        }
    ),
]


class Tensor(msgspec.Struct):
    """An input."""

    name: str
    shape: list[int]
    datatype: Datatype
    data: Any = None
    parameters: dict[str, Any] | None = None


class RequestedOutput(msgspec.Struct):
    """An output that the client wants."""

    name: OutputName
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct):
    """The body of an inference request."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[RequestedOutput] | None = None


_MOST_DIMENSIONS = 8
_NONE = type(None)
_LENGTH = struct.Struct("<I")


def values_of(tensor: Tensor, field: str) -> list[Any]:
    """Return the values of a tensor, flat and row-major.

    Parameters
    ----------
    tensor : Tensor
    field : str
        What errors call it.

    Returns
    -------
    list of object

    Raises
    ------
    InvalidValueError
        If datatype, shape and data do not agree.
    """
    if tensor.datatype not in _NUMPY and tensor.datatype != "BYTES":
        raise InvalidValueError(
            f"{field}.datatype", tensor.datatype, f"one of {', '.join(_NUMPY)}, BYTES"
        )
    if not 1 <= len(tensor.shape) <= _MOST_DIMENSIONS or min(tensor.shape) < 0:
        raise InvalidValueError(f"{field}.shape", tensor.shape, "one to eight sizes, none negative")
    values = tensor.data
    if not isinstance(values, list):
        raise InvalidValueError(f"{field}.data", values, "an array")
    while values and isinstance(values[0], list):
        if not all(isinstance(inner, list) for inner in values):
            raise InvalidValueError(f"{field}.data", "numbers beside arrays", "the same nesting")
        values = [value for inner in values for value in inner]
    if len(values) != prod(tensor.shape):
        raise InvalidValueError(
            f"{field}.data",
            f"{len(values)} values",
            f"{prod(tensor.shape)}, the product of the shape {tensor.shape}",
        )
    _require_type(values, tensor.datatype, field)
    return values


def _require_type(values: Sequence[Any], datatype: str, field: str) -> None:
    kinds = set(map(type, values)) - {_NONE}  # whether null is allowed is the signature's to say
    allowed: set[type]
    if datatype == "BYTES":
        allowed, expected = {str}, "a string"
    elif datatype == "BOOL":
        allowed, expected = {bool}, "true or false"
    elif datatype.startswith("FP"):
        allowed, expected = {int, float}, "a number"
    else:
        allowed, expected = {int}, "a whole number"
    if not kinds <= allowed:
        at = next(i for i, value in enumerate(values) if type(value) not in {*allowed, _NONE})
        raise InvalidValueError(f"{field}.data[{at}]", values[at], f"{expected}, for {datatype}")
    if expected == "a whole number":
        limits = np.iinfo(_NUMPY[datatype])
        for at, value in enumerate(values):
            if value is not None and not limits.min <= value <= limits.max:
                raise InvalidValueError(
                    f"{field}.data[{at}]", value, f"between {limits.min} and {limits.max}"
                )


def take_binary(request: InferRequest, raw: bytes) -> None:
    """Give each tensor that announces binary data its values from `raw`, in order.

    Parameters
    ----------
    request : InferRequest
    raw : bytes

    Raises
    ------
    InvalidValueError
        If the announced sizes are not those of the bytes.
    """
    at = 0
    for number, tensor in enumerate(request.inputs):
        size = (tensor.parameters or {}).get("binary_data_size")
        if size is None:
            continue
        field = f"inputs[{number}].parameters.binary_data_size"
        if not isinstance(size, int) or size < 0 or at + size > len(raw):
            raise InvalidValueError(
                field, size, f"at most {len(raw) - at}, the bytes that are left"
            )
        tensor.data = _from_bytes(tensor.datatype, raw[at : at + size], field)
        at += size
    if at != len(raw):
        raise InvalidValueError(
            "body", f"{len(raw)} bytes after the JSON", f"{at}, as the tensors announce"
        )


def _from_bytes(datatype: str, raw: bytes, field: str) -> list[Any]:
    if datatype == "BYTES":
        texts: list[Any] = []
        at = 0
        while at < len(raw):
            if at + _LENGTH.size > len(raw):
                raise InvalidValueError(field, len(raw), "whole strings, each after its length")
            (length,) = _LENGTH.unpack_from(raw, at)
            at += _LENGTH.size
            if at + length > len(raw):
                raise InvalidValueError(field, len(raw), "whole strings, each after its length")
            texts.append(raw[at : at + length].decode(errors="replace"))
            at += length
        return texts
    if datatype not in _NUMPY:
        return []  # the datatype is refused with the rest of the tensor
    kind = np.dtype(_NUMPY[datatype]).newbyteorder("<")
    if len(raw) % kind.itemsize:
        raise InvalidValueError(field, len(raw), f"a multiple of {kind.itemsize}, for {datatype}")
    values: list[Any] = np.frombuffer(raw, kind).tolist()
    return values


def datatype_of(values: "np.ndarray[Any, Any]") -> str:
    """Return the datatype that an array of answers has in the protocol.

    Parameters
    ----------
    values : np.ndarray[Any, Any]

    Returns
    -------
    str
    """
    kinds = {"b": "BOOL", "i": "INT", "u": "UINT", "f": "FP"}
    if values.dtype.kind not in kinds:
        return "BYTES"
    name = kinds[values.dtype.kind]
    return name if name == "BOOL" else f"{name}{values.dtype.itemsize * 8}"
