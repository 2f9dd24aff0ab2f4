"""``watchkeeper shadows``: a version answers a copy of the traffic, and nobody is told."""

from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper.cli.command import Invocation, actor, command, table
from watchkeeper.identity import By
from watchkeeper.rollouts.shadow import ShadowState

if TYPE_CHECKING:
    from watchkeeper.rollouts.shadow import ShadowReport

__all__ = ["commands"]

commands = typer.Typer(help="Test a version on mirrored traffic.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the shadow.")]
Reason = Annotated[str, typer.Option(help="Kept in the history.")]


@command(commands)
def start(
    cli: Invocation,
    name: Name,
    *,
    model: Annotated[str, typer.Option(help="Name of the model.")],
    version: Annotated[str, typer.Option(help="The version that is to answer as well.")],
    share: Annotated[float, typer.Option(help="Percent of the requests that are copied.")] = 100.0,
    reason: Reason = "",
) -> None:
    """Let a version answer a copy of the traffic; a running server follows."""
    shadow = cli.app.shadows.start(
        name, model=model, version=version, share=share, by=By(actor(), reason)
    )
    cli.show(shadow, f"{name}: {model}:{version} is asked {share:g} % of the requests as well")


@command(commands)
def report(cli: Invocation, name: Name) -> None:
    """Compare what a shadow answered with what production answered to the same requests."""
    found = cli.app.shadow_reports.of(name)
    cli.show(found, table(["", name], _facts(found)))


@command(commands)
def stop(cli: Invocation, name: Name, *, reason: Reason = "") -> None:
    """Ask a shadow no more, and keep what it was compared by."""
    found = cli.app.shadows.stop(name, by=By(actor(), reason))
    cli.show(found, table(["", name], _facts(found)))


@command(commands, "list")
def list_(
    cli: Invocation,
    *,
    model: Annotated[str | None, typer.Option(help="Of one model only.")] = None,
    state: Annotated[ShadowState | None, typer.Option(help="In one state only.")] = None,
) -> None:
    """List shadows, the newest first."""
    found = cli.app.shadows.find(model, state)
    rows = [
        (each.name, each.model, each.version, each.share, each.state.value, each.started_at)
        for each in found
    ]
    drawn = table(["shadow", "model", "version", "percent", "state", "started"], rows)
    cli.show({"shadows": [each.to_dict() for each in found]}, drawn if rows else "no shadows yet")


def _facts(found: "ShadowReport") -> list[tuple[str, object]]:
    between = ""
    if found.agreement is not None:
        between = f"{found.agreement:.2%} ({found.agreement_low:.2%} to {found.agreement_high:.2%})"
    return [
        ("version", found.shadow.version),
        ("state", found.shadow.state.value),
        ("requests that both answered", found.pairs),
        ("failed", found.failed),
        ("said the same", between or None),
        ("score shift, mean", found.score_shift),
        ("95 % of the shifts are below", found.largest_shifts),
        ("latency p50 and p95 of production, ms", _two(found.latency_p50, found.latency_p95)),
        (
            "of the shadow, at most",
            _two(found.shadow_latency_p50, found.shadow_latency_p95),
        ),
        ("pairs with an outcome", found.labelled),
        ("quality of production", found.quality),
        ("of the shadow", found.shadow_quality),
        ("p of no difference (McNemar)", found.p_value),
    ]


def _two(first: float | None, second: float | None) -> str | None:
    return None if first is None or second is None else f"{first:.3g}, {second:.3g}"
