"""Watchkeeper keeps machine-learning models healthy in production.

It serves models and records every prediction, measures data drift and model quality, and keeps
versions in a registry that can be trusted. The same classes serve a notebook, a command line and
a server.

Names are loaded when they are first used, so that ``import watchkeeper`` costs next to nothing. One
whose packages are not installed says which extra brings them.

>>> import watchkeeper as wk
>>> monitor = wk.ModelPerformanceMonitor(min_samples=4)
>>> monitor.set_baseline(accuracy=1.0)
>>> monitor.add_batch([1, 0, 1, 0], [1, 0, 0, 0])
>>> monitor.get_current_metrics()["accuracy"]
0.75
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchkeeper.drift import DataDriftDetector, DriftReport, FeatureDrift
    from watchkeeper.errors import WatchkeeperError
    from watchkeeper.events import Outcome, Prediction
    from watchkeeper.experiments import ABTestAnalyzer, ABTestRouter, ModelVariant
    from watchkeeper.health import ComprehensiveMonitoringSystem, HealthStatus
    from watchkeeper.quality import ModelPerformanceMonitor
    from watchkeeper.registry import Lineage, ModelRegistry, Remote
    from watchkeeper.retraining import AutoRetrainingPipeline
    from watchkeeper.rollouts import CanaryDeployment
    from watchkeeper.telemetry import (
        AdvancedModelMonitor,
        JSONFormatter,
        ModelMonitor,
        setup_logger,
        start_metrics_server,
    )

__version__ = "0.2.0.dev0"

__all__ = [
    "ABTestAnalyzer",
    "ABTestRouter",
    "AdvancedModelMonitor",
    "AutoRetrainingPipeline",
    "CanaryDeployment",
    "ComprehensiveMonitoringSystem",
    "DataDriftDetector",
    "DriftReport",
    "FeatureDrift",
    "HealthStatus",
    "JSONFormatter",
    "Lineage",
    "ModelMonitor",
    "ModelPerformanceMonitor",
    "ModelRegistry",
    "ModelVariant",
    "Outcome",
    "Prediction",
    "Remote",
    "WatchkeeperError",
    "__version__",
    "setup_logger",
    "start_metrics_server",
]

_HOMES = {
    "ABTestAnalyzer": "watchkeeper.experiments",
    "ABTestRouter": "watchkeeper.experiments",
    "AdvancedModelMonitor": "watchkeeper.telemetry",
    "AutoRetrainingPipeline": "watchkeeper.retraining",
    "CanaryDeployment": "watchkeeper.rollouts",
    "ComprehensiveMonitoringSystem": "watchkeeper.health",
    "DataDriftDetector": "watchkeeper.drift",
    "DriftReport": "watchkeeper.drift",
    "FeatureDrift": "watchkeeper.drift",
    "HealthStatus": "watchkeeper.health",
    "JSONFormatter": "watchkeeper.telemetry",
    "Lineage": "watchkeeper.registry",
    "ModelMonitor": "watchkeeper.telemetry",
    "ModelPerformanceMonitor": "watchkeeper.quality",
    "ModelRegistry": "watchkeeper.registry",
    "ModelVariant": "watchkeeper.experiments",
    "Outcome": "watchkeeper.events",
    "Prediction": "watchkeeper.events",
    "Remote": "watchkeeper.registry",
    "WatchkeeperError": "watchkeeper.errors",
    "setup_logger": "watchkeeper.telemetry",
    "start_metrics_server": "watchkeeper.telemetry",
}


if not TYPE_CHECKING:  # for a type checker only the names above are there

    def __getattr__(name: str) -> object:
        try:
            home = _HOMES[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        from watchkeeper.extras import needed_for

        with needed_for(f"{__name__}.{name}"):
            value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
