"""Settings: defaults, a TOML file over them, the environment over that, the command line over all.

Nothing is read when this is imported. `Settings` knows only what it is given; `load_settings` looks
at the file and the environment.

>>> settings = Settings.model_validate({"store": {"segment_max_bytes": "16 MiB"}})
>>> settings.store.segment_max_bytes, settings.server.port
(16777216, 8000)
>>> settings.policy("flights").quality.window_size
1000
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from watchkeeper.alerting.export import Surroundings
from watchkeeper.alerting.rules import Objective, Thresholds
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.events import check_name
from watchkeeper.telemetry.logs import SECRETS
from watchkeeper.telemetry.metrics import LATENCY_BUCKETS

if TYPE_CHECKING:
    from watchkeeper.health import Slo
    from watchkeeper.health import Thresholds as HealthThresholds
    from watchkeeper.monitoring.readiness import Around
    from watchkeeper.notifications import Receiver
    from watchkeeper.online.learning import OnlinePolicy
    from watchkeeper.operations.retraining import Setup
    from watchkeeper.rollouts import Limit, Plan

__all__ = [
    "AlertSettings",
    "ConfigError",
    "DriftPolicy",
    "HealthPolicy",
    "ModelPolicy",
    "QualityPolicy",
    "RetrainingPolicy",
    "ServerSettings",
    "Settings",
    "SloPolicy",
    "StoreSettings",
    "TelemetrySettings",
    "UnknownSettingError",
    "load_settings",
]

FILE = Path("watchkeeper.toml")
PREFIX = "WATCHKEEPER_"


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise InvalidValueError("url", url, "an address such as https://watchkeeper.example.com")
    return url.rstrip("/")


def _rising(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if sorted(set(bounds)) != list(bounds):
        raise InvalidValueError("latency_buckets", bounds, "bounds in seconds, each above the last")
    return bounds


def _checked_hours(hours: str) -> str:
    from watchkeeper.notifications import QuietHours

    QuietHours.parse(hours)
    return hours


def _checked_zone(zone: str) -> str:
    from watchkeeper.notifications import QuietHours

    QuietHours.parse("22:00-07:00", zone)
    return zone


def _address_in(name: str, file: Path | None) -> str:
    """Return the address that a file holds, so that it need not stand in the settings."""
    assert file is not None
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(
            f"notifications.receivers.{name}.url_file", "the settings", str(file),
            f"a file that can be read ({error.strerror})",
        ) from error  # fmt: skip


def _checked_schedule(schedule: str) -> str:
    from watchkeeper.retraining.schedule import check_schedule

    return check_schedule(schedule)


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]
Size = Annotated[ByteSize, Field(ge=1)]
Count = Annotated[int, Field(ge=1)]
Label = Annotated[str, Field(min_length=1)]
Url = Annotated[str, AfterValidator(_checked_url)]
Buckets = Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(_rising)]
Hours = Annotated[str, AfterValidator(_checked_hours)]
Zone = Annotated[str, AfterValidator(_checked_zone)]
Schedule = Annotated[str, AfterValidator(_checked_schedule)]
ApiKey = Annotated[str, Field(min_length=1)]
ModelName = Annotated[str, AfterValidator(lambda name: check_name(name, "models"))]
ReceiverName = Annotated[str, AfterValidator(lambda name: check_name(name, "receivers"))]
DefaultModel = Annotated[str, AfterValidator(lambda name: check_name(name, "default_model"))]


class ConfigError(InvalidValueError):
    """A setting has a value that it cannot have.

    Parameters
    ----------
    key : str
        Path of the setting, such as ``server.port``.
    source : str
        Where the value comes from: a file, an environment variable, the command line.
    value, expected
        As in `InvalidValueError`.
    """

    def __init__(self, key: str, source: str, value: object, expected: str) -> None:
        super().__init__(f"{key} in {source}", value, expected)
        self.args = (key, source, value, expected)
        self.key, self.source = key, source


class UnknownSettingError(NotFoundError):
    """A file or the environment sets what does not exist.

    Parameters
    ----------
    key : str
        What was set, as the user wrote it.
    source : str
        Where it was set.
    hint : str
        The nearest setting that exists.
    """

    def __init__(self, key: str, source: str, hint: str = "") -> None:
        super().__init__("setting", key, hint)
        self.message += f" (it is in {source})"
        self.args = (key, source, hint)
        self.key, self.source = key, source


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSettings(_Section):
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


class StoreSettings(_Section):
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


class RegistrySettings(_Section):
    """``[registry]``: who signs model versions, and whose signature is asked for."""

    signing_key: Path | None = None
    public_key: Path | None = None


class BackupSettings(_Section):
    """``[backup]``: where a server puts backups, how often, and how many are kept."""

    target: Label | None = None
    hours: Positive = 24.0
    keep: Count = 7


class ReceiverSettings(_Section):
    """``[notifications.receivers.NAME]``: one who is told of incidents, and of which."""

    url: Annotated[Label | None, Field(repr=False)] = None
    url_file: Path | None = None
    severity: Literal["critical", "warning"] = "warning"
    models: tuple[ModelName, ...] = ()
    quiet_hours: Hours | None = None

    @model_validator(mode="after")
    def _has_address(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise InvalidValueError(
                "url", None if self.url is None else "both",
                "either url, or url_file with the address in it",
            )  # fmt: skip
        return self


class NotificationSettings(_Section):
    """``[notifications]``: who is told of incidents, and when it may wake them."""

    receivers: dict[ReceiverName, ReceiverSettings] = {}
    quiet_hours: Hours | None = None
    time_zone: Zone = "UTC"
    group_wait: Seconds = 30.0


class AlertSettings(_Section):
    """``[telemetry.alerts]``: where the exported alerts begin."""

    latency_p95: Positive = 1.0
    error_rate: Share = 0.05
    accuracy: Share = 0.85
    traffic: Positive = 1000.0


class TelemetrySettings(_Section):
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
    alerts: AlertSettings = AlertSettings()


class DriftPolicy(_Section):
    """``[models.NAME.drift]``: when inputs count as drifted, and how often a server looks."""

    threshold: Share = 0.05
    window: Positive = 86_400.0
    interval: Positive = 3_600.0


class QualityPolicy(_Section):
    """``[models.NAME.quality]``: over what quality is measured, and when a drop counts."""

    window_size: Count = 1000
    interval: Positive = 60.0
    alert_threshold: Share = 0.05
    min_samples: Count = 100


class HealthPolicy(_Section):
    """``[models.NAME.health]``: what is asked of a model, over the last hours."""

    window_hours: Positive = 24.0
    latency_p95_ms: Positive = 500.0
    latency_p99_ms: Positive = 1_000.0
    error_rate: Annotated[float, Field(ge=0, le=1)] = 0.01
    availability: Annotated[float, Field(ge=0, le=1)] = 0.999
    accuracy: Annotated[float, Field(ge=0, le=1)] = 0.85
    accuracy_of_baseline: Annotated[float, Field(ge=0, le=1)] = 0.95
    min_samples: Count = 100
    silence: Positive = 3_600.0

    def thresholds(self) -> "HealthThresholds":
        """Return them as health takes them."""
        from watchkeeper.health import Thresholds

        return Thresholds(**self.model_dump(exclude={"window_hours"}))


class SloPolicy(_Section):
    """``[models.NAME.slo]``: what share of the predictions is to be good, over a month."""

    errors: Share = 0.99
    latency: Share = 0.95
    days: Positive = 30.0

    def objectives(self) -> "tuple[Slo, ...]":
        """Return them as health takes them."""
        from watchkeeper.health import Slo

        return (
            Slo(name="errors", objective=self.errors, days=self.days),
            Slo(name="latency", objective=self.latency, days=self.days),
        )


class RolloutPolicy(_Section):
    """``[models.NAME.rollout]``: how a new version gets its traffic, and what takes it back."""

    steps: tuple[float, ...] | None = None
    initial: float = 5.0
    increment: float = 10.0
    maximum: float = 100.0
    window_minutes: Positive = 30.0
    min_samples: Count = 100
    max_error_rate: Share = 0.05
    min_success_rate: Share | None = None
    max_p95_ms: Positive = 2_000.0
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.01
    alpha: Share = 0.05
    extensions: Annotated[int, Field(ge=0)] = 2
    deadline_hours: Positive = 24.0
    watch_hours: Seconds = 24.0
    quality_margin: Annotated[float, Field(ge=0, lt=1)] | None = 0.05
    off_by: Positive | None = None
    outcome_hours: Seconds = 0.0
    max_answer_shift: Share | None = 0.25
    segments: tuple[str, ...] = ()
    approval: bool = False
    failover: bool = False
    require_proof: bool = False
    on_unproven: Literal["hold", "rollback"] = "hold"
    keep: bool = False


class RetrainingPolicy(_Section):
    """``[models.NAME.retraining]``: when a model is trained again, on what, and what is asked."""

    enabled: bool = False
    triggers: tuple[Literal["quality", "drift", "schedule", "outcomes"], ...] = (
        "quality", "drift", "schedule",
    )  # fmt: skip
    retrain_threshold: Share = 0.05
    schedule: Schedule = "0 2 * * *"
    min_new_outcomes: Count = 1000
    cooldown_hours: Seconds = 12.0
    daily_budget: Count = 2
    data: str = ""
    query: str = ""
    target: str = ""
    ignore: tuple[str, ...] = ()
    window_days: Positive = 90.0
    holdout: Share = 0.2
    min_rows: Count = 100
    min_holdout: Count = 100
    min_gain: Annotated[float, Field(ge=0)] = 0.0
    alpha: Share = 0.05
    segments: tuple[str, ...] = ()
    min_segment: Count = 50
    max_latency_ms: Positive = 500.0
    max_size: Size = ByteSize(512 << 20)
    then: Literal["direct", "canary", "shadow"] = "canary"
    trainer: str = ""
    time_limit: Positive = 3600.0
    memory_limit: Size = ByteSize(4 << 30)
    leak_check: bool = True
    allow_unsafe: bool = False


class OnlineLearning(_Section):
    """``[models.NAME.online]``: whether a model learns from outcomes as they arrive."""

    enabled: bool = False
    snapshot_every: Annotated[int, Field(ge=30)] = 1000
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.02
    then: Literal["keep", "direct"] = "keep"
    window_days: Positive = 30.0
    keep: Count = 20
    time_limit: Positive = 600.0
    memory_limit: Size = ByteSize(4 << 30)

    def policy(self) -> "OnlinePolicy":
        """Return it as online learning takes it."""
        from watchkeeper.online.learning import OnlinePolicy

        return OnlinePolicy(**self.model_dump())


class ModelPolicy(_Section):
    """``[models.NAME]``: what Watchkeeper should know about one model."""

    task: Literal["binary", "multiclass", "regression"] = "binary"
    positive: bool | int | float | str = 1
    promotion_requires_checklist: bool = False
    drift: DriftPolicy = DriftPolicy()
    quality: QualityPolicy = QualityPolicy()
    rollout: RolloutPolicy = RolloutPolicy()
    health: HealthPolicy = HealthPolicy()
    slo: SloPolicy = SloPolicy()
    retraining: RetrainingPolicy = RetrainingPolicy()
    online: OnlineLearning = OnlineLearning()

    def health_terms(self) -> dict[str, Any]:
        """Return what `watchkeeper.monitoring.health.health_of` is to go by."""
        return {
            "window": timedelta(hours=self.health.window_hours),
            "thresholds": self.health.thresholds(),
            "slos": self.slo.objectives(),
            "task": self.task,
            "positive": self.positive,
        }

    def retraining_setup(self) -> "Setup":
        """Return what a retraining has to know."""
        from watchkeeper.operations.retraining import Setup
        from watchkeeper.retraining import Policy

        policy = Policy.from_dict(self.retraining.model_dump())
        return Setup(
            policy=policy,
            task=self.task,
            positive=self.positive,
            plan=self.rollout_plan,
            min_samples=self.quality.min_samples,
        )

    def rollout_plan(self, **changes: object) -> "Plan":
        """Return the plan of a rollout, with changes to its settings.

        Raises
        ------
        InvalidValueError
            If a change is none, or makes a plan that cannot be.
        """
        from watchkeeper.rollouts import Plan
        from watchkeeper.rollouts.plan import increments

        try:
            own = RolloutPolicy.model_validate({**self.rollout.model_dump(), **changes})
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in fault["loc"])
            expected = _expected(fault["type"], fault["msg"])
            if fault["type"] == "extra_forbidden":
                expected = f"one of {', '.join(RolloutPolicy.model_fields)}"
            raise InvalidValueError(name, fault["input"], expected) from None
        return Plan(
            steps=own.steps or increments(own.initial, own.increment, own.maximum),
            window=60 * own.window_minutes,
            min_samples=own.min_samples,
            limits=tuple(self._limits(own)),
            alpha=own.alpha,
            extensions=own.extensions,
            deadline=3_600 * own.deadline_hours,
            watch=3_600 * own.watch_hours,
            approval=own.approval,
            max_answer_shift=own.max_answer_shift,
            failover=own.failover,
            require_proof=own.require_proof,
            on_unproven=own.on_unproven,
            keep=own.keep,
        )

    def _limits(self, own: RolloutPolicy) -> "Iterator[Limit]":
        """Yield what is asked of all requests, and then of each segment."""
        from watchkeeper.rollouts import Limit

        regression = self.task == "regression"
        # Nobody says by itself how far off a regression may be.
        quality = None if regression and own.off_by is None else own.quality_margin
        # Every prediction is either an error or a success: both settings are one limit.
        failing = own.max_error_rate
        if own.min_success_rate is not None:
            failing = min(failing, round(1.0 - own.min_success_rate, 12))
        yield Limit(name="errors", share=failing, margin=own.margin)
        yield Limit(name="latency", share=0.05, slower_than_ms=own.max_p95_ms, margin=own.margin)
        parts: list[tuple[str, tuple[str, str] | None]] = [("", None)]
        for each in own.segments:
            feature, found, value = each.partition("=")
            if not (feature and found and value):
                raise InvalidValueError("segments", each, "FEATURE=VALUE")
            parts.append((re.sub(r"[^A-Za-z0-9._-]", "-", f".{feature}-{value}"), (feature, value)))
        for suffix, segment in parts:
            if segment is not None:
                yield Limit(
                    name=f"errors{suffix}",
                    share=failing,
                    margin=own.margin,
                    segment=segment,
                )
            if quality is not None:
                yield Limit(
                    name=f"wrong{suffix}",
                    share=None,
                    wrong=True,
                    off_by=own.off_by if regression else None,
                    maturity=3_600 * own.outcome_hours,
                    margin=quality,
                    segment=segment,
                )


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
        """Where people and Alertmanager reach the server."""
        return self.telemetry.url or f"http://{self._address}"

    @property
    def _address(self) -> str:
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - no address to call
        host = everywhere.get(self.server.host, self.server.host)
        return f"[{host}]:{self.server.port}" if ":" in host else f"{host}:{self.server.port}"

    def surroundings(self) -> Surroundings:
        """Return what the exported configuration of Prometheus and the others has to know."""
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
            thresholds=Thresholds(
                **telemetry.alerts.model_dump(), objectives=tuple(self._objectives())
            ),
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

    def around(self) -> "Around":
        """Return what a readiness checklist has to know of the surroundings."""
        from watchkeeper.monitoring.readiness import Around

        telemetry = self.telemetry
        return Around(
            log_file=self.log_file,
            grafana=telemetry.grafana,
            on_call=bool(telemetry.pagerduty_key_file or telemetry.slack_url_file),
            receivers=tuple(self.notifications.receivers),
        )

    def receivers(self) -> "list[Receiver]":
        """Return who is told of incidents.

        Raises
        ------
        ConfigError
            If a file that holds an address cannot be read.
        """
        from watchkeeper.notifications import QuietHours, Receiver

        own = self.notifications
        found = []
        for name, each in own.receivers.items():
            hours = each.quiet_hours or own.quiet_hours
            found.append(
                Receiver(
                    name=name,
                    url=each.url or _address_in(name, each.url_file),
                    severity=each.severity,
                    models=each.models,
                    quiet=None if hours is None else QuietHours.parse(hours, own.time_zone),
                )
            )
        return found

    def policy(self, model: str) -> ModelPolicy:
        """Return what was set for `model`, or the defaults."""
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
        """Look at nothing but the arguments: `load_settings` is who reads the environment."""
        return (init_settings,)


def load_settings(
    config_file: Path | None = None,
    data_dir: Path | None = None,
    *,
    server: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of this working directory, environment and command line.

    Parameters
    ----------
    config_file : Path, optional
        A TOML file; without it, ``watchkeeper.toml`` if there is one.
    data_dir : Path, optional
        From the command line, over everything else.
    server : mapping, optional
        Keys of ``[server]`` from the command line; those that are None are left out.

    Raises
    ------
    NotFoundError
        If `config_file` does not exist.
    UnknownSettingError
        If a key or a ``WATCHKEEPER_`` variable does not exist.
    ConfigError
        If a value is wrong, or the file is not TOML.
    """
    over = {key: value for key, value in (server or {}).items() if value is not None}
    arguments: dict[str, Any] = {"server": over} if over else {}
    if data_dir is not None:
        arguments["data_dir"] = data_dir
    file, from_file = _read_file(config_file)
    layers = [(str(file), from_file), ("the environment", _read_environment())]
    layers.append(("the command line", arguments))
    merged: dict[str, Any] = {}
    for _, layer in layers:
        merged = _merged(merged, layer)
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise _explained(error, layers) from None
    return settings


def _read_file(config_file: Path | None) -> tuple[Path, dict[str, Any]]:
    path = config_file or FILE
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if config_file is None:
            return path, {}
        raise NotFoundError(
            "settings file", str(path), "Leave --config out to go on with the defaults."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("the text", str(path), str(error), "TOML in UTF-8") from None


def _read_environment() -> dict[str, Any]:
    for variable in os.environ:
        if variable.upper().startswith(PREFIX):
            _require_known_variable(variable)
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as error:
        named = re.search(r'"([^"]+)"', str(error))
        raise ConfigError(
            named[1] if named else "a list", "the environment", "not JSON", 'JSON such as ["a"]'
        ) from None


def _require_known_variable(variable: str) -> None:
    known = {PREFIX + "__".join(path).upper() for path in _paths(Settings)}
    path = variable.upper().split("__")
    if path[0] == f"{PREFIX}MODELS" and len(path) > 1:
        path[1] = "NAME"
    if "__".join(path) not in known:
        near = difflib.get_close_matches("__".join(path), known, n=1)
        raise UnknownSettingError(
            variable, "the environment", f"Did you mean {near[0]}?" if near else ""
        )


def _paths(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Yield the path of every setting, with NAME for the name of a model."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        own: tuple[str, ...] = (name,)
        if inner is not None and get_args(inner)[1:] == (ModelPolicy,):
            own, inner = (name, "NAME"), ModelPolicy
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from ((*own, *rest) for rest in _paths(inner))
        else:
            yield own


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(under)
    for key, value in over.items():
        below = both.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            both[key] = _merged(below, value)
        else:
            both[key] = value
    return both


def _explained(
    error: ValidationError, layers: list[tuple[str, dict[str, Any]]]
) -> ConfigError | UnknownSettingError:
    """Return the first fault as one of our errors, with where it comes from."""
    fault = error.errors(include_url=False)[0]
    path = [str(part) for part in fault["loc"] if part != "[key]"]
    source = next((name for name, layer in reversed(layers) if _holds(layer, path)), layers[0][0])
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        known = {".".join(each) for each in _paths(Settings)}
        sections = {each.rpartition(".")[0] for each in known}
        named = [*path]
        if named[0] == "models" and len(named) > 1:
            named[1] = "NAME"
        near = difflib.get_close_matches(".".join(named), sorted(known | sections), n=1)
        return UnknownSettingError(key, source, f"Did you mean {near[0]!r}?" if near else "")
    shown = "…" if "api_keys" in path else fault["input"]  # a secret is not repeated
    return ConfigError(key, source, shown, _expected(fault["type"], fault["msg"]))


def _holds(layer: Mapping[str, Any], path: list[str]) -> bool:
    value: Any = layer
    for part in path:
        if not isinstance(value, Mapping):
            return True
        if part not in value:
            return False
        value = value[part]
    return True


def _expected(kind: str, message: str) -> str:
    if kind.startswith("byte_size"):
        return "a size in bytes, or with its unit, such as '64 MiB'"
    if kind == "value_error":
        return message.rpartition("expected ")[2].rstrip(".")
    return re.sub(r"^(Input should be|Value should have) |, unable to .*", "", message).replace(
        "a valid dictionary or instance of", "a table with the settings of"
    )
