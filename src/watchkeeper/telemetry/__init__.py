"""What Watchkeeper shows: structured logs, metrics for Prometheus, and what to alert on.

>>> from prometheus_client import CollectorRegistry
>>> from watchkeeper.telemetry import ModelMonitor, exposition
>>> registry = CollectorRegistry()
>>> monitor = ModelMonitor("1.0.0", lambda features: 1, model="flights", registry=registry)
>>> monitor.predict_with_monitoring({"distance": 733.0})["prediction"]
1
>>> line = 'model_predictions_total{model="flights",model_version="1.0.0",status="success"} 1.0'
>>> line in exposition(registry).decode()
True
"""

from typing import TYPE_CHECKING

from watchkeeper.lazy import on_first_use

if TYPE_CHECKING:
    from watchkeeper.telemetry.endpoint import MetricsServer, exposition, start_metrics_server
    from watchkeeper.telemetry.logs import JSONFormatter, setup_logger
    from watchkeeper.telemetry.metrics import ModelMetrics, VersionMetrics
    from watchkeeper.telemetry.monitor import AdvancedModelMonitor, ModelMonitor
    from watchkeeper.telemetry.system import SystemMetrics

__all__ = [
    "AdvancedModelMonitor",
    "JSONFormatter",
    "MetricsServer",
    "ModelMetrics",
    "ModelMonitor",
    "SystemMetrics",
    "VersionMetrics",
    "exposition",
    "setup_logger",
    "start_metrics_server",
]

__getattr__ = on_first_use(
    __name__,
    {
        "AdvancedModelMonitor": ".monitor",
        "JSONFormatter": ".logs",
        "MetricsServer": ".endpoint",
        "ModelMetrics": ".metrics",
        "ModelMonitor": ".monitor",
        "SystemMetrics": ".system",
        "VersionMetrics": ".metrics",
        "exposition": ".endpoint",
        "setup_logger": ".logs",
        "start_metrics_server": ".endpoint",
    },
)
