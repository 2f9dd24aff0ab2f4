"""The command line: it parses, calls the parts below, and prints.

Each module here is one command or one group of commands, and is loaded when it is asked for.

>>> from watchkeeper.cli import main
>>> main(["--version"])
watchkeeper 0.1.0
0
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from watchkeeper import __version__
from watchkeeper.cli.command import run

__all__ = ["main"]

_COMMANDS = (
    "serve", "demo", "drift", "quality", "models", "experiments", "rollouts", "shadows", "retrain",
    "history", "audit", "timeline", "events", "backup", "health", "incidents", "notifications",
    "checklist", "loadtest", "telemetry", "doctor",
)  # fmt: skip


class _Commands(TyperGroup):
    """The commands by name; each is the ``commands`` of the module of that name."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name not in self.commands:
            module = import_module(f"watchkeeper.cli.{cmd_name}")
            self.commands[cmd_name] = typer.main.get_command(module.commands)
        return self.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in _COMMANDS:  # loads them all, so that the error can suggest one
            for name in _COMMANDS:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"watchkeeper {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
]

watchkeeper = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False)


@watchkeeper.callback()
def _root(version: Version = False) -> None:
    """Keep machine-learning models healthy in production."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0 good, 1 bad, 2 it could not be done."""
    return run(watchkeeper, arguments)
