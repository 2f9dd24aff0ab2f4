"""``watchkeeper doctor``: is everything in order for serving and recording?"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from watchkeeper.cli.command import Invocation, command, table
from watchkeeper.errors import WatchkeeperError
from watchkeeper.results import Result

if TYPE_CHECKING:
    from watchkeeper.app import App

__all__ = ["commands"]

commands = typer.Typer()


@dataclass(frozen=True, slots=True)
class Check(Result):
    """One thing that was looked at: whether it is good, and the figures that say so."""

    name: str
    ok: bool
    told: str


@command(commands)
def doctor(cli: Invocation) -> int:
    """Check settings, data directory, registry, events and journal; exit 1 if one is bad."""
    checks = list(_examine(cli))
    healthy = all(check.ok for check in checks)
    drawn = table(
        ("check", "", ""), [(each.name, "good" if each.ok else "BAD", each.told) for each in checks]
    )
    cli.show({"ok": healthy, "checks": checks}, drawn)
    return 0 if healthy else 1


def _examine(cli: Invocation) -> Iterator[Check]:
    settings = _check("settings", lambda: "read and valid" if cli.settings else "")
    yield settings
    if not settings.ok:
        return
    where = _check("data directory", lambda: str(cli.app.settings.data_dir.resolve()))
    yield where
    if not where.ok:
        return
    yield _disk(cli.app)
    yield _check("control database", lambda: f"{len(cli.app.registry.list_models())} versions")
    for name, model_id in sorted(_production(cli.app).items()):
        yield _check(f"model {name}", lambda model_id=model_id: _verified(cli.app, model_id))
    yield _journal(cli.app)
    yield _check("events", lambda: ", ".join(cli.app.events.models()) or "none yet")
    for name in _recorded(cli.app):
        yield _check(f"events of {name}", lambda name=name: _counted(cli.app, name))


def _check(name: str, look: Callable[[], str]) -> Check:
    """Look; what cannot be done is what is bad."""
    try:
        return Check(name, True, look())
    except (WatchkeeperError, OSError) as error:
        return Check(name, False, str(error))


def _disk(app: "App") -> Check:
    free = shutil.disk_usage(app.settings.data_dir).free
    least = app.settings.store.min_free_bytes
    told = f"{free / 2**30:.1f} GiB free; recording stops below {least / 2**20:g} MiB"
    return Check("disk", free > least, told)


def _production(app: "App") -> dict[str, str]:
    try:
        return app.registry.production()
    except (WatchkeeperError, OSError):
        return {}  # the check of the control database has said why


def _verified(app: "App", model_id: str) -> str:
    app.registry.verify(model_id)
    return f"{model_id} is in production, and its files are those that were registered"


def _journal(app: "App") -> Check:
    """Return what waits in the journal, and what could not be read."""
    folder = app.settings.data_dir / "journal"
    files = [path for path in folder.glob("*/*") if path.is_file()]
    damaged = [path for path in files if path.parent.name == "damaged"]
    waiting = [path for path in files if path.suffix in {".open", ".jsonl", ".arrow"}]
    waiting = [path for path in waiting if path not in damaged]
    size = sum(path.stat().st_size for path in waiting)
    told = f"{len(waiting)} segments wait ({size / 2**20:.1f} MiB)"
    if damaged:
        told += f"; {len(damaged)} damaged, kept in {folder / 'damaged'}"
    return Check("journal", not damaged, told)


def _recorded(app: "App") -> list[str]:
    try:
        return app.events.models()
    except (WatchkeeperError, OSError):
        return []  # the check of the events has said why


def _counted(app: "App", name: str) -> str:
    counts = app.events.counts(name)
    return f"{counts.predictions:,} predictions, {counts.labelled:,} with their outcome"
