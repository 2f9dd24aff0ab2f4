"""``watchkeeper notifications``: who is told of incidents, and whether it arrives."""

from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.errors import InvalidValueError
from watchkeeper.identity import By

if TYPE_CHECKING:
    from watchkeeper.notifications import Receiver

__all__ = ["commands"]

commands = typer.Typer(help="List and test the receivers of notifications.", no_args_is_help=True)


@command(commands, "list")
def list_(cli: Invocation) -> None:
    """List the receivers, their pending deliveries and errors."""
    receivers = _receivers(cli)
    queues = cli.app.receivers.waiting()
    rows = [
        (queue.receiver, queue.severity, queue.waiting, queue.tries, queue.next_try or "-",
         queue.error or "-")
        for queue in queues
    ]  # fmt: skip
    drawn = table(["receiver", "of", "waiting", "tries", "next try", "error"], rows)
    begun = {queue.receiver for queue in queues}
    new = [receiver.name for receiver in receivers if receiver.name not in begun]
    cli.show(
        {"receivers": [queue.to_dict() for queue in queues], "new": new},
        drawn,
        f"no delivery yet: {', '.join(new)}" if new else "",
    )


@command(commands, "test")
def try_out(
    cli: Invocation,
    name: Annotated[
        str | None, typer.Argument(help="Name of the receiver; all receivers by default.")
    ] = None,
) -> int:
    """Send a test message; its delivery is stored as evidence."""
    _receivers(cli)
    errors = cli.app.receivers.try_out(name, by=By(actor()))
    rows = [(receiver, error or "arrived") for receiver, error in errors.items()]
    cli.show({"receivers": errors}, table(["receiver", "test"], rows))
    return BAD if any(errors.values()) else 0


def _receivers(cli: Invocation) -> "list[Receiver]":
    configured = cli.app.settings.receivers()
    if not configured:
        raise InvalidValueError(
            "notifications.receivers", "nobody", "a table [notifications.receivers.NAME] with url"
        )
    return configured
