"""``watchkeeper telemetry``: configuration for Prometheus, Alertmanager and Grafana."""

from pathlib import Path
from typing import Annotated

import typer

from watchkeeper.cli.command import Invocation, actor, command
from watchkeeper.errors import InvalidValueError
from watchkeeper.identity import By

__all__ = ["commands"]

commands = typer.Typer(
    no_args_is_help=True, help="Export configuration for Prometheus and Grafana."
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")]


@command(commands)
def export(cli: Invocation, folder: Folder, *, force: Force = False) -> None:
    """Write scrape and alert rules, routes, dashboards and the runbook to DIR."""
    from watchkeeper.alerting.export import KEY_FILE, exported, write

    surroundings = cli.settings.surroundings()
    files = exported(surroundings)
    written = [str(path) for path in write(files, folder, force=force)]
    lines = [f"  {name}" for name in files]
    lines.append(f"\n{len(written)} of {len(files)} files in {folder} are new or changed.")
    lines.append(f"  prometheus --config.file={folder / 'prometheus.yml'}")
    lines.append(f"  prometheus-alertmanager --config.file={folder / 'alertmanager.yml'}")
    if surroundings.asks_for_key:
        lines.append(f"Put a key of server.api_keys into {folder / KEY_FILE}, for both to read.")
    cli.show({"folder": str(folder), "files": list(files), "written": written}, *lines)


@command(commands, "test-alert")
def send_test_alert(
    cli: Invocation,
    *,
    alertmanager: Annotated[
        str | None,
        typer.Option(help="Address of Alertmanager; the first of the settings by default."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the alert.")] = 120.0,
) -> None:
    """Send a synthetic alert through Alertmanager, and wait for its delivery."""
    configured = cli.settings.telemetry.alertmanagers
    chosen = alertmanager or (f"http://{configured[0]}" if configured else None)
    if chosen is None:
        raise InvalidValueError(
            "--alertmanager", None, "an address such as http://127.0.0.1:9093, or "
            "telemetry.alertmanagers in the settings",
        )  # fmt: skip
    seconds = cli.app.receivers.try_alertmanager(chosen, timeout=timeout, by=By(actor()))
    cli.show({"seconds": seconds}, f"a synthetic alert arrived after {seconds:.1f} s")
