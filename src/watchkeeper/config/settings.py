"""All settings, checked and immutable."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import BaseModel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from watchkeeper.alerting.export import Surroundings
from watchkeeper.alerting.rules import Objective
from watchkeeper.config.faults import ConfigError
from watchkeeper.config.models import ModelPolicy
from watchkeeper.config.notifications import NotificationSettings
from watchkeeper.config.process import (
    BackupSettings,
    ModelName,
    RegistrySettings,
    ServerSettings,
    StoreSettings,
)
from watchkeeper.config.tables import table_in
from watchkeeper.config.telemetry import TelemetrySettings
from watchkeeper.telemetry.logs import SECRETS

if TYPE_CHECKING:
    from watchkeeper.monitoring.readiness import Installation
    from watchkeeper.notifications import Receiver

__all__ = ["PREFIX", "Settings", "setting_paths"]

PREFIX = "WATCHKEEPER_"


class Settings(BaseSettings):
    """All settings, checked and immutable; without arguments, the defaults."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    data_dir: Path = Path("watchkeeper-data")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "text"] = "auto"
    log_file: Path | None = None
    log_redact: tuple[str, ...] = SECRETS
    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    registry: RegistrySettings = RegistrySettings()
    backup: BackupSettings = BackupSettings()
    notifications: NotificationSettings = NotificationSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    models: dict[ModelName, ModelPolicy] = {}

    @property
    def url(self) -> str:
        """Where browsers and Alertmanager reach the server."""
        return self.telemetry.url or f"http://{self._address}"

    @property
    def _address(self) -> str:
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - no address to call
        host = everywhere.get(self.server.host, self.server.host)
        return f"[{host}]:{self.server.port}" if ":" in host else f"{host}:{self.server.port}"

    def surroundings(self) -> Surroundings:
        """Return what the exported configuration of Prometheus and the others has to know.

        Returns
        -------
        Surroundings

        Raises
        ------
        ConfigError
            If the latency limit of a model is no bound of the latency histogram: Prometheus could
            not tell.
        """
        telemetry = self.telemetry
        return Surroundings(
            environment=telemetry.environment,
            service=telemetry.service,
            url=self.url,
            targets=telemetry.targets or (self._address,),
            alertmanagers=telemetry.alertmanagers,
            asks_for_key=bool(self.server.api_keys),
            pagerduty_key_file=telemetry.pagerduty_key_file,
            slack_url_file=telemetry.slack_url_file,
            thresholds=replace(telemetry.alerts, objectives=tuple(self._objectives())),
        )

    def _objectives(self) -> Iterator[Objective]:
        """Yield the objectives of models that have their own, and that of all others.

        Raises
        ------
        ConfigError
            If a limit is no bound of the latency histogram: Prometheus could not tell.
        """
        usual = ModelPolicy()
        for name, policy in {**self.models, "": usual}.items():
            if name and (policy.slo, policy.health) == (usual.slo, usual.health):
                continue
            seconds = policy.health.latency_p95_ms / 1_000
            if seconds not in self.telemetry.latency_buckets:
                key = f"models.{name or 'NAME'}.health.latency_p95_ms"
                bounds = ", ".join(f"{1_000 * each:g}" for each in self.telemetry.latency_buckets)
                raise ConfigError(
                    key, "the settings", policy.health.latency_p95_ms,
                    f"for exported objectives one of {bounds} (telemetry.latency_buckets)",
                )  # fmt: skip
            yield Objective(
                model=name,
                errors=policy.slo.errors,
                latency=policy.slo.latency,
                seconds=seconds,
            )

    def installation(self) -> "Installation":
        """Return what a readiness checklist has to know of the installation.

        Returns
        -------
        Installation
        """
        from watchkeeper.monitoring.readiness import Installation

        telemetry = self.telemetry
        return Installation(
            log_file=self.log_file,
            grafana=telemetry.grafana,
            on_call=bool(telemetry.pagerduty_key_file or telemetry.slack_url_file),
            receivers=tuple(self.notifications.receivers),
        )

    def receivers(self) -> "list[Receiver]":
        """Return the receivers of incidents.

        Returns
        -------
        list of Receiver

        Raises
        ------
        ConfigError
            If a file that holds an address cannot be read.
        """
        return self.notifications.all()

    def policy(self, model: str) -> ModelPolicy:
        """Return what was set for `model`, or the defaults.

        Parameters
        ----------
        model : str

        Returns
        -------
        ModelPolicy
        """
        return self.models.get(model, ModelPolicy())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Look at nothing but the arguments: `load_settings` is who reads the environment.

        Parameters
        ----------
        settings_cls : type of BaseSettings
        init_settings : PydanticBaseSettingsSource
        env_settings : PydanticBaseSettingsSource
            Left out, as the two after it.
        dotenv_settings, file_secret_settings : PydanticBaseSettingsSource

        Returns
        -------
        tuple of PydanticBaseSettingsSource
        """
        return (init_settings,)


def setting_paths() -> Iterator[tuple[str, ...]]:
    """Yield the path of every setting, with NAME for the name of a model or a receiver.

    Returns
    -------
    iterator of tuple of str
    """
    return _paths(Settings)


def _paths(section: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    for name, field in section.model_fields.items():
        below = table_in(field.annotation, field.metadata)
        path: tuple[str, ...] = (name,)
        if below is None and len(named := get_args(field.annotation)) == 2:
            below = table_in(named[1], [])
            path = (name, "NAME") if below is not None else path
        if below is None:
            yield path
        else:
            yield from ((*path, *rest) for rest in _paths(below))
