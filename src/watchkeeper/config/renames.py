"""Names that were others before 0.2.0: the old one is refused with the new one.

>>> describe_renames(renamed_settings({"models": {"late": {"rollout": {"watch_hours": 48}}}}))
'models.late.rollout.watch_hours = 48 is now models.late.rollout.bake_time = 172800'
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchkeeper.config.faults import RenamedSettingError

__all__ = [
    "EXPERIMENT",
    "MODEL",
    "ROLLOUT",
    "Rename",
    "Renamed",
    "describe_renames",
    "refuse_renamed",
    "renamed",
    "renamed_policy",
    "renamed_settings",
    "renamed_variables",
]


def _in_seconds(hours: Any) -> float:
    seconds = 3_600 * float(hours)
    return int(seconds) if seconds.is_integer() else seconds


@dataclass(frozen=True, slots=True)
class Rename:
    """A key of a table with another name.

    Attributes
    ----------
    before, after : str
        Both names.
    convert : callable
        The value in the unit of the new name.
    """

    before: str
    after: str
    convert: Callable[[Any], Any] = lambda value: value


ROLLOUT = (
    Rename("max_answer_shift", "max_prediction_shift"),
    Rename("on_unproven", "on_inconclusive"),
    Rename("require_proof", "require_evidence"),
    Rename("watch_hours", "bake_time", _in_seconds),
    Rename("outcome_hours", "label_delay", _in_seconds),
    Rename("off_by", "error_tolerance"),
)
"""Of the plan of a rollout."""

EXPERIMENT = (Rename("maturity", "conversion_window"), Rename("share", "coverage"))
"""Of a new experiment, and of its new weights."""

MODEL = {
    "drift": (Rename("threshold", "alpha"),),
    "quality": (Rename("alert_threshold", "max_relative_drop"),),
    "health": (Rename("silence", "no_traffic_after"),),
    "rollout": ROLLOUT,
    "retraining": (
        Rename("retrain_threshold", "max_relative_drop"),
        Rename("then", "on_success"),
    ),
}
"""Of the tables below ``[models.NAME]``."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """An old name in use.

    Attributes
    ----------
    path : tuple of str
        Where it stands, with itself.
    value : Any
    rename : Rename
    """

    path: tuple[str, ...]
    value: Any
    rename: Rename


def renamed(
    table: Mapping[str, Any], renames: Iterable[Rename], path: Sequence[str] = ()
) -> Iterator[Renamed]:
    """Yield every old name in a table.

    Parameters
    ----------
    table : mapping of str to Any
    renames : iterable of Rename
    path : sequence of str
        Where the table stands.

    Yields
    ------
    Renamed
    """
    for rename in renames:
        if rename.before in table:
            yield Renamed((*path, rename.before), table[rename.before], rename)


def renamed_settings(settings: Mapping[str, Any]) -> Iterator[Renamed]:
    """Yield every old name in the settings of all models, in their order.

    Parameters
    ----------
    settings : mapping of str to Any
        As a file, the environment or the command line states them.

    Yields
    ------
    Renamed
    """
    models = settings.get("models")
    for model, policy in models.items() if isinstance(models, Mapping) else ():
        if isinstance(policy, Mapping):
            yield from renamed_policy(policy, ("models", str(model)))


def renamed_policy(policy: Mapping[str, Any], path: Sequence[str] = ()) -> Iterator[Renamed]:
    """Yield every old name in the settings of one model.

    Parameters
    ----------
    policy : mapping of str to Any
        Its tables.
    path : sequence of str
        Where they stand.

    Yields
    ------
    Renamed
    """
    for section, renames in MODEL.items():
        table = policy.get(section)
        if isinstance(table, Mapping):
            yield from renamed(table, renames, (*path, section))


def renamed_variables(environment: Mapping[str, str], prefix: str) -> Iterator[str]:
    """Yield each environment variable with an old name, and the variable to set in its place.

    Parameters
    ----------
    environment : mapping of str to str
    prefix : str
        What the variables of settings begin with.

    Yields
    ------
    str
    """
    for variable, value in environment.items():
        path = variable.upper().removeprefix(prefix).split("__")
        if not variable.upper().startswith(prefix) or len(path) != 4 or path[0] != "MODELS":
            continue
        renames = MODEL.get(path[2].lower(), ())
        for use in renamed({path[3].lower(): value}, renames):
            after = prefix + "__".join([*path[:-1], use.rename.after.upper()])
            yield f"{variable}={value} is now {after}={_converted(use)}"


def refuse_renamed(source: str, uses: Iterable[Renamed]) -> None:
    """Refuse old names in a source.

    Parameters
    ----------
    source : str
        As `RenamedSettingError` has it.
    uses : iterable of Renamed

    Raises
    ------
    RenamedSettingError
        If there is one; the message names all of them.
    """
    if described := describe_renames(uses):
        raise RenamedSettingError(source, described)


def describe_renames(uses: Iterable[Renamed]) -> str:
    """Return one line that names each old name with what to write in its place.

    Parameters
    ----------
    uses : iterable of Renamed

    Returns
    -------
    str
    """
    return "; ".join(
        f"{'.'.join(use.path)} = {_toml(use.value)} is now "
        f"{'.'.join((*use.path[:-1], use.rename.after))} = {_toml(_converted(use))}"
        for use in uses
    )


def _converted(use: Renamed) -> Any:
    try:
        return use.rename.convert(use.value)
    except (TypeError, ValueError):  # the value was wrong before as well, and is refused as such
        return use.value


def _toml(value: Any) -> str:
    """Return a value as TOML has it; dates and times are never settings that were renamed."""
    return json.dumps(value, default=str)
