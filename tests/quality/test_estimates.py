import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality import (
    LossEstimate,
    MulticlassCalibrator,
    PlattCalibrator,
    estimate_binary,
    estimate_multiclass,
    fit_calibrator,
    multiclass_metrics,
    score_estimate,
)


def drawn(rows: int, seed: int, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Return calibrated scores and what came true."""
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-rng.normal(0, spread, rows)))
    return scores, rng.uniform(size=rows) < scores


def several(
    rows: int, rng: np.random.Generator, sharpness: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities of three classes and what came true."""
    chances = np.exp(rng.normal(0, 1.3, (rows, 3)))
    chances /= chances.sum(axis=1, keepdims=True)
    actual = (rng.random((rows, 1)) > np.cumsum(chances, axis=1)).sum(axis=1)
    said = chances**sharpness
    return said / said.sum(axis=1, keepdims=True), np.minimum(actual, 2)


def test_given_calibrated_scores_when_estimated_then_the_truth_lies_within_as_often_as_said() -> (
    None
):
    inside = np.zeros(2)
    for seed in range(200):
        scores, actual = drawn(400, seed)
        estimate = estimate_binary(scores, scores > 0.5)
        realised = float(np.mean((scores > 0.5) == actual))
        area = float(roc_auc_score(actual, scores))
        inside += [
            score_estimate(estimate, realised).inside,
            score_estimate(estimate, area, "auc").inside,
        ]

    assert ((inside >= 180) & (inside <= 199)).all()  # 190 expected, three standard deviations


def test_given_few_labels_when_calibrated_then_the_interval_has_what_they_cannot_tell() -> None:
    labelled = 150
    inside = np.zeros(2)
    for seed in range(60):
        scores, actual = drawn(labelled + 400, seed, spread=1.5)
        sharp = scores**3 / (scores**3 + (1 - scores) ** 3)
        calibrator = fit_calibrator(sharp[:labelled], actual[:labelled])
        later, truth = sharp[labelled:], actual[labelled:]
        estimate = estimate_binary(later, later > 0.5, calibrator)
        realised = float(np.mean((later > 0.5) == truth))
        area = float(roc_auc_score(truth, later))
        inside += [
            score_estimate(estimate, realised).inside,
            score_estimate(estimate, area, "auc").inside,
        ]

    assert (inside >= 52).all()  # 57 expected, three standard deviations


@pytest.mark.parametrize(
    ("labelled", "sharpness", "times", "fewest"),
    [
        (0, 1.0, 200, 180),
        (600, 2.5, 30, 23),  # 0.92 of 300 were inside: the classes' calibrators are not independent
    ],
)
def test_given_several_classes_when_estimated_then_the_truth_lies_within_as_often_as_said(
    labelled: int, sharpness: float, times: int, fewest: int
) -> None:
    rng, classes, inside = np.random.default_rng(6), [0, 1, 2], np.zeros(2)
    for _ in range(times):
        chances, actual = several(labelled + 300, rng, sharpness)
        calibrator = (
            MulticlassCalibrator.fit(chances[:labelled], actual[:labelled], classes)
            if labelled
            else None
        )
        later, truth = chances[labelled:], actual[labelled:]
        called = later.argmax(axis=1)
        estimate = estimate_multiclass(later, called, classes, calibrator)
        realised = multiclass_metrics(called, truth, later, classes)
        inside += [
            score_estimate(estimate, realised[metric], metric).inside
            for metric in ("accuracy", "auc")
        ]

    assert (inside >= fewest).all()
    assert labelled or (inside < times).all()


def test_given_two_classes_when_estimated_as_several_then_it_is_the_binary_estimate() -> None:
    scores, _ = drawn(300, 5)
    both = np.column_stack([1 - scores, scores])

    found = estimate_multiclass(both, (scores > 0.5).astype(int), [0, 1])

    expected = estimate_binary(scores, scores > 0.5)
    assert found.accuracy == pytest.approx(expected.accuracy)
    assert found.interval == pytest.approx(expected.interval)
    assert found.auc == pytest.approx(expected.auc)
    assert found.auc_interval == pytest.approx(expected.auc_interval)


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
    calibrator = PlattCalibrator.fit(sharp[:20_000], actual[:20_000])
    later = sharp[20_000:]
    realised = float(np.mean((later > 0.5) == actual[20_000:]))

    assert calibrator.slope == pytest.approx(1 / 3, abs=0.02)
    assert estimate_binary(later, later > 0.5).accuracy > realised + 0.08
    calibrated = estimate_binary(later, later > 0.5, calibrator)
    assert calibrated.accuracy == pytest.approx(realised, abs=0.012)


def test_given_sure_scores_when_estimated_then_there_is_no_auc() -> None:
    sure = estimate_binary([1.0, 1.0], [True, True])

    assert (sure.auc, sure.auc_interval) == (None, None)
    assert estimate_multiclass([[1.0, 0.0]], ["a"], ["a", "b"]).auc is None


def test_given_bad_input_when_estimated_then_the_error_says_so() -> None:
    with pytest.raises(InvalidValueError, match=r"scores\[1\] is 1.5"):
        estimate_binary([0.5, 1.5], [True, True])
    with pytest.raises(InvalidValueError, match="predicted"):
        estimate_binary([0.5], [True, True])
    with pytest.raises(InvalidValueError, match=r"probabilities\[0\] is 'NaN'"):
        estimate_multiclass([[np.nan, np.nan]], ["a"], ["a", "b"])
    with pytest.raises(InvalidValueError, match="predicted"):
        estimate_multiclass(np.zeros((0, 2)), [], ["a", "b"])


def test_given_an_estimate_when_scored_by_what_it_has_not_then_the_error_says_so() -> None:
    losses = LossEstimate(2.0, (1.5, 2.5), 10)

    assert score_estimate(losses, 2.25, "mae").error == 0.25
    with pytest.raises(InvalidValueError, match="accuracy"):
        score_estimate(losses, 0.5)
    with pytest.raises(InvalidValueError, match="auc"):
        score_estimate(estimate_binary([1.0], [True]), 0.5, "auc")
