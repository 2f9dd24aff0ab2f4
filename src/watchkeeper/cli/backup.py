"""``watchkeeper backup``: take backups, check them, try them, and go back to one."""

import os
from pathlib import Path
from typing import Annotated

import typer

from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.identity import By

__all__ = ["commands"]

commands = typer.Typer(
    help="Take, list, verify and restore backups.",
    no_args_is_help=True,
)

Name = Annotated[str | None, typer.Argument(help="Name of the backup; the newest by default.")]
Target = Annotated[
    str | None,
    typer.Option(help="Folder or address, such as s3://bucket/path; overrides the settings."),
]
_LOWEST = 19


@command(commands)
def create(cli: Invocation, *, target: Target = None) -> None:
    """Take a backup of the data directory, and remove backups beyond backup.keep."""
    os.nice(_LOWEST)  # it has time, and those who ask for predictions have not
    backup = cli.app.backups.create(target=target, by=By(actor()))
    size = f"{backup['files']:,} files, {backup['size']:,} bytes"
    cli.show(
        backup, f"{backup['name']} has all that was acknowledged before {backup['point']}: {size}"
    )


@command(commands, "list")
def list_(cli: Invocation, *, target: Target = None) -> None:
    """List the backups, the newest first."""
    backups = cli.app.backups.find(target=target)
    rows = [(backup.name, backup.point, backup.files, backup.size) for backup in backups]
    drawn = table(["name", "has all before", "files", "bytes"], rows)
    cli.show({"backups": backups}, drawn if backups else "no backups yet")


@command(commands)
def verify(cli: Invocation, name: Name = None, *, target: Target = None) -> None:
    """Read a backup and check its digests; the result is stored as evidence."""
    backup = cli.app.backups.verify(name, target=target, by=By(actor()))
    cli.show(backup, f"{backup.name} is whole: {backup.files:,} files, {backup.size:,} bytes")


@command(commands, "test")
def rehearse(
    cli: Invocation,
    name: Name = None,
    *,
    target: Target = None,
    into: Annotated[
        Path | None, typer.Option(help="Folder to restore into; a temporary one by default.")
    ] = None,
) -> int:
    """Restore a backup to a temporary folder and check it; the result is stored as evidence."""
    evidence, reason = cli.app.backups.rehearse(name, target=target, folder=into, by=By(actor()))
    cli.show(evidence, reason)
    return 0 if evidence["passed"] else BAD


@command(commands)
def restore(
    cli: Invocation,
    into: Annotated[Path, typer.Argument(help="Folder to create; it must be new or empty.")],
    *,
    name: Annotated[
        str | None, typer.Option(help="Name of the backup; the newest by default.")
    ] = None,
    target: Target = None,
) -> None:
    """Restore a backup into a new data directory; nothing is overwritten."""
    backup = cli.app.backups.restore(into, name, target=target)
    cli.show(
        backup,
        f"{into} is as it was at {backup.point}; serve it with --data-dir {into}",
    )
