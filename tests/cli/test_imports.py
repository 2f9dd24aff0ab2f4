"""A command imports what it needs: looked up in the modules of a process that ran it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "alembic", "datasketches", "deltalake", "fastapi", "jinja2", "narwhals", "numpy", "pandas",
    "prometheus_client", "pyarrow", "pydantic", "scipy", "sklearn", "skops", "sqlalchemy",
    "starlette", "uvicorn",
}  # fmt: skip


def imported_by(arguments: list[str], **variables: str) -> set[str]:
    """Return the modules of a fresh process after it has run a command line."""
    code = (
        "import contextlib, json, sys\n"
        "from watchkeeper.cli import main\n"
        f"with contextlib.suppress(SystemExit):\n    main({arguments!r})\n"
        "json.dump(list(sys.modules), sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    assert ended.stdout
    return set(json.loads(ended.stderr))


def commands_in(modules: set[str]) -> set[str]:
    prefix = "watchkeeper.cli."
    inside = {name.removeprefix(prefix) for name in modules if name.startswith(prefix)}
    return inside - {"command", "policy_options", "root"}


def test_given_a_fresh_process_when_the_help_is_shown_then_no_command_is_imported() -> None:
    modules = imported_by(["--help"])

    assert not commands_in(modules)
    assert not modules & HEAVY


def test_given_a_shell_when_a_command_is_completed_then_none_is_imported() -> None:
    modules = imported_by(
        [], _WATCHKEEPER_COMPLETE="complete_bash", COMP_WORDS="watchkeeper exp", COMP_CWORD="1"
    )

    assert not commands_in(modules)
    assert modules & HEAVY <= {"pydantic"}  # with which Typer reads options


def test_given_the_help_of_the_demo_when_it_is_shown_then_the_demo_itself_is_not_imported() -> None:
    assert "watchkeeper.demo" not in imported_by(["demo", "--help"])


def test_given_a_registry_when_its_versions_are_listed_then_nothing_is_imported_that_measures(
    tmp_path: Path,
) -> None:
    modules = imported_by(["models", "list", "--data-dir", str(tmp_path)])
    again = imported_by(["models", "list", "--data-dir", str(tmp_path)])

    assert modules & HEAVY <= {"alembic", "pydantic", "sqlalchemy"}
    assert again & HEAVY <= {"pydantic", "sqlalchemy"}  # its database is up to date by then
    assert commands_in(again) == {"models"}
    assert "sqlalchemy.dialects.postgresql" not in again


@pytest.mark.parametrize("name", sorted({"rollouts", "incidents", "models", "events", "audit"}))
def test_given_a_shell_when_a_subcommand_is_completed_then_nothing_heavy_is_imported(
    name: str,
) -> None:
    modules = imported_by(
        [],
        _WATCHKEEPER_COMPLETE="complete_bash",
        COMP_WORDS=f"watchkeeper {name} --",
        COMP_CWORD="2",
    )

    assert commands_in(modules) == {name}
    assert modules & HEAVY <= {"pydantic"}
