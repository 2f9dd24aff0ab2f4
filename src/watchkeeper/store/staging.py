"""A data directory as it is at one moment, linked into a folder aside while it is in use.

Almost every file in a data directory is written once. So hard links to all of them take a moment,
which is the only time at which landing and changes of the registry wait. Open journal segments grow
on; of them what was there at that moment counts.
"""

import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Collection
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from watchkeeper.clock import Clock
from watchkeeper.store.database import ControlDatabase
from watchkeeper.store.locks import locked
from watchkeeper.store.segments import DAMAGED, list_segments

__all__ = ["FOLDER", "Staging", "files_of"]

FOLDER = ".backup"
"""Where in a data directory the links are made."""

_CONTROL = Path("registry") / "control.db"
_RETRAINING = "retraining"
_DERIVED = "timelines"  # a folder of this name elsewhere is a model's
_LEFT_OUT = frozenset((FOLDER, ".incoming", "joined", "lock", ".landing.lock"))
"""Names of what is derived, half-written or of a running process only."""
_AT_ONCE = 1 << 20  # bytes


class Staging:
    """Links the files of a data directory into a folder on the same file system.

    Parameters
    ----------
    data_dir : Path
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def link(self, folder: Path, clock: Clock) -> tuple[datetime, dict[Path, int]]:
        """Link all that there is into a folder.

        Parameters
        ----------
        folder : Path
            Made here; on the file system of the data directory.
        clock : Clock

        Returns
        -------
        datetime
            The moment.
        dict of Path to int
            Bytes that count of each file that may have grown since, by its path in `folder`.
        """
        folder.mkdir()
        events = self._data_dir / "events"
        events.mkdir(exist_ok=True)
        (self._data_dir / "registry").mkdir(exist_ok=True)
        with (
            closing(ControlDatabase(f"sqlite:///{self._data_dir / _CONTROL}")) as database,
            locked(events / ".landing.lock", wait=True),
        ):
            with database.write():  # nothing is registered, promoted or deleted meanwhile
                point = clock()
                self._link_all(folder, "registry")
                self._link_standing(folder, _RETRAINING)
                _copy_database(self._data_dir / _CONTROL, folder / _CONTROL)
            apart = (_DERIVED, _RETRAINING, "registry", "journal")
            _visit(self._data_dir, partial(self._link, folder), apart)
            sizes = self._link_journals(folder)
        return point, sizes

    def _link_all(self, folder: Path, name: str) -> None:
        """Link a file, or those of a folder, under `folder`, if there is one."""
        with suppress(FileNotFoundError):  # of the name itself; what is within is listed again
            _visit(self._data_dir / name, partial(self._link, folder))

    def _link(self, folder: Path, path: Path) -> None:
        inner = path.relative_to(self._data_dir)
        if not inner.as_posix().startswith(_CONTROL.as_posix()):
            _link(path, folder / inner)

    def _link_standing(self, folder: Path, name: str) -> None:
        """Link the files of a folder as they were together at one moment.

        What is written there goes by the control database: a batch of online learning is kept as
        taught when its entry of the audit trail is there. So the caller holds the database, and
        what was added, replaced or removed while it was linked is linked again.
        """
        inodes, before = _inodes(self._data_dir / name), None
        while inodes != before:
            shutil.rmtree(folder / name, ignore_errors=True)
            self._link_all(folder, name)
            inodes, before = _inodes(self._data_dir / name), inodes

    def _link_journals(self, folder: Path) -> dict[Path, int]:
        """Link the segments of all journals; return the size of each, whole lines only.

        A segment that is sealed after it was listed has another name by then: all are listed again
        until none has gone, and a segment that is linked is passed over, whatever its name is now.
        """
        source = self._data_dir / "journal"
        self._link_all(folder, f"{source.name}/{DAMAGED}")
        sizes: dict[Path, int] = {}
        linked: set[tuple[str, int]] = set()
        complete = False
        while not complete:
            complete = True
            for segment in list_segments(source):
                key = segment.journal_id, segment.number
                if key in linked:
                    continue
                inner = segment.path.relative_to(self._data_dir)
                try:
                    _link(segment.path, folder / inner)
                except FileNotFoundError:
                    complete = False
                else:
                    sizes[inner] = _whole_lines(folder / inner)
                    linked.add(key)
        return sizes


def _visit(path: Path, visit: Callable[[Path], object], apart: Collection[str] = ()) -> None:
    """Call `visit` with each file under a path, or itself, that belongs in a backup.

    A file that is gone after its folder was listed was renamed or removed: the folder is listed
    again until none has gone, and no path is visited twice.

    Parameters
    ----------
    path : Path
    visit : callable
        Raises `FileNotFoundError` if the file is gone.
    apart : collection of str
        Names in this folder that are passed over.

    Raises
    ------
    FileNotFoundError
        If the path itself is gone.
    """
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        visit(path)
    if not stat.S_ISDIR(mode):
        return
    passed = {path / name for name in (*_LEFT_OUT, *apart)}
    complete = False
    while not complete:
        complete = True
        for inner in sorted(set(path.iterdir()) - passed):
            try:
                _visit(inner, visit)
            except FileNotFoundError:
                complete = False
            else:
                passed.add(inner)


def files_of(path: Path) -> list[Path]:
    """Return the files under a path that belong in a backup; none if it is not there.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Path
    """
    files: list[Path] = []
    with suppress(FileNotFoundError):
        _visit(path, files.append)
    return files


def _inodes(path: Path) -> dict[Path, int]:
    """Return the files under a path by their inodes: one that was written anew has another."""
    inodes: dict[Path, int] = {}
    with suppress(FileNotFoundError):
        _visit(path, lambda file: inodes.__setitem__(file, file.stat().st_ino))
    return inodes


def _link(path: Path, to: Path) -> None:
    """Link a file to another name; raise `FileNotFoundError` if it is gone."""
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, to)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EMLINK}:
            raise
        shutil.copyfile(path, to)  # a file system that has no links


def _whole_lines(path: Path) -> int:
    """Return the bytes of a segment; of an open one, those of its whole lines."""
    size = path.stat().st_size
    if path.suffix != ".open":
        return size
    with path.open("rb") as file:
        while size:
            first = max(0, size - _AT_ONCE)
            file.seek(first)
            end = file.read(size - first).rfind(b"\n")
            if end >= 0:
                return first + end + 1
            size = first
    return 0


def _copy_database(path: Path, to: Path) -> None:
    """Copy a SQLite database as it is now, with what its write-ahead log has."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file
