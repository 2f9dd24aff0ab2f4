"""Models from MLflow, and to it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from watchkeeper.errors import (
    InvalidValueError,
    MissingExtraError,
    NotFoundError,
    UnavailableError,
    WatchkeeperError,
)
from watchkeeper.registry import formats
from watchkeeper.registry.lineage import Lineage
from watchkeeper.registry.registry import ModelRegistry
from watchkeeper.registry.repository import CHAMPION

__all__ = ["export_model", "import_model"]

_SKLEARN, _ONNX = "sklearn", "onnx"


def import_model(
    registry: ModelRegistry,
    uri: str,
    name: str,
    version: str,
    *,
    tracking_uri: str | None = None,
    trusted: Sequence[str] = (),
    allow_unsafe: bool = False,
    actor: str = "",
) -> str:
    """Register a model of MLflow; return its model id.

    What is scikit-learn or ONNX becomes so here: its bytes are then served without MLflow. Anything
    else stays a directory that MLflow loads. The metrics and parameters of its run come with it.

    Parameters
    ----------
    registry : ModelRegistry
    uri : str
        ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, ``runs:/RUN/PATH``, or a directory.
    name, version : str
        What it is called here.
    tracking_uri : str, optional
        Of the MLflow server or database; otherwise what MLflow is set to.
    trusted : sequence of str
        Types that loading may make, of a model in skops.
    allow_unsafe : bool
        Consent to load a pickle, once, or to keep a directory that runs code whenever it is loaded.
    actor : str

    Returns
    -------
    str

    Raises
    ------
    NotFoundError
        If MLflow has no such model.
    UnsafeFormatError, UntrustedTypesError
        If it cannot be kept without consent.
    ConflictError
        If the version is there already.
    MissingExtraError
        Without MLflow.
    UnavailableError
        If MLflow refuses.
    """
    with _our_errors(uri):
        mlflow = _mlflow()
        folder = Path(
            mlflow.artifacts.download_artifacts(artifact_uri=uri, tracking_uri=tracking_uri)
        )
        described = mlflow.models.Model.load(str(folder))
        metrics, parameters = _of_run(mlflow, described.run_id, tracking_uri)
    model, kind = _model(folder, described.flavors, trusted, allow_unsafe=allow_unsafe)
    return registry.register_model(
        model,
        name,
        version,
        metrics,
        f"from MLflow, {uri}",
        {"mlflow.uri": uri, **({"mlflow.run_id": described.run_id} if described.run_id else {})},
        signature=formats.signature_of_directory(folder),
        lineage=Lineage(parameters=parameters),
        format=kind,
        trusted=trusted,
        allow_unsafe=allow_unsafe,
        actor=actor,
    )


def export_model(
    registry: ModelRegistry,
    model_id: str,
    *,
    tracking_uri: str | None = None,
    actor: str = "",
) -> str:
    """Register a version in MLflow's registry, as a run with its metrics; return its URI there.

    The version there has tags that say where it comes from, and the alias ``champion`` if it is in
    production here.

    Parameters
    ----------
    registry : ModelRegistry
    model_id : str
    tracking_uri : str, optional
        Of the MLflow server or database; otherwise what MLflow is set to.
    actor : str

    Returns
    -------
    str

    Raises
    ------
    InvalidValueError
        If MLflow has no flavour for its format.
    IntegrityError
        If its files are not what was registered.
    MissingExtraError
        Without MLflow.
    NotFoundError
        If there is no such version, or MLflow does not find what it writes to.
    UnavailableError
        If MLflow refuses.
    """
    version = registry.get(model_id)
    if version.format not in {"skops", "joblib", "onnx"}:
        raise InvalidValueError("model_id", model_id, "a version in skops, joblib or ONNX")
    registry.verify(version.model_id)
    with _our_errors(model_id):
        mlflow = _mlflow()
        client = mlflow.MlflowClient(tracking_uri=tracking_uri)
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(tracking_uri or before)
        try:
            with mlflow.start_run(run_name=version.model_id):
                mlflow.log_metrics(version.metrics)
                mlflow.log_params(version.lineage.parameters)
                mlflow.set_tags(version.tags)
                logged = _logged(mlflow, registry, version.model_id, version.model_name)
        finally:
            mlflow.set_tracking_uri(before)
        name, number = version.model_name, str(logged.registered_model_version)
        client.update_model_version(name, number, version.description)
        for key, value in (("model_id", version.model_id), ("sha256", version.file_hash)):
            client.set_model_version_tag(name, number, f"watchkeeper.{key}", value)
        if CHAMPION in version.aliases:
            client.set_registered_model_alias(name, CHAMPION, number)
    uri = f"models:/{name}/{number}"
    registry.note(version.model_id, "export", uri, actor=actor)
    return uri


def _logged(mlflow: Any, registry: ModelRegistry, model_id: str, name: str) -> Any:
    version = registry.get(model_id)
    common = {"name": "model", "registered_model_name": name}
    if version.format == "onnx":
        import onnx

        model = onnx.load_from_string(Path(version.file_path).read_bytes())
        needed = ["onnx", "onnxruntime"]
        return mlflow.onnx.log_model(model, pip_requirements=needed, **common)
    return mlflow.sklearn.log_model(
        registry.load_model(model_id),
        pip_requirements=[f"{package}=={at}" for package, at in version.lineage.packages.items()],
        serialization_format="skops" if version.format == "skops" else "cloudpickle",
        skops_trusted_types=formats.known_types(version.trusted) if not version.unsafe else None,
        **common,
    )


def _model(
    folder: Path, flavours: dict[str, Any], trusted: Sequence[str], *, allow_unsafe: bool
) -> tuple[Any, formats.Format]:
    """Return a model of MLflow as it is kept here, and in which format."""
    if _ONNX in flavours:
        return (folder / flavours[_ONNX]["data"]).read_bytes(), "onnx"
    if _SKLEARN not in flavours:
        return folder, "mlflow"
    about = flavours[_SKLEARN]
    data = (folder / about["pickled_model"]).read_bytes()
    kind: formats.Format = "skops"
    if about["serialization_format"] != "skops":
        kind = "cloudpickle" if about["serialization_format"] == "cloudpickle" else "joblib"
    model = formats.load(data, kind, trusted=trusted, unsafe=allow_unsafe)
    try:
        formats.dump(model, "skops", trusted=trusted, allow_unsafe=False)
    except (formats.UntrustedTypesError, InvalidValueError):
        if kind == "skops":
            raise
        return model, "joblib"
    return model, "skops"


def _of_run(
    mlflow: Any, run_id: str | None, tracking_uri: str | None
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the metrics and parameters of a run; none where it is not known any more."""
    if not run_id:
        return {}, {}
    try:
        data = mlflow.MlflowClient(tracking_uri=tracking_uri).get_run(run_id).data
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}, {}
    return dict(data.metrics), dict(data.params)


def _mlflow() -> Any:
    try:
        import mlflow
        import mlflow.artifacts
        import mlflow.models
    except ImportError:
        raise MissingExtraError("what comes from MLflow or goes there", "mlflow") from None
    return mlflow


@contextmanager
def _our_errors(name: str) -> Iterator[None]:
    """Let MLflow's errors be ours."""
    try:
        yield
    except WatchkeeperError:
        raise
    except OSError as error:
        raise NotFoundError("model of MLflow", name, str(error)[:300]) from error
    except Exception as error:
        if type(error).__name__ not in {"MlflowException", "RestException"}:
            raise
        if getattr(error, "error_code", "") in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}:
            raise NotFoundError("model of MLflow", name, str(error)[:300]) from error
        raise UnavailableError(f"MLflow refused {name}: {str(error)[:300]}") from error
