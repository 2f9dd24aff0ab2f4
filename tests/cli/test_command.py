import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer

from watchkeeper.cli import main
from watchkeeper.cli.command import Invocation, command, run, table
from watchkeeper.cli.root import COMMANDS, load_command
from watchkeeper.errors import InvalidValueError

LINES = {name: line for lines in COMMANDS.values() for name, line in lines.items()}


def command_that(act: Callable[[Invocation], int | None]) -> typer.Typer:
    commands = typer.Typer()

    @command(commands)
    def do(cli: Invocation, number: int = 0) -> int | None:
        """Do it."""
        return act(cli)

    return commands


def fail(error: BaseException) -> Callable[[Invocation], None]:
    def act(cli: Invocation) -> None:
        raise error

    return act


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1)])
def test_given_a_command_when_it_returns_then_that_is_the_exit_code(
    returned: int | None, code: int
) -> None:
    assert run(command_that(lambda cli: returned), []) == code


def test_given_one_of_our_errors_when_raised_then_stderr_says_it_in_two_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = InvalidValueError("alpha", 0, "a number above 0", "Give another.")

    code = run(command_that(fail(error)), [])

    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err == "error: alpha is 0; expected a number above 0\nGive another.\n"


@pytest.mark.parametrize(
    "error", [RuntimeError("two\nlines"), PermissionError(13, "Permission denied", "/x")]
)
def test_given_any_other_error_when_raised_then_there_is_no_traceback_unless_asked_for(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command_that(fail(error)), []) == 2
    brief = capsys.readouterr().err
    assert run(command_that(fail(error)), ["--debug"]) == 2
    long = capsys.readouterr().err

    assert brief.startswith("error: ")
    assert len(brief.splitlines()) <= 2
    assert "Traceback" not in brief
    assert "Traceback" in long


def test_given_ctrl_c_when_a_command_runs_then_it_exits_with_130() -> None:
    assert run(command_that(fail(KeyboardInterrupt())), []) == 130


@pytest.mark.parametrize("arguments", [["--number", "x"], ["--wrong"], ["surplus"]])
def test_given_a_wrong_call_when_parsed_then_it_exits_with_2_and_names_the_help(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command_that(lambda cli: 0), arguments) == 2

    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "--help" in err
    assert len(err.splitlines()) == 2


def test_given_json_when_shown_then_it_is_one_strict_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def act(cli: Invocation) -> None:
        cli.show({"a": float("nan"), "b": [1]}, "for a person")

    run(command_that(act), ["--json"])

    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1]}


def test_given_cells_of_all_kinds_when_in_a_table_then_each_is_readable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def act(cli: Invocation) -> None:
        cli.show({}, table(("a", "b", "c", "d"), [(1234567, None, 0.123456, True)]))

    run(command_that(act), [])

    assert capsys.readouterr().out.splitlines()[1].split() == ["1,234,567", "-", "0.1235", "yes"]


def test_given_a_reader_that_leaves_when_much_is_printed_then_nothing_is_said() -> None:
    code = (
        "import sys, typer\n"
        "from watchkeeper.cli.command import command, run\n"
        "commands = typer.Typer()\n"
        "@command(commands)\n"
        "def much(cli):\n"
        "    cli.show({}, *['line'] * 100_000)\n"
        "sys.exit(run(commands, []))\n"
    )
    reading, writing = os.pipe()
    os.close(reading)

    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)

    assert ended.stderr == b""
    assert ended.returncode == 141


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_given_nothing_or_help_when_called_then_every_command_is_listed(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0

    out = capsys.readouterr().out
    for name, line in LINES.items():
        assert re.search(rf"^│ {name} +{re.escape(line)} +│$", out, re.MULTILINE), name


def test_given_the_table_of_commands_when_they_are_loaded_then_each_has_the_line_of_the_table() -> (
    None
):
    for name, line in LINES.items():
        assert load_command(name).help.partition("\n")[0] == line


def test_given_the_modules_of_commands_when_the_table_is_read_then_it_names_each_of_them() -> None:
    folder = Path(str(import_module("watchkeeper.cli").__file__)).parent
    modules = {path.stem for path in folder.glob("*.py")}

    assert modules - {"__init__", "command", "files", "policy_options", "root"} == LINES.keys()


def test_given_a_command_with_a_slip_when_called_then_the_error_suggests_the_right_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["evnts"]) == 2
    assert "'events'" in capsys.readouterr().err


def _all_commands() -> Iterator[tuple[str, ...]]:
    for name in LINES:
        loaded = load_command(name)
        subcommands = getattr(loaded, "commands", None)
        yield from [(name,)] if subcommands is None else [(name, each) for each in subcommands]


def test_given_any_command_when_helped_then_it_has_the_shared_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = list(_all_commands())

    assert ("events", "stats") in paths
    for path in paths:
        assert main([*path, "--help"]) == 0
        out = capsys.readouterr().out
        for option in ("--json", "--config", "--data-dir", "--debug"):
            assert option in out, path


OLD = [
    ("drift before.csv after.csv --threshold 0.01", ["--threshold is now --alpha"]),
    ("events stats --model late", ["--model is now MODEL in first place"]),
    ("events compact --model late", ["--model is now MODEL in first place"]),
    (
        "experiments create june --maturity 60 --share=20",
        ["--maturity is now --conversion-window", "--share is now --coverage"],
    ),
    ("experiments weights june --share 20", ["--share is now --coverage"]),
    ("models list --name late", ["--name is now --model"]),
    ("retrain cancel late-1", ["retrain cancel is now retrain abort"]),
    ("rollouts plan --model late", ["--model is now MODEL in first place"]),
    ("rollouts start june --require-proof", ["--require-proof is now --require-evidence"]),
]


@pytest.mark.parametrize(("line", "renames"), OLD)
def test_given_names_of_before_when_a_command_is_called_then_all_are_refused_with_the_new_ones(
    capsys: pytest.CaptureFixture[str], line: str, renames: list[str]
) -> None:
    assert main(line.split()) == 2
    refusal = capsys.readouterr().err
    assert [rename for rename in renames if rename not in refusal] == []


def test_given_names_of_before_when_docs_list_them_then_each_is_refused() -> None:
    listed = Path(__file__).parents[2].joinpath("docs/upgrade.md").read_text(encoding="utf-8")
    section = listed.partition("## Command line")[2].partition("## ")[0]
    rows = re.findall(r"^\| `watchkeeper ([^`]+)` \| `watchkeeper ", section, re.MULTILINE)
    commands = {" ".join(row.split()[: 1 if row.startswith("drift") else 2]) for row in rows}
    tried = {" ".join(line.split()[: 1 if line.startswith("drift") else 2]) for line, _ in OLD}
    assert commands == tried
