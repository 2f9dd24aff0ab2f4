import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality import Calibrator, estimate_binary, score_estimate


def drawn(rows: int, seed: int, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Return calibrated scores and what came true."""
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-rng.normal(0, spread, rows)))
    return scores, rng.uniform(size=rows) < scores


def test_given_calibrated_scores_when_estimated_then_the_truth_lies_within_as_often_as_said() -> (
    None
):
    inside = 0
    for seed in range(200):
        scores, actual = drawn(400, seed)
        estimate = estimate_binary(scores, scores > 0.5)
        inside += score_estimate(estimate, float(np.mean((scores > 0.5) == actual))).inside

    assert 180 <= inside <= 199  # 190 expected, three standard deviations to either side


def test_given_many_rows_when_estimated_then_accuracy_and_auc_are_those_of_the_labels() -> None:
    scores, actual = drawn(60_000, 1)
    estimate = estimate_binary(scores, scores > 0.5)

    assert estimate.accuracy == pytest.approx(np.mean((scores > 0.5) == actual), abs=0.006)
    assert estimate.auc == pytest.approx(roc_auc_score(actual, scores), abs=0.006)


def test_given_harder_inputs_when_estimated_then_it_is_seen_and_flipped_labels_are_not() -> None:
    easy, _ = drawn(20_000, 2, spread=3.0)
    hard, actual = drawn(20_000, 3, spread=0.7)
    estimate = estimate_binary(hard, hard > 0.5)

    assert estimate.accuracy < estimate_binary(easy, easy > 0.5).accuracy - 0.1
    flipped = float(np.mean((hard > 0.5) == ~actual))
    assert not score_estimate(estimate, flipped).inside


def test_given_overconfident_scores_when_calibrated_then_the_estimate_is_right() -> None:
    scores, actual = drawn(40_000, 4, spread=1.0)
    sharp = scores**3 / (scores**3 + (1 - scores) ** 3)
    calibrator = Calibrator.fit(sharp[:20_000], actual[:20_000])
    later = sharp[20_000:]
    realised = float(np.mean((later > 0.5) == actual[20_000:]))

    assert calibrator.slope == pytest.approx(1 / 3, abs=0.02)
    assert estimate_binary(later, later > 0.5).accuracy > realised + 0.08
    calibrated = estimate_binary(later, later > 0.5, calibrator)
    assert calibrated.accuracy == pytest.approx(realised, abs=0.012)


def test_given_sure_scores_when_estimated_then_there_is_no_auc() -> None:
    assert estimate_binary([1.0, 1.0], [True, True]).auc is None


def test_given_bad_input_when_estimated_then_the_error_says_so() -> None:
    with pytest.raises(InvalidValueError, match=r"scores\[1\] is 1.5"):
        estimate_binary([0.5, 1.5], [True, True])
    with pytest.raises(InvalidValueError, match="predicted"):
        estimate_binary([0.5], [True, True])
    with pytest.raises(InvalidValueError, match="both classes"):
        Calibrator.fit([0.5, 0.6], [True, True])
