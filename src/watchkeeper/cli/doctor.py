"""``watchkeeper doctor``: whether everything is in order for serving and recording."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import typer

from watchkeeper.cli.command import Invocation, command, table
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
    settings = _check("settings", lambda: f"valid; log_level is {cli.settings.log_level}")
    yield settings
    if not settings.ok:
        return
    where = _check("data directory", lambda: str(cli.app.settings.data_dir.resolve()))
    yield where
    if not where.ok:
        return
    yield _disk(cli.app)
    database = _check("control database", lambda: f"{len(cli.app.registry.list_models())} versions")
    yield database
    if database.ok:
        for name, model_id in sorted(cli.app.registry.production().items()):
            yield _check(f"model {name}", partial(_verified, cli.app, model_id))
    yield _journal(cli.app)
    events = _check("events", lambda: ", ".join(cli.app.events.models()) or "none yet")
    yield events
    if events.ok:
        for name in cli.app.events.models():
            yield _check(f"events of {name}", partial(_counted, cli.app, name))


def _check(name: str, look: Callable[[], str]) -> Check:
    """Look; whatever goes wrong is what is bad."""
    try:
        return Check(name, True, look())
    except Exception as error:  # noqa: BLE001 - a doctor tells of every illness
        return Check(name, False, " ".join(str(error).split()))


def _disk(app: "App") -> Check:
    free = shutil.disk_usage(app.settings.data_dir).free
    least = app.settings.store.min_free_bytes
    told = f"{free / 2**30:.1f} GiB free; recording stops below {least / 2**20:g} MiB"
    return Check("disk", free > least, told)


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


def _counted(app: "App", name: str) -> str:
    counts = app.events.counts(name)
    return f"{counts.predictions:,} predictions, {counts.labelled:,} with their outcome"
