"""Tables of settings: those of their own, and those that a policy makes."""

import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic_core import core_schema

from watchkeeper.errors import InvalidValueError
from watchkeeper.policies.quantities import BYTES
from watchkeeper.results import plain

__all__ = ["PolicyTable", "SettingsTable", "table_in", "table_of", "with_changes"]


class SettingsTable(BaseModel):
    """A table of settings that no policy makes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """Beside a policy's type: read it from a table with its fields, their defaults and ranges.

    Parameters
    ----------
    without : tuple of str
        Fields that are no settings.

    Examples
    --------
    >>> from watchkeeper.policies.online import OnlinePolicy
    >>> adapter = TypeAdapter(Annotated[OnlinePolicy, PolicyTable()])
    >>> adapter.validate_python({"memory_limit": "1 GiB"}).memory_limit == 1 << 30
    True
    """

    without: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return how pydantic reads and writes the policy."""

        def read(value: Any, validate: Callable[[Any], BaseModel]) -> Any:
            return value if isinstance(value, source) else source(**dict(validate(value)))

        def write(policy: Any) -> dict[str, Any]:
            settings: dict[str, Any] = plain(policy)
            return {name: value for name, value in settings.items() if name not in self.without}

        return core_schema.no_info_wrap_validator_function(
            read,
            handler(table_of(source, self)),  # type: ignore[arg-type]
            serialization=core_schema.plain_serializer_function_ser_schema(write),
        )


@cache
def table_of(policy: type[Any], table: PolicyTable) -> type[BaseModel]:
    """Return the table that the fields of a policy make.

    Parameters
    ----------
    policy : type
        A dataclass.
    table : PolicyTable

    Returns
    -------
    type of BaseModel
    """
    hints = get_type_hints(policy, include_extras=True)
    columns: dict[str, Any] = {}
    for field in fields(policy):
        if field.name not in table.without:
            default = field.default
            if default is MISSING:
                default = Field(default_factory=field.default_factory)  # type: ignore[arg-type]
            columns[field.name] = (_as_setting(hints[field.name]), default)
    config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    return create_model(policy.__name__, __config__=config, **columns)


def table_in(hint: Any, metadata: list[Any]) -> type[BaseModel] | None:
    """Return the table that a field of settings is; None where it is a single value.

    Parameters
    ----------
    hint : object
        Type of the field.
    metadata : list
        What its annotation says beside the type.

    Returns
    -------
    type of BaseModel or None
    """
    table = next((part for part in metadata if isinstance(part, PolicyTable)), None)
    if table is not None:
        return table_of(hint, table)
    return hint if isinstance(hint, type) and issubclass(hint, BaseModel) else None


def with_changes(policy: Any, changes: dict[str, Any]) -> Any:
    """Return a policy with changes to its settings.

    Parameters
    ----------
    policy : object
        An instance of a policy's dataclass.
    changes : dict of str to object
        Values by the names of settings.

    Returns
    -------
    object
        Of the same class.

    Raises
    ------
    InvalidValueError
        If a change is no setting of it, or has a value that it cannot have.
    """
    kind = type(policy)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(Annotated[kind, PolicyTable()])  # type: ignore[arg-type]
        return adapter.validate_python({**plain(policy), **changes})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        cause = fault.get("ctx", {}).get("error")
        if isinstance(cause, InvalidValueError):
            raise cause from None
        name = ".".join(str(part) for part in fault["loc"])
        expected = expectation(fault["type"], fault["msg"])
        if fault["type"] == "extra_forbidden":
            expected = f"one of {', '.join(field.name for field in fields(kind))}"
        raise InvalidValueError(name, fault["input"], expected) from None


def _as_setting(hint: Any) -> Any:
    """Return the type of a policy's field as settings read it: sizes may have their unit."""
    if get_origin(hint) is Annotated:
        kind, *metadata = get_args(hint)
        bounds = tuple(part for part in metadata if part != BYTES)
        kind = ByteSize if BYTES in metadata else kind
        return Annotated[(kind, *bounds)] if bounds else kind
    return hint


def expectation(kind: str, message: str) -> str:
    """Return what pydantic expected, continuing the word "expected".

    Parameters
    ----------
    kind : str
        Pydantic's type of the error.
    message : str
        Pydantic's message.

    Returns
    -------
    str
    """
    if kind.startswith("byte_size"):
        return "a size in bytes, or with its unit, such as '64 MiB'"
    if kind == "value_error":
        return message.rpartition("expected ")[2].rstrip(".")
    return re.sub(r"^(Input should be|Value should have) |, unable to .*", "", message).replace(
        "a valid dictionary or instance of", "a table with the settings of"
    )
