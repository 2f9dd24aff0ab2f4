import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.telemetry import ModelMetrics, SystemMetrics, exposition
from watchkeeper.telemetry.distributions import MOST_FEATURES
from watchkeeper.telemetry.endpoint import families
from watchkeeper.telemetry.system import jobs_of


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def samples(registry: CollectorRegistry) -> dict[str, float]:
    """Return what a scrape has, by the text before the value."""
    lines = exposition(registry).decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def test_given_a_version_goes_live_when_scraped_then_each_status_is_there_at_zero(
    registry: CollectorRegistry,
) -> None:
    ModelMetrics(registry).of_version("risk", "1")

    families = {
        family.name: family
        for family in text_string_to_metric_families(exposition(registry).decode())
    }

    counts = {s.labels["status"]: s.value for s in families["model_predictions"].samples}
    assert counts == {"success": 0.0, "error": 0.0}
    assert families["model_accuracy"].samples == []


def test_given_predictions_when_scraped_then_buckets_have_the_conventional_bounds(
    registry: CollectorRegistry,
) -> None:
    version = ModelMetrics(registry).of_version("risk", "1")
    version.entered(3)
    version.left(1)
    version.succeeded(2, 0.03)
    version.failed(1, 2.0)
    version.set_accuracy(0.75)

    text = exposition(registry).decode()

    for bound in ("0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0"):
        assert f'le="{bound}"' in text
    assert 'model_predictions_total{model="risk",model_version="1",status="success"} 2.0' in text
    assert 'model_prediction_latency_seconds_count{model="risk",model_version="1"} 2.0' in text
    assert 'model_active_predictions{model="risk"} 2.0' in text
    assert 'model_accuracy{model="risk",model_version="1"} 0.75' in text


def test_given_accuracy_that_is_not_known_any_more_when_scraped_then_only_it_is_gone(
    registry: CollectorRegistry,
) -> None:
    metrics = ModelMetrics(registry, now=lambda: 1234.5)
    first, second = metrics.of_version("risk", "1"), metrics.of_version("risk", "2")
    first.set_accuracy(0.75)
    second.set_accuracy(0.5)
    first.set_accuracy(None)

    found = {name: value for name, value in samples(registry).items() if "accuracy" in name}
    assert found == {
        'model_accuracy{model="risk",model_version="2"}': 0.5,
        'model_accuracy_timestamp_seconds{model="risk",model_version="2"}': 1234.5,
    }


def test_given_rows_when_published_then_count_and_sum_are_of_the_finite_numbers(
    registry: CollectorRegistry,
) -> None:
    version = ModelMetrics(registry).of_version("risk", "1", ["age", "income"])
    matrix = np.array([[30.0, 1.0], [50.0, math.nan]])
    version.saw(matrix, 2, ("age", "income"), np.array([0.25, 0.75]))
    version.saw(
        {"age": [None, 20], "income": ["low", math.inf], "night": [True, False]}, 2, (), None
    )
    before = samples(registry)
    version.publish()
    version.publish()
    found = samples(registry)

    feature = 'model_input_feature_value_{}{{model="risk",feature_name="{}"}}'
    assert not any("feature_value" in name for name in before)
    assert found[feature.format("count", "age")] == 3
    assert found[feature.format("sum", "age")] == 100.0
    assert found[feature.format("count", "income")] == 1
    assert found[feature.format("sum", "income")] == 1.0
    assert found['model_prediction_score_sum{model="risk",model_version="1"}'] == 1.0
    assert found['model_prediction_score_count{model="risk",model_version="1"}'] == 2


def test_given_a_flood_of_names_when_scraped_then_there_is_a_bounded_number_of_series(
    registry: CollectorRegistry,
) -> None:
    metrics = ModelMetrics(registry)
    unsigned = metrics.of_version("free", "1")
    signed = metrics.of_version("signed", "1", ["age"])
    for number in range(3 * MOST_FEATURES):
        unsigned.features.observe({f"x{number}": 1.0})
    signed.features.observe({"age": 1, "attack": 2.0})
    signed.features.observe_columns({"attack": [1.0, 2.0]})

    found = samples(registry)
    assert sum("feature_value_count" in name for name in found) == MOST_FEATURES + 1
    assert found['model_input_features_ignored_total{model="free"}'] == 2 * MOST_FEATURES
    assert found['model_input_features_ignored_total{model="signed"}'] == 3


def test_given_a_drift_check_when_the_next_has_other_features_then_only_those_are_shown(
    registry: CollectorRegistry,
) -> None:
    metrics = ModelMetrics(registry, now=lambda: 7.0)
    metrics.show_drift("other", [("age", "KS-test", 0.5, True)], share=1.0, detected=True)
    metrics.show_drift("risk", [], share=0.0, detected=False, answers=(0.5, True))
    assert samples(registry)['model_prediction_drift_detected{model="risk"}'] == 1.0
    for feature in ("age", "income"):
        checked = [(feature, "KS-test", 0.25, False), ("broken", "", None, None)]
        metrics.show_drift("risk", checked, share=0.0, detected=False)

    labels = '{model="risk",feature_name="income",method="KS-test"}'
    found = {k: v for k, v in samples(registry).items() if "drift" in k and '"risk"' in k}
    assert found == {
        f"model_feature_drift_score{labels}": 0.25,
        f"model_feature_drift_detected{labels}": 0.0,
        'model_dataset_drift_detected{model="risk"}': 0.0,
        'model_dataset_drift_share{model="risk"}': 0.0,
        'model_drift_timestamp_seconds{model="risk"}': 7.0,
    }


def test_given_what_is_in_production_when_shown_then_labels_are_valid_and_others_are_gone(
    registry: CollectorRegistry,
) -> None:
    metadata = ModelMetrics(registry).metadata
    metadata.show({"old": {"version": "0"}})
    metadata.show({"risk": {"version": 'a"b\\\n', "trained date": "2026-01-31", "algorithm": None}})

    assert (
        'model_metadata_info{model="risk",version="a\\"b\\\\\\n",trained_date="2026-01-31"} 1.0\n'
        in exposition(registry).decode()
    )
    assert '"old"' not in exposition(registry).decode()


def test_given_any_families_when_written_then_prometheus_client_reads_what_it_would_have_written(
    registry: CollectorRegistry,
) -> None:
    metrics = ModelMetrics(registry)
    metrics.of_version('ri"sk\\', "1\n2").succeeded(3, 0.2)
    Counter("odd", "Two\nlines \\ here", registry=registry).inc(1e300)
    Gauge("infinite", "", registry=registry).set(-math.inf)

    ours = [*text_string_to_metric_families(exposition(registry).decode())]
    theirs = [*text_string_to_metric_families(generate_latest(registry).decode())]

    assert ours == theirs


def test_given_a_registry_when_asked_twice_then_the_families_are_the_same(
    registry: CollectorRegistry,
) -> None:
    metrics = ModelMetrics.of(registry, (0.5, 1.0))

    assert ModelMetrics.of(registry) is metrics
    with pytest.raises(ConflictError, match="have the buckets"):
        ModelMetrics.of(registry, (0.5, 2.0))
    with pytest.raises(InvalidValueError, match="buckets"):
        ModelMetrics(CollectorRegistry(), buckets=(2.0, 1.0))


def test_given_a_foreign_metric_of_our_name_when_made_then_the_error_says_what_to_do(
    registry: CollectorRegistry,
) -> None:
    Counter("model_predictions_total", "theirs", registry=registry)

    with pytest.raises(ConflictError, match="CollectorRegistry of their own"):
        ModelMetrics.of(registry)


def test_given_the_system_when_scraped_then_what_never_happened_is_zero_or_absent(
    registry: CollectorRegistry,
) -> None:
    system = SystemMetrics(registry, version="1.2.3", now=lambda: 100.0)
    system.knows("landing")
    before = samples(registry)
    system.ended("landing", well=True)
    system.ended("landing", well=False)
    system.committed()
    system.waits(10, 2, 40.0)
    found = samples(registry)

    assert before["watchkeeper_events_dropped_total"] == 0
    assert before['watchkeeper_job_failures_total{task="landing"}'] == 0
    assert not any("timestamp" in name for name in before)
    assert found['watchkeeper_build_info{version="1.2.3"}'] == 1
    assert found['watchkeeper_job_runs_total{task="landing"}'] == 2
    assert found['watchkeeper_job_failures_total{task="landing"}'] == 1
    assert found['watchkeeper_job_last_success_timestamp_seconds{task="landing"}'] == 100
    assert found["watchkeeper_last_commit_timestamp_seconds"] == 100
    assert found["watchkeeper_oldest_segment_age_seconds"] == 60


WORKER = """
import numpy as np
from prometheus_client import CollectorRegistry
from watchkeeper.telemetry import ModelMetrics, exposition
registry = CollectorRegistry()
metrics = ModelMetrics(registry)
version = metrics.of_version("risk", "1")
version.succeeded(2, 0.1)
version.saw(np.array([[1.5]]), 1, ("age",), np.array([0.5]))
version.publish()
version.set_accuracy(0.75)
metrics.of_version("risk", "0").set_accuracy(0.5)
metrics.of_version("risk", "0").set_accuracy(None)
metrics.metadata.show({"risk": {"version": "1"}})
print(exposition(registry, local=[metrics.metadata]).decode())
"""


def test_given_jobs_when_they_have_ended_then_each_tells_how_and_when_it_last_did() -> None:
    registry, clock = CollectorRegistry(), iter([100.0, 200.0, 300.0])
    system = SystemMetrics(registry, version="1", now=lambda: next(clock))
    system.knows("landing", "drift", "backup")
    for job, well in (("landing", False), ("landing", True), ("drift", False)):
        system.ended(job, well=well)

    backup, drift, landing = jobs_of(families(registry))

    assert (backup.name, backup.runs, backup.succeeded_at, backup.well) == ("backup", 0, None, True)
    assert (drift.runs, drift.failures, drift.well) == (1, 1, False)
    assert (landing.runs, landing.failures, landing.well) == (2, 1, True)
    assert landing.failed_at == datetime.fromtimestamp(100, UTC)
    assert landing.succeeded_at == datetime.fromtimestamp(200, UTC)


def test_given_worker_processes_when_scraped_then_their_totals_add_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER]
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    outputs = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    ]

    for text, total in zip(outputs, (1, 2, 3), strict=True):
        found = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert found["model_predictions_total", "1", "risk", "success"] == 2 * total
        assert found["model_prediction_latency_seconds_count", "1", "risk"] == total
        assert found["model_input_feature_value_sum", "age", "risk"] == 1.5 * total
        assert found["model_prediction_score_count", "1", "risk"] == total
        assert found["model_metadata_info", "1", "risk"] == 1
        accuracies = {key: value for key, value in found.items() if key[0] == "model_accuracy"}
        assert accuracies == {("model_accuracy", "1", "risk"): 0.75}
