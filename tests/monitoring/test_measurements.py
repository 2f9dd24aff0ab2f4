from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from sklearn.linear_model import LinearRegression, LogisticRegression

from watchkeeper.drift import DataDriftDetector, DriftReport
from watchkeeper.errors import NotFoundError
from watchkeeper.events import Window
from watchkeeper.monitoring import window_inputs
from watchkeeper.monitoring.findings import keep_drift, keep_quality
from watchkeeper.monitoring.measurements import drift_of_window, latest_accuracy, quality_of_window
from watchkeeper.monitoring.prediction_drift import LearnedAnswers, answers_to_training
from watchkeeper.quality import Estimate, LossEstimate
from watchkeeper.records import FindingRepository
from watchkeeper.registry import ModelRegistry
from watchkeeper.store import ControlDatabase
from watchkeeper.testing import InMemoryEvents, a_prediction, an_outcome

START = datetime(2013, 1, 1, tzinfo=UTC)
RNG = np.random.default_rng(3)
TRAINED_ON = {"distance": RNG.normal(700, 100, 600), "carrier": RNG.choice(["AA", "UA"], 600)}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[ModelRegistry]:
    with ModelRegistry(tmp_path) as own:
        model = LogisticRegression().fit([[0.0, 0.0], [1.0, 1.0]], [0, 1])
        metrics = {"accuracy": 0.8, "auc": 0.9}
        model_id = own.register_model(
            model, "flights", "1.0.0", metrics, training_data=TRAINED_ON, actor="test"
        )
        own.promote_to_production(model_id)
        yield own


def recorded(
    days: int, *, shift: float = 0.0, right: float = 0.8, labelled: float = 1.0
) -> InMemoryEvents:
    """Return a hundred predictions a day, labelled two days later."""
    events, rng = InMemoryEvents(), np.random.default_rng(9)
    for number in range(days * 100):
        at = START + timedelta(days=number // 100, minutes=number % 100)
        features = {
            "distance": float(rng.normal(700 + shift, 100)),
            "carrier": str(rng.choice(["AA", "UA"])),
        }
        actual = int(rng.random() < 0.5)
        agreed = rng.random() < right
        prediction = actual if agreed else 1 - actual
        own = str(number)
        events.record([a_prediction(own, timestamp=at, features=features, prediction=prediction,
                                    score=0.7 if prediction else 0.3)])  # fmt: skip
        if rng.random() < labelled:
            events.record([an_outcome(own, actual=actual, timestamp=at + timedelta(days=2))])
    return events


def test_given_inputs_like_the_training_data_when_compared_then_there_is_no_drift(
    registry: ModelRegistry,
) -> None:
    found = drift_of_window(recorded(3), registry, "flights", Window())

    assert not found.report.drift_detected
    assert found.reference == "the training data of flights:1.0.0"
    assert found.report.current_size == 300


def test_given_a_window_larger_than_memory_when_compared_then_the_report_is_the_same(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = recorded(3, shift=60)
    expected = drift_of_window(events, registry, "flights", Window())
    monkeypatch.setattr(window_inputs, "IN_MEMORY", 250)
    tables: list[object] = []
    detect = DataDriftDetector.detect

    def noted(self: DataDriftDetector, current: object) -> DriftReport:
        tables.append(current)
        return detect(self, current)

    monkeypatch.setattr(DataDriftDetector, "detect", noted)

    found = drift_of_window(events, registry, "flights", Window())

    assert type(tables[0]).__module__.startswith("ibis")
    assert found.to_json() == expected.to_json()


def test_given_moved_inputs_when_compared_then_the_moved_feature_is_named(
    registry: ModelRegistry,
) -> None:
    window = Window(START, START + timedelta(days=2))
    found = drift_of_window(recorded(3, shift=60), registry, "flights", window)

    assert found.report.drifted == ["distance"]
    assert (found.start, found.end) == (window.start, window.end)
    assert found.report.current_size == 200


def test_given_another_reference_when_compared_then_it_is_used(registry: ModelRegistry) -> None:
    events = recorded(4, shift=60)
    first = Window(START, START + timedelta(days=2))
    rest = Window(START + timedelta(days=2))

    by_window = drift_of_window(events, registry, "flights", rest, reference_window=first)
    by_data = drift_of_window(
        events, registry, "flights", rest, reference=TRAINED_ON, features=["carrier"]
    )

    assert not by_window.report.drift_detected
    assert list(by_data.report.features) == ["carrier"]


def test_given_nothing_to_compare_when_asked_then_the_error_says_what_to_give(
    registry: ModelRegistry,
) -> None:
    events = recorded(1)
    events.record([a_prediction("x", model="elsewhere")])

    with pytest.raises(NotFoundError, match="--reference FILE"):
        drift_of_window(events, registry, "elsewhere", Window())
    with pytest.raises(NotFoundError, match="in the window"):
        drift_of_window(events, registry, "flights", Window(START + timedelta(days=9)))
    with pytest.raises(NotFoundError, match="model with events"):
        quality_of_window(events, registry, "none", Window())


def test_given_answers_as_good_as_registered_when_measured_then_there_is_no_drop(
    registry: ModelRegistry,
) -> None:
    found = quality_of_window(recorded(5, labelled=0.6), registry, "flights", Window())

    assert found.predictions == 500
    assert found.coverage == pytest.approx(0.6, abs=0.08)
    assert found.label_delay_median == 2 * 86_400
    assert found.drop.baseline_accuracy == 0.8
    assert found.drop.accuracy_drop is not None
    assert abs(found.drop.accuracy_drop) < 0.1


def test_given_worse_answers_when_measured_then_quality_has_dropped(
    registry: ModelRegistry,
) -> None:
    found = quality_of_window(recorded(5, right=0.6), registry, "flights", Window())

    assert found.drop.drift_detected
    assert found.metrics["accuracy"] == found.drop.current_accuracy
    assert found.drop.current_accuracy == pytest.approx(0.6, abs=0.08)


def test_given_failed_predictions_and_other_versions_when_measured_then_they_are_not_scored(
    registry: ModelRegistry,
) -> None:
    events = recorded(2, right=1.0)
    at = START + timedelta(hours=5)
    events.record(
        [
            a_prediction("f", timestamp=at, prediction=None, score=None, status="error"),
            an_outcome("f"),
            a_prediction("other", timestamp=at, prediction=0, model_version="2"),
            an_outcome("other", actual=1),
        ]
    )

    all_versions = quality_of_window(events, registry, "flights", Window())
    first = quality_of_window(events, registry, "flights", Window(), version="1.0.0")

    assert (all_versions.predictions, first.predictions) == (201, 200)
    assert first.metrics["accuracy"] == 1.0
    assert all_versions.metrics["accuracy"] == pytest.approx(200 / 201)


@pytest.mark.parametrize("positive", [1, True, "1", 1.0])
def test_given_the_positive_label_in_any_spelling_when_measured_then_it_is_the_same(
    registry: ModelRegistry, positive: object
) -> None:
    events = recorded(2)

    found = quality_of_window(events, registry, "flights", Window(), positive=positive)
    expected = quality_of_window(events, registry, "flights", Window())

    assert found.metrics == expected.metrics


def test_given_no_outcomes_when_measured_then_it_cannot_be_told(registry: ModelRegistry) -> None:
    found = quality_of_window(recorded(1, labelled=0.0), registry, "flights", Window())

    assert (found.labelled, found.coverage, found.metrics) == (0, 0.0, {})
    assert found.drop.reason == "insufficient_data"
    assert found.label_delay_median is None


def test_given_more_than_a_window_when_the_latest_are_scored_then_older_ones_do_not_count() -> None:
    events = recorded(3, right=0.0)
    for number in range(150):
        at = START + timedelta(days=5, minutes=number)
        events.record([a_prediction(f"n{number}", timestamp=at), an_outcome(f"n{number}")])

    def latest(window_size: int, min_samples: int = 100) -> float | None:
        found = {
            latest_accuracy(
                events, "flights", "1.0.0", window_size=window_size, min_samples=min_samples, at=at
            )
            for at in (START + timedelta(days=5), START + timedelta(days=300))
        }
        assert len(found) == 1  # the newest prediction is found, long ago as it may be
        return found.pop()

    assert latest(150) == 1.0
    assert latest(300) == pytest.approx(0.5)
    assert latest(1000, min_samples=500) is None


def labelled(pairs: list[tuple[object, object]]) -> InMemoryEvents:
    """Return predictions with their outcomes."""
    events = InMemoryEvents()
    for number, (prediction, actual) in enumerate(pairs):
        at = START + timedelta(minutes=number)
        events.record(
            [
                a_prediction(str(number), timestamp=at, prediction=prediction, score=None),
                an_outcome(str(number), actual=actual, timestamp=at + timedelta(hours=1)),
            ]
        )
    return events


def test_given_several_classes_when_measured_then_labels_are_compared_as_they_are(
    registry: ModelRegistry,
) -> None:
    events = labelled([("AA", "AA"), ("UA", "AA"), ("UA", "UA"), ("DL", "DL")] * 50)

    found = quality_of_window(events, registry, "flights", Window(), task="multiclass")

    assert found.metrics["accuracy"] == 0.75
    assert found.drop.baseline_accuracy == 0.8
    assert found.drop.drift_detected
    assert latest_accuracy(
        events, "flights", "1.0.0", window_size=200, min_samples=100, at=START, task="multiclass"
    ) == pytest.approx(0.75)


def test_given_numbers_when_measured_as_regression_then_errors_are_held_against_the_baseline(
    tmp_path: Path,
) -> None:
    events = labelled([(10.0, 13.0), (0, 3), (5.0, 2.0)] * 50)
    with ModelRegistry(tmp_path) as registry:
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        registry.promote_to_production(
            registry.register_model(model, "flights", "1.0.0", {"rmse": 2.0, "accuracy": 0.9})
        )
        found = quality_of_window(events, registry, "flights", Window(), task="regression")

    assert found.metrics["rmse"] == pytest.approx(3.0)
    assert found.drop.drops == {"rmse": pytest.approx(0.5)}
    assert found.drop.drift_detected
    assert (
        latest_accuracy(
            events, "flights", "1.0.0", window_size=100, min_samples=10, at=START, task="regression"
        )
        is None
    )


def test_given_measurements_when_kept_then_findings_have_window_tables_and_figures(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    window = Window(START, START + timedelta(days=3))
    moved = drift_of_window(recorded(3, shift=200.0), registry, "flights", window)
    worse = quality_of_window(recorded(3, right=0.5), registry, "flights", window)
    with closing(ControlDatabase(f"sqlite:///{tmp_path / 'findings.db'}")) as database:
        findings = FindingRepository(database)
        drift = keep_drift(findings, moved, at=START)
        quality = keep_quality(findings, worse, at=START)
        kept = findings.find("flights")

    assert [each.number for each in kept] == [quality.number, drift.number]
    assert drift.bad
    assert drift.summary == (
        "drift in 1 of 2 features: distance, against the training data of flights:1.0.0"
    )
    assert (drift.start, drift.end) == (window.start, window.end)
    assert drift.table_versions == moved.table_versions
    assert kept[1].evidence["features"]["distance"]["distribution"] is None
    assert kept[1].evidence["features"]["distance"]["drift_detected"] is True
    assert quality.bad
    assert "accuracy" in quality.summary
    assert kept[0].evidence["drop"]["baseline_accuracy"] == 0.8


def test_given_predictions_without_outcome_when_measured_then_what_scores_promise_is_told(
    registry: ModelRegistry,
) -> None:
    found = quality_of_window(
        recorded(10, labelled=0.6), registry, "flights", Window(), min_samples=100
    )

    assert found.estimate is not None
    assert found.estimate.rows == found.predictions - found.labelled
    low, high = found.estimate.interval
    assert low < 0.8 < high  # four of five are right, whatever the scores of 0.7 claim
    assert found.estimate["auc_interval"] is not None
    assert found.estimate_scores["accuracy"].inside
    assert set(found.estimate_scores) == {"accuracy", "auc"}
    every = quality_of_window(recorded(1), registry, "flights", Window())
    assert (every.estimate, every.estimate_scores) == (None, {})


def test_given_labels_that_flipped_when_the_estimate_is_scored_then_it_was_wrong(
    registry: ModelRegistry,
) -> None:
    events = recorded(4, right=0.9)
    for event in recorded(4, right=0.2).recorded:  # the same hours, after the others
        later = {"prediction_id": f"later {event.prediction_id}",
                 "timestamp": event.timestamp + timedelta(days=30)}  # fmt: skip
        events.record([structs.replace(event, **later)])

    found = quality_of_window(events, registry, "flights", Window())

    assert found.estimate_scores["accuracy"].estimated == pytest.approx(0.9, abs=0.05)
    assert found.estimate_scores["accuracy"].realised == pytest.approx(0.2, abs=0.05)
    assert not found.estimate_scores["accuracy"].inside


def test_given_several_classes_without_outcomes_when_measured_then_the_accuracy_is_estimated(
    registry: ModelRegistry,
) -> None:
    events, rng = InMemoryEvents(), np.random.default_rng(8)
    for number in range(900):
        own, score = str(number), float(rng.uniform(0.4, 1.0))
        at = START + timedelta(minutes=number)
        actual = "AA" if rng.random() < score**2 else "DL"  # the scores say too much
        events.record([a_prediction(own, timestamp=at, prediction="AA", score=score)])
        if number < 600:
            events.record([an_outcome(own, actual=actual, timestamp=at)])
    events.record([a_prediction("no probability", timestamp=START, prediction="AA", score=7.0)])

    found = quality_of_window(events, registry, "flights", Window(), task="multiclass")

    assert isinstance(found.estimate, Estimate)
    assert found.estimate.rows == 300
    assert found.estimate.accuracy == pytest.approx(0.52, abs=0.05)  # the mean of score squared
    assert found.estimate.auc is None
    assert set(found.estimate_scores) == {"accuracy"}
    assert found.estimate_scores["accuracy"].inside


def test_given_numbers_without_outcomes_when_measured_then_the_error_is_estimated_from_inputs(
    registry: ModelRegistry,
) -> None:
    events, rng = InMemoryEvents(), np.random.default_rng(8)
    for number in range(900):
        own, at = str(number), START + timedelta(minutes=number)
        carrier = str(rng.choice(["AA", "UA"])) if number < 600 else "UA"
        error = float(rng.normal(0, 5.0 if carrier == "UA" else 1.0))
        features = {"carrier": carrier, "distance": float(rng.normal(700, 9)), "heavy": True}
        made = {"timestamp": at, "prediction": 9.0, "score": None, "features": features}
        events.record([a_prediction(own, **made)])
        if number < 600:
            events.record([an_outcome(own, actual=9.0 + error, timestamp=at)])

    found = quality_of_window(
        events, registry, "flights", Window(), task="regression", segments=["carrier"]
    )

    assert [(each.value, each.worse) for each in found.segments] == [("UA", True), ("AA", False)]
    assert isinstance(found.estimate, LossEstimate)
    assert found.estimate.rows == 300
    low, high = found.estimate.interval
    assert low < 5.0 * np.sqrt(2 / np.pi) < high  # harder rows alone are left
    assert found.metrics["mae"] < 3.0 < low
    assert set(found.estimate_scores) == {"mae"}
    assert found.estimate_scores["mae"].inside
    few = quality_of_window(
        events, registry, "flights", Window(START + timedelta(minutes=550)), task="regression"
    )
    assert (few.estimate, few.estimate_scores) == (None, {})


def test_given_a_feature_when_measured_by_segments_then_each_of_its_values_is_one(
    registry: ModelRegistry,
) -> None:
    found = quality_of_window(
        recorded(3), registry, "flights", Window(), segments=["carrier", "distance"]
    )

    carriers = [each for each in found.segments if each.column == "carrier"]
    assert {each.value for each in carriers} == {"AA", "UA"}
    assert sum(each.rows for each in carriers) == 300
    for unknown in ("wage", "tag.wage"):
        with pytest.raises(NotFoundError, match=f"there is no recorded feature '{unknown}'"):
            quality_of_window(recorded(1), registry, "flights", Window(), segments=[unknown])


def test_given_a_tag_when_measured_by_segments_then_the_one_that_is_worse_comes_first(
    registry: ModelRegistry,
) -> None:
    events = InMemoryEvents()
    for number in range(300):
        own, region = str(number), ["north", "south", None][number % 3]
        wrong = region == "south" and number % 2
        tags = None if region is None else {"region": region}
        events.record([a_prediction(own, timestamp=START, tags=tags)])
        events.record([an_outcome(own, actual=0 if wrong else 1)])

    found = quality_of_window(events, registry, "flights", Window(), segments=["tag.region"])

    assert [(each.value, each.worse) for each in found.segments] == [
        ("south", True), ("missing", False), ("north", False)
    ]  # fmt: skip
    assert found.segments[0].column == "tag.region"


def test_given_outcomes_late_twice_unknown_or_never_when_measured_again_then_the_window_is_right(
    registry: ModelRegistry,
) -> None:
    events, window = recorded(2, right=1.0, labelled=0.0), Window(START, START + timedelta(days=1))
    assert quality_of_window(events, registry, "flights", window).coverage == 0.0

    said = {each.prediction_id: each.prediction for each in events.recorded}  # type: ignore[union-attr]
    events.record([an_outcome("nobody", actual=1, timestamp=START)])
    for number in range(99, 49, -1):  # out of order, weeks later, and the last of 100 never
        own, at = str(number), START + timedelta(days=20, minutes=number)
        wrong = 1 - int(said[own])
        events.record([an_outcome(own, actual=said[own], timestamp=at + timedelta(days=1))])
        events.record([an_outcome(own, actual=wrong, timestamp=at)])  # older than what is known

    found = quality_of_window(events, registry, "flights", window, min_samples=50)

    assert (found.predictions, found.labelled, found.coverage) == (100, 50, 0.5)
    assert found.metrics["accuracy"] == 1.0
    assert found.label_delay_median == 21 * 86_400
    corrected = [an_outcome("50", actual=1 - int(said["50"]), timestamp=START + timedelta(days=90))]
    events.record(corrected)
    again = quality_of_window(events, registry, "flights", window, min_samples=50)
    assert again.metrics["accuracy"] == pytest.approx(0.98)


@pytest.mark.parametrize(("score", "moved"), [(0.2, True), (None, False)])
def test_given_answers_when_compared_with_those_to_the_training_data_then_a_move_is_seen(
    tmp_path: Path, score: float | None, moved: bool
) -> None:
    rng = np.random.default_rng(2)
    learned = rng.normal(size=(400, 2))
    with ModelRegistry(tmp_path) as own:
        model = LogisticRegression().fit(learned, learned[:, 0] > 0)
        own.register_model(model, "flights", "1", {}, training_data=learned)
        own.promote_to_production("flights:1")
        names = [each.name for each in own.get("flights:1").signature.features]  # type: ignore[union-attr]
        events = InMemoryEvents()
        for number, row in enumerate(rng.normal(size=(400, 2))):
            right = float(model.predict_proba([row])[0, 1])
            events.record([a_prediction(str(number), timestamp=START, prediction=int(right > 0.5),
                                        features=dict(zip(names, row.tolist(), strict=True)),
                                        score=right if score is None else score)])  # fmt: skip

        found = drift_of_window(
            events, own, "flights", Window(), answers=lambda: answers_to_training(own, "flights:1")
        )

    told = f"the predictions {'drifted' if moved else 'did not drift'}"
    with closing(ControlDatabase(f"sqlite:///{tmp_path / 'findings.db'}")) as database:
        kept = keep_drift(FindingRepository(database), found, at=START)
    assert kept.summary.endswith(told)
    assert kept.evidence["answers"]["drift_detected"] is moved
    assert not found.report.drift_detected
    assert found.answers is not None
    assert found.answers.drift_detected is moved
    assert found.answers.method == "KS-test"


def test_given_a_model_that_fails_on_its_training_data_when_compared_then_that_is_told(
    registry: ModelRegistry,
) -> None:
    def learned() -> LearnedAnswers | None:
        return answers_to_training(registry, "flights:1.0.0")

    found = drift_of_window(recorded(1), registry, "flights", Window(), answers=learned)

    assert found.answers is not None
    assert found.answers.error is not None
    assert found.answers.error.startswith("flights:1.0.0 does not answer to its training data")
    assert answers_to_training(registry, None) is None


def test_given_no_answers_or_several_a_row_when_compared_then_that_is_told_and_inputs_are_compared(
    registry: ModelRegistry,
) -> None:
    several = LinearRegression().fit(np.eye(2), np.eye(2))
    registry.register_model(several, "flights", "2", {}, training_data=np.eye(2))
    learned = answers_to_training(registry, "flights:2")
    failed = InMemoryEvents()
    made = {"timestamp": START, "prediction": None, "score": None, "status": "error"}
    failed.record([a_prediction("a", **made)])

    unknown = LearnedAnswers(np.arange(9.0))
    nothing = drift_of_window(failed, registry, "flights", Window(), answers=lambda: unknown)

    assert learned is not None
    assert learned.error == "flights:2 returns several values for a row"
    assert nothing.answers is not None
    assert nothing.answers.drift_detected is None
    assert "no values" in str(nothing.answers.error)
    assert set(nothing.report.features) == {"distance", "carrier"}
