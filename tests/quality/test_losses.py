import numpy as np
import pytest

from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.quality import LossEstimator


def window(
    rng: np.random.Generator, rows: int, *, hard: float = 0.3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, predictions and outcomes; errors are three times as large in hard rows."""
    features = np.column_stack([rng.random(rows) < hard, rng.normal(size=rows)]).astype(float)
    actual = rng.normal(size=rows)
    predicted = actual + rng.normal(size=rows) * np.where(features[:, 0] > 0, 3.0, 1.0)
    return features, predicted, actual


def test_given_windows_without_labels_when_estimated_then_the_interval_has_the_realised_error() -> (
    None
):
    rng = np.random.default_rng(3)
    losses = LossEstimator().fit(*window(rng, 5_000))

    covered, errors = [], []
    for _ in range(100):
        features, predicted, actual = window(rng, 500, hard=float(rng.random()))
        estimate = losses.estimate(features)
        realised = float(np.mean(np.abs(predicted - actual)))
        covered.append(estimate.interval[0] <= realised <= estimate.interval[1])
        errors.append(estimate.mae - realised)

    assert 0.85 <= np.mean(covered) <= 1.0
    assert abs(np.mean(errors)) < 0.05


def test_given_inputs_that_became_harder_when_estimated_then_the_error_grows() -> None:
    rng = np.random.default_rng(4)
    losses = LossEstimator().fit(*window(rng, 2_000))
    easy, hard = (losses.estimate(window(rng, 1_000, hard=h)[0]).mae for h in (0.1, 0.9))

    assert hard > 1.8 * easy


def test_given_missing_values_when_estimated_then_they_are_taken() -> None:
    rng = np.random.default_rng(5)
    features, predicted, actual = window(rng, 500)
    features[::7, 1] = np.nan

    assert LossEstimator().fit(features, predicted, actual).estimate(features).rows == 500


def test_given_a_data_frame_when_words_say_how_hard_a_row_is_then_they_are_learned() -> None:
    rng = np.random.default_rng(7)
    carrier = np.array(["AA", "UA", None], dtype=object)[rng.integers(0, 3, 1_000)]
    at = np.datetime64("2013-01-01") + rng.integers(0, 300, 1_000)
    frame = {"carrier": carrier, "at": at, "never": [None] * 1_000, "odd": ["once"] + ["b"] * 999}
    losses = LossEstimator().fit(
        frame, predicted=np.where(carrier == "UA", 4.0, 1.0), actual=np.zeros(1_000)
    )

    def later(word: str | None) -> float:
        return losses.estimate(
            {"odd": ["new"] * 9, "at": at[:9], "never": [1.0] * 9, "carrier": [word] * 9}
        ).mae

    assert later("UA") == pytest.approx(4.0, abs=0.1)
    assert later("AA") == pytest.approx(1.0, abs=0.1)
    assert later(None) == pytest.approx(1.0, abs=0.1)
    with pytest.raises(InvalidValueError, match="a column 'at' too"):
        losses.estimate({"carrier": ["AA"]})
    with pytest.raises(InvalidValueError, match="values of the type in the training data"):
        losses.estimate({**frame, "carrier": np.ones(1_000)})
    with pytest.raises(InvalidValueError, match="booleans or times"):
        LossEstimator().fit({"nested": [[1]] * 200}, np.zeros(200), np.zeros(200))


def test_given_too_little_when_used_then_the_error_says_what_to_do() -> None:
    with pytest.raises(ConflictError, match="Call fit first"):
        LossEstimator().estimate(np.zeros((1, 2)))
    with pytest.raises(InvalidValueError, match="of 100 or more"):
        LossEstimator().fit(np.zeros((9, 2)), np.zeros(9), np.zeros(9))
    with pytest.raises(InvalidValueError, match="rows and columns"):
        LossEstimator().fit(np.zeros(200), np.zeros(200), np.zeros(200))
    rng = np.random.default_rng(6)
    with pytest.raises(InvalidValueError, match="at least one"):
        LossEstimator().fit(*window(rng, 200)).estimate(np.zeros((0, 2)))
