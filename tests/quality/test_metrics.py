import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from watchkeeper.quality import binary_metrics

rows = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 10).map(lambda n: n / 10)),
    min_size=1,
    max_size=60,
)


@pytest.mark.filterwarnings("ignore")
@given(sample=rows)
def test_given_any_sample_when_measured_then_each_metric_is_scikit_learns(
    sample: list[tuple[bool, bool, float]],
) -> None:
    predicted, actual, scores = (np.array(column) for column in zip(*sample, strict=True))
    found = binary_metrics(predicted.astype(bool), actual.astype(bool), scores)

    assert found["accuracy"] == pytest.approx(sk.accuracy_score(actual, predicted))
    assert found["balanced_accuracy"] == pytest.approx(
        sk.balanced_accuracy_score(actual, predicted)
    )
    assert found["brier"] == pytest.approx(np.mean((scores - actual) ** 2))
    assert found["log_loss"] == pytest.approx(sk.log_loss(actual, scores, labels=[False, True]))
    if predicted.any():
        assert found["precision"] == pytest.approx(sk.precision_score(actual, predicted))
    else:
        assert found["precision"] is None
    if actual.any():
        assert found["recall"] == pytest.approx(sk.recall_score(actual, predicted))
        assert found["pr_auc"] == pytest.approx(sk.average_precision_score(actual, scores))
    if predicted.any() or actual.any():
        assert found["f1"] == pytest.approx(sk.f1_score(actual, predicted))
    if actual.any() and not actual.all():
        assert found["auc"] == pytest.approx(sk.roc_auc_score(actual, scores))
    else:
        assert found["auc"] is None


def test_given_no_scores_when_measured_then_the_auc_is_of_labels_and_says_so() -> None:
    predicted, actual = np.array([True, True, False, False]), np.array([True, False, False, False])

    found = binary_metrics(predicted, actual, np.full(4, np.nan))

    assert found["auc"] == pytest.approx(sk.roc_auc_score(actual, predicted))
    assert found["auc_source"] == "labels"
    assert found["log_loss"] is None


def test_given_scores_for_some_rows_when_measured_then_those_are_used() -> None:
    actual = np.array([True, False, True, False])
    found = binary_metrics(actual, actual, np.array([0.9, 0.1, np.nan, 0.2]))

    assert (found["auc"], found["auc_source"], found["accuracy"]) == (1.0, "scores", 1.0)
