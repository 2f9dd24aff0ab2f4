"""Mutants of the code that decides: does a test fail when an operator or a number changes?

    python -m tests.mutation [--mutants 100] [--seed 0]

Each mutant is one change in one module of `PACKAGES`. The tests that name what the module exports
run against a copy of the package that has this change, in a process of their own.
"""

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "watchkeeper"
PACKAGES = ("stats", "rollouts")

_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module, and whether a test failed because of it."""

    module: str
    line: int
    change: str
    killed: bool


def mutations(tree: ast.Module) -> list[tuple[int, str, Callable[[], None]]]:
    """Return what can be changed in a module: the line, what the change is, and how it is made."""
    return [
        (line, f"{before} -> {after}", change)
        for node in _code(tree)
        for line, before, after, change in _changes(node)
    ]


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what computes: neither annotations nor the texts of errors."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "exc"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _code(child)


def _changes(node: ast.AST) -> Iterator[tuple[int, str, str, Callable[[], None]]]:
    match node:
        case ast.Compare(lineno=line, ops=[operator, *_]) if type(operator) in _OPERATORS:
            other = _OPERATORS[type(operator)]()

            def compare(node: ast.Compare = node, other: ast.AST = other) -> None:
                node.ops[0] = other  # type: ignore[call-overload]

            yield line, type(operator).__name__, type(other).__name__, compare
        case ast.BinOp(lineno=line, op=operator) | ast.BoolOp(lineno=line, op=operator) if (
            type(operator) in _OPERATORS
        ):
            other = _OPERATORS[type(operator)]()

            def combine(node: ast.AST = node, other: ast.AST = other) -> None:
                node.op = other  # type: ignore[attr-defined]

            yield line, type(operator).__name__, type(other).__name__, combine
        case ast.Constant(lineno=line, value=bool() | int() | float() as value):
            moved = (not value) if isinstance(value, bool) else value + 1

            def move(node: ast.Constant = node, moved: float = moved) -> None:
                node.value = moved

            yield line, repr(value), repr(moved), move


def files_naming(module: Path, package: str) -> list[str]:
    """Return the test files that name what a module exports; those of its package if none does."""
    tree = ast.parse(module.read_text())
    exported = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    files = sorted((ROOT / "tests" / package).glob("test_*.py"))
    naming = [file for file in files if any(name in file.read_text() for name in exported)]
    return [str(file.relative_to(ROOT)) for file in naming or files]


def _is_killed(copy: Path, tests: list[str]) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [*command, "-m", "not nightly", *tests],
        cwd=ROOT, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    return ended.returncode != 0


def run(count: int, seed: int) -> list[Mutant]:
    """Return `count` mutants, chosen by `seed`, each with what the tests said."""
    choices = [
        (package, path, number)
        for package in PACKAGES
        for path in sorted((SOURCE / package).glob("*.py"))
        for number in range(len(mutations(ast.parse(path.read_text()))))
    ]
    mutants = []
    with tempfile.TemporaryDirectory(prefix="watchkeeper-") as folder:
        copy = Path(folder)
        shutil.copytree(SOURCE, copy / "watchkeeper", ignore=shutil.ignore_patterns("__pycache__"))
        for package, path, number in random.Random(seed).sample(choices, count):
            tree = ast.parse(path.read_text())
            line, change, apply = mutations(tree)[number]
            apply()
            place = copy / "watchkeeper" / package / path.name
            place.write_text(ast.unparse(tree))
            killed = _is_killed(copy, files_naming(path, package))
            place.write_text(path.read_text())
            mutants.append(Mutant(f"{package}/{path.name}", line, change, killed))
    return mutants


def main() -> int:
    """Print the mutants as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    mutants = run(options.mutants, options.seed)
    json.dump([asdict(mutant) for mutant in mutants], sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
