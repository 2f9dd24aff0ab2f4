"""Settings of notifications: the receivers of incidents, and when they are told."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from watchkeeper.config.faults import ConfigError
from watchkeeper.config.process import Label, ModelName, Seconds
from watchkeeper.config.tables import SettingsTable
from watchkeeper.errors import InvalidValueError
from watchkeeper.events import check_name

if TYPE_CHECKING:
    from watchkeeper.notifications import Receiver

__all__ = ["NotificationSettings", "ReceiverSettings"]


def _checked_hours(hours: str) -> str:
    from watchkeeper.notifications import QuietHours

    QuietHours.parse(hours)
    return hours


def _checked_zone(zone: str) -> str:
    from watchkeeper.notifications import QuietHours

    QuietHours.parse("22:00-07:00", zone)
    return zone


Hours = Annotated[str, AfterValidator(_checked_hours)]
Zone = Annotated[str, AfterValidator(_checked_zone)]
ReceiverName = Annotated[str, AfterValidator(lambda name: check_name(name, "receivers"))]


class ReceiverSettings(SettingsTable):
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


class NotificationSettings(SettingsTable):
    """``[notifications]``: who is told of incidents, and when it may wake them."""

    receivers: dict[ReceiverName, ReceiverSettings] = Field(default_factory=dict)
    quiet_hours: Hours | None = None
    time_zone: Zone = "UTC"
    group_wait: Seconds = 30.0

    def all(self) -> "list[Receiver]":
        """Return the receivers of incidents.

        Returns
        -------
        list of Receiver

        Raises
        ------
        ConfigError
            If a file that holds an address cannot be read.
        """
        from watchkeeper.notifications import QuietHours, Receiver

        receivers = []
        for name, receiver in self.receivers.items():
            hours = receiver.quiet_hours or self.quiet_hours
            receivers.append(
                Receiver(
                    name=name,
                    url=receiver.url or _address_in(name, receiver.url_file),
                    severity=receiver.severity,
                    models=receiver.models,
                    quiet=None if hours is None else QuietHours.parse(hours, self.time_zone),
                )
            )
        return receivers


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
