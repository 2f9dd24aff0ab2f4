"""What it takes for a file to outlive the machine: its bytes are synced, and so is its name."""

import os
from pathlib import Path

__all__ = ["sync_folder"]


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: files that were created, renamed or removed there."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
