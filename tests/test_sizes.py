"""A file can be read once, and a function seen at a glance; docstrings are left out of both."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "watchkeeper"
_MOST_IN_A_FILE, _MOST_IN_A_FUNCTION = 500, 60
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _modules() -> Iterator[tuple[Path, str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield path, text, ast.parse(text)


def _docstring_lines(node: ast.AST) -> int:
    """Return the lines of the docstring of a module, a class or a function."""
    if not isinstance(node, _DOCUMENTED) or ast.get_docstring(node) is None:
        return 0
    return _lines(node.body[0])


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_given_all_files_when_counted_then_none_has_more_than_500_lines_beside_docstrings() -> None:
    lines = {
        str(path.relative_to(SOURCE)): len(text.splitlines())
        - sum(_docstring_lines(node) for node in ast.walk(tree))
        for path, text, tree in _modules()
    }

    assert len(lines) > 250
    assert {name: count for name, count in lines.items() if count > _MOST_IN_A_FILE} == {}


def test_given_all_functions_when_counted_then_none_has_more_than_60_lines_of_code() -> None:
    lines = {
        f"{path.relative_to(SOURCE)}:{node.lineno} {node.name}": _lines(node)
        - _docstring_lines(node)
        for path, _, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert len(lines) > 2_000
    assert {name: count for name, count in lines.items() if count > _MOST_IN_A_FUNCTION} == {}
