"""Are the docstrings of public functions complete? What numpydoc calls PR01, PR02, RT01 and YD01.

    python -m tests.docstrings [PACKAGE_OR_MODULE ...]

Each parameter is documented and no other; so is what a function returns or yields; and each error
of ours is named that a function raises itself or by a private function beside it. The docstring of
a class is that of its constructor. A property is a value and has no sections, the docstring of a
command is its help, and a method without a docstring has that of the method it implements.
"""

import ast
import gc
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

SOURCE = Path(__file__).parents[1] / "src" / "watchkeeper"

Function = ast.FunctionDef | ast.AsyncFunctionDef

_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
_VALUES = {"property", "cached_property", "setter"}
_LEFT_OUT = {"command", "overload"}
_CONSTRUCTORS = ("__init__", "__post_init__")
_OF_THE_CLASS = {"self", "cls"}
_NOTHING = {"None", "NoReturn", "Never", "Iterator[None]", "AsyncIterator[None]"}
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def faults(
    tree: ast.Module, errors: Collection[str], documented: Collection[str]
) -> Iterator[tuple[int, str]]:
    """Yield what the docstrings of a module lack.

    Parameters
    ----------
    tree : ast.Module
    errors : collection of str
        Names of our errors.
    documented : collection of str
        Names of the methods that some class documents.

    Yields
    ------
    line : int
    fault : str
    """
    functions = _functions(tree)
    for name, function, is_method in _public_functions(tree):
        docstring = ast.get_docstring(function)
        if docstring is not None:
            for fault in _faults_of(function, docstring, is_method=is_method):
                yield function.lineno, f"{name} {fault}"
            for error in _unnamed(name, docstring, functions, errors):
                yield function.lineno, f"{name} raises {error} and does not name it"
        elif not (_decorators(function) & _VALUES or (is_method and function.name in documented)):
            yield function.lineno, f"{name} has no docstring"
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for fault in _faults_of_class(node, functions, errors):
                yield node.lineno, f"{node.name} {fault}"


def check(names: Collection[str] = ()) -> list[str]:
    """Return what the docstrings of the package lack, a line each.

    Parameters
    ----------
    names : collection of str
        Packages and modules to look at, by default all.

    Returns
    -------
    list of str
    """
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
        if "migrations" not in path.parts
    }
    errors = _errors(trees.values())
    documented = {
        function.name
        for tree in trees.values()
        for _, function, is_method in _public_functions(tree)
        if is_method and ast.get_docstring(function)
    }
    lines = []
    for path, tree in trees.items():
        part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if not names or part in names:
            where = path.relative_to(SOURCE.parents[1])
            lines += [
                f"{where}:{line}: {fault}" for line, fault in faults(tree, errors, documented)
            ]
    return lines


def _faults_of(function: Function, docstring: str, *, is_method: bool) -> Iterator[str]:
    if not _decorators(function) & _VALUES:
        sections = _sections(docstring)
        expected = _parameters(function, is_method=is_method)
        documented = _entries(sections.get("Parameters", ""))
        for parameter in expected:
            if parameter not in documented:
                yield f"does not document its parameter {parameter}"
        for parameter in documented:
            if parameter not in expected:
                yield f"documents {parameter}, which is no parameter"
        if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _body(function)):
            if "Yields" not in sections and _returns(function):
                yield "has no section Yields"
        elif _returns(function) and "Returns" not in sections:
            yield "has no section Returns"


def _faults_of_class(
    node: ast.ClassDef, functions: Mapping[str, Function], errors: Collection[str]
) -> Iterator[str]:
    """Yield what the docstring of a class lacks of its constructor."""
    docstring = ast.get_docstring(node) or ""
    init = functions.get(f"{node.name}.__init__")
    if init is not None and node.name not in errors:  # those carry facts, as attributes
        sections = _sections(docstring)
        documented = _entries(sections.get("Parameters", "") + sections.get("Attributes", ""))
        for parameter in _parameters(init, is_method=True):
            if parameter not in documented:
                yield f"does not document its parameter {parameter}"
    for constructor in _CONSTRUCTORS:
        for error in _unnamed(f"{node.name}.{constructor}", docstring, functions, errors):
            yield f"raises {error} and does not name it"


def _unnamed(
    name: str, docstring: str, functions: Mapping[str, Function], errors: Collection[str]
) -> list[str]:
    """Return the errors of ours that a function raises and a docstring does not name, sorted."""
    named = _entries(_sections(docstring).get("Raises", ""))
    return sorted((_raised(name, functions) & set(errors)) - set(named))


def _functions(tree: ast.Module) -> dict[str, Function]:
    """Return the functions and methods of a module by their names."""
    functions: dict[str, Function] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            functions |= {f"{node.name}.{m.name}": m for m in node.body if isinstance(m, Function)}
        elif isinstance(node, Function):
            functions[node.name] = node
    return functions


def _public_functions(tree: ast.Module) -> Iterator[tuple[str, Function, bool]]:
    """Yield the functions and methods for others to call: name, node, whether it is a method."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for member in node.body:
                if _is_public(member):
                    yield f"{node.name}.{member.name}", member, True
        elif _is_public(node):
            yield node.name, node, False


def _is_public(node: ast.stmt) -> TypeGuard[Function]:
    return (
        isinstance(node, Function)
        and not node.name.startswith("_")
        and not _decorators(node) & _LEFT_OUT
    )


def _decorators(function: Function) -> set[str]:
    names = set()
    for decorator in function.decorator_list:
        node = decorator.func if isinstance(decorator, ast.Call) else decorator
        names.add(ast.unparse(node).rpartition(".")[2])
    return names


def _parameters(function: Function, *, is_method: bool) -> list[str]:
    spec = function.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
    if is_method and "staticmethod" not in _decorators(function):
        names = names[1:]
    names += [f"*{spec.vararg.arg}"] if spec.vararg else []
    names += [argument.arg for argument in spec.kwonlyargs]
    names += [f"**{spec.kwarg.arg}"] if spec.kwarg else []
    return [name for name in names if not name.startswith("_")]


def _returns(function: Function) -> bool:
    """Return whether a function returns or yields something."""
    return function.returns is not None and ast.unparse(function.returns) not in _NOTHING


def _raised(name: str, functions: Mapping[str, Function]) -> set[str]:
    """Return the names of what a function raises, itself or by private functions beside it."""
    owner = name.rpartition(".")[0]
    raised: set[str] = set()
    pending, followed = [name], {name}
    while pending:
        function = functions.get(pending.pop())
        body = [] if function is None else list(_body(function))
        caught, guarded = _within(body, _catches_all), _within(body, lambda _: True)
        for node in body:
            if isinstance(node, ast.Raise) and node.exc is not None and node not in caught:
                error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                raised.add(ast.unparse(error).rpartition(".")[2])
            elif isinstance(node, ast.Call) and node not in guarded:
                helper = _private(node.func, owner)
                if helper not in followed:
                    followed.add(helper)
                    pending.append(helper)
    return raised


def _within(
    body: Collection[ast.AST], catches: Callable[[ast.ExceptHandler], bool]
) -> set[ast.AST]:
    """Return the nodes of a body whose errors such a handler catches."""
    return {
        inner
        for node in body
        if isinstance(node, ast.Try) and any(map(catches, node.handlers))
        for statement in node.body
        for inner in ast.walk(statement)
    }


def _private(called: ast.expr, owner: str) -> str:
    """Return the name of the private function or method that is called; empty for any other."""
    if isinstance(called, ast.Name) and called.id.startswith("_"):
        return called.id
    if isinstance(called, ast.Attribute) and called.attr.startswith("_"):
        return f"{owner}.{called.attr}" if ast.unparse(called.value) in _OF_THE_CLASS else ""
    return ""


def _catches_all(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or ast.unparse(handler.type) == "Exception"


def _body(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of functions within it."""
    nodes: list[ast.AST] = list(function.body)
    while nodes:
        node = nodes.pop()
        if not isinstance(node, _SCOPES):
            yield node
            nodes += ast.iter_child_nodes(node)


def _sections(docstring: str) -> dict[str, str]:
    """Return the texts of the sections by their headings."""
    _, *parts = _HEADING.split(docstring)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _entries(section: str) -> list[str]:
    """Return the names before the colons, or alone on their lines, of what a section lists."""
    lines = [line for line in section.splitlines() if line and not line[0].isspace()]
    return [name for line in lines for name in line.partition(" :")[0].split(", ")]


def _errors(trees: Collection[ast.Module]) -> set[str]:
    """Return the names of the errors of ours: `WatchkeeperError` and what is derived from it."""
    bases = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    errors = {"WatchkeeperError"}
    while derived := {name for name, of in bases.items() if of & errors} - errors:
        errors |= derived
    return errors


if __name__ == "__main__":
    gc.disable()  # the trees are needed until the end, and looking through them takes half the time
    report = check(sys.argv[1:])
    print("\n".join(report) or "The docstrings are complete.")
    sys.exit(bool(report))
