"""Backups of a data directory: all of it as it was at one moment, taken while it is in use.

Almost every file in a data directory is written once. So a backup first makes hard links to all of
them in a folder aside, which takes a moment and is the only time at which landing and changes of
the registry wait, and copies them afterwards at leisure, so many bytes a second: at full speed it
would take a core from those who ask for predictions. Open journal segments grow on; of them what
was there at that moment counts. The manifest is written last: without it, it is no backup.
"""

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from watchkeeper.clock import Clock
from watchkeeper.durable import sync
from watchkeeper.errors import (
    ConflictError,
    IntegrityError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)
from watchkeeper.results import Result
from watchkeeper.store.database import ControlDatabase
from watchkeeper.store.locks import locked
from watchkeeper.store.segments import DAMAGED, list_segments

__all__ = ["Backup", "Backups"]

_STAGING = ".backup"
_MANIFEST = "manifest.json"
_CONTROL = Path("registry") / "control.db"
_RETRAINING = "retraining"
_DERIVED = "timelines"  # a folder of this name elsewhere is a model's
_LEFT_OUT = frozenset((_STAGING, ".incoming", "joined", "lock", ".landing.lock"))
"""Names of what is derived, half-written or of a running process only."""
_AT_ONCE = 1 << 20  # bytes
_STEP = 1 << 18  # bytes that are copied between two rests: a fraction of a millisecond's work
_RATE = 32 << 20  # bytes a second: an hour for 115 GB


@dataclass(frozen=True, slots=True)
class Backup(Result):
    """One backup.

    Attributes
    ----------
    name : str
        When it was taken, as a file name.
    point : datetime
        All that was acknowledged before this moment is in it.
    files, size : int
        How many files it has, and their bytes.
    written_by : str
        The version of Watchkeeper.
    """

    name: str
    point: datetime
    files: int
    size: int
    written_by: str


@dataclass(slots=True)
class _Manifest:
    name: str
    point: str
    written_by: str
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        content = {name: getattr(self, name) for name in ("name", "point", "written_by", "files")}
        content["digest"] = self._digest()
        return json.dumps(content, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "_Manifest":
        try:
            content = json.loads(data)
            digest = content.pop("digest")
            manifest = cls(**content)
            if digest == manifest._digest():
                return manifest
        except (ValueError, TypeError, KeyError):
            pass
        raise IntegrityError(f"the manifest {where} was changed, or is none", "Use another backup.")

    def _digest(self) -> str:
        content = [self.name, self.point, self.written_by, self.files]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def about(self) -> Backup:
        return Backup(
            name=self.name,
            point=datetime.fromisoformat(self.point),
            files=len(self.files),
            size=sum(entry["size"] for entry in self.files.values()),
            written_by=self.written_by,
        )


class _Pace:
    """Rests as it goes, so that no more than `rate` bytes pass in a second.

    What took longer than it should, as over a slow network, is not caught up with.
    """

    def __init__(
        self, rate: int, monotonic: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._rate, self._monotonic, self._sleep = rate, monotonic, sleep
        self._due = 0.0

    def passed(self, size: int) -> None:
        """Rest until what has passed, `size` bytes more now, is due."""
        now = self._monotonic()
        self._due = max(self._due, now) + size / self._rate
        self._sleep(self._due - now)


class Backups:
    """The backups of one data directory at one target.

    Parameters
    ----------
    data_dir : Path
    target : str
        A folder, or an address that Arrow's file systems understand, such as ``s3://bucket/path``.
    rate : int
        Bytes a second that are copied at most when one is taken. It is gone back to at full speed.
    monotonic, sleep : callable
        How the time until the next bytes is told, and passed.

    Raises
    ------
    InvalidValueError
        If the target cannot be, or is within the data directory.
    """

    def __init__(
        self,
        data_dir: Path,
        target: str,
        *,
        rate: int = _RATE,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._data_dir = data_dir
        self._rate, self._monotonic, self._sleep = rate, monotonic, sleep
        try:
            if "://" in target:
                self._fs, self._root = fs.FileSystem.from_uri(target)
            else:
                self._fs, self._root = fs.LocalFileSystem(), str(Path(target).absolute())
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InvalidValueError(
                "backup.target",
                target,
                f"a folder or an address such as s3://bucket/path ({error})",
            ) from error
        self._local = isinstance(self._fs, fs.LocalFileSystem)
        if self._local and Path(self._root).resolve().is_relative_to(data_dir.resolve()):
            raise InvalidValueError(
                "backup.target", target, f"a place outside of the data directory {data_dir}"
            )

    def create(self, clock: Clock) -> Backup:
        """Take a backup.

        Raises
        ------
        ConflictError
            If another one is being taken.
        UnavailableError
            If the target cannot be written, for want of room or otherwise. What had been written
            is removed, and the data directory is as it was.
        """
        staging = self._data_dir / _STAGING
        staging.mkdir(exist_ok=True)
        with locked(staging / "lock") as ours:
            if not ours:
                raise ConflictError(
                    f"another backup of {self._data_dir} is being taken", "Wait for its end."
                )
            for leftover in staging.iterdir():  # of a process that died
                if leftover.is_dir():
                    shutil.rmtree(leftover)
            folder = staging / "files"
            try:
                point, sizes = self._staged(folder, clock)
                name = f"{point:%Y%m%dT%H%M%S.%fZ}"
                manifest = _Manifest(name, point.isoformat(), version("watchkeeper"))
                try:
                    self._copied(folder, sizes, manifest)
                except OSError as error:
                    with suppress(OSError):
                        self._fs.delete_dir(self._at(name))
                    raise UnavailableError(
                        f"the backup {name} could not be written to {self._root}: {error}",
                        "Make room there, or choose another backup.target. What was written of it "
                        "is removed.",
                        retry_after=60.0,
                    ) from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return manifest.about()

    def find(self) -> list[Backup]:
        """Return the backups that are whole, the newest first.

        Raises
        ------
        IntegrityError
            If a manifest was changed.
        """
        return [self._manifest(name).about() for name in self._names()]

    def get(self, name: str | None = None) -> Backup:
        """Return a backup, by default the newest; raises `NotFoundError` if there is none."""
        return self._chosen(name).about()

    def verify(self, name: str | None = None) -> Backup:
        """Read a backup, by default the newest, and check every byte.

        Raises
        ------
        IntegrityError
            If anything was changed or removed.
        """
        manifest = self._chosen(name)
        for path, about in manifest.files.items():
            self._read(manifest, path, about, None)
        return manifest.about()

    def restore(self, into: Path, name: str | None = None) -> Backup:
        """Make a data directory of a backup, by default the newest.

        Parameters
        ----------
        into : Path
            A folder that is not there or empty. It is there whole or not at all.
        name : str, optional

        Raises
        ------
        ConflictError
            If the folder has something in it.
        IntegrityError
            If the backup was changed.
        """
        manifest = self._chosen(name)
        if into.exists() and (not into.is_dir() or any(into.iterdir())):
            raise ConflictError(
                f"{into} is not empty, and nothing is written over",
                "Restore to a new folder, and name it in data_dir.",
            )
        into.parent.mkdir(parents=True, exist_ok=True)
        unfinished = into.parent / f".{into.name}.restoring"
        shutil.rmtree(unfinished, ignore_errors=True)  # of a process that died
        try:
            unfinished.mkdir()
            for path, about in manifest.files.items():
                target = unfinished / path
                target.parent.mkdir(parents=True, exist_ok=True)
                self._read(manifest, path, about, target)
            for folder in (unfinished / "journal").glob("*/"):
                (folder / "lock").touch()  # nobody holds it: a server takes over what is there
            for inner, _, _ in os.walk(unfinished):
                sync(Path(inner))
            unfinished.replace(into)
            sync(into.parent)
        except OSError as error:
            raise UnavailableError(
                f"{into} could not be written: {error}", "Make room, or restore to another place."
            ) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return manifest.about()

    def prune(self, keep: int) -> list[str]:
        """Remove all but the `keep` newest backups, and what never became one; return their names.

        What is being written by another process is left alone.
        """
        whole = self._names()
        unfinished = [
            name for name in self._all() if name not in whole and name < max(whole, default="")
        ]
        gone = [*whole[keep:], *unfinished]
        for name in gone:
            with suppress(FileNotFoundError):
                self._fs.delete_file(f"{self._at(name)}/{_MANIFEST}")  # it is none from here on
            self._fs.delete_dir(self._at(name))
        return gone

    def _staged(self, folder: Path, clock: Clock) -> tuple[datetime, dict[Path, int]]:
        """Link all that there is into `folder`; return the moment, and of what grows its size."""
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

    def _copied(self, folder: Path, sizes: dict[Path, int], manifest: _Manifest) -> None:
        """Copy what was linked to the target, and the manifest last."""
        target = self._at(manifest.name)
        pace = _Pace(self._rate, self._monotonic, self._sleep)
        created: set[str] = set()
        unsynced: list[Path] = []
        size = 0
        for path in _files(folder):
            inner = path.relative_to(folder)
            where = f"{target}/{inner.as_posix()}"
            parent = where.rpartition("/")[0]
            if parent not in created:
                self._fs.create_dir(parent, recursive=True)
                created.add(parent)
            with path.open("rb") as source:
                about = self._write(where, source, sizes.get(inner), pace)
            manifest.files[inner.as_posix()] = about
            unsynced.append(Path(where))
            size += about["size"]
            if size >= self._rate:  # of a second: many small files together, and never much to do
                self._sync(unsynced)
                size = 0
        self._sync(unsynced)
        self._write_manifest(f"{target}/{_MANIFEST}", manifest.to_bytes())
        if self._local:
            for parent in sorted({*created, target, self._root}):
                sync(Path(parent))

    def _sync(self, paths: list[Path]) -> None:
        """Make durable the files that were written, and forget them."""
        if self._local:
            for path in paths:
                sync(path)
        paths.clear()

    def _write(self, where: str, source: Any, limit: int | None, pace: _Pace) -> dict[str, Any]:
        digest, remaining = hashlib.sha256(), limit
        size = 0
        with self._fs.open_output_stream(where) as stream:
            while data := source.read(_STEP if remaining is None else min(_STEP, remaining)):
                stream.write(data)
                digest.update(data)
                size += len(data)
                remaining = None if remaining is None else remaining - len(data)
                pace.passed(len(data))
        return {"sha256": digest.hexdigest(), "size": size}

    def _write_manifest(self, where: str, data: bytes) -> None:
        with self._fs.open_output_stream(where) as stream:
            stream.write(data)
        if self._local:
            sync(Path(where))

    def _read(
        self, manifest: _Manifest, path: str, about: dict[str, Any], target: Path | None
    ) -> None:
        """Check a file of a backup, and write it to `place` while it is read."""
        where = f"{self._at(manifest.name)}/{path}"
        digest = hashlib.sha256()
        try:
            source = self._fs.open_input_stream(where, compression=None)
        except OSError as error:
            raise IntegrityError(f"{where} cannot be read: {error}", _OTHER) from error
        with source, _sink(target) as write:
            while data := source.read(_AT_ONCE):
                digest.update(data)
                write(data)
        if digest.hexdigest() != about["sha256"]:
            raise IntegrityError(f"{where} is not what was written at the backup", _OTHER)

    def _chosen(self, name: str | None) -> _Manifest:
        if name is None:
            names = self._names()
            if not names:
                raise NotFoundError("backup", self._root, "Take one with backup create.")
            name = names[0]
        if name not in self._all():
            raise NotFoundError("backup", name, f"See those in {self._root} with backup list.")
        return self._manifest(name)

    def _manifest(self, name: str) -> _Manifest:
        where = f"{self._at(name)}/{_MANIFEST}"
        try:
            with self._fs.open_input_stream(where) as stream:
                data = stream.read()
        except OSError as error:
            raise NotFoundError(
                "backup", name, f"It has no manifest: it was never finished ({error})."
            ) from error
        return _Manifest.from_bytes(data, where)

    def _names(self) -> list[str]:
        """Return the names of the backups that are whole, the newest first."""
        names = self._all()
        infos = self._fs.get_file_info([f"{self._at(name)}/{_MANIFEST}" for name in names])
        return [n for n, info in zip(names, infos, strict=True) if info.type == fs.FileType.File]

    def _all(self) -> list[str]:
        chosen = fs.FileSelector(self._root, allow_not_found=True)
        entries = self._fs.get_file_info(chosen)
        return sorted(
            (i.base_name for i in entries if i.type == fs.FileType.Directory), reverse=True
        )

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"


_OTHER = "Somebody changed it, or its disk is failing. Use another backup."


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


def _files(path: Path) -> list[Path]:
    """Return the files under a path that belong in a backup; none if it is not there."""
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


@contextmanager
def _sink(target: Path | None) -> Iterator[Any]:
    """Yield what writes bytes to a file, which is synced in the end; or to nowhere."""
    if target is None:
        yield len
        return
    with target.open("xb") as file:
        yield file.write
        file.flush()
        os.fsync(file.fileno())
