import asyncio
import threading
import urllib.error
import urllib.request
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.telemetry import AdvancedModelMonitor, ModelMonitor, start_metrics_server

VERSION = {"model": "model", "model_version": "v1.0.0"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def counts(registry: CollectorRegistry) -> tuple[float | None, ...]:
    """Return successes, errors, timed calls and calls in flight."""
    return (
        *(
            registry.get_sample_value("model_predictions_total", {**VERSION, "status": status})
            for status in ("success", "error")
        ),
        registry.get_sample_value("model_prediction_latency_seconds_count", VERSION),
        registry.get_sample_value("model_active_predictions", {"model": "model"}),
    )


def value(registry: CollectorRegistry, feature: str, part: str = "sum") -> float | None:
    labels = {"model": "model", "feature_name": feature}
    return registry.get_sample_value(f"model_input_feature_value_{part}", labels)


@pytest.mark.parametrize(
    ("returned", "prediction", "confidence"),
    [
        (1, 1, None),
        ((1, 0.75), 1, 0.75),
        ({"prediction": "late", "confidence": 0.75}, "late", 0.75),
        ({"prediction": "late", "score": np.float32(0.5)}, "late", 0.5),
        ({"label": "late"}, {"label": "late"}, None),
        ((1, "a"), (1, "a"), None),
        ((1, True), (1, True), None),
    ],
)
def test_given_what_a_model_returns_when_monitored_then_prediction_and_score_are_told_apart(
    returned: Any, prediction: Any, confidence: float | None, registry: CollectorRegistry
) -> None:
    monitor = ModelMonitor(predict_fn=lambda features: returned, registry=registry)

    answer = monitor.predict_with_monitoring({"age": 3})

    assert answer == {
        "prediction": prediction,
        "confidence": confidence,
        "model_version": "v1.0.0",
    }
    assert counts(registry) == (1, 0, 1, 0)


def test_given_a_model_that_raises_when_monitored_then_its_own_error_comes_and_none_is_in_flight(
    registry: CollectorRegistry,
) -> None:
    error = LookupError("gone")

    def fails(features: Any) -> Any:
        assert counts(registry)[3] == 1
        raise error

    monitor = ModelMonitor(predict_fn=fails, registry=registry)
    with pytest.raises(LookupError) as caught:
        monitor.predict_with_monitoring({})

    assert caught.value is error
    assert counts(registry) == (0, 1, 1, 0)


def test_given_no_function_when_monitored_then_the_error_says_what_to_give(
    registry: CollectorRegistry,
) -> None:
    with pytest.raises(InvalidValueError, match="Give ModelMonitor a predict_fn"):
        ModelMonitor(registry=registry).predict_with_monitoring({})
    with pytest.raises(InvalidValueError, match="predict_fn is 3"):
        ModelMonitor(predict_fn=3, registry=registry)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="model_version"):
        ModelMonitor("", registry=registry)


def test_given_a_decorated_function_when_called_then_it_is_counted_and_stays_what_it_was(
    registry: CollectorRegistry,
) -> None:
    monitor = ModelMonitor(registry=registry)

    @monitor
    def score(rows: list[int], *, by: int = 2) -> list[int]:
        """Score rows."""
        if not rows:
            raise ValueError("no rows")
        return [row * by for row in rows]

    assert score([1], by=3) == [3]
    with pytest.raises(ValueError, match="no rows"):
        score([])
    assert (score.__name__, score.__doc__) == ("score", "Score rows.")
    assert counts(registry) == (1, 1, 2, 0)


def test_given_a_decorated_coroutine_when_tasks_overlap_then_each_is_timed_to_its_end(
    registry: CollectorRegistry,
) -> None:
    monitor = ModelMonitor(registry=registry)
    seen: list[float | None] = []

    async def run() -> list[Any]:
        both = asyncio.Event()

        @monitor
        async def score(number: int) -> int:
            if number == 2:
                both.set()
            await both.wait()
            seen.append(counts(registry)[3])
            if number == 2:
                raise ValueError("two")
            return number

        return await asyncio.gather(*map(score, range(3)), return_exceptions=True)

    answers = asyncio.run(run())

    assert answers[:2] == [0, 1]
    assert isinstance(answers[2], ValueError)
    assert max(each or 0 for each in seen) == 3
    assert counts(registry) == (2, 1, 3, 0)


def test_given_a_call_that_is_cancelled_when_counted_then_it_neither_worked_nor_failed(
    registry: CollectorRegistry,
) -> None:
    monitor = ModelMonitor(registry=registry)

    async def run() -> None:
        @monitor
        async def hangs() -> None:
            await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hangs(), 0.01)

    asyncio.run(run())
    assert counts(registry) == (0, 0, 0, 0)


def test_given_contexts_within_and_beside_each_other_when_left_then_each_is_counted_once(
    registry: CollectorRegistry,
) -> None:
    monitor = ModelMonitor(registry=registry)
    met = threading.Barrier(3)

    def run() -> None:
        with monitor:
            met.wait(10)
            with monitor:
                pass

    async def run_async() -> None:
        async with monitor:
            pass

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    asyncio.run(run_async())
    with pytest.raises(KeyError), monitor:
        raise KeyError

    assert counts(registry) == (7, 1, 8, 0)


def test_given_threads_when_they_predict_at_once_then_no_count_is_lost(
    registry: CollectorRegistry,
) -> None:
    monitor = AdvancedModelMonitor(predict_fn=lambda f: (1, 0.5), registry=registry)

    def run() -> None:
        for _ in range(500):
            monitor.predict_with_monitoring({"age": 2.0})

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert counts(registry) == (2000, 0, 2000, 0)
    assert value(registry, "age") == 4000.0
    assert registry.get_sample_value("model_prediction_score_sum", VERSION) == 1000.0


def test_given_accuracy_when_updated_then_only_a_share_is_taken(
    registry: CollectorRegistry,
) -> None:
    monitor = ModelMonitor(registry=registry)
    monitor.update_accuracy(np.float64(0.875))

    for wrong in (float("nan"), 1.5, -0.1, "0.9", None, True):
        with pytest.raises(InvalidValueError, match="accuracy"):
            monitor.update_accuracy(wrong)  # type: ignore[arg-type]
    assert registry.get_sample_value("model_accuracy", VERSION) == 0.875


def test_given_plain_and_advanced_monitors_when_they_predict_then_only_the_latter_shows_inputs(
    registry: CollectorRegistry,
) -> None:
    plain = ModelMonitor(predict_fn=lambda f: (1, 0.5), registry=registry)
    plain.predict_with_monitoring({"age": 3})
    before = value(registry, "age", "count")
    AdvancedModelMonitor(predict_fn=lambda f: 1, registry=registry).predict_with_monitoring(
        {"age": 3, "name": "x", "night": True, "income": None, "height": np.float32(1.5)}
    )
    plain.track_prediction({"age": 4.0}, 0.25)

    assert before is None
    assert (value(registry, "age"), value(registry, "height")) == (7.0, 1.5)
    assert value(registry, "name") is value(registry, "night") is value(registry, "income") is None
    assert registry.get_sample_value("model_prediction_score_count", VERSION) == 1


ROWS = {"age": [30.0, 50.0, float("nan")], "carrier": ["AA", "DL", "UA"], "legs": [1, 2, 3]}


@pytest.mark.parametrize(
    "batch",
    [
        ROWS,
        {name: np.array(values) for name, values in ROWS.items()},
        pd.DataFrame(ROWS),
        pl.DataFrame(ROWS),
        pa.table(ROWS),
        [dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)],
    ],
    ids=lambda batch: f"{type(batch).__module__}.{type(batch).__name__}",
)
def test_given_a_batch_when_tracked_then_it_is_what_its_rows_are_one_by_one(
    batch: Any, registry: CollectorRegistry
) -> None:
    monitor = AdvancedModelMonitor(registry=registry)
    monitor.track_batch_predictions(batch, [0.25, 0.5, 0.75])

    assert (value(registry, "age"), value(registry, "age", "count")) == (80.0, 2)
    assert (value(registry, "legs"), value(registry, "carrier")) == (6.0, None)
    assert registry.get_sample_value("model_prediction_score_sum", VERSION) == 1.5


@pytest.mark.parametrize(
    ("batch", "scores", "told"),
    [
        ({"age": [1, 2]}, [0.5], "expected 2 of them"),
        ({"age": [1, 2], "legs": [1]}, None, "the same length"),
        ({"age": [1]}, [[0.5]], "one number a row"),
        ({"age": [1]}, ["high"], "one number a row"),
        (3, None, "a data frame, a mapping of arrays"),
    ],
)
def test_given_a_bad_batch_when_tracked_then_the_error_says_so_and_nothing_is_shown(
    batch: Any, scores: Any, told: str, registry: CollectorRegistry
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        AdvancedModelMonitor(registry=registry).track_batch_predictions(batch, scores)
    assert value(registry, "age") is None


def test_given_an_empty_batch_when_tracked_then_nothing_happens(
    registry: CollectorRegistry,
) -> None:
    monitor = AdvancedModelMonitor(registry=registry)
    monitor.track_batch_predictions({"age": []}, [])
    monitor.track_batch_predictions([], [])

    assert value(registry, "age") is None


def test_given_metadata_when_set_then_the_version_is_with_it(registry: CollectorRegistry) -> None:
    monitor = ModelMonitor("2.0.0", model="risk", registry=registry)
    monitor.set_metadata(framework="scikit-learn", trained_date="2026-01-31")

    labels = {
        "model": "risk",
        "version": "2.0.0",
        "framework": "scikit-learn",
        "trained_date": "2026-01-31",
    }
    assert registry.get_sample_value("model_metadata_info", labels) == 1.0


def test_given_a_metrics_server_when_scraped_then_it_answers_on_loopback_until_it_is_closed(
    registry: CollectorRegistry,
) -> None:
    ModelMonitor(registry=registry)
    server = start_metrics_server(port=0, registry=registry)
    port = int(server.url.split(":")[2].split("/")[0])

    with urllib.request.urlopen(server.url, timeout=10) as answer:
        text, kind = answer.read().decode(), answer.headers["Content-Type"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(server.url.replace("metrics", "other"), timeout=10)
    with pytest.raises(ConflictError, match="cannot listen"):
        start_metrics_server(port=port, registry=registry)
    server.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.url, timeout=10)

    assert server.url.startswith("http://127.0.0.1:")
    assert 'model_predictions_total{model="model"' in text
    assert kind.startswith("text/plain; version=0.0.4")
