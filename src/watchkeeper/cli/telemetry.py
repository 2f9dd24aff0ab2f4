"""``watchkeeper telemetry``: configuration for Prometheus, Alertmanager and Grafana."""

from pathlib import Path
from typing import Annotated

import typer

from watchkeeper.cli.command import Invocation, command

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="Point Prometheus and Grafana here.")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that say something else.")]


@commands.callback()
def _group() -> None:
    """Keep `telemetry export` a group of one command."""


@command(commands)
def export(cli: Invocation, folder: Folder, *, force: Force = False) -> None:
    """Write scrape and alert rules, routes, dashboards and the runbook to DIR."""
    from watchkeeper.telemetry.export import KEY_FILE, exported, write

    around = cli.settings.surroundings()
    files = exported(around)
    written = [str(path) for path in write(files, folder, force=force)]
    told = [f"  {name}" for name in files]
    told.append(f"\n{len(written)} of {len(files)} files in {folder} are new or changed.")
    told.append(f"  prometheus --config.file={folder / 'prometheus.yml'}")
    told.append(f"  prometheus-alertmanager --config.file={folder / 'alertmanager.yml'}")
    if around.asks_for_key:
        told.append(f"Put a key of server.api_keys into {folder / KEY_FILE}, for both to read.")
    cli.show({"folder": str(folder), "files": list(files), "written": written}, *told)
