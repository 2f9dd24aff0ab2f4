"""Journal segments as files: which there are, what is in them, and whether they are whole.

``N.open`` is being written, ``N.jsonl`` is sealed (its last line says how many lines there are and
their CRC-32), ``N.arrow`` is a bulk ingest, written whole. Numbers of one journal only grow.
"""

import os
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import cast

import msgspec
import pyarrow as pa

from watchkeeper.durable import sync
from watchkeeper.events import Event, EventKind
from watchkeeper.interpreter import rest
from watchkeeper.store.lines import decode
from watchkeeper.store.locks import locked

__all__ = [
    "JournalSegment",
    "SegmentContents",
    "WaitingSegments",
    "adopt_abandoned",
    "keep_damaged",
    "list_segments",
    "read_lines",
    "read_segment",
    "recover",
    "seal_file",
    "segment_path",
    "segment_status",
    "waiting",
]

DAMAGED = "damaged"
_SUFFIXES = (".open", ".jsonl", ".arrow")  # in the order in which a segment may come to have them
_AT_ONCE = 1_000  # lines that are read without a rest
_SEAL = b'{"event":"seal"'


class _Seal(msgspec.Struct, tag="seal", tag_field="event"):
    lines: int
    crc32: int


_decode_seal = msgspec.json.Decoder(_Seal).decode


@dataclass(frozen=True, slots=True, order=True)
class JournalSegment:
    """One file of one journal."""

    journal_id: str
    number: int
    path: Path

    @property
    def sealed(self) -> bool:
        return self.path.suffix != ".open"


@dataclass(frozen=True, slots=True)
class SegmentContents:
    """What could be read of a segment.

    Attributes
    ----------
    events : list of Prediction and Outcome
    table : tuple of (kind, model, pyarrow.Table) or None
        What a bulk ingest wrote.
    damage : str
        What is wrong with the file, as a sentence without its full stop; empty when it is whole.
    """

    events: list[Event]
    table: tuple[EventKind, str, pa.Table] | None = None
    damage: str = ""


def segment_path(folder: Path, number: int, suffix: str) -> Path:
    """Return where segment `number` of the journal in `folder` lies.

    Parameters
    ----------
    folder : Path
    number : int
    suffix : str

    Returns
    -------
    Path
    """
    return folder / f"{number:020d}{suffix}"


def list_segments(root: Path) -> list[JournalSegment]:
    """Return the segments of all journals under `root`, by journal and number.

    Parameters
    ----------
    root : Path

    Returns
    -------
    list of JournalSegment
    """
    segments: dict[tuple[str, int], JournalSegment] = {}
    # Open ones first: one that is sealed meanwhile is then found under its new name as well, which
    # wins; the other way round it could be missed under both.
    for suffix in _SUFFIXES:
        for path in root.glob(f"*/*{suffix}"):
            if path.stem.isdigit():
                key = path.parent.name, int(path.stem)
                segments[key] = JournalSegment(*key, path)
    return sorted(segments.values())


def segment_status(segment: JournalSegment) -> os.stat_result | None:
    """Return the status of a segment's file; None once it has landed.

    One that was sealed after it was listed has another name in the same folder.

    Parameters
    ----------
    segment : JournalSegment

    Returns
    -------
    os.stat_result or None
    """
    for path in (segment.path, *map(segment.path.with_suffix, _SUFFIXES)):
        try:
            return path.stat()
        except FileNotFoundError:
            continue
    return None


@dataclass(frozen=True, slots=True)
class WaitingSegments:
    """What has not landed.

    Attributes
    ----------
    count, size : int
        All segments, and their bytes.
    sealed : int
        Segments that could land.
    oldest : float or None
        When the oldest of these was last written, in seconds since 1970.
    """

    count: int = 0
    size: int = 0
    sealed: int = 0
    oldest: float | None = None


def waiting(root: Path) -> WaitingSegments:
    """Return what waits under `root`; a segment that lands meanwhile does not count.

    Parameters
    ----------
    root : Path

    Returns
    -------
    WaitingSegments
    """
    count = size = sealed = 0
    oldest: float | None = None
    for segment in list_segments(root):
        status = segment_status(segment)
        if status is None:
            continue
        count += 1
        size += status.st_size
        if segment.sealed:
            sealed += 1
            oldest = status.st_mtime if oldest is None else min(oldest, status.st_mtime)
    return WaitingSegments(count, size, sealed, oldest)


def read_segment(segment: JournalSegment) -> SegmentContents:
    """Return what is in `segment`, as far as it can be read.

    An open segment of a live writer is read up to its last whole line.

    Parameters
    ----------
    segment : JournalSegment

    Returns
    -------
    SegmentContents

    Raises
    ------
    FileNotFoundError
        If it was sealed or has landed since it was listed; list again.
    """
    if segment.path.suffix == ".arrow":
        return _read_table(segment.path)
    data = segment.path.read_bytes()
    end = data.rfind(b"\n") + 1
    begin = data.rfind(b"\n", 0, max(0, end - 1)) + 1  # of the last whole line
    seal = data[begin:end] if data.startswith(_SEAL, begin) else None
    body = memoryview(data)[: end if seal is None else begin]
    events, bad = read_lines(body)
    faults = []
    count = len(events) + bad
    if bad:
        faults.append(f"{bad} of {count} lines cannot be read")
    if segment.sealed:
        faults += _against_seal(body, count, seal)
        if end != len(data):
            faults.append("its last line is cut short")
    name = f"{segment.journal_id}/{segment.path.name}"
    return SegmentContents(events, damage=f"{name}: {'; '.join(faults)}" if faults else "")


def read_lines(lines: bytes | memoryview) -> tuple[list[Event], int]:
    """Return the events of whole lines, and how many lines are none.

    Parameters
    ----------
    lines : bytes or memoryview

    Returns
    -------
    tuple of (list of Event, int)
    """
    events: list[Event] = []
    bad = 0
    for line in BytesIO(lines):  # one by one: to split all at once keeps the interpreter busy
        try:
            events.append(decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            bad += 1
        if (len(events) + bad) % _AT_ONCE == 0:
            rest()
    return events, bad


def _against_seal(body: memoryview, lines: int, seal: bytes | None) -> list[str]:
    if seal is None:
        return ["its seal is missing, so lines at its end may be, too"]
    try:
        expected = _decode_seal(seal)
    except msgspec.MsgspecError:
        return ["its seal cannot be read"]
    if expected.lines != lines:
        return [f"it has {lines} lines where its seal says {expected.lines}"]
    if zlib.crc32(body) != expected.crc32:
        return ["its bytes are not those that were sealed"]
    return []


def _read_table(path: Path) -> SegmentContents:
    name = f"{path.parent.name}/{path.name}"
    try:
        with pa.ipc.open_file(pa.memory_map(str(path))) as reader:
            table = reader.read_all()
        about = table.schema.metadata or {}
        kind = cast("EventKind", about[b"event"].decode())
        return SegmentContents([], (kind, about[b"model"].decode(), table))
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        return SegmentContents([], damage=f"{name}: the Arrow file is not complete ({error})")


def keep_damaged(segment: JournalSegment) -> Path:
    """Copy a damaged segment aside, once, and return where the copy lies.

    Parameters
    ----------
    segment : JournalSegment

    Returns
    -------
    Path
    """
    folder = segment.path.parents[1] / DAMAGED
    folder.mkdir(exist_ok=True)
    copy = folder / f"{segment.journal_id}-{segment.path.name}"
    if not copy.exists():
        partial = copy.with_name(copy.name + ".partial")
        partial.write_bytes(segment.path.read_bytes())
        partial.replace(copy)
    return copy


def seal_file(path: Path, lines: int, crc32: int) -> Path:
    """Append the seal to an open segment, sync it and give it its final name.

    Parameters
    ----------
    path : Path
    lines, crc32 : int

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If the disk does not take it; the file is then as it was.
    """
    trailer = b'{"event":"seal","lines":%d,"crc32":%d}\n' % (lines, crc32)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        size = os.fstat(fd).st_size
        try:
            written = 0
            while written < len(trailer):
                written += os.write(fd, trailer[written:])
            os.fdatasync(fd)
            sealed = path.rename(path.with_suffix(".jsonl"))
        except OSError:
            os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)
    sync(path.parent)
    return sealed


def adopt_abandoned(root: Path) -> list[str]:
    """Seal what dead writers left open; return sentences about what they left half-written.

    Parameters
    ----------
    root : Path

    Returns
    -------
    list of str
    """
    messages: list[str] = []
    for folder in sorted(path.parent for path in root.glob("*/lock")):
        with locked(folder / "lock") as ours:
            if ours:
                messages += recover(folder)[1]
    return messages


def recover(folder: Path) -> tuple[int, list[str]]:
    """Leave one empty open segment in the journal `folder`, and seal the others.

    The caller holds the journal's lock. A torn last line was never acknowledged: it is cut off and
    kept under ``damaged``.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    number : int
        Of the empty open segment. It exists before anything is sealed, so that numbers are never
        used twice, even after everything has landed.
    torn : list of str
        A sentence for each torn line.
    """
    for unfinished in folder.glob("*.tmp"):
        unfinished.unlink()
    numbers = [int(path.stem) for path in folder.iterdir() if path.stem.isdigit()]
    opened = sorted(folder.glob("*.open"))
    last = max(numbers, default=0)
    active = segment_path(folder, last, ".open")
    if not (active.exists() and active.stat().st_size == 0):
        last += 1
        active = segment_path(folder, last, ".open")
        active.touch(exist_ok=False)
        sync(folder)
    torn: list[str] = []
    for path in opened:
        if path == active:
            continue
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) != len(data):
            copy = keep_damaged(JournalSegment(folder.name, int(path.stem), path))
            torn.append(
                f"{folder.name}/{path.name}: its last line was being written when its writer died; "
                f"it was never acknowledged; a copy is {DAMAGED}/{copy.name}"
            )
            os.truncate(path, len(whole))
        lines = whole.splitlines(keepends=True)
        if not lines:
            path.unlink()
        elif lines[-1].startswith(_SEAL):
            path.rename(path.with_suffix(".jsonl"))
        else:
            seal_file(path, len(lines), zlib.crc32(whole))
    sync(folder)
    return last, torn
