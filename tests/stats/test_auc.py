import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from watchkeeper.stats import roc_auc

labelled = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=80)


@given(sample=labelled)
def test_given_any_scores_when_asked_then_the_area_is_scikit_learns(
    sample: list[tuple[int, bool]],
) -> None:
    scores = np.array([score / 8 for score, _ in sample])
    labels = np.array([label for _, label in sample])

    found = roc_auc(scores, labels)

    if labels.all() or not labels.any():
        assert found is None
    else:
        assert found is not None
        assert found.area == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
        assert found.variance >= 0.0


def test_given_many_samples_when_intervals_are_drawn_then_they_cover_as_often_as_they_say() -> None:
    # Two normal populations one standard deviation apart: the true area is Phi(1 / sqrt(2)).
    truth, rng, covered = 0.7602499389, np.random.default_rng(20130101), 0
    for _ in range(1_000):
        scores = np.concatenate([rng.normal(1, 1, 60), rng.normal(0, 1, 90)])
        found = roc_auc(scores, np.arange(150) < 60)
        assert found is not None
        low, high = found.interval(0.95)
        covered += low <= truth <= high

    assert 0.93 <= covered / 1_000 <= 0.97  # three standard errors of the simulation
