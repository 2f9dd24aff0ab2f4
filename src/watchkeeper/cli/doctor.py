"""``watchkeeper doctor``: whether everything is in order for serving and recording."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from watchkeeper.cli.command import Invocation, command, table

if TYPE_CHECKING:
    from watchkeeper.monitoring.doctor import DoctorCheck

__all__ = ["commands"]

commands = typer.Typer()


@command(commands)
def doctor(cli: Invocation) -> int:
    """Check settings, data directory, registry and journal.

    The exit code is 1 if one of them is bad.
    """
    checks = list(_examine(cli))
    healthy = all(check.ok for check in checks)
    drawn = table(
        ("check", "", ""),
        [(check.name, "good" if check.ok else "BAD", check.told) for check in checks],
    )
    cli.show({"ok": healthy, "checks": checks}, drawn)
    return 0 if healthy else 1


def _examine(cli: Invocation) -> "Iterator[DoctorCheck]":
    from watchkeeper.monitoring.doctor import check

    settings = check("settings", lambda: f"valid; log_level is {cli.settings.log_level}")
    yield settings
    if not settings.ok:
        return
    where = check("data directory", lambda: str(cli.app.settings.data_dir.resolve()))
    yield where
    if where.ok:
        yield from cli.app.examine()
