"""``watchkeeper backup``: take backups, check them, try them, and go back to one."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.errors import IntegrityError, WatchkeeperError
from watchkeeper.identity import By

__all__ = ["commands"]

commands = typer.Typer(
    help="Take, list, verify and restore backups.",
    no_args_is_help=True,
)

Name = Annotated[str | None, typer.Argument(help="Name of the backup; the newest without.")]
Target = Annotated[
    str | None, typer.Option(help="Folder or address such as s3://bucket/path; over the settings.")
]
_SUBJECT = "system:backup"
_LOWEST = 19


@command(commands)
def create(cli: Invocation, *, target: Target = None) -> None:
    """Take a backup of all that is there now, and remove those beyond backup.keep."""
    from watchkeeper.app import BACKUP

    os.nice(_LOWEST)  # it has time, and those who ask for predictions have not
    app = cli.app
    made = app.back_up(target)
    told = f"{made['files']:,} files, {made['size']:,} bytes"
    app.audit.note(
        at=app.clock(), by=By(actor(), f"{made['name']}: {told}"), action=BACKUP,
        subject=_SUBJECT, evidence={"passed": True, **made},
    )  # fmt: skip
    cli.show(made, f"{made['name']} has all that was acknowledged before {made['point']}: {told}")


@command(commands, "list")
def list_(cli: Invocation, *, target: Target = None) -> None:
    """List the backups, the newest first."""
    found = cli.app.backups(target).find()
    rows = [(each.name, each.point, each.files, each.size) for each in found]
    drawn = table(["name", "has all before", "files", "bytes"], rows)
    cli.show({"backups": found}, drawn if found else "no backups yet")


@command(commands)
def verify(cli: Invocation, name: Name = None, *, target: Target = None) -> None:
    """Read a backup and check every byte of it; what comes of it is kept as evidence."""
    from watchkeeper.app import BACKUP_CHECK

    app = cli.app

    def note(reason: str, **told: Any) -> None:
        app.audit.note(
            at=app.clock(), by=By(actor(), reason), action=BACKUP_CHECK, subject=_SUBJECT,
            evidence=told,
        )  # fmt: skip

    try:
        found = app.backups(target).verify(name)
    except IntegrityError as error:
        note(error.message, passed=False, name=name)
        raise
    note(f"{found.name} is whole", passed=True, name=found.name)
    cli.show(found, f"{found.name} is whole: {found.files:,} files, {found.size:,} bytes")


@command(commands, "test")
def rehearse(
    cli: Invocation,
    name: Name = None,
    *,
    target: Target = None,
    into: Annotated[
        Path | None, typer.Option(help="Folder with room for it; by default one for what passes.")
    ] = None,
) -> int:
    """Restore a backup aside, open it, and count and check what is in it; kept as evidence."""
    from watchkeeper.app import RESTORE_TEST

    app = cli.app
    told: dict[str, Any] = {}
    try:
        with TemporaryDirectory(prefix="watchkeeper-restore-", dir=into) as folder:
            place = Path(folder) / "data"
            told = {**app.backups(target).restore(place, name), **_opened(place)}
    except WatchkeeperError as error:
        told |= {"name": name, "passed": False, "error": str(error)}
    else:
        told["passed"] = True
    reason = told.get("error") or (
        f"{told['name']} can be restored: {told['predictions']:,} predictions, "
        f"{told['outcomes']:,} outcomes, {told['versions']:,} versions"
    )
    app.audit.note(
        at=app.clock(), by=By(actor(), reason), action=RESTORE_TEST, subject=_SUBJECT,
        evidence=told,
    )  # fmt: skip
    cli.show(told, reason)
    return 0 if told["passed"] else BAD


@command(commands)
def restore(
    cli: Invocation,
    into: Annotated[Path, typer.Argument(help="A folder that is not there yet, or empty.")],
    *,
    name: Annotated[str | None, typer.Option(help="Of the backup; the newest without.")] = None,
    target: Target = None,
) -> None:
    """Make a data directory of a backup; nothing is written over."""
    found = cli.app.backups(target).restore(into, name)
    cli.show(
        found,
        f"{into} is as it was at {found.point}; serve it with --data-dir {into}",
    )


def _opened(place: Path) -> dict[str, Any]:
    """Return what there is in a restored data directory, each version of which was checked."""
    from watchkeeper.app import App
    from watchkeeper.config import Settings

    with App(Settings(data_dir=place)) as app:
        app.landing.land()
        counts = [app.events.counts(model) for model in app.events.models()]
        versions = app.registry.list_models()
        for each in versions:
            app.registry.verify(each.model_id)
    return {
        "predictions": sum(each.predictions for each in counts),
        "outcomes": sum(each.outcomes for each in counts),
        "versions": len(versions),
    }
