"""Health: whether a model is well, since when not, and what is left of its error budget.

Everything is counted from recorded predictions and their outcomes. What was not seen is unknown,
and unknown is not healthy.

>>> from datetime import UTC, datetime, timedelta
>>> import pyarrow as pa
>>> noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
>>> rows = pa.table({
...     "timestamp": [noon - timedelta(seconds=number) for number in range(200)],
...     "status": ["error" if number < 10 else "success" for number in range(200)],
...     "latency_ms": [20.0] * 200})
>>> found = Measured(traffic_of([rows]))
>>> system = ComprehensiveMonitoringSystem(lambda at: found, clock=lambda: noon)
>>> status = system.check_system_health()
>>> status.is_healthy, status.components["error_rate"].condition.value
(False, 'unhealthy')
>>> status.components["model_performance"].condition.value
'unknown'
"""

from watchkeeper.health.slo import BURNS, Budget, Burn, Slo, budget_of
from watchkeeper.health.status import Component, Condition, HealthStatus
from watchkeeper.health.system import ComprehensiveMonitoringSystem, EarlierVerdict, Measured
from watchkeeper.health.traffic import Traffic, traffic_of
from watchkeeper.policies.health import Thresholds

__all__ = [
    "BURNS",
    "Budget",
    "Burn",
    "Component",
    "ComprehensiveMonitoringSystem",
    "Condition",
    "EarlierVerdict",
    "HealthStatus",
    "Measured",
    "Slo",
    "Thresholds",
    "Traffic",
    "budget_of",
    "traffic_of",
]
