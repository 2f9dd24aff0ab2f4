"""Backups of a data directory: all of it as it was at one moment, taken while it is in use.

A backup first makes hard links to all files in a folder aside (`watchkeeper.store.staging`), and
copies them afterwards at a limited rate: at full speed the copy would take a core from the serving
of predictions. The manifest is written last: a folder without one is no backup.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
from watchkeeper.store.backup_manifest import Backup, Manifest
from watchkeeper.store.locks import locked
from watchkeeper.store.staging import FOLDER, Staging, files_of

__all__ = ["Backup", "BackupStore"]

_MANIFEST = "manifest.json"
_AT_ONCE = 1 << 20  # bytes
_STEP = 1 << 18  # bytes that are copied between two rests: a fraction of a millisecond's work
_RATE = 32 << 20  # bytes a second: an hour for 115 GB


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


class BackupStore:
    """The backups of one data directory at one target.

    Parameters
    ----------
    data_dir : Path
    target : str
        A folder, or an address that Arrow's file systems understand, such as ``s3://bucket/path``.
    rate : int
        Bytes a second that are copied at most when a backup is taken. A restore has no limit.
    monotonic, sleep : callable
        The clock of the pace in seconds, and what waits for a number of seconds.

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

        Parameters
        ----------
        clock : Clock

        Returns
        -------
        Backup

        Raises
        ------
        ConflictError
            If another one is being taken.
        UnavailableError
            If the target cannot be written, for want of room or otherwise. What had been written
            is removed, and the data directory is as it was.
        """
        staging = self._data_dir / FOLDER
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
                point, sizes = Staging(self._data_dir).link(folder, clock)
                name = f"{point:%Y%m%dT%H%M%S.%fZ}"
                manifest = Manifest(name, point.isoformat(), version("watchkeeper"))
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

        Returns
        -------
        list of Backup

        Raises
        ------
        IntegrityError
            If a manifest was changed.
        NotFoundError
            If a backup is removed meanwhile.
        """
        return [self._manifest(name).about() for name in self._names()]

    def get(self, name: str | None = None) -> Backup:
        """Return a backup.

        Parameters
        ----------
        name : str, optional
            By default the newest.

        Returns
        -------
        Backup

        Raises
        ------
        NotFoundError
            If there is none.
        """
        return self._chosen(name).about()

    def verify(self, name: str | None = None) -> Backup:
        """Read a backup and check every byte.

        Parameters
        ----------
        name : str, optional
            By default the newest.

        Returns
        -------
        Backup

        Raises
        ------
        NotFoundError
            If there is none.
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

        Returns
        -------
        Backup

        Raises
        ------
        NotFoundError
            If there is no such backup.
        ConflictError
            If the folder has something in it.
        IntegrityError
            If the backup was changed.
        UnavailableError
            If the folder cannot be written.
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
                (folder / "lock").touch()  # it is free: a server takes over what is there
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
        """Remove all but the newest backups, and what never became one.

        What another process is writing stays.

        Parameters
        ----------
        keep : int
            How many whole backups stay.

        Returns
        -------
        list of str
            The names of those that were removed.
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

    def _copied(self, folder: Path, sizes: dict[Path, int], manifest: Manifest) -> None:
        """Copy what was linked to the target, and the manifest last."""
        target = self._at(manifest.name)
        pace = _Pace(self._rate, self._monotonic, self._sleep)
        created: set[str] = set()
        unsynced: list[Path] = []
        size = 0
        for path in files_of(folder):
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
        self, manifest: Manifest, path: str, about: dict[str, Any], target: Path | None
    ) -> None:
        """Check a file of a backup, and write it to `target` while it is read."""
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

    def _chosen(self, name: str | None) -> Manifest:
        if name is None:
            names = self._names()
            if not names:
                raise NotFoundError("backup", self._root, "Take one with backup create.")
            name = names[0]
        if name not in self._all():
            raise NotFoundError("backup", name, f"See those in {self._root} with backup list.")
        return self._manifest(name)

    def _manifest(self, name: str) -> Manifest:
        where = f"{self._at(name)}/{_MANIFEST}"
        try:
            with self._fs.open_input_stream(where) as stream:
                data = stream.read()
        except OSError as error:
            raise NotFoundError(
                "backup", name, f"It has no manifest: it was never finished ({error})."
            ) from error
        return Manifest.from_bytes(data, where)

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


_OTHER = "It was changed, or its disk is failing. Use another backup."


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
