import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from watchkeeper.telemetry import ModelMetrics, exposition


def test_given_a_version_goes_live_when_scraped_then_each_status_is_there_at_zero() -> None:
    registry = CollectorRegistry()
    ModelMetrics(registry).of_version("risk", "1")

    families = {
        family.name: family
        for family in text_string_to_metric_families(exposition(registry).decode())
    }

    counts = {s.labels["status"]: s.value for s in families["model_predictions"].samples}
    assert counts == {"success": 0.0, "error": 0.0}
    assert families["model_accuracy"].samples == []


def test_given_predictions_when_scraped_then_buckets_have_the_conventional_bounds() -> None:
    registry = CollectorRegistry()
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
    version.set_accuracy(None)
    assert "model_accuracy{" not in exposition(registry).decode()


WORKER = """
from prometheus_client import CollectorRegistry
from watchkeeper.telemetry import ModelMetrics, exposition
registry = CollectorRegistry()
ModelMetrics(registry).of_version("risk", "1").succeeded(2, 0.1)
print(exposition(registry).decode())
"""


def test_given_worker_processes_when_scraped_then_their_totals_add_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER]
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    outputs = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    ]

    line = 'model_predictions_total{model="risk",model_version="1",status="success"}'
    for text, total in zip(outputs, (2.0, 4.0, 6.0), strict=True):
        assert f"{line} {total}" in text
