"""What it takes for a file to outlive the machine: its bytes are synced, and so is its name."""

import os
from pathlib import Path

__all__ = ["sync"]


def sync(path: Path) -> None:
    """Make durable the bytes of a file, or the names in a folder: those that came and that went."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
