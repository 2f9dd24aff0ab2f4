"""``watchkeeper notifications``: who is told of incidents, and whether it arrives."""

from typing import Annotated

import typer

from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.clock import system_clock
from watchkeeper.control import notifications
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.notifications import Receiver

__all__ = ["commands"]

commands = typer.Typer(
    help="See who is told of incidents, and try whether it arrives.", no_args_is_help=True
)


@command(commands, "list")
def list_(cli: Invocation) -> None:
    """List the receivers, what waits for them, and why it has not arrived."""
    receivers = {each.name: each for each in _receivers(cli)}
    app, rows, told = cli.app, [], []
    for place in app.places.find():
        receiver = receivers.get(place.receiver)
        waiting = [] if receiver is None else list(notifications.pending(app, receiver, place))
        rows.append(
            (place.receiver, place.severity, len(waiting), place.tries, place.next_try or "-",
             place.error or "-")
        )  # fmt: skip
        told.append({**place.to_dict(), "waiting": len(waiting)})
    drawn = table(["receiver", "of", "waiting", "tries", "next try", "error"], rows)
    begun = {place["receiver"] for place in told}
    new = [name for name in receivers if name not in begun]
    cli.show(
        {"receivers": told, "new": new},
        drawn,
        f"not told of anything yet: {', '.join(new)}" if new else "",
    )


@command(commands, "test")
def try_out(
    cli: Invocation,
    name: Annotated[str | None, typer.Argument(help="A receiver; all without.")] = None,
) -> int:
    """Send a test message now; that it arrived is kept as evidence."""
    from watchkeeper.notifications.sending import send

    chosen = _receivers(cli)
    if name is not None:
        chosen = [each for each in chosen if each.name == name]
        if not chosen:
            raise NotFoundError("receiver", name, "See watchkeeper notifications list.")
    errors = notifications.try_out(
        cli.app, chosen, send, at=system_clock(), actor=actor(), url=cli.app.settings.url
    )
    rows = [(each, error or "arrived") for each, error in errors.items()]
    cli.show({"receivers": errors}, table(["receiver", "test"], rows))
    return BAD if any(errors.values()) else 0


def _receivers(cli: Invocation) -> list[Receiver]:
    found = cli.app.settings.receivers()
    if not found:
        raise InvalidValueError(
            "notifications.receivers", "nobody", "a table [notifications.receivers.NAME] with url"
        )
    return found
