from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality import multiclass_metrics

CLASSES = ["apple", "pear", "plum", "quince"]
labels = st.sampled_from(CLASSES)
weights = st.lists(st.integers(0, 5), min_size=4, max_size=4).filter(any)
rows = st.lists(st.tuples(labels, labels, weights), min_size=1, max_size=60)


@pytest.mark.filterwarnings("ignore")
@given(sample=rows)
def test_given_any_sample_when_measured_then_each_metric_is_scikit_learns(
    sample: list[tuple[str, str, list[int]]],
) -> None:
    predicted, actual, parts = (list(column) for column in zip(*sample, strict=True))
    probabilities = np.array(parts, dtype=float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)

    found = multiclass_metrics(predicted, actual, probabilities, CLASSES)

    macro: dict[str, Any] = {"average": "macro", "zero_division": 0}
    expected = {
        "accuracy": sk.accuracy_score(actual, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(actual, predicted),
        "precision": sk.precision_score(actual, predicted, **macro),
        "recall": sk.recall_score(actual, predicted, **macro),
        "f1": sk.f1_score(actual, predicted, **macro),
        "log_loss": sk.log_loss(actual, probabilities, labels=CLASSES),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
    if set(actual) == set(CLASSES):
        auc = sk.roc_auc_score(actual, probabilities, multi_class="ovr", labels=CLASSES)
        assert found["auc"] == pytest.approx(auc, abs=1e-9)
    else:
        assert found["auc"] is None
    for label, own in found["per_class"].items():
        assert own["actual"] == actual.count(label)
        assert own["predicted"] == predicted.count(label)


def test_given_no_probabilities_when_measured_then_what_needs_them_is_unknown() -> None:
    found = multiclass_metrics(np.array([0, 1, 2]), np.array([0, 1, 1]))

    assert (found["auc"], found["log_loss"]) == (None, None)
    assert found["per_class"][2] == {
        "actual": 0,
        "predicted": 1,
        "correct": 0,
        "precision": 0.0,
        "recall": None,
        "f1": 0.0,
    }


def test_given_probabilities_for_some_rows_when_measured_then_those_are_used() -> None:
    probabilities = [[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8]]

    found = multiclass_metrics(["a", "b", "b"], ["a", "a", "b"], probabilities)

    assert found["auc"] == 1.0
    assert found["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)


def test_given_labels_of_several_kinds_when_measured_then_they_are_told_apart() -> None:
    found = multiclass_metrics([1, "one", ("a", 1)], [1, "one", "one"])

    assert found["accuracy"] == pytest.approx(2 / 3)
    assert len(found["per_class"]) == 3


@pytest.mark.parametrize(
    "how",
    [
        {"predicted": [], "actual": []},
        {"predicted": ["a"], "actual": ["a", "b"]},
        {"predicted": ["a"], "actual": [None]},
        {"predicted": [1.0], "actual": [float("nan")]},
        {"predicted": ["a"], "actual": ["b"], "classes": ["a"]},
        {"predicted": ["a"], "actual": ["a"], "classes": ["a", "a"]},
        {"predicted": ["a"], "actual": ["b"], "probabilities": [[0.5, 0.4]]},
        {"predicted": ["a"], "actual": ["b"], "probabilities": [[1.5, -0.5]]},
        {"predicted": ["a"], "actual": ["b"], "probabilities": [[1.0]]},
    ],
)
def test_given_nonsense_when_measured_then_it_is_a_clear_error(how: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        multiclass_metrics(**how)
