"""Run the tests of what a change touches: of its packages, and of those that import its modules.

    python -m tests.touched BASE [ARGUMENTS OF PYTEST]

A package of ``src/watchkeeper`` and the folder of ``tests`` of the same name belong together. All
tests of a package that changed run; of the packages that import a changed module directly, those
that are not slow. What imports those in turn is left to ``make check`` and ``make test``.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "watchkeeper"
NOTHING = pytest.ExitCode.NO_TESTS_COLLECTED


def changed(base: str) -> list[str]:
    """Return the files that differ from where this branch left `base`, or are new."""
    commands = (
        ("git", "diff", "--name-only", "--merge-base", base),
        ("git", "ls-files", "--others", "--exclude-standard"),
    )
    return [
        line
        for command in commands
        for line in subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
    ]


def parts_of(files: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the parts of the package whose code or tests are among `files`, and the importers.

    A part is a package below ``watchkeeper``, or a module of its own such as ``events``.
    """
    graph = grimp.build_graph(PACKAGE)
    direct, importers = set(), set()
    for file in files:
        path = Path(file)
        if path.parts[0] == "tests" and len(path.parts) > 1:
            direct.add(path.parts[1].removeprefix("test_").removesuffix(".py"))
        elif path.parts[:2] == ("src", PACKAGE) and len(path.parts) > 2:
            direct.add(path.parts[2].removesuffix(".py"))
            module = ".".join(path.with_suffix("").parts[1:]).removesuffix(".__init__")
            if module in graph.modules and module != PACKAGE:
                importers |= importers_of(module, graph)
    return direct, importers - direct


def importers_of(module: str, graph: grimp.ImportGraph) -> set[str]:
    """Return the parts that import a module, itself or from the face of its package."""
    face = ".".join(module.split(".")[:2])
    sources = {module}
    if module in graph.find_modules_directly_imported_by(face):
        sources.add(face)
    return {
        importer.split(".")[1]
        for source in sources
        for importer in graph.find_modules_that_directly_import(source)
        if "." in importer
    }


def folders_of(parts: Iterable[str]) -> list[str]:
    """Return where the tests and the examples of some parts are."""
    places = [
        place
        for part in sorted(parts)
        for place in (
            ROOT / "src" / PACKAGE / part,
            ROOT / "src" / PACKAGE / f"{part}.py",
            ROOT / "tests" / part,
            ROOT / "tests" / f"test_{part}.py",
        )
    ]
    return [str(place.relative_to(ROOT)) for place in places if place.exists()]


def main(base: str, *arguments: str) -> int:
    """Run the tests and return the exit code."""
    direct, importers = parts_of(changed(base))
    for tests, marks in (
        (folders_of(direct), "not nightly"),
        (folders_of(importers), "not slow and not nightly"),
    ):
        if not tests:
            continue
        sys.stdout.write(f"{marks}: {' '.join(tests)}\n")
        sys.stdout.flush()
        command = [sys.executable, "-m", "pytest", "-m", marks, *arguments, *tests]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code not in {0, NOTHING}:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
