"""How a model becomes bytes, and bytes a model, without running a stranger's code.

``skops`` holds scikit-learn estimators and restores only types that are trusted; ``onnx`` holds a
graph of operators; ``remote`` says which server computes the model. ``joblib``, ``cloudpickle``
(functions) and ``mlflow`` (a directory that MLflow loads) run whatever they are told to, and take
consent.
"""

import io
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from zipfile import ZIP_DEFLATED

from watchkeeper.errors import InvalidValueError, MissingExtraError, WatchkeeperError
from watchkeeper.registry.remote import Remote, RemoteModel
from watchkeeper.registry.signature import Feature, FeatureType, Signature
from watchkeeper.registry.sklearn_types import skops_io, trusting_estimators

__all__ = [
    "UNSAFE",
    "Format",
    "UnsafeFormatError",
    "UntrustedTypesError",
    "about_model",
    "dump",
    "file_of",
    "files_of_directory",
    "format_of_file",
    "known_types",
    "last_step",
    "lineage_of",
    "load",
    "load_directory",
    "signature_of_directory",
]

Format = Literal["skops", "onnx", "joblib", "cloudpickle", "mlflow", "remote"]

_FILES: dict[Format, str] = {
    "skops": "model.skops",
    "onnx": "model.onnx",
    "joblib": "model.joblib",
    "cloudpickle": "model.cloudpickle",
    "mlflow": "model/MLmodel",
    "remote": "model.json",
}
UNSAFE: frozenset[Format] = frozenset(("joblib", "cloudpickle", "mlflow"))
"""The formats that can run code when they are loaded."""
_DIRECTORY = "MLmodel"

# What scikit-learn's own estimators are made of beyond what skops trusts by itself. Each restores
# arrays, numbers and further trusted types from its state; none calls what the file names.
_OWN_PARTS = (
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)


class UntrustedTypesError(WatchkeeperError, ValueError):
    """A skops file names types that are not trusted."""

    def __init__(self, types: Sequence[str]) -> None:
        listed = ", ".join(types)
        super().__init__(
            f"the model contains types that are not trusted: {listed}",
            "If you know them to be safe to load, pass trusted=[...] (--trusted) with their names.",
        )
        self.args = (types,)
        self.types = tuple(types)


class UnsafeFormatError(WatchkeeperError, ValueError):
    """A format that can run code was to be used without consent."""

    def __init__(self, format: str) -> None:  # noqa: A002 - the word users know
        super().__init__(
            f"the format {format} can run any code when it is loaded",
            "Use skops or ONNX; or, if you trust where the model comes from, pass "
            "allow_unsafe=True (--allow-unsafe), which is recorded on the version.",
        )
        self.args = (format,)
        self.format = format


def file_of(format: Format) -> str:  # noqa: A002 - the word users know
    """Return what the first file of a version in `format` is called.

    Parameters
    ----------
    format : Format

    Returns
    -------
    str
    """
    return _FILES[format]


def format_of_file(path: Path) -> Format:
    """Return the format that a file's ending says.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Format

    Raises
    ------
    InvalidValueError
        If it says none.
    """
    endings: dict[str, Format] = {
        ".skops": "skops", ".onnx": "onnx", ".joblib": "joblib", ".pkl": "joblib",
        ".pickle": "joblib", ".cloudpickle": "cloudpickle", ".json": "remote",
    }  # fmt: skip
    if path.name == _DIRECTORY or (path / _DIRECTORY).is_file():
        return "mlflow"
    if path.suffix.lower() not in endings:
        raise InvalidValueError(
            "file",
            str(path),
            f"a name that ends in {', '.join(endings)}, or an MLflow directory",
        )
    return endings[path.suffix.lower()]


def natural_format(model: object) -> Format:
    """Return the format for a model when the user names none.

    Parameters
    ----------
    model : object

    Returns
    -------
    Format
    """
    if isinstance(model, Remote):
        return "remote"
    if isinstance(model, Path):
        return "mlflow"
    if isinstance(model, bytes) or hasattr(model, "SerializeToString"):
        return "onnx"
    if type(model).__module__.partition(".")[0] == "sklearn" or hasattr(model, "get_params"):
        return "skops"
    if callable(model) and not hasattr(model, "predict"):
        return "cloudpickle"
    return "joblib"


def dump(
    model: Any,
    format: Format,  # noqa: A002 - the word users know
    *,
    trusted: Sequence[str],
    allow_unsafe: bool,
) -> bytes:
    """Return a model as bytes that `load` accepts.

    Parameters
    ----------
    model : object
    format : Format
    trusted : sequence of str
        Names of types beyond the default ones that loading may make.
    allow_unsafe : bool
        Consent to a format that can run code when it is loaded.

    Returns
    -------
    bytes

    Raises
    ------
    UntrustedTypesError
        If it contains types that neither scikit-learn's estimators are made of nor `trusted` names.
    UnsafeFormatError
        If the format can run code and `allow_unsafe` is not given.
    InvalidValueError
        If the model cannot be written in this format.
    MissingExtraError
        If a package is not installed that the format needs.
    """
    if format in UNSAFE and not allow_unsafe:
        raise UnsafeFormatError(format)
    if format == "remote" and isinstance(model, Remote):
        return model.to_json().encode()
    if format == "cloudpickle":
        if not callable(model):
            raise InvalidValueError("model", type(model).__name__, "a function, for cloudpickle")
        import cloudpickle

        return bytes(cloudpickle.dumps(model))
    if format == "joblib":
        import joblib

        buffer = io.BytesIO()
        joblib.dump(model, buffer)
        return buffer.getvalue()
    if format == "onnx":
        data = model if isinstance(model, bytes) else _onnx_bytes(model)
        _onnx_session(data)
        return data
    if format == "skops":
        if not hasattr(model, "get_params"):
            raise InvalidValueError(
                "model", type(model).__name__, "a scikit-learn estimator, for the format skops"
            )
        data = bytes(skops_io().dumps(model, compression=ZIP_DEFLATED))
        with trusting_estimators(data) as skops:
            _require_trusted(skops, data, trusted)
        return data
    raise InvalidValueError("format", format, f"one of {', '.join(_FILES)}, that suits the model")


def load(data: bytes, format: Format, *, trusted: Sequence[str], unsafe: bool) -> Any:  # noqa: A002
    """Return the model that `data` holds; its digest has been checked before.

    Parameters
    ----------
    data : bytes
        As `dump` returned it.
    format : Format
    trusted : sequence of str
        Names of types beyond the default ones that loading may make.
    unsafe : bool
        Whether the version was registered with that consent.

    Returns
    -------
    object

    Raises
    ------
    UnsafeFormatError
        If the format runs code, and the registration did not consent to that.
    UntrustedTypesError
        If a file of skops holds types that are not trusted.
    MissingExtraError
        If a package is not installed that the model needs.
    InvalidValueError
        If the format is that of a directory.
    """
    if format in UNSAFE and not unsafe:
        raise UnsafeFormatError(format)
    if format == "mlflow":
        raise InvalidValueError("format", format, "a model that is one file")
    if format == "remote":
        return RemoteModel(Remote.from_json(data))
    if format == "cloudpickle":
        import cloudpickle

        return cloudpickle.loads(data)
    if format == "joblib":
        import joblib

        try:
            return joblib.load(io.BytesIO(data))
        except ModuleNotFoundError as error:
            if error.name == "river":
                raise MissingExtraError("a model of River", "online") from None
            raise
    if format == "onnx":
        return _onnx_session(data)
    with trusting_estimators(data) as skops:
        return skops.loads(data, trusted=_require_trusted(skops, data, trusted))


def files_of_directory(directory: Path) -> dict[str, bytes]:
    """Return the files of an MLflow model directory, the one that describes it first.

    Parameters
    ----------
    directory : Path

    Returns
    -------
    dict of str to bytes

    Raises
    ------
    InvalidValueError
        If it is none.
    """
    if not (directory / _DIRECTORY).is_file():
        raise InvalidValueError(
            "model", str(directory), f"a directory with a file {_DIRECTORY}, as MLflow writes it"
        )
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    files.sort(key=lambda path: path != directory / _DIRECTORY)
    folder = Path(_FILES["mlflow"]).parent
    return {(folder / path.relative_to(directory)).as_posix(): path.read_bytes() for path in files}


def load_directory(directory: Path, *, unsafe: bool) -> Any:
    """Return what MLflow makes of a model directory; its files have been checked before.

    Parameters
    ----------
    directory : Path
    unsafe : bool
        Whether the version was registered with that consent.

    Returns
    -------
    object

    Raises
    ------
    UnsafeFormatError
        If the registration did not consent to run its code.
    MissingExtraError
        Without MLflow.
    """
    if not unsafe:
        raise UnsafeFormatError("mlflow")
    try:
        import mlflow.pyfunc
    except ImportError:
        raise MissingExtraError("a model directory of MLflow", "mlflow") from None
    return mlflow.pyfunc.load_model(str(directory))


def signature_of_directory(directory: Path) -> Signature | None:
    """Return the inputs that an MLflow model directory tells; None if it tells none by name.

    Parameters
    ----------
    directory : Path

    Returns
    -------
    Signature or None
    """
    import yaml

    description = yaml.safe_load((directory / _DIRECTORY).read_text(encoding="utf-8"))
    inputs = json.loads((description.get("signature") or {}).get("inputs") or "[]")
    if not inputs or any("name" not in column for column in inputs):
        return None
    return Signature(
        tuple(
            Feature(
                column["name"], _MLFLOW.get(column["type"], "any"), not column.get("required", True)
            )
            for column in inputs
        )
    )


_MLFLOW: dict[str, FeatureType] = {
    "double": "number", "float": "number", "integer": "integer", "long": "integer",
    "boolean": "boolean", "string": "string",
}  # fmt: skip


def about_model(model: object, format: Format) -> dict[str, Any]:  # noqa: A002 - the word users know
    """Return the framework and algorithm of a model.

    Parameters
    ----------
    model : object
    format : Format

    Returns
    -------
    dict of str to object
    """
    if format == "onnx":
        return {"framework": "onnx", "algorithm": "onnx"}
    if isinstance(model, Remote):
        return {"framework": "remote", "algorithm": model.protocol, "url": model.url}
    if isinstance(model, Path):
        import yaml

        description = yaml.safe_load((model / _DIRECTORY).read_text(encoding="utf-8"))
        flavours = sorted(set(description.get("flavors", ())) - {"python_function"})
        return {"framework": "mlflow", "algorithm": ", ".join(flavours) or "python_function"}
    package = type(model).__module__.partition(".")[0]
    return {
        "framework": "scikit-learn" if package == "sklearn" else package,
        "algorithm": type(last_step(model)).__name__,
    }


def last_step(model: Any) -> Any:
    """Return what answers in a pipeline of scikit-learn or River; anything else as it is.

    Parameters
    ----------
    model : object

    Returns
    -------
    object
    """
    steps = getattr(model, "steps", None)
    if not steps:
        return model
    return list(steps.values())[-1] if isinstance(steps, Mapping) else steps[-1][1]


def lineage_of(model: Any) -> dict[str, Any]:
    """Return the ``parameters`` and ``packages`` that an estimator says were used for it.

    Parameters
    ----------
    model : object

    Returns
    -------
    dict of str to object
    """
    if not hasattr(model, "get_params"):
        return {"parameters": {}, "packages": {}}
    last = last_step(model)
    parameters = last.get_params(deep=False) if hasattr(last, "get_params") else {}
    return {
        "parameters": {
            name: value
            for name, value in parameters.items()
            if value is None or isinstance(value, bool | int | float | str)
        },
        "packages": {name: _installed(name) for name in ("numpy", "scikit-learn")},
    }


@lru_cache
def _installed(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def known_types(trusted: Sequence[str]) -> list[str]:
    """Return the types that a skops file may make, beyond what skops trusts by itself.

    Parameters
    ----------
    trusted : sequence of str
        Names of types beyond the default ones that loading may make.

    Returns
    -------
    list of str
    """
    return sorted({*_OWN_PARTS, *trusted})


def _require_trusted(skops: Any, data: bytes, trusted: Sequence[str]) -> list[str]:
    known_names = known_types(trusted)
    untrusted = [name for name in skops.get_untrusted_types(data=data) if name not in known_names]
    if untrusted:
        raise UntrustedTypesError(untrusted)
    return known_names


def _onnx_bytes(model: Any) -> bytes:
    if not hasattr(model, "SerializeToString"):
        raise InvalidValueError(
            "model", type(model).__name__, "bytes or an onnx.ModelProto, for the format onnx"
        )
    return bytes(model.SerializeToString())


def _onnx_session(data: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError("a model in ONNX", "onnx") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise InvalidValueError(
            "model", f"{len(data)} bytes", f"an ONNX model ({error})"
        ) from error
