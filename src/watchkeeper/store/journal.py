"""The journal: where an event is written before it is acknowledged.

A process owns one folder of segments and appends to the open one with a single ``write``, so that
what was acknowledged survives the death of the process. A background thread syncs to disk, seals
segments that have grown old, and watches the room that is left.
"""

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from watchkeeper.background import Worker
from watchkeeper.durable import sync
from watchkeeper.errors import UnavailableError, WatchkeeperError
from watchkeeper.events import EventKind
from watchkeeper.store.segments import (
    WaitingSegments,
    recover,
    seal_file,
    segment_path,
    waiting,
)

__all__ = ["Journal", "JournalFullError"]

log = logging.getLogger(__name__)

_LOOK_AGAIN = 1.0  # seconds between two looks at the age of the segment and the room on disk
_ROWS_A_FILE = 100_000  # of a bulk ingest, so that landing it takes bounded memory


class JournalFullError(UnavailableError):
    """An event cannot be written: the disk or the journal's budget is used up."""

    def __init__(self, folder: str, why: str) -> None:
        super().__init__(
            f"the journal in {folder} cannot take more events: {why}",
            "Free disk space, or raise store.journal_max_bytes; recording resumes by itself.",
            retry_after=5.0,
        )
        self.args = (folder, why)
        self.folder, self.why = folder, why


class Journal:
    """An append-only log of events in `root`, one folder a process.

    Parameters
    ----------
    root : Path
        The folder of all journals of a data directory.
    segment_max_bytes : int
        A segment this large is sealed.
    segment_max_age : float
        Seconds after which a segment with events is sealed.
    fsync_interval : float
        Seconds between syncs to disk; 0 syncs before each event is acknowledged.
    max_bytes : int
        Budget of all segments that wait to land.
    min_free_bytes : int
        Room on the disk that the journal leaves to others (landing needs some to free the rest).
    monotonic : callable
        Where age is read: seconds that never run backwards.

    Raises
    ------
    UnavailableError
        If another process takes the folder that was to be its own.

    Notes
    -----
    It does not belong to a forked child: a child that writes is refused and opens its own.
    """

    _size: int
    _lines: int
    _crc32: int
    _torn: bool  # a failed write left bytes that could not be cut off yet

    def __init__(
        self,
        root: Path,
        *,
        segment_max_bytes: int = 64 << 20,
        segment_max_age: float = 60.0,
        fsync_interval: float = 1.0,
        max_bytes: int = 10 << 30,
        min_free_bytes: int = 64 << 20,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._segment_max_bytes, self._segment_max_age = segment_max_bytes, segment_max_age
        self._fsync_interval = fsync_interval
        self._max_bytes, self._min_free_bytes = max_bytes, min_free_bytes
        self._monotonic = monotonic
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self.folder, self._owner = _own_folder(root)
        number, torn = recover(self.folder)
        for sentence in torn:
            log.warning("%s", sentence)
        self._unsealed: list[tuple[Path, int, int]] = []  # full, and the disk did not take the seal
        self._fd = -1
        self._start_segment(number)
        self._measure_room()
        self.worker = Worker(name="journal", target=self._keep)
        self.worker.start()

    def append(self, lines: bytes, count: int) -> None:
        """Write `count` whole lines; when this returns, they are kept.

        Parameters
        ----------
        lines : bytes
        count : int

        Raises
        ------
        JournalFullError
            If there is no room; then none of them is kept.
        UnavailableError
            If the journal is closed, or of another process.
        """
        self._require_own_process()
        with self._lock:
            self._require_open()
            self._require_room(len(lines))
            try:
                if self._torn:
                    self._cut_back()
                written = 0
                while written < len(lines):
                    written += os.write(self._fd, lines[written:] if written else lines)
                if self._fsync_interval == 0:
                    os.fdatasync(self._fd)
            except OSError as error:
                self._room, self._torn = 0, True
                with contextlib.suppress(OSError):  # then the next append tries it first
                    self._cut_back()
                raise JournalFullError(str(self.folder), error.strerror or str(error)) from error
            self._size += len(lines)
            self._lines += count
            self._crc32 = zlib.crc32(lines, self._crc32)
            self._unsynced = self._fsync_interval != 0
            if self._size >= self._segment_max_bytes:
                self.seal()

    def append_table(self, event: EventKind, model: str, rows: pa.Table) -> None:
        """Write a bulk ingest as sealed segments of its own, all or none.

        Parameters
        ----------
        event : EventKind
        model : str
        rows : pyarrow.Table

        Raises
        ------
        JournalFullError
            If there is no room; then none of it is kept.
        UnavailableError
            If the journal is closed, or of another process.
        """
        self._require_own_process()
        with self._lock:
            self._require_open()
            self._require_room(rows.nbytes)
        rows = rows.replace_schema_metadata({"event": event, "model": model})
        token = secrets.token_hex(8)
        partial: list[Path] = []
        try:
            for start in range(0, rows.num_rows, _ROWS_A_FILE):
                partial.append(self.folder / f"{token}-{start}.tmp")
                _write_table(partial[-1], rows.slice(start, _ROWS_A_FILE))
        except (OSError, pa.ArrowException) as error:
            for path in partial:
                path.unlink(missing_ok=True)
            self._room = 0
            raise JournalFullError(str(self.folder), str(error)) from error
        with self._lock:
            # Segments of one journal land in order: what was written before comes before.
            self.seal()
            try:
                self._require_open()
                if self._lines:
                    raise JournalFullError(str(self.folder), "it cannot start a new segment")
                for path in partial:
                    empty, fd = self._path, self._fd
                    self._start_segment(self._number + 1)
                    os.close(fd)
                    path.rename(empty.with_suffix(".arrow"))
                    empty.unlink()
                sync(self.folder)
            except OSError as error:
                raise JournalFullError(str(self.folder), error.strerror or str(error)) from error
            finally:
                for path in partial:
                    path.unlink(missing_ok=True)

    def seal(self) -> None:
        """Seal the open segment, if it has events, and start the next one.

        A disk too full to seal leaves the segment open; it is tried again later.
        """
        with self._lock:
            if not self._lines:
                return
            sealed, fd = self._path, self._fd
            lines, crc32 = self._lines, self._crc32
            try:
                self._start_segment(self._number + 1)
            except OSError as error:
                log.warning("cannot start a new segment in %s: %s", self.folder, error)
                return
            os.close(fd)
            try:
                seal_file(sealed, lines, crc32)
            except OSError as error:
                # It keeps its number and is tried again; landing does not pass it by.
                log.warning("cannot seal %s: %s", sealed, error)
                self._unsealed.append((sealed, lines, crc32))

    def close(self) -> None:
        """Seal what is open and give the folder free; closing twice does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._pid == os.getpid():
            self.worker.join()
            with self._lock:
                self.seal()
                self._seal_left_over()
        os.close(self._fd)
        os.close(self._owner)

    @property
    def fault(self) -> str:
        """Why events cannot be written now; empty when they can."""
        with self._lock:
            if self._room <= 0:
                self._measure_room()
            return self._why_full() if self._room <= 0 else ""

    def waiting(self) -> WaitingSegments:
        """Return what waits to land, of all journals of the data directory.

        Returns
        -------
        WaitingSegments
        """
        return waiting(self._root)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start_segment(self, number: int) -> None:
        path = segment_path(self.folder, number, ".open")
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._fd, self._path, self._number = fd, path, number
        self._size = 0
        self._lines = 0
        self._crc32 = 0
        self._unsynced = self._torn = False
        self._born = self._monotonic()

    def _cut_back(self) -> None:
        """Cut off what a failed write left behind, to the last line that is kept."""
        os.ftruncate(self._fd, self._size)
        self._torn = False

    def _keep(self) -> None:
        pause = min(self._fsync_interval, _LOOK_AGAIN) or _LOOK_AGAIN
        while not self._closing.wait(pause):
            try:
                self._sync()
                with self._lock:
                    if self._monotonic() - self._born >= self._segment_max_age:
                        self.seal()
                    self._seal_left_over()
                    self._measure_room()
            except (OSError, WatchkeeperError):
                log.exception("the journal in %s could not be maintained", self.folder)

    def _sync(self) -> None:
        with self._lock:
            if not self._unsynced:
                return
            self._unsynced = False
            fd = os.dup(self._fd)
        try:
            os.fdatasync(fd)  # outside the lock: no writer waits for the disk
        finally:
            os.close(fd)

    def _seal_left_over(self) -> None:
        while self._unsealed:
            path, lines, crc32 = self._unsealed[0]
            if path.exists():  # and was not sealed after all
                try:
                    seal_file(path, lines, crc32)
                except OSError:
                    return
            self._unsealed.pop(0)

    def _require_open(self) -> None:
        if self._closing.is_set():
            raise UnavailableError("the journal is closed", "Open a new one.")

    def _require_own_process(self) -> None:
        # Before the lock is taken: a thread that did not survive the fork may hold it for ever.
        if os.getpid() != self._pid:
            raise UnavailableError(
                f"the journal in {self.folder} belongs to process {self._pid}",
                "Open a journal after the fork, in the process that writes.",
            )

    def _require_room(self, size: int) -> None:
        if self._room < size:
            self._measure_room()
            if self._room < size:
                raise JournalFullError(str(self.folder), self._why_full())
        self._room -= size

    def _measure_room(self) -> None:
        self._waiting = waiting(self._root).size
        self._free = shutil.disk_usage(self._root).free
        self._room = min(self._max_bytes - self._waiting, self._free - self._min_free_bytes)

    def _why_full(self) -> str:
        if self._max_bytes - self._waiting <= self._room:
            return f"{self._waiting} bytes wait to be committed, of at most {self._max_bytes}"
        return f"the disk has {self._free} bytes left, and {self._min_free_bytes} stay free"


def _own_folder(root: Path) -> tuple[Path, int]:
    """Lock the first journal without a writer, or a new one; return it and the lock's file."""
    root.mkdir(parents=True, exist_ok=True)
    abandoned = sorted(path.parent for path in root.glob("*/lock"))
    for folder in [*abandoned, root / secrets.token_hex(8)]:
        folder.mkdir(exist_ok=True)
        owner = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(owner)
        else:
            return folder, owner
    raise UnavailableError(f"another process took the journal folder {folder}", "Try again.")


def _write_table(path: Path, rows: pa.Table) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with path.open("wb") as file:
        with pa.ipc.new_file(file, rows.schema, options=options) as writer:
            writer.write_table(rows, max_chunksize=16_384)
        file.flush()
        os.fdatasync(file.fileno())
