"""Events as lines of JSON, and back.

JSON has no NaN and no infinities. A line that needs them carries them beside the event, in
``non_finite``, so that NaN, null and absent stay three different things.
"""

import base64
from datetime import date, datetime
from math import isfinite
from typing import Any

import msgspec
import numpy as np

from watchkeeper.events import FEATURE, Event, Outcome, Prediction

__all__ = ["decode", "encode", "plain_value"]

_PLAIN = frozenset({str, int, bool, type(None), msgspec.Raw})
_KEPT = frozenset({"features", "tags", "timestamp", "arrived_at"})


class _NonFinite(msgspec.Struct):
    non_finite: dict[str, str] = {}


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Prediction | Outcome)
_decode_non_finite = msgspec.json.Decoder(_NonFinite).decode


def encode(event: Event) -> bytes:
    """Return `event` as one line of JSON, newline included; no value makes it fail.

    Parameters
    ----------
    event : Event

    Returns
    -------
    bytes
    """
    non_finite: dict[str, str] = {}
    if isinstance(event, Prediction):
        features = event.features
        for name, value in features.items():
            if value.__class__ is float:
                if not isfinite(value):
                    non_finite[FEATURE + name] = repr(value)
            elif value.__class__ not in _PLAIN:
                return encode(_made_plain(event))
        answers: tuple[tuple[str, Any], ...] = (
            ("score", event.score),
            ("prediction", event.prediction),
        )
    else:
        answers = (("actual", event.actual),)
    for name, value in answers:
        if value.__class__ is float:
            if not isfinite(value):
                non_finite[name] = repr(value)
        elif value.__class__ not in _PLAIN:
            return encode(_made_plain(event))
    try:
        line = _encoder.encode(event)
    except UnicodeEncodeError:  # a lone surrogate, in whichever field
        return encode(_made_plain(event))
    if non_finite:
        line = line[:-1] + b',"non_finite":' + _encoder.encode(non_finite) + b"}"
    return line + b"\n"


def decode(line: bytes) -> Event:
    """Return the event of one line.

    Parameters
    ----------
    line : bytes

    Returns
    -------
    Event

    Raises
    ------
    msgspec.MsgspecError, UnicodeDecodeError
        If the line is not an event.
    """
    event = _decoder.decode(line)
    if b'"non_finite"' not in line:
        return event
    changes: dict[str, float] = {}
    for name, text in _decode_non_finite(line).non_finite.items():
        if isinstance(event, Prediction) and name.startswith(FEATURE):
            event.features[name.removeprefix(FEATURE)] = float(text)
        else:
            changes[name] = float(text)
    return msgspec.structs.replace(event, **changes)


def plain_value(value: object) -> Any:
    """Return `value` as a number, a string, a boolean, None, or a list or dict of them.

    NumPy scalars and arrays become their Python values, times ISO 8601, bytes base64, and whatever
    else there may be its ``repr``. A float that is not finite becomes its name where it is nested.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(plain_value(key)): _nested(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_nested(item) for item in value]
    return plain_value(repr(value))


def _nested(value: object) -> Any:
    value = plain_value(value)
    return repr(value) if isinstance(value, float) and not isfinite(value) else value


def _made_plain(event: Event) -> Event:
    """Return `event` with every value plain, and what is nested as msgspec's raw JSON."""
    changes = {
        name: _raw(getattr(event, name)) for name in event.__struct_fields__ if name not in _KEPT
    }
    if isinstance(event, Prediction):
        changes["features"] = {
            str(plain_value(name)): _raw(value) for name, value in event.features.items()
        }
        if event.tags is not None:
            changes["tags"] = {
                str(plain_value(name)): str(plain_value(value))
                for name, value in event.tags.items()
            }
    return msgspec.structs.replace(event, **changes)


def _raw(value: object) -> Any:
    plain = plain_value(value)
    return msgspec.Raw(_encoder.encode(plain)) if isinstance(plain, list | dict) else plain
