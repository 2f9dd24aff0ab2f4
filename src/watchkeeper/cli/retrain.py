"""``watchkeeper retrain``: a model is trained again, or learns online, and what came of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.clock import parse_timestamp
from watchkeeper.errors import ConflictError, NotFoundError
from watchkeeper.identity import By
from watchkeeper.retraining import RunState

if TYPE_CHECKING:
    from watchkeeper.retraining import Run

__all__ = ["commands"]


class _OrModel(TyperGroup):
    """What is no command of the group is the name of a model to train."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[:1] == ["cancel"]:
            ctx.fail(
                "retrain cancel is now retrain abort; a model called cancel is trained by "
                "retrain model cancel"
            )
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["model", *args]
        return super().resolve_command(ctx, args)


commands = typer.Typer(
    cls=_OrModel,
    help="Retrain a model; list and show retraining runs.\n\n"
    "retrain MODEL trains a candidate now; retrain online MODEL learns from new outcomes.",
    no_args_is_help=True,
    context_settings={"allow_interspersed_args": False},
)

Name = Annotated[str, typer.Argument(help="Name of the retraining run.")]


@command(commands, "model")
def model_(
    cli: Invocation,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    *,
    data: Annotated[
        str, typer.Option(help="Path or address of the training data, in place of the events.")
    ] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Only show the decision; exit code 1 if it is to train.")
    ] = False,
    until: Annotated[
        str | None, typer.Option(help="Train on events before this time; now by default.")
    ] = None,
    reason: Annotated[str, typer.Option(help="The reason, stored in the history.")] = "",
) -> int:
    """Train a candidate now and evaluate it; exit code 1 if it did not pass."""
    app = cli.app
    at = app.clock() if until is None else parse_timestamp(until, "--until")
    if check:
        status = app.retraining_monitor.view(model, at)
        assert status.decision is not None
        verdict = "would be trained" if status.decision.train else "would not be trained"
        cli.show(status, f"{model} {verdict}: {status.decision.reason}")
        return BAD if status.decision.train else 0
    with app.retraining.repository.holding(model) as held:
        if not held:
            raise NotFoundError(
                "free turn to train", model, "Another process trains it: see retrain runs."
            )
        run = app.retraining.request(model, by=By(actor(), reason), data=data, at=at)
        with _shown(cli, run) as watch:
            done = app.retraining.carry_on(run.name, at=at, watch=watch)
    _show(cli, done)
    return BAD if done.state in {RunState.KEPT, RunState.FAILED, RunState.CANCELLED} else 0


@command(commands, "online")
def online_(
    cli: Invocation,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    *,
    until: Annotated[
        str | None,
        typer.Option(help="Train on outcomes that arrived before this time; now by default."),
    ] = None,
) -> int:
    """Train MODEL online on new outcomes; exit code 1 if a checkpoint was rejected."""
    app = cli.app
    at = app.clock() if until is None else parse_timestamp(until, "--until")
    learning = app.online_learning.advance(model, at)
    if learning.busy:
        raise ConflictError(
            f"another process lets {model} learn", "Run the command again when it has ended."
        )
    rows = [
        (step.number, "yes" if step.kept else "no", step.snapshot, step.reason)
        for step in learning.steps
    ]
    waiting = f"{model}: {learning.missing:,} more outcomes make the next snapshot"
    drawn = [table(["batch", "kept", "goes on at", "what came of it"], rows)] if rows else []
    cli.show(learning, *drawn, waiting if learning.missing else f"{model}: there is more to learn")
    return 0 if all(step.kept and not step.returned for step in learning.steps) else BAD


@command(commands)
def runs(
    cli: Invocation,
    *,
    model: Annotated[str | None, typer.Option(help="Show only this model.")] = None,
    state: Annotated[RunState | None, typer.Option(help="Show only this state.")] = None,
) -> None:
    """List retraining runs, the newest first."""
    listed = cli.app.retraining.find(model, state)
    rows = [
        (run.name, run.model, run.version, _told(run.state), run.decided_at, run.reason)
        for run in listed
    ]
    drawn = table(["retraining", "model", "candidate", "state", "decided", "reason"], rows)
    cli.show({"runs": [run.to_dict() for run in listed]}, drawn if rows else "no retrainings yet")


@command(commands)
def show(cli: Invocation, name: Name) -> int:
    """Show the trigger, the training and the gate of a run; exit code 1 if it failed."""
    run = cli.app.retraining.get(name)
    _show(cli, run)
    return BAD if run.state is RunState.FAILED else 0


@command(commands)
def log(cli: Invocation, name: Name) -> None:
    """Print the log of the training."""
    text = cli.app.retraining_monitor.log(name)
    cli.show({"log": text}, text.rstrip() or "nothing was printed")


@command(commands)
def abort(
    cli: Invocation,
    name: Name,
    *,
    reason: Annotated[str, typer.Option(help="The reason, stored in the history.")] = "",
) -> None:
    """Abort a retraining run; its training ends within seconds, wherever it runs."""
    run = cli.app.retraining.abort(name, by=By(actor(), reason))
    cli.show(run, f"{name}: {_told(run.state)}")


@contextmanager
def _shown(cli: Invocation, run: "Run") -> Iterator[Any]:
    """Show how a training goes, for a person who looks at a terminal."""
    from watchkeeper.retraining.training import TrainingProgress

    if cli.as_json or not cli.console.is_terminal:
        yield None
        return
    from rich.status import Status

    with Status(f"{run.name}: begins", console=cli.console) as status:

        def watch(progress: TrainingProgress) -> None:
            line = progress.said.removeprefix("watchkeeper: ")
            took = timedelta(seconds=round(progress.seconds))
            status.update(f"{run.name}: {took}, {progress.memory / 2**20:,.0f} MiB, {line}")

        yield watch


def _show(cli: Invocation, run: "Run") -> None:
    facts: list[tuple[str, object]] = [
        ("model", run.model),
        ("state", _told(run.state)),
        ("reason", run.reason),
        (
            "asked by",
            "; ".join(f"{trigger.kind}: {trigger.reason}" for trigger in run.decision.triggers),
        ),
        ("decided", run.decided_at),
        ("champion", run.champion),
        ("candidate", run.model_id),
        ("learned from", _span(run.learned_from, run.learned_until, run.source)),
        ("rows", f"{run.rows:,} to learn from, {run.held_out:,} to judge by"),
        ("follows", run.follows or None),
        ("ended", run.ended_at),
    ]
    drawn = [table(["", run.name], facts)]
    if run.gate is not None:
        rows = [(check.check, check.figure, check.limit, check.passed) for check in run.gate.checks]
        drawn.append(table(["check", "figure", "limit", "passed"], rows, title="\nGate"))
    cli.show(run, *drawn)


def _span(start: datetime | None, end: datetime | None, source: str) -> str | None:
    if start is None or end is None:
        return source or None
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}{f' of {source}' if source else ''}"


def _told(state: "RunState") -> str:
    return state.value.replace("_", " ")
