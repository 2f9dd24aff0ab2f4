"""``watchkeeper serve``: answer predictions over HTTP until told to stop."""

from typing import Annotated

import typer

from watchkeeper.cli.command import Invocation, command

__all__ = ["commands"]

commands = typer.Typer()

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")]
Workers = Annotated[int | None, typer.Option(help="Number of serving processes.")]


@command(commands)
def serve(cli: Invocation, *, host: Host = None, port: Port = None, workers: Workers = None) -> int:
    """Serve models over HTTP; record predictions and outcomes."""
    from watchkeeper.app import App
    from watchkeeper.config import load_settings
    from watchkeeper.server import serve as answer

    over = {"host": host, "port": port, "workers": workers}
    with App(load_settings(cli.config, cli.data_dir, server=over)) as app:
        return answer(app)
