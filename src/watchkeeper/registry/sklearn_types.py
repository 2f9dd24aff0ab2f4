"""The estimators of scikit-learn that a skops file names, without an import of all the others.

skops trusts every public estimator of scikit-learn. To know them it imports all of scikit-learn,
pytest included, and that takes longer than all else that a server does until it is ready. Here its
list is made of those that a file names and that are on the whole list; `test_sklearn_types.py`
holds that both ways agree. Code of others in this process that uses skops still sees the whole
list, which is made when it is first read. So are its lists of the functions of NumPy and SciPy,
for each of which skops goes through all modules.
"""

import json
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, partial
from importlib import import_module
from importlib.machinery import ModuleSpec
from io import BytesIO
from typing import Any
from zipfile import ZipFile

__all__ = ["is_estimator", "skops_io", "trusting_estimators", "types_in"]

_SKLEARN = "sklearn."
_SCHEMA = "schema.json"
_LISTS = "skops.io._trusted_types"  # the module of skops that makes its lists
_LIST = "SKLEARN_ESTIMATOR_TYPE_NAMES"  # where modules of skops have their list
_UFUNC_LISTS = {"SCIPY_UFUNC_TYPE_NAMES": "scipy.special", "NUMPY_UFUNC_TYPE_NAMES": "numpy"}
# Modules that scikit-learn's own search for estimators passes over, as it does private ones.
_IGNORED = frozenset(
    ("tests", "externals", "setup", "conftest", "experimental", "estimator_checks")
)

_named: ContextVar[list[str] | None] = ContextVar("_named", default=None)
_importing = threading.Lock()


class _Names(list[str]):
    """A list of names that is made when it is first read."""

    def __init__(self, search: Callable[[], list[str]]) -> None:
        super().__init__()
        self._search = search

    def __add__(self, more: list[str]) -> list[str]:  # type: ignore[override]
        return [*self.names(), *more]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __len__(self) -> int:
        return len(self.names())

    def names(self) -> list[str]:
        return self._all

    @cached_property
    def _all(self) -> list[str]:
        return self._search()


class _EstimatorNames(_Names):
    """The list that skops reads: what the file at hand names, or all of scikit-learn."""

    def names(self) -> list[str]:
        named = _named.get()
        return super().names() if named is None else named


class _Searches:
    """The searches that skops begins when it is imported; each is done when its list is read."""

    def __init__(self, all_estimators: Callable[[], list[tuple[str, type]]]) -> None:
        self._all_estimators = all_estimators
        self._find: Callable[..., list[str]] = list
        self._calls: list[dict[str, Any]] = []

    def begin(self, *_: object) -> list[tuple[str, type]]:
        """Stand in for the search for estimators, the first of all, and put off the others."""
        lists = sys.modules[_LISTS]
        self._find, lists.get_public_type_names = lists.get_public_type_names, self._put_off  # type: ignore[attr-defined]
        return []

    def _put_off(self, **search: Any) -> list[str]:
        self._calls.append(search)
        return []

    def estimators(self) -> list[str]:
        names = (_name_of(estimator) for _, estimator in self._all_estimators())
        return [name for name in names if name.startswith(_SKLEARN)]

    def functions(self, module_name: str) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=DeprecationWarning)
            names = {
                name
                for search in self._calls
                if search["module"].__name__ == module_name
                for name in self._find(**search)
            }
        return sorted(names)


@contextmanager
def trusting_estimators(data: bytes) -> Iterator[Any]:
    """Yield ``skops.io``, which trusts of scikit-learn's estimators those that `data` names.

    Parameters
    ----------
    data : bytes
        A skops file, of which only the names of its types are read.

    Yields
    ------
    module
        For use within the block.
    """
    named = _named.set([name for name in types_in(data) if is_estimator(name)])
    try:
        yield skops_io()
    finally:
        _named.reset(named)


def types_in(data: bytes) -> list[str]:
    """Return the full names of all types in a skops file, sorted.

    Parameters
    ----------
    data : bytes
        Of the whole file.

    Returns
    -------
    list of str
    """
    with ZipFile(BytesIO(data)) as archive:
        waiting: list[Any] = [json.loads(archive.read(_SCHEMA))]
    names = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "__class__" in node and "__module__" in node:
                names.add(f"{node['__module__']}.{node['__class__']}")
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return sorted(names)


def is_estimator(name: str) -> bool:
    """Return whether scikit-learn's search for its estimators would find the class `name`.

    Only public modules of scikit-learn are imported, as that search imports them.

    Parameters
    ----------
    name : str
        Full name of a class, such as ``sklearn.linear_model._logistic.LogisticRegression``.

    Returns
    -------
    bool
    """
    module, _, attribute = name.rpartition(".")
    public = module.partition("._")[0]
    if not module.startswith(_SKLEARN) and module != "sklearn":
        return False
    if attribute.startswith("_") or not _IGNORED.isdisjoint(public.split(".")):
        return False
    base = _sklearn_module("sklearn.base").BaseEstimator
    try:
        found = getattr(import_module(public), attribute, None)
    except (ImportError, ValueError):  # there is no such module
        return False
    return (
        isinstance(found, type)
        and issubclass(found, base)
        and found is not base
        and not getattr(found, "__abstractmethods__", None)
        and _name_of(found) == name
    )


def _sklearn_module(name: str) -> Any:
    if "sklearn" in sys.modules:
        return import_module(name)
    with _without_pandas():
        return import_module(name)


def _name_of(found: type) -> str:
    return f"{found.__module__}.{found.__name__}"


def skops_io() -> Any:
    """Return the module ``skops.io``, imported without all of scikit-learn and without pandas.

    Returns
    -------
    module
    """
    with _importing:
        if "skops.io" not in sys.modules:
            _import_skops()
        return import_module("skops.io")


def _import_skops() -> None:
    utils = _sklearn_module("sklearn.utils")
    all_estimators = utils.all_estimators
    searches = _Searches(all_estimators)
    utils.all_estimators = searches.begin
    try:
        import_module("skops.io")
    finally:
        utils.all_estimators = all_estimators
    lists = {name: _Names(partial(searches.functions, of)) for name, of in _UFUNC_LISTS.items()}
    lists[_LIST] = _EstimatorNames(searches.estimators)
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("skops.io."):
            for name in lists.keys() & vars(module).keys():
                setattr(module, name, lists[name])


class _NoPandas:
    """Finds no pandas for the thread that made this, and lets all else be found as usual."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name == "pandas" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("pandas is imported by what needs it", name=name)
        return None


@contextmanager
def _without_pandas() -> Iterator[None]:
    """Let scikit-learn, which imports pandas wherever it is installed, wait until it is needed."""
    absent = _NoPandas()
    # New lists, since another thread may be going through the present one.
    sys.meta_path = [absent, *sys.meta_path]
    try:
        yield
    finally:
        sys.meta_path = [finder for finder in sys.meta_path if finder is not absent]
