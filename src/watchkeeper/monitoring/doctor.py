"""Whether everything is in order for serving and recording; nothing is mended here."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from watchkeeper.events import EventLog
from watchkeeper.registry import ModelRegistry
from watchkeeper.results import Result

__all__ = ["DoctorCheck", "Parts", "check", "disk", "examine", "journal"]


@dataclass(frozen=True, slots=True)
class DoctorCheck(Result):
    """One thing that was looked at: whether it is good, and the figures that say so."""

    name: str
    ok: bool
    told: str


class Parts(Protocol):
    """What is looked at; an `watchkeeper.app.App` is one."""

    @property
    def events(self) -> EventLog: ...
    @property
    def registry(self) -> ModelRegistry: ...


class JournalBacklog(Protocol):
    """What waits in the journal: how many segments, and their bytes."""

    @property
    def count(self) -> int: ...
    @property
    def size(self) -> int: ...


def examine(
    parts: Parts, data_dir: Path, *, waiting: Callable[[], JournalBacklog], min_free_bytes: int
) -> Iterator[DoctorCheck]:
    """Yield what was found, one thing after the other.

    Files of what is in production are read and compared with their digests, and events are
    counted: with much of either it takes seconds.

    Parameters
    ----------
    parts : Parts
    data_dir : Path
    waiting : callable
        What waits in the journal, when called.
    min_free_bytes : int

    Yields
    ------
    DoctorCheck
    """
    yield disk(data_dir, min_free_bytes=min_free_bytes)
    database = check("control database", lambda: f"{len(parts.registry.list_models())} versions")
    yield database
    if database.ok:
        for name, model_id in sorted(parts.registry.production().items()):
            yield check(f"model {name}", partial(_verified, parts, model_id))
    yield journal(data_dir, waiting())
    events = check("events", lambda: ", ".join(parts.events.models()) or "none yet")
    yield events
    if events.ok:
        for name in parts.events.models():
            yield check(f"events of {name}", partial(_counted, parts, name))


def check(name: str, look: Callable[[], str]) -> DoctorCheck:
    """Look; whatever goes wrong is what is bad.

    Parameters
    ----------
    name : str
    look : callable
        Returns what was seen, in words; raises what is wrong.

    Returns
    -------
    DoctorCheck
    """
    try:
        return DoctorCheck(name, True, look())
    except Exception as error:  # noqa: BLE001 - a doctor tells of every illness
        return DoctorCheck(name, False, " ".join(str(error).split()))


def disk(data_dir: Path, *, min_free_bytes: int) -> DoctorCheck:
    """Return whether there is room to record.

    Parameters
    ----------
    data_dir : Path
    min_free_bytes : int

    Returns
    -------
    DoctorCheck
    """
    free = shutil.disk_usage(data_dir).free
    sentence = f"{free / 2**30:.1f} GiB free; recording stops below {min_free_bytes / 2**20:g} MiB"
    return DoctorCheck("disk", free > min_free_bytes, sentence)


def journal(data_dir: Path, waiting: JournalBacklog) -> DoctorCheck:
    """Return what waits in the journal, and what could not be read.

    Parameters
    ----------
    data_dir : Path
    waiting : JournalBacklog

    Returns
    -------
    DoctorCheck
    """
    folder = data_dir / "journal" / "damaged"
    damaged = len(list(folder.glob("*")))
    sentence = f"{waiting.count} segments wait ({waiting.size / 2**20:.1f} MiB)"
    if damaged:
        sentence += f"; {damaged} damaged, kept in {folder}"
    return DoctorCheck("journal", not damaged, sentence)


def _verified(parts: Parts, model_id: str) -> str:
    parts.registry.verify(model_id)
    return f"{model_id} is in production, and its files are those that were registered"


def _counted(parts: Parts, name: str) -> str:
    counts = parts.events.counts(name)
    return f"{counts.predictions:,} predictions, {counts.labelled:,} with their outcome"
