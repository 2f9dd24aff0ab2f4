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
    model: Annotated[
        str | None, typer.Option(help="Name of the model; all models by default.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="Show the health at this time; now by default.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Also write the report as an HTML page; needs --model."),
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
    assessments = [app.health(name, now) for name in names]
    if html is not None:
        html.write_text(assessments[0].status.to_html(f"Health of {model}"), encoding="utf-8")
    healthy = all(assessment.is_healthy for assessment in assessments)
    shown = {
        "is_healthy": healthy,
        "models": {assessment.model: assessment.to_dict() for assessment in assessments},
    }
    drawn = [part for assessment in assessments for part in _drawn(assessment)]
    cli.show(shown, *drawn)
    return 0 if healthy else BAD


def _drawn(assessment: "ModelHealth") -> "list[RenderableType]":
    rows = [
        (
            budget.slo.name,
            f"{budget.slo.objective:.2%} of {budget.requests:,} in {budget.slo.days:g} days",
            "unknown" if budget.left is None else f"{budget.left:.1%}",
            ", ".join(f"{rate:.1f} in {window}" for window, rate in budget.burn_rates.items()),
            budget.burning,
        )
        for budget in assessment.budgets
    ]
    return [
        assessment.status.to_text(assessment.model).rstrip(),
        table(["objective", "", "budget left", "burn rates", "burns"], rows),
    ]
