"""``watchkeeper health``: whether models are well, since when not, and what is left to spend."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper.cli.command import BAD, Invocation, command, table
from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import InvalidValueError, NotFoundError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from watchkeeper.monitoring.health import ModelHealth

__all__ = ["commands"]

commands = typer.Typer()


@command(commands)
def health(
    cli: Invocation,
    *,
    model: Annotated[str | None, typer.Option(help="Of one model; otherwise of all.")] = None,
    at: Annotated[str | None, typer.Option(help="At this time, and not now.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write a self-contained page; needs --model.")
    ] = None,
) -> int:
    """Show whether models are healthy; exit code 1 if not.

    The exit code is also 1 when the health of a model is unknown.
    """
    from watchkeeper.monitoring.health import served

    if html is not None and model is None:
        raise InvalidValueError("--html", str(html), "--model NAME: a page is of one model")
    app = cli.app
    now = app.clock() if at is None else parse_timestamp(at, "--at")
    names = [model] if model is not None else served(app.events, app.registry)
    if not names:
        raise NotFoundError("model", "", "Register and promote one, or post predictions.")
    found = [app.health(name, now) for name in names]
    if html is not None:
        html.write_text(found[0].status.to_html(f"Health of {model}"), encoding="utf-8")
    healthy = all(each.is_healthy for each in found)
    shown = {"is_healthy": healthy, "models": {each.model: each.to_dict() for each in found}}
    drawn = [part for each in found for part in _drawn(each)]
    cli.show(shown, *drawn)
    return 0 if healthy else BAD


def _drawn(found: "ModelHealth") -> "list[RenderableType]":
    rows = [
        (
            each.slo.name,
            f"{each.slo.objective:.2%} of {each.requests:,} in {each.slo.days:g} days",
            "unknown" if each.left is None else f"{each.left:.1%}",
            ", ".join(f"{rate:.1f} in {window}" for window, rate in each.burn_rates.items()),
            each.burning,
        )
        for each in found.budgets
    ]
    return [
        found.status.to_text(found.model).rstrip(),
        table(["objective", "", "budget left", "burn rates", "burns"], rows),
    ]
