"""The faces of the package are clean in pyright, and so is a program that uses their names."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
FACES = sorted(
    ".".join(path.parent.relative_to(SOURCE).parts)
    for path in (SOURCE / "watchkeeper").rglob("__init__.py")
    if "migrations" not in path.parts
)


def errors_in(*paths: Path, folder: Path) -> list[str]:
    settings = folder / "pyrightconfig.json"
    settings.write_text(
        json.dumps(
            {
                "include": [str(path) for path in paths],
                "extraPaths": [str(SOURCE)],
                "typeCheckingMode": "standard",
                "pythonVersion": "3.11",
            }
        )
    )
    checker = str(Path(sys.executable).with_name("basedpyright"))
    command = [checker, "--outputjson", "--project", str(settings)]
    command += ["--pythonpath", sys.executable]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    report = json.loads(ended.stdout)
    assert report["summary"]["filesAnalyzed"] >= len(paths)
    return [f"{entry['file']}: {entry['message']}" for entry in report["generalDiagnostics"]]


def test_given_the_faces_when_pyright_reads_them_and_their_use_then_it_finds_nothing(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program.py"
    lines: list[str] = []
    for face in FACES:
        names = [name for name in getattr(import_module(face), "__all__", []) if name[0] != "_"]
        lines += [f"from {face} import {name} as _{len(lines)}_{name}" for name in names]
    program.write_text("\n".join(lines))
    faces = [SOURCE / Path(*face.split(".")) / "__init__.py" for face in FACES]

    assert errors_in(program, *faces, folder=tmp_path) == []


def test_given_a_name_that_is_not_there_when_pyright_reads_it_then_it_is_found(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program.py"
    program.write_text("from watchkeeper import NoSuchName\nx: int = ''\n")

    (unknown, wrong) = errors_in(program, folder=tmp_path)

    assert "NoSuchName" in unknown
    assert "not assignable" in wrong
