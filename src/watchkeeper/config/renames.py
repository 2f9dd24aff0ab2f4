"""Settings that had another name before 0.2.0: the old name is refused with the new one.

>>> describe_renames(renamed({"models": {"late": {"drift": {"threshold": 0.01}}}}))
'models.late.drift.threshold = 0.01 is now models.late.drift.alpha = 0.01'
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["RENAMES", "Rename", "Renamed", "describe_renames", "renamed"]


@dataclass(frozen=True, slots=True)
class Rename:
    """One setting of a model with another name.

    Attributes
    ----------
    section, before, after : str
        The table below ``[models.NAME]``, and both names in it.
    convert : callable
        The value in the unit of the new setting.
    """

    section: str
    before: str
    after: str
    convert: Callable[[Any], Any] = lambda value: value


RENAMES = (
    Rename("drift", "threshold", "alpha"),
    Rename("quality", "alert_threshold", "max_relative_drop"),
    Rename("health", "silence", "no_traffic_after"),
)


@dataclass(frozen=True, slots=True)
class Renamed:
    """An old name that settings use.

    Attributes
    ----------
    path : tuple of str
        Where it stands.
    value : Any
    rename : Rename
    """

    path: tuple[str, ...]
    value: Any
    rename: Rename


def renamed(settings: Mapping[str, Any]) -> Iterator[Renamed]:
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
    for model, tables in models.items() if isinstance(models, Mapping) else ():
        for rename in RENAMES:
            table = tables.get(rename.section) if isinstance(tables, Mapping) else None
            if isinstance(table, Mapping) and rename.before in table:
                path = ("models", str(model), rename.section, rename.before)
                yield Renamed(path, table[rename.before], rename)


def describe_renames(uses: Iterable[Renamed]) -> str:
    """Return one line that names each old setting with the setting to write in its place.

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
