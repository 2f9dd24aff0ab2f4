"""``watchkeeper history``: what happened to a model, and a decision reproduced."""

from typing import Annotated

import typer

from watchkeeper.cli.command import BAD, Invocation, command, table
from watchkeeper.errors import InvalidValueError

__all__ = ["commands"]

commands = typer.Typer()


@command(commands)
def history(
    cli: Invocation,
    model: Annotated[str | None, typer.Argument(help="Name of the model.")] = None,
    *,
    replay: Annotated[
        str | None,
        typer.Option(
            "--replay", help="Reproduce the decision of this record; exit code 1 if it differs."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also show measurements without a finding.")
    ] = False,
    limit: Annotated[
        int, typer.Option(help="Largest number of records; the newest are shown.")
    ] = 200,
) -> int:
    """Show a model's measurements, decisions and causes.

    The records are drift, decisions, trainings, gates, rollouts and promotions, with their links.

    With --replay ID, reproduce that decision from its stored evidence, and compare.
    """
    app = cli.app
    if replay is not None:
        name = app.history.model_of(replay)
        if model not in {None, name}:
            raise InvalidValueError("--replay", replay, f"a record of {model}, and it is of {name}")
        again = app.replays.replay(replay)
        verdict = "confirmed" if again.confirmed else "differs"
        cli.show(again, f"{replay}: {verdict}, {again.summary}", *again.differences)
        return 0 if again.confirmed else BAD
    if model is None:
        raise InvalidValueError("MODEL", None, "the name of a model, or --replay with a record")
    if limit < 1:
        raise InvalidValueError("--limit", limit, "at least 1")
    records = app.history.records(model, everything=everything, limit=limit)
    rows = [
        (
            record_shown.at,
            record_shown.id,
            record_shown.kind,
            record_shown.summary,
            ", ".join(record_shown.follows) or None,
            ", ".join(f"{name} {version}" for name, version in record_shown.table_versions.items())
            or None,
        )
        for record_shown in records
    ]
    drawn = table(["at", "record", "what", "told", "came of", "tables"], rows)
    cli.show(
        {"history": [record_shown.to_dict() for record_shown in records]},
        drawn if rows else "no records yet",
    )
    return 0
