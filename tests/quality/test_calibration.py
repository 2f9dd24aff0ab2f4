from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality import binary_metrics, calibration_error, reliability

rows = st.lists(
    st.tuples(st.booleans(), st.integers(0, 40).map(lambda n: n / 40)), min_size=1, max_size=80
)


@given(sample=rows, bins=st.integers(1, 12))
def test_given_any_sample_when_binned_then_the_curve_is_scikit_learns(
    sample: list[tuple[bool, float]], bins: int
) -> None:
    actual, scores = (np.array(column) for column in zip(*sample, strict=True))

    table = reliability(scores, actual, bins)

    shares, means = calibration_curve(
        actual, scores, n_bins=bins, strategy="quantile", pos_label=True
    )
    assert [row.positive_share for row in table] == pytest.approx(shares.tolist(), abs=1e-9)
    assert [row.mean_score for row in table] == pytest.approx(means.tolist(), abs=1e-9)
    assert sum(row.count for row in table) == len(sample)
    expected = sum(row.count * abs(row.mean_score - row.positive_share) for row in table)
    assert calibration_error(scores, actual, bins) == pytest.approx(
        expected / len(sample), abs=1e-9
    )
    assert all(row.low <= row.mean_score + 1e-12 for row in table)
    assert all(row.mean_score <= row.high + 1e-12 for row in table)


def test_given_calibrated_scores_when_measured_then_the_error_is_what_chance_leaves() -> None:
    rng = np.random.default_rng(20130101)
    scores = rng.uniform(size=20_000)
    actual = rng.uniform(size=20_000) < scores

    assert calibration_error(scores, actual) < 0.02
    assert calibration_error(scores**3, actual) > 0.2


def test_given_scores_when_binary_metrics_are_measured_then_the_error_is_among_them() -> None:
    actual = np.array([True, False, True, False])
    scores = np.array([0.9, 0.2, 0.6, 0.4])

    assert binary_metrics(actual, actual, scores)["calibration_error"] == pytest.approx(
        calibration_error(scores, actual)
    )
    unscored = binary_metrics(actual, actual, np.full(4, np.nan))
    assert unscored["calibration_error"] is None


@pytest.mark.parametrize(
    ("scores", "actual", "bins"),
    [
        ([], [], 10),
        ([0.5], [True, False], 10),
        ([1.5], [True], 10),
        ([float("nan")], [True], 10),
        ([0.5], [True], 0),
    ],
)
def test_given_nonsense_when_measured_then_it_is_a_clear_error(
    scores: Any, actual: Any, bins: int
) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        calibration_error(scores, actual, bins)
