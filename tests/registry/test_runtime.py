from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from river import linear_model, naive_bayes, preprocessing, tree
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from watchkeeper.registry import ModelOutputError, ModelRegistry, Runtime

RNG = np.random.default_rng(5)
X = RNG.normal(size=(200, 3))
BINARY = (X[:, 0] > 0).astype(int)
SEVERAL = np.digitize(X[:, 0], [-0.5, 0.5])
NAMES = np.array(["no", "yes"])[BINARY]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with ModelRegistry(tmp_path_factory.mktemp("registry")) as own:
        yield own


def open_runtime(registry: ModelRegistry, model: Any, **how: Any) -> Runtime:
    version = str(len(registry.list_models()))
    return registry.open_runtime(registry.register_model(model, "m", version, {}, **how))


@pytest.mark.parametrize("labels", [BINARY, SEVERAL, NAMES])
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        RandomForestClassifier(5, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
)
def test_given_a_classifier_when_served_then_it_answers_as_scikit_learn_does(
    registry: ModelRegistry, model: Any, labels: Any
) -> None:
    fitted = model.fit(X, labels)
    runtime = open_runtime(registry, fitted)

    answers = runtime.predict(X)

    assert runtime.wants_matrix
    assert answers.predictions.tolist() == fitted.predict(X).tolist()
    assert answers.probabilities == pytest.approx(fitted.predict_proba(X), rel=1e-12)
    assert answers.classes == tuple(fitted.classes_.tolist())
    expected = fitted.predict_proba(X)
    scores = expected[:, 1] if expected.shape[1] == 2 else expected.max(axis=1)
    assert answers.scores == pytest.approx(scores, rel=1e-12)


@given(rows=arrays(np.float64, (5, 3), elements=st.floats(-1e300, 1e300)))
def test_given_any_numbers_when_a_logistic_regression_answers_then_it_is_scikit_learns_answer(
    registry: ModelRegistry, rows: Any
) -> None:
    fitted = LogisticRegression().fit(X, BINARY)
    version = registry.get("m:0") if registry.list_models() else None
    runtime = Runtime(version, fitted) if version else open_runtime(registry, fitted)

    answers = runtime.predict(rows)

    assert answers.predictions.tolist() == fitted.predict(rows).tolist()
    assert answers.probabilities == pytest.approx(fitted.predict_proba(rows), rel=1e-12)


def test_given_a_model_fitted_on_a_frame_when_served_then_columns_come_by_name(
    registry: ModelRegistry,
) -> None:
    frame = pd.DataFrame({"a": X[:, 0], "c": np.where(X[:, 1] > 0, "x", "y")})
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["c"]), remainder="passthrough"),
        LogisticRegression(),
    ).fit(frame, BINARY)
    runtime = open_runtime(registry, model, training_data=frame)

    answers = runtime.predict({"c": frame["c"].tolist(), "a": frame["a"].tolist()})

    assert not runtime.wants_matrix
    assert answers.predictions.tolist() == model.predict(frame).tolist()


class TooMany:
    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows) + 1)


def test_given_one_answer_too_many_when_served_then_it_is_the_models_fault(
    registry: ModelRegistry,
) -> None:
    runtime = open_runtime(registry, TooMany(), allow_unsafe=True)

    with pytest.raises(ModelOutputError, match="one prediction for each row"):
        runtime.predict(X)


def test_given_a_path_when_the_registry_is_opened_then_it_holds_all_it_needs(
    tmp_path: Path,
) -> None:
    with ModelRegistry(tmp_path / "one") as own:
        own.register_model(LogisticRegression().fit(X, BINARY), "m", "1", {})
    (tmp_path / "one").rename(tmp_path / "two")

    with ModelRegistry(tmp_path / "two") as moved:
        assert moved.load_model("m:1").predict(X).tolist()


def by_river(model: Any, labels: Any = BINARY) -> Any:
    for row, label in zip(X, labels.tolist(), strict=True):
        model.learn_one({f"x{i}": value for i, value in enumerate(row)}, label)
    return model


@pytest.mark.parametrize("labels", [BINARY, BINARY > 0, SEVERAL, NAMES])
def test_given_a_model_of_river_when_served_then_it_answers_as_river_does(
    registry: ModelRegistry, labels: Any
) -> None:
    model = by_river(tree.HoeffdingTreeClassifier(grace_period=20), labels)
    runtime = open_runtime(registry, model, training_data=X, allow_unsafe=True)

    answers = runtime.predict(X)

    rows = [{f"x{i}": value for i, value in enumerate(row)} for row in X.tolist()]
    assert answers.predictions.tolist() == [model.predict_one(row) for row in rows]
    assert answers.classes is not None
    assert answers.probabilities is not None
    told = [model.predict_proba_one(row) for row in rows]
    expected = [[each.get(name, 0.0) for name in answers.classes] for each in told]
    assert answers.probabilities.tolist() == expected
    assert runtime.version.about == {
        **runtime.version.about, "framework": "river", "algorithm": "HoeffdingTreeClassifier",
    }  # fmt: skip


def test_given_missing_values_when_a_model_of_river_is_asked_then_it_is_not_given_them(
    registry: ModelRegistry,
) -> None:
    steps = preprocessing.StandardScaler() | linear_model.LinearRegression()
    runtime = open_runtime(registry, by_river(steps, X[:, 0]), allow_unsafe=True)

    answers = runtime.predict({"x0": [1.0, None, float("nan")], "x1": [0.5, 0.5, 0.5]})

    assert np.isfinite(answers.predictions).all()
    assert answers.predictions[1] == answers.predictions[2] != answers.predictions[0]
    assert answers.scores is None
    assert runtime.version.about["algorithm"] == "LinearRegression"


def test_given_a_model_of_river_that_has_learned_nothing_when_asked_then_it_is_an_error(
    registry: ModelRegistry,
) -> None:
    untaught: Any = naive_bayes.GaussianNB
    runtime = open_runtime(registry, untaught(), allow_unsafe=True)
    with pytest.raises(ModelOutputError, match="before training"):
        runtime.predict({"x0": [1.0]})


class Gives:
    """A model that answers with what a function makes of its rows."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, rows: Any) -> Any:
        return self.answer(rows)


def in_an_object_array(value: Any) -> Any:
    def answer(rows: Any) -> Any:
        values = np.empty(len(rows), dtype=object)
        values[:] = [value] * len(rows)
        return values

    return answer


@pytest.fixture(scope="module")
def any_version(registry: ModelRegistry) -> Any:
    return registry.get(registry.register_model(TooMany(), "any", "1", {}, allow_unsafe=True))


def answer_of(version: Any, answer: Any, rows: Any = X[:2]) -> Any:
    return Runtime(version, Gives(answer)).predict(rows).predictions.tolist()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda rows: np.ones((len(rows), 1)), 1.0),
        (in_an_object_array(np.int64(7)), 7),
        (in_an_object_array(np.float32(0.5)), 0.5),
        (in_an_object_array(np.bool_(True)), True),
        (in_an_object_array(pd.Timestamp("2026-01-05T06:00:00")), "2026-01-05T06:00:00"),
        (in_an_object_array(date(2026, 1, 5)), "2026-01-05"),
        (in_an_object_array(pd.NaT), None),
        (in_an_object_array(None), None),
        (in_an_object_array("yes"), "yes"),
        (in_an_object_array({"n": np.int64(7)}), {"n": 7}),
        (lambda rows: np.array(["2026-01-05T06"] * len(rows), "datetime64[s]"),
         "2026-01-05T06:00:00"),
    ],
)  # fmt: skip
def test_given_answers_of_any_shape_and_type_when_served_then_they_are_plain_values(
    any_version: Any, answer: Any, expected: Any
) -> None:
    assert answer_of(any_version, answer) == [expected] * 2


@pytest.mark.parametrize(
    "answer", [lambda rows: rows[:, 0] * 1j, in_an_object_array(1j), in_an_object_array(object())]
)
def test_given_an_answer_that_json_cannot_hold_when_served_then_it_is_the_models_fault(
    any_version: Any, answer: Any
) -> None:
    with pytest.raises(ModelOutputError, match="cannot be sent"):
        answer_of(any_version, answer)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_given_a_tuple_of_two_arrays_when_served_then_each_row_has_two_values(
    any_version: Any, rows: int
) -> None:
    def pairs(batch: Any) -> Any:
        return batch[:, 0], batch[:, 0] + 100.0

    expected = [[value, value + 100.0] for value in X[:rows, 0].tolist()]
    assert answer_of(any_version, pairs, X[:rows]) == expected


@pytest.mark.parametrize(
    "model",
    [RandomForestClassifier(5, random_state=0), MultiOutputClassifier(LogisticRegression())],
)
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_given_a_classifier_of_two_targets_when_served_then_labels_and_probabilities_of_each_row(
    registry: ModelRegistry, model: Any, rows: int
) -> None:
    fitted = model.fit(X, np.column_stack([BINARY, SEVERAL]))
    runtime = open_runtime(registry, fitted, training_data=X)

    answers = runtime.predict(X[:rows])

    assert answers.predictions.tolist() == fitted.predict(X[:rows]).tolist()
    assert answers.probabilities == pytest.approx(np.hstack(fitted.predict_proba(X[:rows])))
    assert answers.scores is None
