"""Settings: defaults, a TOML file over them, the environment over that, the command line over all.

Nothing is read when this is imported. `Settings` knows only what it is given; `load_settings` looks
at the file and the environment.

>>> settings = Settings.model_validate({"store": {"segment_max_bytes": "16 MiB"}})
>>> settings.store.segment_max_bytes, settings.server.port
(16777216, 8000)
>>> settings.policy("flights").quality.window_size
1000
"""

from watchkeeper.config.faults import ConfigError, UnknownSettingError
from watchkeeper.config.loading import load_settings
from watchkeeper.config.models import DriftPolicy, ModelPolicy, QualityPolicy
from watchkeeper.config.process import (
    BackupSettings,
    RegistrySettings,
    ServerSettings,
    StoreSettings,
)
from watchkeeper.config.settings import Settings, setting_paths
from watchkeeper.config.telemetry import TelemetrySettings

__all__ = [
    "BackupSettings",
    "ConfigError",
    "DriftPolicy",
    "ModelPolicy",
    "QualityPolicy",
    "RegistrySettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "TelemetrySettings",
    "UnknownSettingError",
    "load_settings",
    "setting_paths",
]
