"""``watchkeeper audit``: who did what, when and why."""

from typing import Annotated

import typer

from watchkeeper.cli.command import Invocation, command, table
from watchkeeper.errors import InvalidValueError

__all__ = ["commands"]

commands = typer.Typer()


@command(commands)
def audit(
    cli: Invocation,
    *,
    model: Annotated[
        str | None, typer.Option(help="Show only this model; `system` for entries without one.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Show only entries of this subject.")] = None,
    action: Annotated[str | None, typer.Option(help="Show only entries of this action.")] = None,
    before: Annotated[
        int | None, typer.Option(help="Show only entries before this number.")
    ] = None,
    limit: Annotated[
        int, typer.Option(help="Largest number of entries; the newest are shown.")
    ] = 100,
) -> None:
    """Show the audit trail: each change, its actor and reason.

    The newest entry comes first; --json includes the evidence.
    """
    if limit < 1:
        raise InvalidValueError("--limit", limit, "at least 1")
    entries = cli.app.audit.entries(
        model, subject=subject, action=action, before=before, limit=limit
    )
    rows = [
        (entry.number, entry.at, entry.actor or None, entry.action, entry.subject, entry.reason)
        for entry in entries
    ]
    drawn = table(["", "at", "who", "did", "to what", "why"], rows)
    cli.show(
        {"entries": [entry.to_dict() for entry in entries]}, drawn if rows else "no entries yet"
    )
