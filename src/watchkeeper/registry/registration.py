"""What a registration stores of a model: its description, and its files."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from watchkeeper.errors import InvalidValueError
from watchkeeper.registry import formats
from watchkeeper.registry.formats import Format
from watchkeeper.registry.lineage import Lineage
from watchkeeper.registry.signature import Signature, of_estimator, of_training_data
from watchkeeper.results import finite, plain

__all__ = ["CARD", "MANIFEST", "PROFILE", "REFERENCE", "checked_metrics", "described_version"]

MANIFEST = "manifest.json"
REFERENCE = "reference.parquet"
PROFILE = "profile.bin"
CARD = "card.md"


def described_version(
    model: Any,
    named: tuple[str, str],
    stated: Mapping[str, Any],
    *,
    kind: Format,
    allow_unsafe: bool,
    training_data: object,
    signature: Signature | None,
    lineage: Lineage,
    card: str,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what is stored of a new version.

    Parameters
    ----------
    model : estimator, bytes, onnx.ModelProto, Remote, Path or object
    named : tuple of (str, str)
        Model name and version.
    stated : mapping
        ``metrics``, ``description``, ``tags`` and ``trusted``, checked.
    kind : Format
    allow_unsafe : bool
    training_data : data frame, dict of columns, 2-D array or None
    signature : Signature or None
    lineage : Lineage
    card : str

    Returns
    -------
    described : dict
        Its row in the control database.
    files : dict of str to bytes
        The file of the model first.

    Raises
    ------
    UntrustedTypesError, UnsafeFormatError, InvalidValueError
        If the model cannot be stored so.
    """
    model_name, version = named
    files = _files_of(model, kind, stated["trusted"], allow_unsafe)
    described: dict[str, Any] = {
        **stated,
        "model_id": f"{model_name}:{version}",
        "model_name": model_name,
        "version": version,
        "format": kind,
        "unsafe": kind in formats.UNSAFE,
        "about": formats.about_model(model, kind),
        "lineage": _lineage_of(model, lineage),
    }
    if training_data is not None:
        from watchkeeper.profiles import Profile
        from watchkeeper.registry import reference

        frame = reference.as_frame(training_data)
        frame = frame.select(_feature_names(model, kind, frame.columns))
        files[REFERENCE], described["about"]["training_data"] = reference.sample(frame)
        files[PROFILE] = Profile.of(frame.to_native()).to_bytes()
        signature = signature or of_training_data(frame)
    elif signature is None:
        signature = _signature_of(model, kind, next(iter(files.values())))
    if card:
        files[CARD] = card.encode()
    described["signature"] = None if signature is None else signature.to_dict()
    described = finite(described)
    files[MANIFEST] = json.dumps(described, indent=2, sort_keys=True).encode()
    return described, files


def _lineage_of(model: Any, lineage: Lineage) -> dict[str, Any]:
    """Return the stored lineage: what the caller states, and what the model says of itself."""
    detected = formats.lineage_of(model)
    return {
        **lineage.to_dict(),
        "parameters": _in_json(plain(lineage.parameters) or detected["parameters"]),
        "packages": {**detected["packages"], **lineage.packages},
    }


def _in_json(value: Any) -> Any:
    """Return parameters with words for numbers that JSON has not: ``inf``, ``-inf``, ``nan``."""
    if isinstance(value, dict):
        return {name: _in_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_in_json(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def checked_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics as floats.

    Parameters
    ----------
    metrics : mapping of str to float

    Returns
    -------
    dict of str to float

    Raises
    ------
    InvalidValueError
        If one is no finite number.
    """
    checked: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            checked[str(name)] = float(value)
        except (TypeError, ValueError):
            raise InvalidValueError(f"metrics[{name!r}]", value, "a number") from None
        if checked[str(name)] - checked[str(name)] != 0.0:
            raise InvalidValueError(f"metrics[{name!r}]", value, "a finite number")
    return checked


def _files_of(
    model: Any, kind: Format, trusted: Sequence[str], allow_unsafe: bool
) -> dict[str, bytes]:
    """Return the files of a model, the first of which says what it is."""
    if kind == "mlflow":
        if not allow_unsafe:
            raise formats.UnsafeFormatError(kind)
        if not isinstance(model, Path):
            raise InvalidValueError("model", type(model).__name__, "a path, for the format mlflow")
        return formats.files_of_directory(model)
    data = formats.dump(model, kind, trusted=trusted, allow_unsafe=allow_unsafe)
    return {formats.file_of(kind): data}


def _signature_of(model: Any, kind: Format, data: bytes) -> Signature | None:
    """Return what the model itself says that it takes, if it says so."""
    if kind == "onnx":
        from watchkeeper.registry.runtime import onnx_signature

        return onnx_signature(formats.load(data, kind, trusted=(), unsafe=False))
    return formats.signature_of_directory(model) if kind == "mlflow" else of_estimator(model)


def _feature_names(model: Any, kind: Format, columns: Sequence[str]) -> list[str]:
    """Return which columns of the training data are features of the model, in its order."""
    names = None if kind == "onnx" else getattr(model, "feature_names_in_", None)
    if names is not None:
        missing = [str(name) for name in names if name not in columns]
        if missing:
            raise InvalidValueError(
                "training_data", list(columns), f"also the model's features {', '.join(missing)}"
            )
        return [str(name) for name in names]
    count = None if kind == "onnx" else getattr(model, "n_features_in_", None)
    if count is not None and count != len(columns):
        raise InvalidValueError(
            "training_data", list(columns), f"the {count} features of the model and nothing else"
        )
    return list(columns)
