"""Prequential learning: scored before it is learned, as River itself scores; what is kept of it."""

import random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import evaluate, linear_model, metrics, naive_bayes, preprocessing, tree
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor

from watchkeeper.errors import InvalidValueError
from watchkeeper.online.learning import (
    Prequential,
    Stream,
    beats,
    learned_from,
    loses_to,
)
from watchkeeper.policies.online import OnlinePolicy
from watchkeeper.registry import Feature, Signature

RANDOM = random.Random(5)
ROWS = [{"x0": RANDOM.gauss(0, 1), "x1": RANDOM.gauss(0, 1)} for _ in range(400)]
LABELS = [float(row["x0"] + RANDOM.gauss(0, 0.5) > 0) for row in ROWS]
TARGETS = [3 * row["x0"] - row["x1"] for row in ROWS]


UNTAUGHT: Any = naive_bayes.GaussianNB


def scored(name: str) -> Any:
    """Return a metric of River, whose own types do not tell what making one returns."""
    return getattr(metrics, name)()


def stream(actual: list[Any], task: str = "binary", rows: Any = ROWS, **about: Any) -> Stream:
    names = list(dict.fromkeys(name for row in rows for name in row))
    features = pa.table({name: [row.get(name) for row in rows] for name in names})
    return Stream(features=features, actual=actual, task=task, **about)


@pytest.mark.parametrize("make", [linear_model.LogisticRegression, tree.HoeffdingTreeClassifier])
def test_given_a_stream_when_learned_then_it_is_scored_as_river_scores_it(make: Any) -> None:
    model = preprocessing.StandardScaler() | make()
    for row, label in zip(ROWS[:50], LABELS, strict=False):
        model.learn_one(row, bool(label))
    told: Any = zip(ROWS, map(bool, LABELS), strict=True)
    own = model.clone(include_attributes=True)
    expected = evaluate.progressive_val_score(told, own, scored("Accuracy")).get()

    learned = learned_from(model, stream(LABELS))

    assert 1 - learned.losses.mean() == pytest.approx(expected)
    assert learned.model.predict_proba_one(ROWS[0]) == own.predict_proba_one(ROWS[0])
    assert model.predict_proba_one(ROWS[0]) != own.predict_proba_one(ROWS[0])  # as it was


def test_given_a_regression_when_learned_then_its_error_is_as_river_tells_it() -> None:
    model = preprocessing.StandardScaler() | linear_model.LinearRegression()
    told: Any = zip(ROWS, TARGETS, strict=True)
    own = model.clone()
    expected = evaluate.progressive_val_score(told, own, scored("MAE")).get()

    learned = learned_from(model, stream(TARGETS, "regression"))

    assert learned.losses.mean() == pytest.approx(expected)
    frozen = learned.frozen(own, stream(TARGETS, "regression"))
    assert frozen.mean() < learned.losses.mean()


class Tells:
    """A model that says how many rows it has learned, and how many it was asked."""

    def __init__(self) -> None:
        self.learned = 0
        self.said: list[int] = []

    def predict(self, rows: Any) -> Any:
        self.said += [self.learned] * len(rows)
        return np.full(len(rows), float(self.learned))

    def partial_fit(self, rows: Any, labels: Any) -> None:
        self.learned += len(rows)


def test_given_an_estimator_when_it_learns_then_each_row_was_asked_before() -> None:
    learned = learned_from(Tells(), stream(TARGETS, "regression"))

    assert learned.model.said == [number // 16 * 16 for number in range(400)]
    assert learned.model.learned == 400


def test_given_partial_fit_when_learned_then_it_is_as_by_hand() -> None:
    first = np.array([list(row.values()) for row in ROWS])
    labels = np.array(LABELS, dtype=int)
    model = SGDClassifier(random_state=1).partial_fit(first[:10], labels[:10], classes=[0, 1])
    own = SGDClassifier(random_state=1).partial_fit(first[:10], labels[:10], classes=[0, 1])
    wrong = []
    for begin in range(0, 400, 16):
        part = slice(begin, begin + 16)
        wrong += list(own.predict(first[part]) != labels[part])
        own.partial_fit(first[part], labels[part])

    learned = learned_from(model, stream(LABELS))

    assert learned.losses.tolist() == wrong
    assert np.array_equal(learned.model.coef_, own.coef_)


def test_given_a_data_frame_model_when_learned_then_it_gets_frames() -> None:
    frame = pd.DataFrame(ROWS)
    model = SGDRegressor(random_state=1).fit(frame[:50], TARGETS[:50])

    learned = learned_from(model, stream(TARGETS, "regression"))

    assert learned.losses[-50:].mean() < learned.losses[:50].mean()


def test_given_missing_values_when_learned_then_estimators_leave_out_rows_and_river_values() -> (
    None
):
    rows: list[dict[str, Any]] = [dict(row) for row in ROWS]
    rows[3]["x0"], rows[20]["x1"] = float("nan"), None
    matrix = np.array([list(row.values()) for row in ROWS])
    estimator = SGDClassifier(random_state=1).fit(matrix, LABELS)

    learned = learned_from(estimator, stream(LABELS, rows=rows))
    by_river = learned_from(linear_model.LogisticRegression(), stream(LABELS, rows=rows))

    assert len(learned.losses) == 398
    assert {3, 20}.isdisjoint(learned.places)
    assert len(by_river.losses) == 400
    assert all(np.isfinite(list(by_river.model.weights.values())))


def test_given_labels_when_they_are_words_then_they_are_learned_as_words() -> None:
    words = ["late" if label else "on time" for label in LABELS]
    matrix = np.array([list(row.values()) for row in ROWS])
    estimator = SGDClassifier(random_state=1).fit(matrix[:20], words[:20])
    told = stream(words, positive="late")

    for model in (estimator, tree.HoeffdingTreeClassifier(grace_period=20)):
        learned = learned_from(model, told)
        assert learned.losses[-200:].mean() < 0.35


def test_given_an_unknown_class_when_learned_then_it_is_wrong_and_teaches_nothing() -> None:
    matrix = np.array([list(row.values()) for row in ROWS])
    model = SGDClassifier(random_state=1).fit(matrix, LABELS)
    odd = [2.0 if number % 10 == 0 else label for number, label in enumerate(LABELS)]

    learned = learned_from(model, stream(odd, "multiclass"))

    assert learned.losses[::10].all()
    assert learned.model.classes_.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("actual", [[1.0] * 400, [0.0] * 400])
def test_given_one_class_only_when_learned_then_it_is_learned(actual: list[float]) -> None:
    matrix = np.array([list(row.values()) for row in ROWS])
    estimator = SGDClassifier(random_state=1).fit(matrix, LABELS)
    for model in (estimator, UNTAUGHT(), linear_model.LogisticRegression()):
        assert learned_from(model, stream(actual)).losses[-100:].mean() < 0.2


def test_given_a_model_that_says_nothing_yet_when_asked_then_it_is_wrong_or_zero() -> None:
    fresh = UNTAUGHT()
    assert fresh.predict_one(ROWS[0]) is None

    learned = learned_from(fresh, stream(LABELS))

    assert learned.losses[0] == 1.0
    assert learned.frozen(fresh, stream(LABELS)).all()


def test_given_whole_numbers_in_the_signature_when_learned_then_river_gets_them_whole() -> None:
    seen = []

    class Sees(linear_model.LogisticRegression):
        def learn_one(self, x: Any, y: Any, w: Any = 1.0) -> None:
            seen.append((x, y))

    signature = Signature((Feature("x0", "integer"), Feature("x1", "number")))
    learned_from(Sees(), stream([1.0], rows=[{"x0": 3.0, "x1": 4.0}], signature=signature))

    ((row, label),) = seen
    assert (type(row["x0"]), type(row["x1"]), label) == (int, float, True)


def test_given_a_model_that_cannot_learn_when_asked_to_then_it_is_refused() -> None:
    matrix = np.array([list(row.values()) for row in ROWS])
    with pytest.raises(InvalidValueError, match="partial_fit"):
        learned_from(LogisticRegression().fit(matrix, LABELS), stream(LABELS))
    with pytest.raises(InvalidValueError, match="at least 30"):
        OnlinePolicy(snapshot_every=29)


OFTEN, SELDOM = np.tile([1.0, 0.0], 500), np.tile([1.0, 0.0, 0.0, 0.0], 250)


def verdict(own: Any, champion: Any, former: Any, tolerance: float = 0.02) -> Prequential:
    return Prequential.of(own, champion, former, tolerance=tolerance, task="binary")


def test_given_losses_when_judged_then_worse_than_either_is_thrown_away() -> None:
    assert verdict(SELDOM, OFTEN, OFTEN).kept
    assert verdict(OFTEN, SELDOM, OFTEN).fault == "it is worse than the champion"
    assert verdict(OFTEN, OFTEN, SELDOM).fault == "it is worse than before it learned"
    assert verdict(OFTEN, SELDOM, SELDOM, tolerance=0.3).kept
    assert (
        verdict(SELDOM[:29], OFTEN[:29], OFTEN[:29]).fault == "only 29 of the rows could be scored"
    )
    assert beats(SELDOM, OFTEN, task="binary")
    assert not beats(OFTEN, OFTEN, task="binary")


def test_given_a_regression_when_judged_then_tolerance_is_a_share_of_the_error() -> None:
    near = np.full(100, 1_000.0)
    assert not loses_to(near + 19, near, tolerance=0.02, task="regression")
    assert loses_to(near + 21, near, tolerance=0.02, task="regression")


@pytest.mark.parametrize("odd", [np.inf, np.nan])
def test_given_answers_that_are_no_numbers_when_judged_then_they_lose(odd: float) -> None:
    own = np.zeros(100)
    own[7] = odd
    assert loses_to(own, np.ones(100), tolerance=0.5, task="regression")
    assert not loses_to(np.ones(100), own, tolerance=0.5, task="regression")
    assert not loses_to(own, own, tolerance=0.5, task="regression")


@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.95))
def test_given_no_difference_when_judged_then_neither_wins(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    losses = (rng.random(500) < share).astype(float)
    assert not loses_to(losses, losses, tolerance=0.0, task="binary")
    shuffled = rng.permutation(losses)  # the same losses on other rows
    assert not (
        loses_to(losses, shuffled, tolerance=0.0, task="binary")
        and beats(losses, shuffled, task="binary")
    )
