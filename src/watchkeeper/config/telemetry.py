"""Settings of telemetry: metrics, traces, and the configuration that is exported for them."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from watchkeeper.alerting.rules import AlertThresholds
from watchkeeper.config.process import Label
from watchkeeper.config.tables import PolicyTable, SettingsTable
from watchkeeper.errors import InvalidValueError
from watchkeeper.policies.quantities import Positive
from watchkeeper.telemetry.buckets import LATENCY_BUCKETS

__all__ = ["TelemetrySettings"]


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise InvalidValueError("url", url, "an address such as https://watchkeeper.example.com")
    return url.rstrip("/")


def _rising(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if sorted(set(bounds)) != list(bounds):
        raise InvalidValueError("latency_buckets", bounds, "bounds in seconds, each above the last")
    return bounds


Url = Annotated[str, AfterValidator(_checked_url)]
Buckets = Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(_rising)]


class TelemetrySettings(SettingsTable):
    """``[telemetry]``: metrics, traces, and the configuration that is exported for them."""

    environment: Label = "production"
    service: Label = "watchkeeper"
    url: Url | None = None
    targets: tuple[Label, ...] = ()
    alertmanagers: tuple[Label, ...] = ("127.0.0.1:9093",)
    pagerduty_key_file: Label | None = None
    slack_url_file: Label | None = None
    latency_buckets: Buckets = LATENCY_BUCKETS
    otlp_endpoint: Url | None = None
    grafana: Url | None = None
    alerts: Annotated[AlertThresholds, PolicyTable(without=("objectives",))] = AlertThresholds()
