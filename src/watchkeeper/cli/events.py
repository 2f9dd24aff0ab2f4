"""``watchkeeper events``: what is recorded, exported and compacted."""

from pathlib import Path
from typing import Annotated

import typer

from watchkeeper.cli.command import Invocation, actor, command, table
from watchkeeper.clock import parse_timestamp
from watchkeeper.identity import By

__all__ = ["commands"]

commands = typer.Typer(help="Count, export and compact recorded events.", no_args_is_help=True)

Model = Annotated[str | None, typer.Argument(help="Name of the model; all models by default.")]
Out = Annotated[Path, typer.Option(help="File to write: .parquet, .arrow, .feather or .csv.")]
Start = Annotated[str | None, typer.Option(help="First event time of the window, ISO 8601.")]
End = Annotated[str | None, typer.Option(help="Event time the window ends before.")]


@command(commands)
def stats(cli: Invocation, model: Model = None) -> None:
    """Count the recorded events of each model, in the journal and in the tables."""
    names = cli.app.events.models() if model is None else [model]
    counts = {name: cli.app.events.counts(name) for name in names}
    drawn = table(
        (
            "model",
            "predictions",
            "outcomes",
            "labelled",
            "oldest",
            "newest",
            "kept as text",
            "values",
        ),
        [(name, *row.values()) for name, row in counts.items()],
    )
    cli.show({"models": counts}, drawn if counts else "no events yet")


@command(commands)
def export(
    cli: Invocation,
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    *,
    out: Out,
    start: Start = None,
    end: End = None,
) -> None:
    """Export the predictions of a model to a file, one row each, with the outcome."""
    from watchkeeper.events import Window
    from watchkeeper.monitoring.exports import export_events

    window = Window(
        None if start is None else parse_timestamp(start, "--start"),
        None if end is None else parse_timestamp(end, "--end"),
    )
    exported = export_events(cli.app.events, name, window, out)
    cli.show(exported, f"{exported.rows:,} predictions of {name} written to {out}")


@command(commands)
def compact(cli: Invocation, model: Model = None) -> None:
    """Merge small files, move late outcomes to their day, and apply the retention."""
    cli.app.landing.land()
    report = cli.app.compactions.run(model, by=By(actor()))
    cli.show(report)
