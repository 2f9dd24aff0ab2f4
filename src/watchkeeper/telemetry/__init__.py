"""What Watchkeeper shows of itself: metrics for Prometheus.

>>> from prometheus_client import CollectorRegistry, generate_latest
>>> from watchkeeper.telemetry import Metrics
>>> registry = CollectorRegistry()
>>> Metrics(registry).of_version("flights", "1.0.0").succeeded(rows=3, seconds=0.004)
>>> "model_predictions_total" in generate_latest(registry).decode()
True
"""

from watchkeeper.telemetry.metrics import Metrics, VersionMetrics, exposition

__all__ = ["Metrics", "VersionMetrics", "exposition"]
