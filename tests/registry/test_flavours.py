"""Functions, MLflow's directories, and the way from MLflow and to it, with the real package."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from watchkeeper.cli import main
from watchkeeper.errors import IntegrityError, InvalidValueError, NotFoundError
from watchkeeper.registry import Feature, ModelRegistry, Signature, UnsafeFormatError
from watchkeeper.registry.mlflow import export_model, import_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own imports
    import mlflow
    import mlflow.pyfunc

    class Doubled(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
        """A model that only MLflow knows how to load."""

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input["a"].to_numpy() * 2


ROWS = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
LABELS = np.array([0, 0, 1, 1])
MODEL = LogisticRegression(C=0.5).fit(ROWS, LABELS)

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow uses what others have deprecated


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with ModelRegistry(tmp_path / "registry") as own:
        yield own


@pytest.fixture
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of an MLflow of this test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    yield uri
    mlflow.set_tracking_uri("")


def logged(model: Any, **more: Any) -> Any:
    example = mlflow.models.infer_signature(ROWS, LABELS)
    common = {"name": "model", "registered_model_name": "risk", "signature": example}
    with mlflow.start_run():
        mlflow.log_metrics({"auc": 0.75})
        mlflow.log_params({"C": 0.5})
        if isinstance(model, Doubled):
            return mlflow.pyfunc.log_model(
                python_model=model, pip_requirements=["mlflow"], **common, **more
            )
        return mlflow.sklearn.log_model(model, pip_requirements=["scikit-learn"], **common, **more)


def test_given_a_function_when_registered_with_consent_then_it_answers_rows(
    registry: ModelRegistry,
) -> None:
    limit = 1.5

    def above(rows: Any) -> Any:
        return (rows[:, 0] > limit).astype(int)

    two = Signature((Feature("a"), Feature("b")))
    with pytest.raises(UnsafeFormatError):
        registry.register_model(above, "rule", "1", {}, signature=two)
    assert registry.list_models() == []
    model_id = registry.register_model(above, "rule", "1", {}, signature=two, allow_unsafe=True)

    assert registry.get(model_id).format == "cloudpickle"
    told = registry.open_runtime(model_id).predict({"b": [1.0, 0.0], "a": [1.0, 2.0]})
    assert told.predictions.tolist() == [0, 1]
    path = Path(registry.get(model_id).file_path)
    path.write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(IntegrityError):
        registry.load_model(model_id)
    assert not Path("owned").exists()


def test_given_a_model_of_mlflow_when_imported_then_it_is_served_without_it(
    registry: ModelRegistry, tracking: str, tmp_path: Path
) -> None:
    logged(MODEL, serialization_format="skops")
    told = [
        "models", "import", "models:/risk/1", "--name", "risk", "--version", "1.0.0",
        "--tracking-uri", tracking, "--data-dir", str(tmp_path),
    ]  # fmt: skip
    assert main(told) == 0

    version = registry.get("risk:1.0.0")
    assert (version.format, version.unsafe, version.metrics) == ("skops", False, {"auc": 0.75})
    assert version.lineage.parameters == {"C": "0.5"}
    assert version.tags["mlflow.uri"] == "models:/risk/1"
    assert version.signature is not None
    assert version.signature.names == ("a", "b")
    runtime = registry.open_runtime("risk:1.0.0")
    assert (
        runtime.predict({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]}).predictions.tolist()
        == LABELS.tolist()
    )


def test_given_a_pickle_in_mlflow_when_imported_then_it_takes_consent_once(
    registry: ModelRegistry, tracking: str
) -> None:
    info = logged(MODEL, serialization_format="cloudpickle")
    with pytest.raises(UnsafeFormatError):
        import_model(registry, info.model_uri, "risk", "1", tracking_uri=tracking)
    import_model(registry, info.model_uri, "risk", "1", allow_unsafe=True)
    assert registry.get("risk:1").format == "skops"
    assert not registry.get("risk:1").unsafe

    own = make_pipeline(FunctionTransformer(np.abs), LogisticRegression()).fit(ROWS, LABELS)
    second = logged(own, serialization_format="cloudpickle")
    import_model(registry, second.model_uri, "risk", "2", allow_unsafe=True)
    assert registry.open_runtime("risk:2").predict(ROWS.to_numpy()).predictions.tolist() == [
        0, 0, 1, 1,
    ]  # fmt: skip


def test_given_a_model_that_only_mlflow_loads_when_imported_then_its_directory_is_kept_checked(
    registry: ModelRegistry, tracking: str, tmp_path: Path
) -> None:
    info = logged(Doubled())
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=info.model_uri))
    with pytest.raises(UnsafeFormatError):
        import_model(registry, str(folder), "doubled", "1")
    told = ["models", "register", str(folder), "--name", "doubled", "--version", "1"]
    assert main([*told, "--allow-unsafe", "--data-dir", str(tmp_path)]) == 0

    version = registry.get("doubled:1")
    assert (version.format, version.unsafe, version.about["framework"]) == (
        "mlflow",
        True,
        "mlflow",
    )
    assert "model/MLmodel" in version.files
    answers = registry.open_runtime("doubled:1").predict(ROWS.to_numpy())
    assert answers.predictions.tolist() == [0.0, 2.0, 4.0, 6.0]
    assert registry.open_runtime("doubled:1").predict({"a": [5.0], "b": [0.0]}).predictions == [10]

    code = next(name for name in version.files if name.endswith(".pkl"))
    (Path(version.file_path).parents[1] / code).write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(IntegrityError, match="pkl"):
        registry.load_model("doubled:1")
    assert not Path("owned").exists()


def test_given_a_version_when_exported_then_mlflow_loads_the_same_and_knows_where_it_is_from(
    registry: ModelRegistry, tracking: str, tmp_path: Path
) -> None:
    registry.register_model(MODEL, "risk", "1", {"auc": 0.75}, "first", {"team": "a"})
    registry.promote_to_production("risk:1")
    told = ["models", "export", "risk:1", "--tracking-uri", tracking, "--data-dir", str(tmp_path)]
    assert main(told) == 0

    client = mlflow.MlflowClient()
    made = client.get_model_version_by_alias("risk", "champion")
    assert made.tags["watchkeeper.model_id"] == "risk:1"
    assert made.tags["watchkeeper.sha256"] == registry.get("risk:1").file_hash
    assert made.description == "first"
    run = client.get_run(str(made.run_id)).data
    assert (run.metrics, run.params["C"], run.tags["team"]) == ({"auc": 0.75}, "0.5", "a")
    restored = mlflow.sklearn.load_model("models:/risk@champion")
    assert np.array_equal(restored.predict_proba(ROWS), MODEL.predict_proba(ROWS))
    assert registry.history("risk")[-1]["action"] == "export"

    import_model(registry, "models:/risk@champion", "back", "1", tracking_uri=tracking)
    assert registry.get("back:1").metrics == {"auc": 0.75}


def test_given_onnx_when_it_goes_to_mlflow_and_back_then_it_is_the_same(
    registry: ModelRegistry, tracking: str
) -> None:
    from skl2onnx import to_onnx

    bytes_ = to_onnx(MODEL, ROWS.to_numpy(np.float32), options={"zipmap": False})
    registry.register_model(bytes_, "risk", "1", {})
    uri = export_model(registry, "risk:1", tracking_uri=tracking)
    import_model(registry, uri, "back", "1", tracking_uri=tracking)

    assert registry.get("back:1").format == "onnx"
    told = registry.open_runtime("back:1").predict(ROWS.to_numpy())
    assert told.predictions.tolist() == LABELS.tolist()


def test_given_what_is_not_there_or_cannot_go_when_asked_for_then_the_error_says_so(
    registry: ModelRegistry, tracking: str, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="models:/nobody/1"):
        import_model(registry, "models:/nobody/1", "x", "1", tracking_uri=tracking)
    with pytest.raises(NotFoundError, match="nowhere"):
        import_model(registry, str(tmp_path / "nowhere"), "x", "1")
    registry.register_model(len, "rule", "1", {}, allow_unsafe=True)
    with pytest.raises(InvalidValueError, match="skops, joblib or ONNX"):
        export_model(registry, "rule:1", tracking_uri=tracking)
    with pytest.raises(InvalidValueError, match="MLmodel"):
        registry.register_model(tmp_path, "x", "1", {}, allow_unsafe=True)
    assert [each.model_id for each in registry.list_models()] == ["rule:1"]
