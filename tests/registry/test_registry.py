import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from watchkeeper.errors import ConflictError, IntegrityError, InvalidValueError, NotFoundError
from watchkeeper.registry import (
    Feature,
    ModelRegistry,
    Signature,
    Status,
    UnsafeFormatError,
    UntrustedTypesError,
)
from watchkeeper.testing import FixedClock

X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
Y = np.array([0, 0, 1, 1])
MODEL = LogisticRegression().fit(X, Y)


class Custom:
    def predict(self, rows: Any) -> Any:
        return rows


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with ModelRegistry(tmp_path, clock=FixedClock()) as own:
        yield own


def test_given_a_model_when_registered_then_all_is_known_of_it(registry: ModelRegistry) -> None:
    model_id = registry.register_model(
        MODEL, "risk", "1.0.0", {"accuracy": 0.9}, "first", {"team": "a"}, training_data=X
    )

    (version,) = registry.list_models()
    assert model_id == version["model_id"] == "risk:1.0.0"
    assert version.status is Status.REGISTERED
    assert version.metrics == {"accuracy": 0.9}
    assert (version.description, version.tags) == ("first", {"team": "a"})
    assert version.registered_at == FixedClock()()
    data = Path(version.file_path).read_bytes()
    assert hashlib.sha256(data).hexdigest() == version.file_hash
    assert version.signature == Signature((Feature("x0"), Feature("x1")))
    assert (version.format, version.unsafe) == ("skops", False)
    assert registry.load_model(model_id).predict(X).tolist() == Y.tolist()
    assert json.loads(version.to_json())["signature"] is not None
    registry.verify(model_id)


def test_given_the_same_version_when_registered_again_then_it_is_refused_and_unchanged(
    registry: ModelRegistry,
) -> None:
    model_id = registry.register_model(MODEL, "risk", "1", {})
    before = registry.get(model_id)

    with pytest.raises(ConflictError, match="versions never change"):
        registry.register_model(MODEL, "risk", "1", {"accuracy": 1.0})

    assert registry.get(model_id) == before
    registry.verify(model_id)
    assert list((registry.path / ".incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "version"),
    [("control.db", "1"), ("../up", "1"), ("a/b", "1"), ("", "1"), ("a", ".."), ("a", "1:2")],
)
def test_given_a_name_that_is_no_folder_when_registered_then_it_is_refused(
    registry: ModelRegistry, name: str, version: str
) -> None:
    with pytest.raises(InvalidValueError):
        registry.register_model(MODEL, name, version, {})


@pytest.mark.parametrize("metrics", [{"accuracy": float("nan")}, {"accuracy": "high"}])
def test_given_metrics_that_are_no_numbers_when_registered_then_they_are_named(
    registry: ModelRegistry, metrics: Any
) -> None:
    with pytest.raises(InvalidValueError, match="accuracy"):
        registry.register_model(MODEL, "risk", "1", metrics)


def test_given_any_changed_byte_when_loaded_then_nothing_is_deserialised(
    registry: ModelRegistry,
) -> None:
    model_id = registry.register_model(MODEL, "risk", "1", {})
    path = Path(registry.get(model_id).file_path)
    data = path.read_bytes()
    for at in range(0, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(IntegrityError, match="SHA-256"):
            registry.load_model(model_id)
    path.write_bytes(data[:-1])
    with pytest.raises(IntegrityError, match="SHA-256"):
        registry.promote_to_production(model_id)
    path.unlink()
    with pytest.raises(IntegrityError, match="cannot be read"):
        registry.verify(model_id)


def test_given_an_added_file_when_verified_then_it_is_named(registry: ModelRegistry) -> None:
    model_id = registry.register_model(MODEL, "risk", "1", {})
    (Path(registry.get(model_id).file_path).parent / "extra.py").touch()

    with pytest.raises(IntegrityError, match=r"extra\.py"):
        registry.verify(model_id)


def test_given_promotions_when_done_then_each_model_has_one_in_production(
    registry: ModelRegistry,
) -> None:
    ids = [registry.register_model(MODEL, "risk", str(n), {}) for n in range(3)]
    other = registry.register_model(MODEL, "churn", "1", {})
    for model_id in (ids[0], other, ids[1]):
        registry.promote_to_production(model_id, reason="better", actor="me")

    assert registry.production() == {"risk": ids[1], "churn": other}
    assert registry.get_production_model("risk") == ids[1]
    assert registry.get_production_model("none") is None
    with pytest.raises(InvalidValueError, match="churn, risk"):
        registry.get_production_model()
    former = registry.get(ids[0])
    assert (former.status, former.demoted_at) == (Status.STAGING, FixedClock()())
    assert [v.model_id for v in registry.list_models("production")] == [other, ids[1]]
    assert [v.model_id for v in registry.list_models(model_name="risk")] == ids[::-1]
    actions = [(e["action"], e["subject"], e["reason"]) for e in registry.history("risk")]
    assert actions[-1] == ("promote", ids[1], "better")


def test_given_rollbacks_when_done_then_they_go_back_and_never_forward(
    registry: ModelRegistry,
) -> None:
    ids = [registry.register_model(MODEL, "risk", str(n), {}) for n in range(3)]
    for model_id in ids:
        registry.promote_to_production(model_id)

    assert registry.rollback("risk", reason="worse") == ids[1]
    assert registry.rollback("risk") == ids[0]
    with pytest.raises(NotFoundError, match="the first that was promoted"):
        registry.rollback("risk")
    with pytest.raises(NotFoundError):
        registry.rollback("none")
    assert registry.production() == {"risk": ids[0]}


def test_given_a_damaged_predecessor_when_rolled_back_then_production_stays(
    registry: ModelRegistry,
) -> None:
    ids = [registry.register_model(MODEL, "risk", str(n), {}) for n in range(2)]
    for model_id in ids:
        registry.promote_to_production(model_id)
    Path(registry.get(ids[0]).file_path).write_bytes(b"")

    with pytest.raises(IntegrityError):
        registry.rollback("risk")

    assert registry.production() == {"risk": ids[1]}


def test_given_production_when_archived_then_it_is_refused(registry: ModelRegistry) -> None:
    ids = [registry.register_model(MODEL, "risk", str(n), {}) for n in range(2)]
    registry.promote_to_production(ids[0])

    with pytest.raises(ConflictError, match="in production"):
        registry.archive(ids[0])
    registry.archive(ids[1])

    assert [v.model_id for v in registry.list_models("archived")] == [ids[1]]
    with pytest.raises(InvalidValueError, match="one of"):
        registry.list_models("retired")
    with pytest.raises(NotFoundError):
        registry.get("risk:9")


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(3, random_state=0),
        HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=1),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
)
def test_given_ordinary_estimators_when_registered_then_they_need_no_ceremony(
    registry: ModelRegistry, model: Any
) -> None:
    fitted = model.fit(X, Y)
    model_id = registry.register_model(fitted, "risk", "1", {})

    assert registry.load_model(model_id).predict(X).tolist() == fitted.predict(X).tolist()


def test_given_types_nobody_trusts_when_registered_then_they_are_listed_until_they_are_named(
    registry: ModelRegistry,
) -> None:
    model = make_pipeline(FunctionTransformer(_double), LogisticRegression()).fit(X, Y)

    with pytest.raises(UntrustedTypesError, match="_double") as raised:
        registry.register_model(model, "risk", "1", {})
    trusted = registry.register_model(model, "risk", "1", {}, trusted=raised.value.types)

    assert registry.get(trusted).trusted == raised.value.types
    assert registry.load_model(trusted).predict(X).tolist() == model.predict(X).tolist()


def _double(rows: Any) -> Any:
    return rows * 2


def test_given_a_format_that_runs_code_when_not_allowed_then_it_is_refused(
    registry: ModelRegistry,
) -> None:
    for how in ({}, {"format": "joblib"}):
        with pytest.raises(UnsafeFormatError, match="allow_unsafe"):
            registry.register_model(Custom(), "odd", "1", {}, **how)  # type: ignore[arg-type]
    model_id = registry.register_model(Custom(), "odd", "1", {}, allow_unsafe=True)

    assert registry.get(model_id).unsafe
    assert isinstance(registry.load_model(model_id), Custom)
    assert registry.history("odd")[0]["evidence"]["unsafe"] is True


FRAME = {"distance": [1.5, None, 3.0], "count": [1, 2, 3], "night": [True, False, True]}


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table, dict])
def test_given_training_data_when_registered_then_signature_and_reference_are_kept(
    registry: ModelRegistry, make: Any
) -> None:
    data = make({**FRAME, "carrier": ["AA", None, "UA"]})
    model_id = registry.register_model(
        Custom(), "odd", "1", {}, training_data=data, allow_unsafe=True
    )

    version = registry.get(model_id)
    reference = registry.reference(model_id)
    assert version.signature == Signature(
        (
            Feature("distance", "number"),
            Feature("count", "integer"),
            Feature("night", "boolean"),
            Feature("carrier", "string", nullable=True),
        )
    )
    assert reference is not None
    assert reference["carrier"].to_pylist() == ["AA", None, "UA"]
    assert pa.types.is_dictionary(reference["carrier"].type)
    assert version.about["training_data"]["nulls"]["carrier"] == 1


def test_given_much_training_data_when_registered_then_the_same_sample_is_kept(
    registry: ModelRegistry,
) -> None:
    rows = np.arange(50_000.0).reshape(-1, 2)
    samples = [
        registry.reference(registry.register_model(MODEL, "risk", str(n), {}, training_data=rows))
        for n in range(2)
    ]

    assert samples[0] is not None
    assert samples[0].num_rows == 20_000
    assert samples[0].equals(samples[1])
    assert registry.get("risk:0").about["training_data"]["rows"] == 25_000


def test_given_a_target_beside_the_features_when_registered_then_only_features_are_kept(
    registry: ModelRegistry,
) -> None:
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "late": Y})
    fitted = LogisticRegression().fit(frame[["b", "a"]], Y)
    model_id = registry.register_model(fitted, "risk", "1", {}, training_data=frame)

    signature = registry.get(model_id).signature
    assert signature is not None
    assert signature.names == ("b", "a")
    with pytest.raises(InvalidValueError, match="features b"):
        registry.register_model(fitted, "risk", "2", {}, training_data=frame[["a"]])
    with pytest.raises(InvalidValueError, match="the 2 features"):
        registry.register_model(MODEL, "risk", "2", {}, training_data=np.zeros((3, 5)))


def test_given_onnx_when_served_then_it_predicts_as_the_estimator_did(
    registry: ModelRegistry,
) -> None:
    from skl2onnx import to_onnx

    proto = to_onnx(MODEL, X.astype(np.float32), options={"zipmap": False})
    model_id = registry.register_model(proto, "risk", "1", {}, training_data=X)

    answers = registry.open_runtime(model_id).predict(X)

    assert registry.get(model_id).format == "onnx"
    assert answers.predictions.tolist() == MODEL.predict(X).tolist()
    assert answers.probabilities == pytest.approx(MODEL.predict_proba(X), abs=1e-6)
    with pytest.raises(InvalidValueError, match="an ONNX model"):
        registry.register_model(b"not onnx", "risk", "2", {})


def test_given_a_regression_when_served_then_there_is_no_score(registry: ModelRegistry) -> None:
    model = LinearRegression().fit(X, X[:, 0])
    answers = registry.open_runtime(registry.register_model(model, "r", "1", {})).predict(X)

    assert answers.scores is None
    assert answers.predictions == pytest.approx(X[:, 0])


REGISTERS = """
import sys
from sklearn.linear_model import LogisticRegression
from watchkeeper.errors import ConflictError
from watchkeeper.registry import ModelRegistry

model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
with ModelRegistry(sys.argv[1]) as registry:
    for name in sys.argv[2:]:
        try:
            model_id = registry.register_model(model, name, "1", {})
        except ConflictError:
            continue
        registry.promote_to_production(model_id)
        print(model_id)
"""


def test_given_many_processes_when_they_register_the_same_then_each_version_is_kept_once(
    tmp_path: Path,
) -> None:
    names = [f"model-{n}" for n in range(8)]
    command = [sys.executable, "-c", REGISTERS, str(tmp_path), *names]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    kept = [line for each in running for line in each.communicate()[0].splitlines()]

    assert sorted(kept) == [f"{name}:1" for name in names]
    with ModelRegistry(tmp_path) as registry:
        assert registry.production() == {name: f"{name}:1" for name in names}
        for version in registry.list_models():
            registry.verify(version.model_id)


DIES = """
import os, sys
from sklearn.linear_model import LogisticRegression
from watchkeeper.registry import ModelRegistry
from watchkeeper.registry.artifacts import Artifacts

step = sys.argv[2]
whole = getattr(Artifacts, step.split(":")[0])

def dying(self, *args):
    if step.endswith("before"):
        os.kill(os.getpid(), 9)
    whole(self, *args)
    os.kill(os.getpid(), 9)

registry = ModelRegistry(sys.argv[1])
setattr(Artifacts, step.split(":")[0], dying)
registry.register_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), "risk", "1", {})
"""


@pytest.mark.parametrize(
    "step", ["prepare:before", "prepare:after", "publish:before", "publish:after"]
)
def test_given_a_death_half_way_when_registered_again_then_there_was_no_half_version(
    tmp_path: Path, step: str
) -> None:
    killed = subprocess.run([sys.executable, "-c", DIES, tmp_path, step], check=False)

    assert killed.returncode == -9
    with ModelRegistry(tmp_path) as registry:
        assert registry.list_models() == []
        model_id = registry.register_model(MODEL, "risk", "1", {})
        registry.verify(model_id)
        assert registry.load_model(model_id).n_features_in_ == 2


def test_given_training_data_when_registered_then_the_version_has_the_profile_of_all_of_it(
    registry: ModelRegistry,
) -> None:
    rows = np.random.default_rng(2).normal(size=(30_000, 3))
    model = LogisticRegression().fit(rows[:100], rows[:100, 0] > 0)
    model_id = registry.register_model(model, "wide", "1", {}, training_data=rows)
    other = registry.register_model(model, "wide", "2", {})

    profile = registry.profile(model_id)
    assert profile is not None
    assert (profile.rows, list(profile.columns)) == (30_000, ["x0", "x1", "x2"])
    assert registry.profile(other) is None
    path = Path(registry.get(model_id).file_path).with_name("profile.bin")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(IntegrityError):
        registry.profile(model_id)


def test_given_versions_when_listed_in_parts_then_the_parts_are_the_whole(
    registry: ModelRegistry,
) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    ids = [registry.register_model(model, "late", f"1.{n}", {}) for n in range(5)]
    registry.register_model(model, "early", "1", {})
    for model_id in (ids[0], ids[2], ids[4]):
        registry.promote_to_production(model_id, reason=f"for {model_id}", actor="ada")

    whole = registry.list_models(model_name="late")
    parts = [registry.list_models(model_name="late", limit=2, offset=n) for n in (0, 2, 4, 6)]

    assert [each.model_id for part in parts for each in part] == [each.model_id for each in whole]
    assert (registry.count_models(), registry.count_models("staging", "late")) == (6, 2)
    assert [each.model_id for each in registry.list_models("production", limit=5)] == [ids[4]]
    assert registry.earlier("late").model_id == ids[2]
    registry.rollback("late", reason="worse", actor="bob")
    moves = registry.moves("late", limit=3)
    assert [(each["subject"], each["action"], each["actor"]) for each in moves] == [
        (ids[2], "rollback", "bob"), (ids[4], "promote", "ada"), (ids[2], "promote", "ada"),
    ]  # fmt: skip
    own = registry.history("late", "1.4")
    assert [each["action"] for each in own] == ["register", "promote"]
    assert registry.words(ids[0]) == ""
