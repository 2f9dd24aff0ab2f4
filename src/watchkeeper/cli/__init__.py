"""The command line: it parses, calls the parts below, and prints.

Each module here is one command or one group of commands, and is loaded when it is called.

>>> from watchkeeper.cli import main
>>> main(["--version"])
watchkeeper 0...
0
"""

from collections.abc import Sequence

from watchkeeper.cli.command import run
from watchkeeper.cli.root import watchkeeper

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        0 good, 1 bad, 2 it could not be done.
    """
    return run(watchkeeper, arguments)
