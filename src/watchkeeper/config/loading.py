"""Settings from a file, the environment and the command line, each over the last."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from watchkeeper.config.faults import ConfigError, RenamedSettingError, UnknownSettingError
from watchkeeper.config.renames import refuse_renamed, renamed_settings, renamed_variables
from watchkeeper.config.settings import PREFIX, Settings, setting_paths
from watchkeeper.config.tables import expectation
from watchkeeper.errors import InvalidValueError, NotFoundError

__all__ = ["load_settings"]

FILE = Path("watchkeeper.toml")

_SECRET = {"api_keys", "read_keys", "url"}


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

    Returns
    -------
    Settings

    Raises
    ------
    NotFoundError
        If `config_file` does not exist.
    RenamedSettingError
        If a source uses names of before 0.2.0.
    UnknownSettingError
        If a key or a ``WATCHKEEPER_`` variable does not exist.
    ConfigError
        If a value is wrong, or the file is not TOML.
    RenamedSettingError
        If a setting has the name that it had in an earlier version.
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
    for source, layer in layers:
        refuse_renamed(source, renamed_settings(layer))
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
    if uses := list(renamed_variables(os.environ, PREFIX)):
        raise RenamedSettingError("the environment", "; ".join(uses))
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
    path = variable.upper().removeprefix(PREFIX).split("__")
    known = {_with_name(path, tuple(map(str.upper, one))) for one in setting_paths()}
    tables = {one[: one.index("NAME")] for one in setting_paths() if "NAME" in one}
    if tuple(path) not in known | {tuple(map(str.upper, table)) for table in tables}:
        names = [PREFIX + "__".join(one).upper() for one in setting_paths()]
        near = difflib.get_close_matches(variable.upper(), names, n=1)
        raise UnknownSettingError(
            variable, "the environment", f"Did you mean {near[0]}?" if near else ""
        )


def _with_name(path: Sequence[str], setting: tuple[str, ...]) -> tuple[str, ...]:
    """Return the path of a setting with the name that `path` has in place of NAME."""
    at = setting.index("NAME") if "NAME" in setting else len(setting)
    return (*setting[:at], *path[at : at + 1], *setting[at + 1 :])


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
        known = {".".join(each) for each in setting_paths()}
        sections = {each.rpartition(".")[0] for each in known}
        named = [*path]
        if named[0] == "models" and len(named) > 1:
            named[1] = "NAME"
        near = difflib.get_close_matches(".".join(named), sorted(known | sections), n=1)
        return UnknownSettingError(key, source, f"Did you mean {near[0]!r}?" if near else "")
    value, expected = fault["input"], expectation(fault["type"], fault["msg"])
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, InvalidValueError) and isinstance(value, Mapping):
        field, value, expected, _ = cause.args  # what a whole table says of one of its fields
        path, key = [*path, field], f"{key}.{field}"
    shown = "…" if _SECRET & set(path) else value  # a secret is not repeated
    return ConfigError(key, source, shown, expected)


def _holds(layer: Mapping[str, Any], path: list[str]) -> bool:
    value: Any = layer
    for part in path:
        if not isinstance(value, Mapping):
            return True
        if part not in value:
            return False
        value = value[part]
    return True
