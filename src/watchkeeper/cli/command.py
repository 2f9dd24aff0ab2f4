"""What every command has in common: four options, one way to print, one way to fail.

A command is a function that takes an `Invocation` first and its own arguments after it, and
returns the exit code: 0 or None when all is good, 1 when what it checked is bad. Whatever goes
wrong is raised: it becomes ``error: …`` on stderr, without a traceback, and exit code 2.

>>> import typer
>>> commands = typer.Typer()
>>> @command(commands)
... def greet(cli: Invocation, name: str) -> None:
...     '''Greet NAME.'''
...     cli.show({"hello": name}, f"hello {name}")
>>> run(commands, ["world"])
hello world
0
>>> run(commands, ["world", "--json"])
{"hello":"world"}
0
"""

import getpass
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchkeeper.clock import system_clock
from watchkeeper.errors import MissingExtraError, WatchkeeperError
from watchkeeper.extras import needed_for

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from watchkeeper.app import App
    from watchkeeper.cli.policy_options import PolicyOptions
    from watchkeeper.config import Settings

__all__ = ["Invocation", "actor", "command", "run", "table"]

BAD, FAILED, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file.", show_default="watchkeeper.toml")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Data directory; overrides the settings.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

_SHARED = {"as_json": AsJson, "config": Config, "data_dir": DataDir, "debug": Debug}
_WIDE = 160  # columns of a table that goes to a file or a pipe


@dataclass(kw_only=True)
class Invocation:
    """One call of one command: its shared options, the parts it may use, and how it prints.

    Attributes
    ----------
    as_json, debug : bool
    config, data_dir : Path or None
    settings : Settings
        Read when first used.
    app : App
        The parts, put together when first used and closed when the command ends.
    console : rich.console.Console
        For what a person reads.
    """

    as_json: bool = False
    config: Path | None = None
    data_dir: Path | None = None
    debug: bool = False

    @cached_property
    def settings(self) -> "Settings":
        from watchkeeper.config import load_settings

        return load_settings(self.config, self.data_dir)

    @cached_property
    def app(self) -> "App":
        from watchkeeper.app import App

        return App(self.settings, clock=system_clock)  # a command runs now

    @cached_property
    def console(self) -> "Console":
        from rich.console import Console

        return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)

    def show(self, result: Mapping[str, Any], *human: "RenderableType") -> None:
        """Print `result` as a line of JSON under ``--json``, and `human` otherwise.

        Parameters
        ----------
        result : mapping of str to object
        *human : str or renderable of Rich
            Text is printed as it is: without markup, and not wrapped.
        """
        if self.as_json:
            from watchkeeper.results import strict_json

            sys.stdout.write(strict_json(result) + "\n")
            return
        for part in human:
            if isinstance(part, str):
                sys.stdout.write(f"{part}\n")  # as it is: no markup, no wrapping
            else:
                self.console.print(part)

    def close(self) -> None:
        """Close the parts that were used."""
        if "app" in vars(self):
            self.app.close()


def command(
    commands: typer.Typer, name: str | None = None, *, changes: "PolicyOptions | None" = None
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Register a function as a command of `commands`, with the shared options added to its own.

    Parameters
    ----------
    commands : typer.Typer
    name : str, optional
        By default the name of the function.
    changes : PolicyOptions, optional
        Settings that are options of the command too; the function gets those that were given as
        its argument `changes`.

    Returns
    -------
    callable
        The decorator, which returns the function as it is.
    """

    def register(function: Callable[..., int | None]) -> Callable[..., int | None]:
        signature = inspect.signature(function, eval_str=True)
        declared = [
            parameter
            for parameter in list(signature.parameters.values())[1:]
            if changes is None or parameter.name != "changes"
        ]
        settings = () if changes is None else changes.parameters()
        shared = [
            inspect.Parameter(
                option,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=annotation,
                default=False if option in {"as_json", "debug"} else None,
            )
            for option, annotation in _SHARED.items()
        ]

        def call(**arguments: Any) -> int:
            options = {option: arguments.pop(option) for option in _SHARED}
            if changes is not None:
                arguments["changes"] = changes.taken(arguments)
            return _guarded(lambda cli: function(cli, **arguments), Invocation(**options))

        # Typer reads the options of a command from its signature.
        parameters = [
            *(parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in declared),
            *settings,
            *shared,
        ]
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        call.__name__, call.__doc__ = function.__name__, function.__doc__
        commands.command(name)(call)
        return function

    return register


def run(commands: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name and return its exit code.

    Parameters
    ----------
    commands : Typer
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        0 good, 1 bad, 2 it could not be done, 130 where the user interrupted it.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    program = typer.main.get_command(commands)
    try:
        code = program.main(arguments, prog_name="watchkeeper", standalone_mode=False)
        sys.stdout.flush()
    except typer.Exit as done:
        return done.exit_code
    except typer.TyperException as error:  # how the command was called
        return _explain_usage(error, arguments)
    except MissingExtraError as error:  # the command could not be loaded
        _complain(error.message, error.hint)
        return FAILED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return _hush()
    return code if isinstance(code, int) else 0


def actor() -> str:
    """Return who gives the command, for the history.

    Returns
    -------
    str
        Of the user of this process; empty where the user has no name.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> "Table":
    """Return a table of `rows`: numbers to the right, times to the second, None as a dash.

    Parameters
    ----------
    columns : sequence of str
    rows : iterable of sequence of object
        A value for each column.
    title : str

    Returns
    -------
    rich.table.Table
    """
    from rich.table import Table

    cells = [list(row) for row in rows]
    drawn = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for position, column in enumerate(columns):
        numbers = any(isinstance(row[position], int | float) for row in cells)
        drawn.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        drawn.add_row(*(_text(cell) for cell in row))
    return drawn


def _guarded(function: Callable[[Invocation], int | None], cli: Invocation) -> int:
    try:
        try:
            with needed_for("this command"):
                return function(cli) or 0
        finally:
            cli.close()
    except (typer.TyperException, typer.Exit, typer.Abort):
        raise
    except BrokenPipeError:
        return _hush()
    except Exception as error:  # noqa: BLE001 - the last resort: no caller would explain it
        if cli.debug:
            traceback.print_exc()
        _complain(*_told(error))
        return FAILED


def _hush() -> int:
    """Print no more: the reader has seen enough, and what is buffered must not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def _told(error: Exception) -> tuple[str, str]:
    if isinstance(error, WatchkeeperError):
        return error.message, error.hint
    if isinstance(error, OSError) and error.strerror:
        named = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{named}", ""
    kind = type(error).__name__
    return f"unexpected {kind}: {error}", "Run it again with --debug to see where it comes from."


_RENAMED_OPTIONS = {
    ("drift", "--threshold"): "--alpha",
    ("events compact", "--model"): "MODEL in first place",
    ("events stats", "--model"): "MODEL in first place",
    ("experiments create", "--maturity"): "--conversion-window",
    ("experiments create", "--share"): "--coverage",
    ("experiments weights", "--share"): "--coverage",
    ("models list", "--name"): "--model",
    ("rollouts plan", "--model"): "MODEL in first place",
    ("rollouts start", "--require-proof"): "--require-evidence",
}
"""By command and option, what options of before 0.2.0 are called now."""


def _explain_usage(error: typer.TyperException, arguments: Sequence[str]) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # making it has printed the help
        return 0
    path = context.command_path if context is not None else "watchkeeper"
    called = path.partition(" ")[2]
    options = [argument.partition("=")[0] for argument in arguments]
    renamed = [
        f"{option} is now {after}"
        for option in options
        if (after := _RENAMED_OPTIONS.get((called, option))) is not None
    ]
    message = "; ".join(renamed) or getattr(error, "format_message", error.__str__)()
    _complain(" ".join(str(message).split()).rstrip("."), f"See: {path} --help")
    return FAILED


def _complain(message: str, hint: str) -> None:
    lines = [f"error: {message}", hint] if hint else [f"error: {message}"]
    sys.stderr.write("\n".join(" ".join(line.split()) for line in lines) + "\n")


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    return str(cell)
