"""No module imports one that imports it, through however many others."""

import graphlib

import grimp
import pytest


def _imports() -> dict[str, set[str]]:
    """Return what each module imports, at any depth of the code and for types alike.

    A package counts as its `__init__`: it may import its modules, and then none of them imports it.
    """
    graph = grimp.build_graph("watchkeeper", cache_dir=None)
    imports: dict[str, set[str]] = {}
    for module in graph.modules:
        imports[module] = graph.find_modules_directly_imported_by(module)
    return imports


def test_given_all_modules_when_their_imports_are_followed_then_none_leads_back() -> None:
    imports = _imports()

    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"these import each other: {' <- '.join(error.args[1])}")

    assert len(imports) > 200
