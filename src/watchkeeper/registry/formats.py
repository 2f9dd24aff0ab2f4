"""How a model becomes bytes, and bytes a model, without running a stranger's code.

``skops`` holds scikit-learn estimators and restores only types that are trusted; ``onnx`` holds a
graph of operators; ``joblib`` is pickle, which runs whatever it is told to, and takes consent.
"""

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from zipfile import ZIP_DEFLATED

from watchkeeper.errors import InvalidValueError, MissingExtraError, WatchkeeperError

__all__ = [
    "Format",
    "UnsafeFormatError",
    "UntrustedTypesError",
    "about_model",
    "dump",
    "format_of_file",
    "lineage_of",
    "load",
    "suffix_of",
]

Format = Literal["skops", "onnx", "joblib"]

_SUFFIXES: dict[Format, str] = {"skops": ".skops", "onnx": ".onnx", "joblib": ".joblib"}

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
    """A skops file names types that nobody has said to trust."""

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


def suffix_of(format: Format) -> str:  # noqa: A002 - the word users know
    """Return the ending of files in `format`."""
    return _SUFFIXES[format]


def format_of_file(path: Path) -> Format:
    """Return the format that a file's ending says.

    Raises
    ------
    InvalidValueError
        If it says none.
    """
    endings: dict[str, Format] = {
        ".skops": "skops", ".onnx": "onnx", ".joblib": "joblib", ".pkl": "joblib",
        ".pickle": "joblib",
    }  # fmt: skip
    if path.suffix.lower() not in endings:
        raise InvalidValueError("file", str(path), f"a name that ends in {', '.join(endings)}")
    return endings[path.suffix.lower()]


def natural_format(model: object) -> Format:
    """Return the format for a model when the user names none."""
    if isinstance(model, bytes) or hasattr(model, "SerializeToString"):
        return "onnx"
    if type(model).__module__.partition(".")[0] == "sklearn" or hasattr(model, "get_params"):
        return "skops"
    return "joblib"


def dump(
    model: Any,
    format: Format,  # noqa: A002 - the word users know
    *,
    trusted: Sequence[str],
    allow_unsafe: bool,
) -> bytes:
    """Return a model as bytes that `load` accepts.

    Raises
    ------
    UntrustedTypesError
        If it contains types that neither scikit-learn's estimators are made of nor `trusted` names.
    UnsafeFormatError
        If the format can run code and `allow_unsafe` is not given.
    InvalidValueError
        If the model cannot be written in this format.
    """
    if format == "joblib":
        if not allow_unsafe:
            raise UnsafeFormatError(format)
        import joblib

        buffer = io.BytesIO()
        joblib.dump(model, buffer)
        return buffer.getvalue()
    if format == "onnx":
        data = model if isinstance(model, bytes) else _onnx_bytes(model)
        _onnx_session(data)
        return data
    if format == "skops":
        import skops.io

        if not hasattr(model, "get_params"):
            raise InvalidValueError(
                "model", type(model).__name__, "a scikit-learn estimator, for the format skops"
            )
        data = bytes(skops.io.dumps(model, compression=ZIP_DEFLATED))
        _require_trusted(data, trusted)
        return data
    raise InvalidValueError("format", format, f"one of {', '.join(_SUFFIXES)}")


def load(data: bytes, format: Format, *, trusted: Sequence[str], unsafe: bool) -> Any:  # noqa: A002
    """Return the model that `data` holds; its digest has been checked before.

    Raises
    ------
    UntrustedTypesError, UnsafeFormatError
        As `dump`.
    """
    if format == "joblib":
        if not unsafe:
            raise UnsafeFormatError(format)
        import joblib

        return joblib.load(io.BytesIO(data))
    if format == "onnx":
        return _onnx_session(data)
    import skops.io

    return skops.io.loads(data, trusted=_require_trusted(data, trusted))


def about_model(model: object, format: Format) -> dict[str, Any]:  # noqa: A002 - the word users know
    """Return the framework and algorithm of a model."""
    if format == "onnx":
        return {"framework": "onnx", "algorithm": "onnx"}
    package = type(model).__module__.partition(".")[0]
    steps = getattr(model, "steps", None)
    about: dict[str, Any] = {
        "framework": "scikit-learn" if package == "sklearn" else package,
        "algorithm": type(steps[-1][1] if steps else model).__name__,
    }
    return about


def lineage_of(model: Any) -> dict[str, Any]:
    """Return the ``parameters`` and ``packages`` that an estimator says were used for it."""
    if not hasattr(model, "get_params"):
        return {"parameters": {}, "packages": {}}
    last = model.steps[-1][1] if getattr(model, "steps", None) else model
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


def _require_trusted(data: bytes, trusted: Sequence[str]) -> list[str]:
    import skops.io

    known = {*_OWN_PARTS, *trusted}
    untrusted = [name for name in skops.io.get_untrusted_types(data=data) if name not in known]
    if untrusted:
        raise UntrustedTypesError(untrusted)
    return sorted(known)


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
