"""Public names of a package that are imported when they are first used.

>>> from watchkeeper.lazy import on_first_use
>>> on_first_use("watchkeeper", {"system_clock": ".clock"})("system_clock").__module__
'watchkeeper.clock'
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["on_first_use"]


def on_first_use(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a package whose modules are imported when they are needed.

    Parameters
    ----------
    package : str
        Name of the package.
    modules : mapping of str to str
        By public name, the module that defines it; a leading dot stands for the package.

    Returns
    -------
    callable
        Takes a name and returns its value; raises AttributeError for any other name.
    """

    def get(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(modules[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return get
