"""Settings of the processes themselves: what listens, what is kept, who signs, where backups go."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, Field

from watchkeeper.config.tables import SettingsTable
from watchkeeper.events import check_name
from watchkeeper.policies.quantities import Count, Positive

__all__ = [
    "BackupSettings",
    "Label",
    "ModelName",
    "RegistrySettings",
    "Seconds",
    "ServerSettings",
    "StoreSettings",
]

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Size = Annotated[ByteSize, Field(ge=1)]
Label = Annotated[str, Field(min_length=1)]
ApiKey = Annotated[str, Field(min_length=1)]
ModelName = Annotated[str, AfterValidator(lambda name: check_name(name, "models"))]
DefaultModel = Annotated[str, AfterValidator(lambda name: check_name(name, "default_model"))]


class ServerSettings(SettingsTable):
    """``[server]``: what listens, and its limits."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    workers: Count = 1
    api_keys: Annotated[tuple[ApiKey, ...], Field(repr=False)] = ()
    read_keys: Annotated[tuple[ApiKey, ...], Field(repr=False)] = ()
    default_model: DefaultModel | None = None
    max_body_bytes: Size = ByteSize(32 << 20)
    max_rows: Count = 10_000
    max_ingest_bytes: Size = ByteSize(1 << 30)
    max_in_flight: Count = 1024
    predict_timeout: Positive = 30.0
    drain_delay: Seconds = 0.0
    drain_timeout: Seconds = 30.0
    rollout_interval: Positive = 5.0
    retraining_interval: Positive = 30.0
    clock: Literal["system", "events"] = "system"


class StoreSettings(SettingsTable):
    """``[store]``: how events are kept, and for how long."""

    fsync_interval: Seconds = 1.0
    segment_max_bytes: Size = ByteSize(64 << 20)
    segment_max_age: Annotated[float, Field(gt=0)] = 60.0
    journal_max_bytes: Size = ByteSize(10 << 30)
    min_free_bytes: Annotated[ByteSize, Field(ge=0)] = ByteSize(64 << 20)
    when_full: Literal["refuse", "answer"] = "refuse"
    landing_interval: Annotated[float, Field(gt=0)] = 2.0
    retention_days: Annotated[float, Field(gt=0)] | None = None
    max_bytes: Size | None = None
    compaction_hours: Positive | None = 24.0


class RegistrySettings(SettingsTable):
    """``[registry]``: who signs model versions, and whose signature is asked for."""

    signing_key: Path | None = None
    public_key: Path | None = None


class BackupSettings(SettingsTable):
    """``[backup]``: where a server puts backups, how often, and how many are kept."""

    target: Label | None = None
    hours: Positive = 24.0
    keep: Count = 7
