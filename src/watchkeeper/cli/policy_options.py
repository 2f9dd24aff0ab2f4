"""Options of commands that change a policy: each has the name, type and text of its setting.

>>> from watchkeeper.policies.rollouts import RolloutPolicy
>>> options = PolicyOptions(RolloutPolicy, ("steps", "max_error_rate", "approval"))
>>> [option.name for option in options.parameters()]
['steps', 'max_error_rate', 'approval']
>>> options.taken({"steps": "1,10,100", "max_error_rate": None, "approval": True})
{'steps': ['1', '10', '100'], 'approval': True}
"""

import inspect
import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

__all__ = ["PolicyOptions"]

_ENTRY = re.compile(r"^(\w[\w, ]*) : .*\n((?:    .*\n?)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """Settings of a policy that a command may change.

    Parameters
    ----------
    policy : type
        A dataclass whose docstring describes its fields.
    names : tuple of str
        Those of its fields that are options.
    """

    policy: type[Any]
    names: tuple[str, ...]

    def parameters(self) -> Iterator[inspect.Parameter]:
        """Yield the parameters from which Typer makes the options.

        Yields
        ------
        inspect.Parameter
        """
        hints, texts = get_type_hints(self.policy), _texts(self.policy)
        for name in self.names:
            kind = _single(hints[name])
            flags = (f"--{name.replace('_', '-')}",) if kind is bool else ()  # no --no-NAME
            kind = str if get_origin(kind) is tuple else kind
            option = typer.Option(*flags, help=texts[name])
            yield inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[kind | None, option],
            )

    def taken(self, arguments: MutableMapping[str, Any]) -> dict[str, Any]:
        """Take the settings that were changed out of the arguments of a command.

        Parameters
        ----------
        arguments : mutable mapping of str to object

        Returns
        -------
        dict of str to object
            Values by the names of settings, without those that were not given.
        """
        hints = get_type_hints(self.policy)
        changes = {name: arguments.pop(name) for name in self.names}
        return {
            name: value.split(",") if get_origin(_single(hints[name])) is tuple else value
            for name, value in changes.items()
            if value is not None
        }


def _single(hint: Any) -> Any:
    """Return a type without None beside it."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return kinds[0] if type(None) in get_args(hint) else hint


def _texts(policy: type[Any]) -> dict[str, str]:
    """Return what the docstring of a policy says of each field."""
    return {
        name: " ".join(text.split())
        for names, text in _ENTRY.findall(inspect.getdoc(policy) or "")
        for name in names.split(", ")
    }
