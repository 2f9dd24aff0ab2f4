import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality import (
    IsotonicCalibrator,
    MulticlassCalibrator,
    PlattCalibrator,
    fit_calibrator,
)

rows = st.lists(
    st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=2, max_size=60
).filter(lambda sample: len({truth for _, truth in sample}) == 2)


def drawn(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and what came true."""
    rng = np.random.default_rng(seed)
    chance = 1 / (1 + np.exp(-rng.normal(0, 1.5, size)))
    return chance, rng.random(size) < chance


@given(sample=rows)
def test_given_any_labels_when_fitted_by_steps_then_they_rise_and_keep_the_share(
    sample: list[tuple[float, bool]],
) -> None:
    scores, truth = (np.array(column) for column in zip(*sample, strict=True))

    calibrator = IsotonicCalibrator.fit(scores, truth)

    assert (np.diff(calibrator(np.linspace(0, 1, 41))) >= -1e-12).all()
    assert calibrator(scores).mean() == pytest.approx(truth.mean())
    assert calibrator.variance(scores, np.full(len(scores), 1 / len(scores))) > 0


def test_given_labels_when_fitted_by_a_sigmoid_then_it_is_logistic_regression_of_soft_targets() -> (
    None
):
    scores, truth = drawn(500, 1)
    positives, negatives = truth.sum(), (~truth).sum()
    target = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    logits = np.log(scores / (1 - scores))[:, None]

    found = PlattCalibrator.fit(scores, truth)

    reference = LogisticRegression(C=1e9, tol=1e-9).fit(
        np.vstack([logits, logits]),
        np.repeat([1, 0], 500),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    assert found.slope == pytest.approx(reference.coef_[0, 0], rel=1e-4)
    assert found.offset == pytest.approx(reference.intercept_[0], abs=1e-4)


@pytest.mark.parametrize("kind", [PlattCalibrator, IsotonicCalibrator])
def test_given_many_samples_when_fitted_then_the_mean_varies_as_much_as_is_said(
    kind: type[PlattCalibrator] | type[IsotonicCalibrator],
) -> None:
    scores, _ = drawn(300, 2)
    weights = np.where(scores > 0.5, 1.0, -1.0) / len(scores)
    found = [kind.fit(*drawn(400, seed)) for seed in range(10, 110)]

    said = np.mean([each.variance(scores, weights) for each in found])

    assert np.var([weights @ each(scores) for each in found]) == pytest.approx(said, rel=0.4)


def test_given_a_shape_when_fitted_then_the_calibrator_that_holds_on_other_rows_is_taken() -> None:
    chance, truth = drawn(3_000, 3)
    steps = np.floor(np.sqrt(chance) * 5) / 5 + np.where(chance > 0.6, 0.0, 0.1 * (chance < 0.3))

    assert isinstance(fit_calibrator(chance, truth), PlattCalibrator)
    assert isinstance(fit_calibrator(np.clip(steps, 0, 1), truth), IsotonicCalibrator)
    assert isinstance(fit_calibrator([0.2, 0.4, 0.9], [False, False, True]), PlattCalibrator)


def test_given_several_classes_when_calibrated_then_rows_add_up_and_no_row_is_lost() -> None:
    rng = np.random.default_rng(4)
    chances = rng.dirichlet([1, 1, 1], 600)
    truth = (rng.random((600, 1)) > np.cumsum(chances, axis=1)).sum(axis=1)

    calibrated = MulticlassCalibrator.fit(chances, truth, [0, 1, 2])(chances)

    assert calibrated.sum(axis=1) == pytest.approx(np.ones(600))
    assert np.abs(calibrated - chances).mean() < 0.06


def test_given_labels_that_do_not_fit_when_fitted_then_the_error_says_so() -> None:
    with pytest.raises(InvalidValueError, match="both classes"):
        fit_calibrator([0.5, 0.6], [True, True])
    with pytest.raises(InvalidValueError, match="one a score"):
        fit_calibrator([0.5, 0.6], [True])
    with pytest.raises(InvalidValueError, match="one of the classes 'a', 'b'"):
        MulticlassCalibrator.fit([[0.5, 0.5]], ["c"], ["a", "b"])
