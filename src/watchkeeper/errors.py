"""The error hierarchy, drawn once.

Every error says what was wrong, what was expected and what to do, and carries its facts as
attributes. None of them knows an HTTP status: the server maps the families below to one.

``WatchkeeperError``
    ``InvalidValueError``   a value is wrong (also a ``ValueError``)
    ``NotFoundError``       a thing is not there (also a ``LookupError`` and a ``ValueError``)
    ``ConflictError``       what is asked contradicts what is (also a ``ValueError``)
    ``IntegrityError``      stored bytes are not what was stored
    ``UnavailableError``    it cannot be done now; later it may be
    ``UnloadableError``     the code of a version fails when it is loaded (an ``UnavailableError``)
    ``MissingExtraError``   an optional dependency is not installed (also an ``ImportError``)

>>> from watchkeeper.errors import InvalidValueError
>>> print(InvalidValueError("alpha", 0, "a number strictly between 0 and 1"))
alpha is 0; expected a number strictly between 0 and 1.
"""

import re
from typing import Any, ClassVar

__all__ = [
    "ConflictError",
    "IntegrityError",
    "InvalidValueError",
    "MissingExtraError",
    "NotFoundError",
    "UnavailableError",
    "UnloadableError",
    "WatchkeeperError",
]

_SHOWN = 120  # characters of an offending value that a message repeats


class WatchkeeperError(Exception):
    """The base of every error Watchkeeper raises on purpose.

    Parameters
    ----------
    message : str
        What was wrong and what was expected, as a sentence without its full stop.
    hint : str, optional
        What to do about it, as a sentence.

    Attributes
    ----------
    code : str
        Name of the class in snake case without ``Error``, for programs.
    """

    code: ClassVar[str] = "watchkeeper"

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        stem = cls.__name__.removesuffix("Error")
        cls.code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", stem).lower()

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)  # plain arguments, so that it pickles
        self.message, self.hint = message, hint

    def details(self) -> dict[str, Any]:
        """Return the facts of this error: its public attributes beside message and hint.

        Returns
        -------
        dict of str to Any
        """
        return {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and name not in {"message", "hint"}
        }

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else f"{self.message}."


class InvalidValueError(WatchkeeperError, ValueError):
    """A value is not what was expected.

    Parameters
    ----------
    field : str
        Name of the argument, key or field, as the user wrote it.
    value : object
        The offending value.
    expected : str
        What would have been right, continuing the word "expected".
    hint : str, optional
        What to do, as a sentence.
    """

    def __init__(self, field: str, value: object, expected: str, hint: str = "") -> None:
        shown = repr(value)
        if len(shown) > _SHOWN:
            shown = shown[:_SHOWN] + "…"
        super().__init__(f"{field} is {shown}; expected {expected}", hint)
        self.args = (field, value, expected, hint)
        self.field, self.value, self.expected = field, shown, expected


class NotFoundError(WatchkeeperError, LookupError, ValueError):
    """A named thing is not there.

    Parameters
    ----------
    kind : str
        What it is: ``"model"``, ``"version"``, ``"window"``.
    name : str
        The name that was asked for.
    hint : str, optional
        What to do, or what there is instead.
    """

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        super().__init__(f"there is no {kind} {name!r}", hint)
        self.args = (kind, name, hint)
        self.kind, self.name = kind, name


class ConflictError(WatchkeeperError, ValueError):
    """What is asked for contradicts what is already there."""


class IntegrityError(WatchkeeperError):
    """Stored bytes are not what was stored: changed, cut short or missing."""


class UnavailableError(WatchkeeperError):
    """It cannot be done now; the same request may succeed after `retry_after` seconds."""

    def __init__(self, message: str, hint: str = "", retry_after: float = 1.0) -> None:
        super().__init__(message, hint)
        self.args = (message, hint, retry_after)
        self.retry_after = retry_after


class UnloadableError(UnavailableError):
    """The version `model_id` cannot be loaded: its own code, or what that needs, fails."""

    def __init__(self, model_id: str, cause: BaseException) -> None:
        reason = f"{type(cause).__name__}: {cause}".rstrip(": ")
        super().__init__(
            f"{model_id} cannot be loaded: {reason}",
            "Install or set what its code needs, or promote another version.",
            5.0,
        )
        self.args = (model_id, cause)
        self.model_id, self.cause = model_id, cause


class MissingExtraError(WatchkeeperError, ImportError):
    """`feature` needs an optional dependency, which the extra named `extra` installs."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the extra {extra!r}, which is not installed",
            f"Install it with: pip install 'watchkeeper[{extra}]'",
        )
        self.args = (feature, extra)
        self.feature, self.extra = feature, extra
