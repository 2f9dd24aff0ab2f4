import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.quality import (
    ModelPerformanceMonitor,
    binary_metrics,
    multiclass_metrics,
    regression_metrics,
)
from watchkeeper.testing import FixedClock

START = datetime(2013, 1, 1, tzinfo=UTC)


def monitor(**how: Any) -> ModelPerformanceMonitor:
    return ModelPerformanceMonitor(**{"min_samples": 2, "clock": FixedClock(), **how})


def metrics_of(own: ModelPerformanceMonitor) -> dict[str, Any]:
    return {
        name: value
        for name, value in own.get_current_metrics().items()
        if name not in {"status", "sample_count", "oldest", "newest"}
    }


def test_given_several_classes_when_measured_then_the_metrics_are_of_the_newest() -> None:
    own = monitor(task="multiclass", classes=["a", "b", "c"], window_size=3)
    chances = [[1.0, 0.0, 0.0], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]]
    own.add_batch(["a", "b"], ["c", "b"], scores=chances[:2])
    own.add_prediction("c", "c", score=chances[2])
    own.add_prediction("a", "b", score=chances[3])

    expected = multiclass_metrics(
        ["b", "c", "a"], ["b", "c", "b"], chances[1:], classes=["a", "b", "c"]
    )
    assert metrics_of(own) == expected


def test_given_classes_without_order_when_measured_then_any_label_is_taken() -> None:
    own = monitor(task="multiclass")
    own.add_batch(np.array([1, 2, 3]), [1, 2, 4])

    assert own.get_current_metrics()["accuracy"] == pytest.approx(2 / 3)
    with pytest.raises(InvalidValueError, match="classes="):
        own.add_prediction(1, 1, score=[0.5, 0.5])


def test_given_several_classes_when_the_accuracy_falls_then_it_is_drift() -> None:
    own = monitor(task="multiclass")
    own.set_baseline(accuracy=0.9)
    own.add_batch(["a"] * 100, ["a"] * 60 + ["b"] * 40)

    drop = own.detect_performance_drift()

    assert drop.drift_detected
    assert drop.accuracy_drop == pytest.approx(1 / 3)
    assert drop.accuracy_drop_interval is not None
    assert drop.accuracy_drop_interval[0] < 1 / 3 < drop.accuracy_drop_interval[1]


@given(
    pairs=st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=40),
    batch=st.integers(1, 15),
    window=st.integers(2, 12),
)
def test_given_numbers_when_measured_then_the_metrics_are_of_the_newest(
    pairs: list[tuple[int, int]], batch: int, window: int
) -> None:
    singly = monitor(task="regression", window_size=window)
    together = monitor(task="regression", window_size=window)
    for predicted, actual in pairs:
        singly.add_prediction(predicted, actual)
    for start in range(0, len(pairs), batch):
        part = pairs[start : start + batch]
        together.add_batch([p for p, _ in part], np.array([a for _, a in part]))

    newest = np.array(pairs[-window:], dtype=float)
    expected = regression_metrics(newest[:, 0], newest[:, 1])
    assert metrics_of(singly) == metrics_of(together) == expected


def test_given_numbers_when_errors_grow_then_it_is_drift_and_when_they_shrink_a_gain() -> None:
    own = monitor(task="regression", alert_threshold=0.2)
    own.set_baseline(rmse=2.0, mae=2.0)
    rng = np.random.default_rng(20130101)
    actual = rng.normal(size=400)
    own.add_batch(actual + rng.normal(scale=3.0, size=400), actual)

    drop = own.detect_performance_drift()

    assert (drop.drift_detected, drop.reason, drop.current_accuracy) == (True, None, None)
    now = own.get_current_metrics()
    assert drop.drops["rmse"] == pytest.approx(now["rmse"] / 2.0 - 1.0)
    for name in ("rmse", "mae"):
        low, high = drop.drop_intervals[name]
        assert low < drop.drops[name] < high  # type: ignore[operator]
    assert drop.drop_intervals["rmse"][0] < 0.5 < drop.drop_intervals["rmse"][1]

    own.set_baseline(rmse=10.0)
    better = own.detect_performance_drift()
    assert not better.drift_detected
    assert better.drops["rmse"] < 0  # type: ignore[operator]


def test_given_a_baseline_the_task_does_not_measure_when_asked_then_there_is_none() -> None:
    own = monitor(task="regression")
    own.set_baseline(accuracy=0.9)
    own.add_batch([1.0, 2.0], [1.0, 2.0])

    assert own.detect_performance_drift().reason == "no_baseline"


def test_given_a_baseline_of_other_metrics_when_one_worsens_then_it_is_drift() -> None:
    own = monitor()
    own.set_baseline(recall=0.9, brier=0.1, positive_share=0.5)
    own.add_batch([1, 1, 0, 0], [1, 0, 0, 0], scores=[0.9, 0.8, 0.1, 0.1])

    drop = own.detect_performance_drift()

    assert drop.drift_detected
    assert drop.drops["recall"] == pytest.approx(-1 / 9)
    assert drop.drops["brier"] == pytest.approx(0.1675 / 0.1 - 1.0)
    assert "positive_share" not in drop.drops


def cost(predicted: npt.NDArray[Any], actual: npt.NDArray[Any], _: npt.NDArray[Any]) -> float:
    return float(np.sum(predicted != actual))


def test_given_metrics_of_ones_own_when_measured_then_they_count_like_the_others() -> None:
    def share_scored(_: Any, __: Any, scores: npt.NDArray[np.float64]) -> float | None:
        return float(np.mean(~np.isnan(scores))) if len(scores) > 2 else None

    own = monitor(metrics={"cost": cost, "scored": share_scored}, lower_is_better={"cost"})
    own.set_baseline(cost=1.0, scored=0.5)
    own.add_batch([1, 0, 1], [0, 1, 1], scores=[0.5, None, None])

    found, drop = own.get_current_metrics(), own.detect_performance_drift()
    assert (found["cost"], found["scored"]) == (2.0, pytest.approx(1 / 3))
    assert drop.drops == {"cost": pytest.approx(1.0), "scored": pytest.approx(1 / 3)}
    assert drop.drift_detected


@given(
    hours=st.lists(st.integers(0, 30), min_size=2, max_size=40),
    batch=st.integers(1, 15),
    size=st.integers(2, 12),
)
def test_given_a_window_by_event_time_when_late_ones_come_then_those_near_the_newest_count(
    hours: list[int], batch: int, size: int
) -> None:
    singly = monitor(window=timedelta(hours=5), window_size=size)
    together = monitor(window=timedelta(hours=5), window_size=size)
    times = [START + timedelta(hours=hour) for hour in hours]
    for hour, at in zip(hours, times, strict=True):
        singly.add_prediction(hour % 2, 1, at)
    for start in range(0, len(hours), batch):
        part = slice(start, start + batch)
        together.add_batch([hour % 2 for hour in hours[part]], [1] * len(hours[part]), times[part])

    kept = hours[-size:]
    within = [hour for hour in kept if hour >= max(kept) - 5]
    found = singly.get_current_metrics()
    assert found == together.get_current_metrics()
    assert found["sample_count"] == len(within)
    if len(within) >= 2:
        assert found["accuracy"] == pytest.approx(np.mean([hour % 2 for hour in within]))
        assert found["newest"] == START + timedelta(hours=max(kept))
        lost = [hour for hour in hours[:-size] if hour >= max(kept) - 5]
        assert found["complete"] is (not lost)


@given(order=st.permutations(range(12)))
def test_given_labels_out_of_order_when_windowed_then_event_time_undoes_it_and_a_count_does_not(
    order: list[int],
) -> None:
    by_time = monitor(window=timedelta(hours=5))
    by_count = monitor(window_size=6)
    for hour in order:
        for own in (by_time, by_count):
            own.add_prediction(hour % 3 == 0, 1, START + timedelta(hours=hour))

    newest = [hour % 3 == 0 for hour in range(6, 12)]
    arrived = [hour % 3 == 0 for hour in order[-6:]]
    assert by_time.get_current_metrics()["accuracy"] == pytest.approx(np.mean(newest))
    assert by_time.get_current_metrics()["complete"] is True
    assert by_count.get_current_metrics()["accuracy"] == pytest.approx(np.mean(arrived))


def test_given_a_sequential_monitor_when_the_accuracy_falls_then_it_alarms_before_the_window() -> (
    None
):
    own = monitor(sequential=True, min_samples=100, alert_threshold=0.1)
    own.add_batch([1] * 50, [0] * 50)
    assert own.detect_performance_drift().sequential_alarm is None

    own.set_baseline(accuracy=0.92)
    for _ in range(5):
        own.add_prediction(1, 1)
    assert own.detect_performance_drift().sequential_alarm is False
    for _ in range(12):
        own.add_prediction(1, 0)
    drop = own.detect_performance_drift()
    assert (drop.reason, drop.sequential_alarm) == ("insufficient_data", True)

    own.set_baseline(accuracy=0.92)
    assert own.detect_performance_drift().sequential_alarm is False
    own.add_batch([1] * 12, [0] * 12)
    assert own.detect_performance_drift().sequential_alarm


def test_given_a_perfect_baseline_when_one_outcome_is_wrong_then_it_is_no_alarm_yet() -> None:
    own = monitor(sequential=True, task="multiclass")
    own.set_baseline(accuracy=1.0)
    own.add_batch(["a", "a"], ["a", "b"])

    assert own.detect_performance_drift().sequential_alarm is False
    own.add_batch(["a"] * 20, ["b"] * 20)
    assert own.detect_performance_drift().sequential_alarm


def test_given_a_monitor_when_it_is_copied_or_pickled_then_it_goes_on_alike() -> None:
    own = monitor(window_size=3, window=timedelta(hours=1), sequential=True)
    own.set_baseline(accuracy=0.9)
    own.add_batch([1, 0], [1, 1], scores=[0.9, 0.2])

    for other in (pickle.loads(pickle.dumps(own)), copy.deepcopy(own)):
        other.add_batch([0, 0], [0, 0], scores=[0.1, 0.2])
        assert other.get_current_metrics()["sample_count"] == 3
    assert own.get_current_metrics()["sample_count"] == 2


def test_given_binary_scores_when_measured_then_the_metrics_are_binary_metrics() -> None:
    rng = np.random.default_rng(20130101)
    scores = rng.uniform(size=500)
    actual = rng.uniform(size=500) < scores
    own = monitor()
    own.add_batch(scores > 0.5, actual, scores=scores)

    assert metrics_of(own) == binary_metrics(scores > 0.5, actual, scores)


@pytest.mark.parametrize(
    "how",
    [
        {"window": timedelta(0)},
        {"classes": ["a", "b"]},
        {"task": "multiclass", "classes": ["a"]},
        {"task": "multiclass", "classes": ["a", "a", "b"]},
        {"task": "regression", "sequential": True},
        {"false_alarms": 0.0},
        {"metrics": {"accuracy": cost}},
        {"lower_is_better": ["cost"]},
    ],
)
def test_given_bad_arguments_when_made_then_it_is_a_clear_error(how: Any) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        monitor(**how)


def test_given_bad_values_when_added_then_nothing_is_added() -> None:
    classes = monitor(task="multiclass", classes=["a", "b"])
    numbers = monitor(task="regression")
    attempts: list[Callable[[], None]] = [
        lambda: classes.add_prediction("a", "z"),
        lambda: classes.add_prediction("a", None),
        lambda: classes.add_prediction("a", "a", score=0.5),
        lambda: classes.add_prediction("a", "a", score=[0.5, 0.6]),
        lambda: classes.add_batch(["a", "b"], ["a", "b"], scores=[[0.5, 0.5], [0.5]]),
        lambda: classes.set_baseline(f1=0.0),
        lambda: numbers.add_prediction(1.0, float("nan")),
        lambda: numbers.add_prediction("1.0", 1.0),
        lambda: numbers.add_batch(np.array([1.0, np.inf]), np.array([1.0, 2.0])),
        lambda: numbers.add_prediction(1.0, 1.0, score="wide"),  # type: ignore[arg-type]
        lambda: numbers.set_baseline(rmse=0.0),
        lambda: numbers.set_baseline(rmse=float("nan")),
    ]
    for wrong in attempts:
        with pytest.raises(InvalidValueError):
            wrong()

    assert classes.get_current_metrics()["sample_count"] == 0
    assert numbers.get_current_metrics()["sample_count"] == 0
