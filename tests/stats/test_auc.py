import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from watchkeeper.stats import roc_auc
from watchkeeper.stats.auc import roc_auc_of_counts

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


@given(
    samples=st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40),
        min_size=1,
        max_size=5,
    )
)
def test_given_counts_by_bins_when_asked_then_areas_are_those_of_the_bins(
    samples: list[list[tuple[int, bool]]],
) -> None:
    counts = np.zeros((2, len(samples), 10), dtype=int)
    for n, sample in enumerate(samples):
        for score, positive in sample:
            counts[int(positive), n, score] += 1

    found = roc_auc_of_counts(counts[1], counts[0])

    for n, sample in enumerate(samples):
        expected = roc_auc([score for score, _ in sample], [label for _, label in sample])
        if expected is None:
            assert np.isnan([found.area[n], found.variance[n], found.off_by[n]]).all()
        else:
            assert found.area[n] == pytest.approx(expected.area)
            assert found.variance[n] == pytest.approx(expected.variance, abs=1e-12)


@given(
    scores=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60),
    bins=st.integers(1, 20),
)
def test_given_scores_counted_by_bins_when_asked_then_the_area_is_as_close_as_it_says(
    scores: list[tuple[float, bool]], bins: int
) -> None:
    counts = np.zeros((2, 1, bins + 1), dtype=int)
    for score, positive in scores:
        counts[int(positive), 0, int(score * bins)] += 1
    exact = roc_auc([score for score, _ in scores], [label for _, label in scores])

    found = roc_auc_of_counts(counts[1], counts[0])

    if exact is not None:
        assert abs(found.area[0] - exact.area) <= found.off_by[0] + 1e-12
