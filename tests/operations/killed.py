"""A process that dies before or after one of its writes, as far as a test can see it."""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import pytest

from watchkeeper.app import App

__all__ = ["Killed", "kill_at"]


class Killed(BaseException):
    """Nothing that runs afterwards: neither handlers nor the rest of the function."""


def kill_at(
    monkeypatch: pytest.MonkeyPatch,
    app: App,
    writes: Iterable[tuple[str, str]],
    number: int,
    when: str,
) -> None:
    """Die before or after the write of a number, of those that parts of the app do.

    A part is an attribute of the app, such as ``registry`` or ``rollouts.repository``.
    """
    left = number

    def killing(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*given: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == -1 and when == "before":
                raise Killed
            found = real(*given, **named)
            if left == -1:
                raise Killed
            return found

        return write

    for part, name in writes:
        owner = attrgetter(part)(app)
        monkeypatch.setattr(owner, name, killing(getattr(owner, name)))
