"""What is wrong with settings, and where it was set."""

from watchkeeper.errors import InvalidValueError, NotFoundError, WatchkeeperError

__all__ = ["ConfigError", "RenamedSettingError", "UnknownSettingError"]


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


class RenamedSettingError(WatchkeeperError, ValueError):
    """A source uses names of before 0.2.0; the message has all of them with the new ones.

    Parameters
    ----------
    source : str
        A file, the environment, or what a request describes.
    renames : str
        Each old name with the new one.
    """

    def __init__(self, source: str, renames: str) -> None:
        super().__init__(
            f"{source} uses names of before 0.2.0: {renames}",
            "Write the new names; docs/upgrade.md lists all of them.",
        )
        self.args = (source, renames)
        self.source, self.renames = source, renames
