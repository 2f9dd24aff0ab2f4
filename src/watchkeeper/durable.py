"""What it takes for a file to outlive the machine: its bytes are synced, and so is its name."""

import os
from pathlib import Path

__all__ = ["sync", "write_whole"]


def sync(path: Path) -> None:
    """Make durable the bytes of a file, or the names in a folder: those that came and that went.

    Parameters
    ----------
    path : Path
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all.

    Parameters
    ----------
    path : Path
    data : bytes
    """
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_bytes(data)
    sync(unfinished)
    unfinished.replace(path)
    sync(path.parent)
