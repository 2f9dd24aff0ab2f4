"""The memory limit of a process that trains with a user's code.

Its parent looks at what it holds. The kernel holds it too, with some room: who started it
may be dead, or look too late.
"""

import os
from pathlib import Path

__all__ = ["LOOK", "limit_memory", "memory_of"]

LOOK = 0.1  # seconds between two looks at a process

_ADDRESSES = 4 << 30  # bytes that threads and files take of the addresses and not of the memory


def limit_memory(most: int) -> None:
    """Let this process have `most` bytes more, where the kernel can tell; beyond, `MemoryError`.

    Parameters
    ----------
    most : int
        Bytes.
    """
    import resource

    status = Path("/proc/self/statm")
    if status.exists():
        now = int(status.read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (now + most + _ADDRESSES, hard))


def memory_of(session: int) -> int:
    """Return the bytes that the processes of a session hold; 0 where that cannot be told.

    Parameters
    ----------
    session : int
        Id of the session, which is that of the process that began it.

    Returns
    -------
    int
        Bytes of resident memory.
    """
    page, held = os.sysconf("SC_PAGE_SIZE"), 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[3]) == session:
            held += int(fields[21]) * page
    return held
