"""The root command: every command by name and one line; a command's module loads when it runs.

So the help of the root, and the completion of a command's name in a shell, import no command.

>>> COMMANDS["Assess"]["drift"]
'Compare current data with reference data (data drift).'
"""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from watchkeeper import __version__
from watchkeeper.extras import needed_for

__all__ = ["COMMANDS", "load_command", "watchkeeper"]

COMMANDS = {
    "Assess": {
        "drift": "Compare current data with reference data (data drift).",
        "quality": "Measure predictions against outcomes and the baseline.",
        "health": "Show whether models are healthy; exit code 1 if not.",
        "timeline": "Show predictions, latency and quality over time.",
        "checklist": "Check whether a model is ready for production.",
    },
    "Serve": {
        "serve": "Serve models over HTTP; record predictions and outcomes.",
        "loadtest": "Measure latency and errors of a model under load.",
    },
    "Versions": {
        "models": "Register, promote, roll back and compare model versions.",
        "retrain": "Retrain a model; list and show retraining runs.",
    },
    "Roll out and compare": {
        "rollouts": "Shift traffic to a new version step by step (canary).",
        "experiments": "Compare versions in A/B tests.",
        "shadows": "Test a version on mirrored traffic.",
    },
    "Operate": {
        "incidents": "List, acknowledge and resolve incidents.",
        "notifications": "List and test the receivers of notifications.",
        "history": "Show a model's measurements, decisions and causes.",
        "audit": "Show the audit trail: each change, its actor and reason.",
        "telemetry": "Export configuration for Prometheus and Grafana.",
        "doctor": "Check settings, data directory, registry and journal.",
    },
    "Data": {
        "events": "Count, export and compact recorded events.",
        "backup": "Take, list, verify and restore backups.",
    },
    "Learn": {
        "demo": "Replay a year of real flights through a real server.",
    },
}
"""By panel of the help, in its order: the name and the line of each command."""


def load_command(name: str) -> Any:
    """Return the command of the root that is called `name`; its module is imported.

    Parameters
    ----------
    name : str
        That of its module in `watchkeeper.cli`.

    Returns
    -------
    Command
        Of the click that Typer brings.

    Raises
    ------
    MissingExtraError
        If an extra that the command needs is not installed.
    """
    with needed_for(f"watchkeeper {name}"):
        module = import_module(f"watchkeeper.cli.{name}")
    loaded = typer.main.get_command(module.commands)
    loaded.name = name
    # Completion is installed for the program, not for one of its commands.
    loaded.params = [option for option in loaded.params if "_completion" not in str(option.name)]
    return loaded


class _Root(TyperGroup):
    """Lists commands by the table above, and loads the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for panel, lines in COMMANDS.items():
            for name, line in lines.items():
                self.add_command(TyperCommand(name, help=line, rich_help_panel=panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if listed and name else None, rest


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"watchkeeper {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
]

watchkeeper = typer.Typer(cls=_Root, no_args_is_help=True)


@watchkeeper.callback()
def _root(version: Version = False) -> None:
    """Keep machine-learning models healthy in production."""
