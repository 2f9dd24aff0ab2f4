"""``watchkeeper rollouts``: how long a new version takes to get all of the traffic."""

from datetime import timedelta
from typing import Annotated

import typer

from watchkeeper.cli.command import Invocation, command
from watchkeeper.control import rollouts
from watchkeeper.errors import InvalidValueError
from watchkeeper.rollouts import Plan
from watchkeeper.rollouts.plan import increments

__all__ = ["commands"]

commands = typer.Typer(
    help="Give a new version its traffic in steps.", no_args_is_help=True, add_completion=False
)


@commands.callback()
def _group() -> None:
    """Keep `plan` a command of its own, though it is the only one."""


@command(commands)
def plan(
    cli: Invocation,
    *,
    model: Annotated[
        str | None, typer.Option(help="Go by the traffic that was recorded of it.")
    ] = None,
    requests_per_hour: Annotated[
        float | None, typer.Option(help="Go by this traffic instead.")
    ] = None,
    over_hours: Annotated[float, typer.Option(help="Hours of recorded traffic to go by.")] = 24.0,
    initial: Annotated[float, typer.Option(help="Percent of the first step.")] = 5.0,
    increment: Annotated[float, typer.Option(help="Percent that each step adds.")] = 10.0,
    maximum: Annotated[float, typer.Option(help="Percent of the last step.")] = 100.0,
    window_minutes: Annotated[float, typer.Option(help="How long a step lasts at least.")] = 30.0,
    min_samples: Annotated[int, typer.Option(help="Requests that a step has to see.")] = 100,
) -> None:
    """Tell how long a rollout takes at the traffic of a model, all going well."""
    if (model is None) == (requests_per_hour is None):
        raise InvalidValueError(
            "the traffic", None, "either --model or --requests-per-hour, and not both"
        )
    if not 0.0 < over_hours <= 8_784.0:
        raise InvalidValueError("--over-hours", over_hours, "hours above 0, up to those of a year")
    made = Plan(
        steps=increments(initial, increment, maximum),
        window=60 * window_minutes,
        min_samples=min_samples,
        deadline=max(86_400.0, 60 * window_minutes),
    )
    requests = requests_per_hour
    if requests is None and model is not None:
        app, over = cli.app, timedelta(hours=over_hours)
        requests = rollouts.requests_an_hour(app.events, model, app.clock(), over)
    found = rollouts.expected(made, requests or 0.0)
    cli.show(
        found,
        f"{timedelta(seconds=found.seconds)} at {found.requests_an_hour:,.0f} requests an hour: "
        f"{len(made.steps)} steps in {found.windows:,} windows of {window_minutes:g} minutes",
    )
