"""Names say what a thing is: words that only point at something are rare, in code and in texts."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "watchkeeper"
DEMONSTRATIVE = frozenset(
    {
        "each", "found", "told", "own", "kept", "made", "said", "asked", "given", "around", "place",
        "known", "left", "looked", "what", "others",
    }
)  # fmt: skip
GONE_MODULES = frozenset(
    {
        "acting", "answers", "around", "brief", "deeds", "descent", "kept", "learner", "looked",
        "measuring_loop", "outlook", "promises", "rolling", "taught", "upkeep",
    }
)  # fmt: skip
_MOST = 0.01  # share of all bindings: coordinates named left, and fields of stored documents


def _bindings() -> Iterator[tuple[Path, str]]:
    """Yield each name that is bound, with the file that binds it."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield path, node.id
            elif isinstance(node, ast.arg):
                yield path, node.arg
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield path, node.name


def test_given_all_bindings_when_counted_then_names_that_only_point_are_rare() -> None:
    bindings = list(_bindings())

    pointing = [
        f"{path.name}: {name}" for path, name in bindings if name.strip("_") in DEMONSTRATIVE
    ]

    assert len(bindings) > 20_000
    assert len(pointing) < _MOST * len(bindings), sorted(pointing)


def test_given_all_classes_when_listed_then_a_name_stands_for_one_of_them() -> None:
    names = Counter(
        node.name
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )

    assert len(names) > 500
    assert [name for name, classes in names.items() if classes > 1] == []


def test_given_all_modules_when_listed_then_none_has_a_name_that_a_stranger_cannot_place() -> None:
    modules = {path.stem for path in SOURCE.rglob("*.py")}

    assert not modules & GONE_MODULES
