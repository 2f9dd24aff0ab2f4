"""``watchkeeper timeline``: traffic, failures, latency and quality of a model over time."""

import csv
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchkeeper.cli.command import Invocation, command, table
from watchkeeper.clock import parse_timestamp

if TYPE_CHECKING:
    from watchkeeper.timelines import Timeline

__all__ = ["commands"]

commands = typer.Typer()

_SHOWN = {
    "predictions": "predictions", "failed": "failed", "error_share": "errors",
    "latency_p50": "p50 ms", "latency_p95": "p95 ms", "latency_p99": "p99 ms",
    "coverage": "labelled", "label_delay": "delay s", "accuracy": "accuracy", "auc": "AUC",
    "brier": "Brier", "mae": "MAE", "rmse": "RMSE",
}  # fmt: skip
_INTERVALS = frozenset({"accuracy", "auc", "mae", "rmse"})  # that a table has room for


@command(commands)
def timeline(
    cli: Invocation,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    *,
    start: Annotated[str | None, typer.Option(help="First event time of the window.")] = None,
    end: Annotated[str | None, typer.Option(help="Event time the window ends before.")] = None,
    points: Annotated[int, typer.Option(help="Largest number of buckets.")] = 31,
    model_version: Annotated[
        str | None, typer.Option(help="Show only predictions of this version.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="Show only this segment of the traffic.")
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Also write all columns to this file.")
    ] = None,
) -> None:
    """Show predictions, latency and quality over time.

    One row an hour, a day, a week, a month or a year.
    """
    app = cli.app
    app.timelines.refresh(model)
    requested = app.timelines.timeline(
        model,
        None if start is None else parse_timestamp(start, "--start"),
        None if end is None else parse_timestamp(end, "--end"),
        points=points,
        version=model_version,
        variant=variant,
    )
    line = requested.timeline
    columns = {name: line[name] for name in _SHOWN if line[name] is not None}
    rows = [
        (
            begin.strftime("%Y-%m-%d" if begin.hour == 0 else "%Y-%m-%d %H:%M"),
            *(_cell(name, column, n) for name, column in columns.items()),
        )
        for n, begin in enumerate(line.starts)
    ]
    if csv_file is not None:
        _write(csv_file, line)
    cli.show(
        requested, table([line.bucket, *(_SHOWN[name] for name in columns)], rows, title=model)
    )


def _cell(name: str, column: Any, at: int) -> object:
    """Return what a table shows of an element of a column; None where there is no data."""
    from watchkeeper.timelines import Band

    value = (column.value if isinstance(column, Band) else column)[at].item()
    if isnan(value):
        return None
    if name in _INTERVALS:
        return f"{value:.4g} ({column.low[at]:.4g} to {column.high[at]:.4g})"
    return value


def _write(path: Path, line: "Timeline") -> None:
    """Write all columns, intervals in columns of their own; what there is no data of is empty."""
    from watchkeeper.timelines import Band

    columns: dict[str, list[object]] = {
        "start": [moment.isoformat() for moment in line.starts],
        "end": [moment.isoformat() for moment in line.ends],
    }
    for name, column in line.items():
        if isinstance(column, Band):
            columns[name] = column.value.tolist()
            columns[f"{name}_low"] = column.low.tolist()
            columns[f"{name}_high"] = column.high.tolist()
        elif hasattr(column, "tolist"):
            columns[name] = column.tolist()
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(
                [None if isinstance(value, float) and isnan(value) else value for value in row]
            )
