"""``watchkeeper checklist``: what has to be in order before a model serves traffic, by evidence."""

from typing import Annotated

import typer

from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import InvalidValueError
from watchkeeper.identity import By

__all__ = ["commands"]

commands = typer.Typer()


@command(commands)
def checklist(
    cli: Invocation,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    *,
    waive: Annotated[
        str | None, typer.Option(help="Point to waive; needs --until and --reason.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="End of the waiver, such as 2026-07-01T00:00:00Z.")
    ] = None,
    reason: Annotated[str, typer.Option(help="The reason, stored in the audit trail.")] = "",
) -> int:
    """Check whether a model is ready for production.

    The exit code is 1 while a required point does not pass.
    """
    app = cli.app
    if waive is not None:
        if until is None:
            raise InvalidValueError("--until", until, "a time: no waiver holds for ever")
        end = parse_timestamp(until, "--until")
        waiver = app.checklists.waive(model, waive, until=end, by=By(actor(), reason))
        cli.show(waiver, f"{model}: {waive} is waived until {end:%Y-%m-%d %H:%M}")
        return 0
    assessed = app.checklists.of(model)
    rows = [
        (
            point.item.category,
            point.item.told,
            point.item.priority.value,
            point.state.value,
            point.told if point.waiver is None else f"{point.waiver.actor}: {point.waiver.reason}",
            "" if point.state.value in {"pass", "waived"} else point.item.do,
        )
        for point in assessed.points
    ]
    drawn = table(["", "point", "", "state", "evidence", "to do"], rows)
    cli.show(assessed, drawn, f"{model} is {'ready' if assessed.ready else 'not ready'}")
    return 0 if assessed.ready else BAD
