"""Whether everything is in order for serving and recording; nothing is mended here."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from watchkeeper.events import EventLog
from watchkeeper.registry import ModelRegistry
from watchkeeper.results import Result

__all__ = ["DoctorCheck", "check", "disk", "examine", "journal"]


@dataclass(frozen=True, slots=True)
class DoctorCheck(Result):
    """One thing that was looked at: whether it is good, and the figures that say so."""

    name: str
    ok: bool
    told: str


def examine(
    events: Callable[[], EventLog],
    registry: Callable[[], ModelRegistry],
    data_dir: Path,
    *,
    waiting: tuple[int, int],
    min_free_bytes: int,
) -> Iterator[DoctorCheck]:
    """Yield what was found, one thing after the other.

    Files of what is in production are read, compared with their digests and loaded, and events
    are counted: with much of either it takes seconds.

    Parameters
    ----------
    events, registry : callable
        Open what is checked; an error in that is what is wrong.
    data_dir : Path
    waiting : tuple of int and int
        How many segments wait in the journal, and their bytes.
    min_free_bytes : int

    Yields
    ------
    DoctorCheck
    """
    yield disk(data_dir, min_free_bytes=min_free_bytes)
    database = check("control database", lambda: f"{len(registry().list_models())} versions")
    yield database
    if database.ok:
        for name, model_id in sorted(registry().production().items()):
            yield check(f"model {name}", partial(_verified, registry(), model_id))
    yield journal(data_dir, waiting)
    readable = check("events", lambda: ", ".join(events().models()) or "none yet")
    yield readable
    if readable.ok:
        for name in events().models():
            yield check(f"events of {name}", partial(_counted, events(), name))


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


def journal(data_dir: Path, waiting: tuple[int, int]) -> DoctorCheck:
    """Return what waits in the journal, and what could not be read.

    Parameters
    ----------
    data_dir : Path
    waiting : tuple of int and int
        How many segments wait, and their bytes.

    Returns
    -------
    DoctorCheck
    """
    folder = data_dir / "journal" / "damaged"
    damaged = len(list(folder.glob("*")))
    segments, size = waiting
    sentence = f"{segments} segments wait ({size / 2**20:.1f} MiB)"
    if damaged:
        sentence += f"; {damaged} damaged, kept in {folder}"
    return DoctorCheck("journal", not damaged, sentence)


def _verified(registry: ModelRegistry, model_id: str) -> str:
    registry.verify(model_id)
    registry.open_runtime(model_id)
    return f"{model_id} is in production and can be loaded; its files are those registered"


def _counted(events: EventLog, name: str) -> str:
    counts = events.counts(name)
    return f"{counts.predictions:,} predictions, {counts.labelled:,} with their outcome"
