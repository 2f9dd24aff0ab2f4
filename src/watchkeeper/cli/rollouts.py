"""``watchkeeper rollouts``: a new version gets its traffic in steps."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.cli.policy_options import PolicyOptions
from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import ConflictError, InvalidValueError, NotFoundError
from watchkeeper.identity import By
from watchkeeper.policies.rollouts import RolloutPolicy
from watchkeeper.rollouts import RolloutState

if TYPE_CHECKING:
    from watchkeeper.monitoring.rollouts import Duration, RolloutStatus
    from watchkeeper.rollouts import Plan, Rollout

__all__ = ["commands"]

commands = typer.Typer(
    help="Shift traffic to a new version step by step (canary).", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Name of the rollout.")]
Reason = Annotated[str, typer.Option(help="The reason, stored in the history.")]
_PACE = ("steps", "initial", "increment", "maximum", "window_minutes", "min_samples")
_LIMITS = ("max_error_rate", "min_success_rate", "max_p95_ms")
_SAFETY = ("approval", "failover", "require_evidence")


@command(commands, changes=PolicyOptions(RolloutPolicy, _PACE))
def plan(
    cli: Invocation,
    model: Annotated[
        str | None, typer.Argument(help="Name of the model; its recorded traffic is used.")
    ] = None,
    *,
    requests_per_hour: Annotated[
        float | None,
        typer.Option(help="Requests per hour, in place of MODEL's recorded traffic."),
    ] = None,
    over_hours: Annotated[float, typer.Option(help="Hours of recorded traffic to use.")] = 24.0,
    changes: dict[str, Any],
) -> None:
    """Compute the duration of a rollout at the traffic of a model, without holds."""
    from watchkeeper.monitoring.rollouts import expected_duration, requests_an_hour

    if (model is None) == (requests_per_hour is None):
        raise InvalidValueError(
            "the traffic", None, "either MODEL or --requests-per-hour, and not both"
        )
    if not 0.0 < over_hours <= 8_784.0:
        raise InvalidValueError("--over-hours", over_hours, "hours above 0, up to those of a year")
    chosen = cli.settings.policy(model or "").rollout_plan(**changes)
    requests = requests_per_hour
    if requests is None and model is not None:
        app, over = cli.app, timedelta(hours=over_hours)
        requests = requests_an_hour(app.events, model, app.clock(), over)
    duration = expected_duration(chosen, requests or 0.0)
    cli.show(duration, _takes(duration))


@command(commands, changes=PolicyOptions(RolloutPolicy, (*_PACE, *_LIMITS, *_SAFETY)))
def start(
    cli: Invocation,
    name: Name,
    *,
    model: Annotated[str, typer.Option(help="Name of the model.")],
    version: Annotated[str, typer.Option(help="Version to roll out.")],
    changes: dict[str, Any],
    begin_at: Annotated[
        str | None, typer.Option(help="Start time, such as 2026-07-01T03:00:00Z; now by default.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="First abort the rollout that is under way.")
    ] = False,
    reason: Reason = "",
) -> None:
    """Start a rollout; a running server carries it out."""
    app = cli.app
    chosen = app.settings.policy(model).rollout_plan(**changes)
    begun = app.rollouts.start(
        name,
        model=model,
        version=version,
        plan=chosen,
        begins_at=None if begin_at is None else parse_timestamp(begin_at, "--begin-at"),
        replace=replace,
        by=By(actor(), reason),
    )
    cli.show(begun, f"{name}: {_state(begun)}", *_duration(cli, model, chosen))


@command(commands)
def status(cli: Invocation, name: Name) -> int:
    """Show the step of a rollout, its counts, and why it is on hold; 1 if it was rolled back."""
    current = cli.app.rollout_monitor.status(name)
    rollout = current.rollout
    facts: list[tuple[str, object]] = [
        ("model", rollout.model),
        ("canary", rollout.version),
        ("production", rollout.stable),
        ("state", _state(rollout)),
        ("started", rollout.started_at),
        ("ended", rollout.ended_at),
        ("retries", rollout.retries),
    ]
    if current.decision is not None:
        facts.append(("next", current.decision.event or "goes on as it is"))
        facts.append(("reason", current.decision.reason))
    cli.show(current, table(["", name], facts), *_counted(current))
    return BAD if rollout.state in {RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK} else 0


@command(commands)
def pause(cli: Invocation, name: Name, *, reason: Reason = "") -> None:
    """Keep the weight until the rollout is resumed; evidence of harm still rolls it back."""
    _show(cli, cli.app.rollouts.pause(name, by=By(actor(), reason)))


@command(commands)
def resume(cli: Invocation, name: Name, *, reason: Reason = "") -> None:
    """Resume after a pause or a hold; the window of the current step begins anew."""
    _show(cli, cli.app.rollouts.resume(name, by=By(actor(), reason)))


@command(commands)
def promote(
    cli: Invocation,
    name: Name,
    *,
    reason: Annotated[str, typer.Option(help="The reason, stored in the history.")],
    step: Annotated[
        bool, typer.Option("--step", help="Go to the next step only, not into production.")
    ] = False,
) -> None:
    """Promote the version to production now, or to the next step, without evidence."""
    rollouts, by = cli.app.rollouts, By(actor(), reason)
    _show(cli, rollouts.step(name, by=by) if step else rollouts.promote(name, by=by))


@command(commands)
def abort(cli: Invocation, name: Name, *, reason: Reason = "") -> None:
    """Abort a rollout: production gets all traffic within a second."""
    _show(cli, cli.app.rollouts.abort(name, by=By(actor(), reason)))


@command(commands)
def history(cli: Invocation, name: Name) -> None:
    """List the changes of a rollout: actor, time, reason."""
    entries = cli.app.rollouts.history(name)
    rows = [(entry.at, entry.verb, entry.actor, entry.reason) for entry in entries]
    cli.show({"history": entries}, table(["at", "what", "by", "why"], rows))


@command(commands, "list")
def list_(
    cli: Invocation,
    *,
    model: Annotated[str | None, typer.Option(help="Show only this model.")] = None,
    state: Annotated[RolloutState | None, typer.Option(help="Show only this state.")] = None,
) -> None:
    """List rollouts, the newest first."""
    listed = cli.app.rollouts.find(model, state)
    rows = [
        (
            rollout.name,
            rollout.model,
            rollout.version,
            _state(rollout),
            rollout.started_at,
            rollout.ended_at,
        )
        for rollout in listed
    ]
    drawn = table(["rollout", "model", "version", "state", "started", "ended"], rows)
    cli.show(
        {"rollouts": [rollout.to_dict() for rollout in listed]},
        drawn if rows else "no rollouts yet",
    )


def _show(cli: Invocation, rollout: "Rollout") -> None:
    cli.show(rollout, f"{rollout.name}: {_state(rollout)}")


def _state(rollout: "Rollout") -> str:
    words = rollout.state.value.replace("_", " ")
    if rollout.state is RolloutState.SCHEDULED:
        words += f" for {rollout.begins_at}"
    if rollout.hold is not None:
        words += f" ({rollout.hold.value.replace('_', ' ')})"
    if rollout.active:
        words += f", {rollout.weight:g} %"
    return words


def _counted(current: "RolloutStatus") -> list[Any]:
    seen = current.seen
    if seen is None:
        return []
    rows = [
        (
            f"{percent:g} %",
            limit.name,
            f"{canary.bad[limit.name]:,} of {canary.counted(limit.name):,}",
            f"{theirs.bad[limit.name]:,} of {theirs.counted(limit.name):,}",
            None if limit.share is None else f"{limit.share:.1%}",
            None if limit.margin is None else f"{limit.margin:.1%}",
        )
        for percent, canary, theirs in zip(
            current.rollout.plan.steps, seen.steps, seen.production, strict=False
        )
        for limit in current.rollout.plan.limits
    ]
    drawn = table(
        ["step", "bad", "canary", "production", "limit", "margin"], rows, title="\nCounted"
    )
    return [drawn]


def _duration(cli: Invocation, model: str, plan: "Plan") -> list[str]:
    """Return how long it takes at the traffic of the last day, where there was any."""
    from watchkeeper.monitoring.rollouts import expected_duration, requests_an_hour

    app = cli.app
    try:
        requests = requests_an_hour(app.events, model, app.clock(), timedelta(days=1))
    except (NotFoundError, ConflictError):
        return ["how long it takes depends on the traffic, of which none was recorded lately"]
    return [_takes(expected_duration(plan, requests))]


def _takes(duration: "Duration") -> str:
    return (
        f"{timedelta(seconds=duration.seconds)} at {duration.requests_an_hour:,.0f} "
        "requests an hour: "
        f"{len(duration.plan.steps)} steps in {duration.windows:,} windows of "
        f"{duration.plan.window / 60:g} minutes"
    )
