"""``watchkeeper incidents``: what went wrong, the assignee, and the post-mortem."""

from pathlib import Path
from typing import Annotated

import typer

from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.errors import InvalidValueError
from watchkeeper.identity import By
from watchkeeper.incidents import Incident, IncidentState

__all__ = ["commands"]

commands = typer.Typer(help="List, acknowledge and resolve incidents.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the incident.")]


@command(commands, "list")
def list_(
    cli: Invocation,
    *,
    model: Annotated[str | None, typer.Option(help="Show only this model.")] = None,
    state: Annotated[IncidentState | None, typer.Option(help="Show only this state.")] = None,
) -> int:
    """List incidents, the newest first; exit code 1 while a critical one is open."""
    incidents = cli.app.incidents.find(model, state)
    rows = [
        (
            incident.name,
            incident.severity,
            incident.state.value,
            incident.owner,
            incident.opened_at,
            incident.title,
        )
        for incident in incidents
    ]
    drawn = table(["incident", "severity", "state", "owner", "opened", "what"], rows)
    shown = {"incidents": [incident.to_dict() for incident in incidents]}
    cli.show(shown, drawn if rows else "no incidents")
    urgent = any(
        incident.state is IncidentState.OPEN and incident.severity == "critical"
        for incident in incidents
    )
    return BAD if urgent else 0


@command(commands)
def show(cli: Invocation, name: Name) -> None:
    """Show the timeline of an incident."""
    incident = cli.app.incidents.get(name)
    facts: list[tuple[str, object]] = [
        ("model", incident.model),
        ("what", incident.title),
        ("severity", incident.severity),
        ("state", incident.state.value),
        ("owner", incident.owner or None),
        ("source", incident.source),
        ("runbook", incident.runbook or None),
        ("opened", incident.opened_at),
        ("ended", incident.ended_at),
        ("post-mortem", "finished" if incident.post_mortem else None),
    ]
    rows = [(moment.at, moment.actor, moment.what) for moment in incident.timeline]
    cli.show(
        incident, table(["", name], facts), table(["when", "who", "what"], rows, title="\nTimeline")
    )


@command(commands)
def acknowledge(
    cli: Invocation,
    name: Name,
    *,
    reason: Annotated[str, typer.Option(help="Text of the note, stored in the timeline.")] = "",
) -> None:
    """Acknowledge an incident."""
    _changed(cli, cli.app.incidents.acknowledge(name, reason, by=By(actor())))


@command(commands)
def assign(
    cli: Invocation,
    name: Name,
    owner: Annotated[str, typer.Argument(help="The assignee: a person or a team.")],
) -> None:
    """Assign an incident."""
    _changed(cli, cli.app.incidents.assign(name, owner, by=By(actor())))


@command(commands)
def note(
    cli: Invocation,
    name: Name,
    text: Annotated[str, typer.Argument(help="Text of the note, stored in the timeline.")],
) -> None:
    """Add a note to the timeline of an incident."""
    _changed(cli, cli.app.incidents.note(name, text, by=By(actor())))


@command(commands)
def resolve(
    cli: Invocation,
    name: Name,
    *,
    reason: Annotated[str, typer.Option(help="The reason, stored in the timeline.")],
) -> None:
    """Resolve an incident, with a reason."""
    _changed(cli, cli.app.incidents.resolve(name, reason, by=By(actor())))


@command(commands, "post-mortem")
def post_mortem(
    cli: Invocation,
    name: Name,
    *,
    out: Annotated[Path | None, typer.Option(help="File to write the post-mortem to.")] = None,
    finish: Annotated[
        Path | None, typer.Option(help="A Markdown file: stored as the finished post-mortem.")
    ] = None,
) -> None:
    """Print the post-mortem: the finished one, or a draft from the timeline."""
    app = cli.app
    if finish is not None:
        try:
            text = finish.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidValueError(
                "--finish", str(finish), f"a file of Markdown ({error})"
            ) from None
        _changed(cli, cli.app.incidents.finish(name, text, by=By(actor())))
        return
    from watchkeeper.monitoring.incidents import draft

    found = app.incidents.get(name).post_mortem or draft(
        app.incidents.repository, app.events, app.audit, name, app.clock()
    )
    if out is not None:
        out.write_text(found, encoding="utf-8")
    cli.show({"post_mortem": found}, found.rstrip() if out is None else f"written to {out}")


def _changed(cli: Invocation, incident: Incident) -> None:
    text = f"{incident.name}: {incident.state.value}, {incident.timeline[-1].what}"
    cli.show(incident, text)
