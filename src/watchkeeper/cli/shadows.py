"""``watchkeeper shadows``: mirrored traffic for a version whose predictions are not returned."""

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
Reason = Annotated[str, typer.Option(help="The reason, stored in the history.")]


@command(commands)
def start(
    cli: Invocation,
    name: Name,
    *,
    model: Annotated[str, typer.Option(help="Name of the model.")],
    version: Annotated[str, typer.Option(help="The version that gets the mirrored traffic.")],
    share: Annotated[
        float, typer.Option(help="Percent of the requests that are mirrored.")
    ] = 100.0,
    reason: Reason = "",
) -> None:
    """Mirror traffic to a version; a running server follows."""
    shadow = cli.app.shadows.start(
        name, model=model, version=version, share=share, by=By(actor(), reason)
    )
    cli.show(shadow, f"{name}: {model}:{version} is asked {share:g} % of the requests, mirrored")


@command(commands)
def report(cli: Invocation, name: Name) -> None:
    """Compare the predictions of a shadow with those of production for the same requests."""
    current = cli.app.shadow_reports.of(name)
    cli.show(current, table(["", name], _facts(current)))


@command(commands)
def stop(cli: Invocation, name: Name, *, reason: Reason = "") -> None:
    """Stop a shadow; its comparison is stored."""
    final = cli.app.shadows.stop(name, by=By(actor(), reason))
    cli.show(final, table(["", name], _facts(final)))


@command(commands, "list")
def list_(
    cli: Invocation,
    *,
    model: Annotated[str | None, typer.Option(help="Show only this model.")] = None,
    state: Annotated[ShadowState | None, typer.Option(help="Show only this state.")] = None,
) -> None:
    """List shadows, the newest first."""
    listed = cli.app.shadows.find(model, state)
    rows = [
        (
            shadow.name,
            shadow.model,
            shadow.version,
            shadow.share,
            shadow.state.value,
            shadow.started_at,
        )
        for shadow in listed
    ]
    drawn = table(["shadow", "model", "version", "percent", "state", "started"], rows)
    cli.show(
        {"shadows": [shadow.to_dict() for shadow in listed]}, drawn if rows else "no shadows yet"
    )


def _facts(compared: "ShadowReport") -> list[tuple[str, object]]:
    between = ""
    if compared.agreement is not None:
        low, high = compared.agreement_low, compared.agreement_high
        between = f"{compared.agreement:.2%} ({low:.2%} to {high:.2%})"
    return [
        ("version", compared.shadow.version),
        ("state", compared.shadow.state.value),
        ("requests with both predictions", compared.pairs),
        ("failed", compared.failed),
        ("equal predictions", between or None),
        ("score shift, mean", compared.score_shift),
        ("95 % of the shifts are below", compared.largest_shifts),
        ("latency p50 and p95 of production, ms", _two(compared.latency_p50, compared.latency_p95)),
        (
            "of the shadow, at most",
            _two(compared.shadow_latency_p50, compared.shadow_latency_p95),
        ),
        ("pairs with an outcome", compared.labelled),
        ("quality of production", compared.quality),
        ("of the shadow", compared.shadow_quality),
        ("p of no difference (McNemar)", compared.p_value),
    ]


def _two(first: float | None, second: float | None) -> str | None:
    return None if first is None or second is None else f"{first:.3g}, {second:.3g}"
