import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality import ModelPerformanceMonitor
from watchkeeper.stats import wilson
from watchkeeper.testing import FixedClock


def monitor(**how: Any) -> ModelPerformanceMonitor:
    return ModelPerformanceMonitor(**{"min_samples": 4, "clock": FixedClock(), **how})


def test_given_few_predictions_when_asked_then_it_says_that_they_are_too_few() -> None:
    own = monitor()
    own.set_baseline(accuracy=0.9, auc=0.9)
    own.add_prediction(1, 1)

    assert own.get_current_metrics()["status"] == "insufficient_data"
    drop = own.detect_performance_drift()
    assert (drop.drift_detected, drop.reason) == (False, "insufficient_data")
    assert drop.current_accuracy is None


def test_given_no_baseline_when_asked_then_it_says_so_and_shows_the_metrics() -> None:
    own = monitor()
    own.add_batch([1, 0, 1, 0], [1, 0, 1, 1])

    drop = own.detect_performance_drift()
    assert (drop.drift_detected, drop.reason, drop.current_accuracy) == (False, "no_baseline", 0.75)


def test_given_a_drop_when_asked_then_it_is_relative_to_the_baseline() -> None:
    own = monitor(alert_threshold=0.1)
    own.set_baseline(accuracy=0.8, auc=0.9)
    own.add_batch([1] * 70 + [0] * 30, [1] * 100, scores=[0.6] * 100)

    drop = own.detect_performance_drift()

    assert drop["drift_detected"]
    assert drop.accuracy_drop == pytest.approx(0.125)
    assert drop.accuracy_drop_percentage == pytest.approx(12.5)
    assert drop.threshold_percentage == pytest.approx(10.0)
    low, high = wilson(70, 100)
    assert drop.accuracy_drop_interval == pytest.approx(((0.8 - high) / 0.8, (0.8 - low) / 0.8))
    assert (drop.current_auc, drop.auc_drop, drop.auc_drop_interval) == (None, None, None)


def test_given_a_drop_of_exactly_the_threshold_when_asked_then_it_is_no_drift() -> None:
    own = monitor(alert_threshold=0.5)
    own.set_baseline(accuracy=1.0)
    own.add_batch([1, 1, 0, 0], [1, 1, 1, 1])

    assert not own.detect_performance_drift().drift_detected


def test_given_only_the_auc_falls_when_asked_then_it_is_drift() -> None:
    own = monitor()
    own.set_baseline(auc=0.95)
    own.add_batch([1, 1, 0, 0] * 20, [1, 0, 1, 0] * 20, scores=[0.9, 0.8, 0.2, 0.1] * 20)

    drop = own.detect_performance_drift()

    assert drop.drift_detected
    assert drop.current_auc == pytest.approx(0.75)
    assert drop.auc_drop_interval is not None
    assert drop.auc_drop_interval[0] < drop.auc_drop < drop.auc_drop_interval[1]  # type: ignore[operator]


@given(
    labels=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40),
    batch=st.integers(1, 15),
    window=st.integers(4, 12),
)
def test_given_batches_or_single_ones_when_added_then_the_newest_count(
    labels: list[tuple[bool, bool]], batch: int, window: int
) -> None:
    singly, together = monitor(window_size=window), monitor(window_size=window)
    for predicted, actual in labels:
        singly.add_prediction(predicted, actual)
    for start in range(0, len(labels), batch):
        part = labels[start : start + batch]
        together.add_batch([p for p, _ in part], [a for _, a in part])

    assert singly.get_current_metrics() == together.get_current_metrics()
    newest = labels[-window:]
    if len(newest) >= 4:
        expected = np.mean([p == a for p, a in newest])
        assert singly.get_current_metrics()["accuracy"] == pytest.approx(expected)


def test_given_times_when_added_then_the_window_says_from_when_to_when() -> None:
    own, start = monitor(), datetime(2013, 1, 1, tzinfo=UTC)
    own.add_batch([1] * 4, [1] * 4, [start + timedelta(days=n) for n in (2, 0, 1, 3)])

    metrics = own.get_current_metrics()
    assert (metrics["oldest"], metrics["newest"]) == (start, start + timedelta(days=3))


def test_given_labels_of_any_kind_when_added_then_the_positive_one_is_told_apart() -> None:
    words, truths = monitor(positive="late"), monitor(positive=True)
    words.add_batch(["late", "ok", "late", "ok"], ["late", "ok", "ok", "ok"])
    truths.add_batch(np.array([1.0, 0, 1, 0]), [True, False, False, False])

    assert words.get_current_metrics()["precision"] == 0.5
    assert truths.get_current_metrics()["precision"] == 0.5


@pytest.mark.parametrize(
    "how",
    [
        {"window_size": 0},
        {"alert_threshold": 0.0},
        {"alert_threshold": 1.0},
        {"min_samples": 0},
        {"min_samples": 11, "window_size": 10},
        {"task": "ranking"},
    ],
)
def test_given_bad_arguments_when_made_then_it_is_a_clear_error(how: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        ModelPerformanceMonitor(**how)


def test_given_bad_values_when_added_then_nothing_is_added() -> None:
    own = monitor()
    attempts: list[Callable[[], None]] = [
        lambda: own.add_batch([1, 0], [1]),
        lambda: own.add_batch([1, None], [1, 0]),
        lambda: own.add_batch([1, 0], [1, 0], scores=[0.5, 1.5]),
        lambda: own.add_prediction(1, None),
        lambda: own.add_prediction(1, 1, score=-0.1),
        lambda: own.set_baseline(accuracy=85.0),
        lambda: own.set_baseline(auc="high"),  # type: ignore[arg-type]
    ]
    for wrong in attempts:
        with pytest.raises(InvalidValueError):
            wrong()

    assert own.get_current_metrics()["sample_count"] == 0


def test_given_a_full_window_when_more_is_added_then_the_monitor_does_not_grow() -> None:
    own = monitor(window_size=50)
    own.set_baseline(accuracy=0.9)
    sizes = []
    for number in range(500):
        own.add_prediction(number % 2, 1, score=0.5)
        sizes.append(len(pickle.dumps(own)))

    assert max(sizes) - min(sizes) < 20  # the counter's digits
    assert own.get_current_metrics()["sample_count"] == 50


def test_given_the_names_that_are_promised_when_used_then_they_are_there() -> None:
    own = ModelPerformanceMonitor(1000, 0.05, min_samples=100, task="binary", clock=FixedClock())
    own.set_baseline(0.9, 0.95, f1=0.8)
    own.add_prediction(1, 1, None, score=0.75)
    assert own.get_current_metrics()["status"] == "insufficient_data"
    own.add_batch([1, 0] * 60, [1, 1] * 60, None, scores=[0.75] * 120)

    found = own.get_current_metrics()
    assert {"status", "accuracy", "auc", "sample_count", "precision", "recall", "f1"} <= set(found)
    assert found["auc"] is None  # one class
    drop = own.detect_performance_drift()
    assert {
        "drift_detected", "reason", "threshold_percentage",
        "baseline_accuracy", "current_accuracy", "accuracy_drop", "accuracy_drop_percentage",
        "baseline_auc", "current_auc", "auc_drop", "auc_drop_percentage",
        "accuracy_drop_interval", "auc_drop_interval",
    } <= set(drop)  # fmt: skip
