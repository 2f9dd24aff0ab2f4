"""What takes too long for every change, and its result as JSON that is kept.

    python -m tests.nightly [PART ...]

A part passes, fails, or is missing: what it needs is not on this machine, which is said and is not
a pass. The result of a part that did not run is left as it was.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watchkeeper import __version__

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "nightly.json"
UV = Path(sys.executable).with_name("uv")
BASE_MIB = 370  # of a base installation, without compiled modules; NumPy, SciPy and PyArrow are 340
KILLED = 0.7  # of the mutants; some are equivalent, such as one of a tolerance
MUTANTS = 100
ENOUGH_OUTPUT = 2_000  # characters of a command that failed


class MissingPartError(Exception):
    """What a part needs is not on this machine."""


def run(*command: str | Path, cwd: Path = ROOT, codes: Sequence[int] = (0,)) -> str:
    """Run a command and return what it prints; another exit code is an error with its end."""
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=cwd, capture_output=True, text=True, check=False,
        env={**os.environ, "HYPOTHESIS_PROFILE": "nightly"},
    )  # fmt: skip
    if ended.returncode not in codes:
        said = (ended.stdout + ended.stderr)[-ENOUGH_OUTPUT:]
        raise RuntimeError(f"{command[0]} ended with {ended.returncode}: {said}")
    return ended.stdout


def summary(output: str) -> str:
    """Return the last line of pytest."""
    return output.strip().splitlines()[-1].strip("= ")


def simulations() -> str:
    """Run the long simulations and the many kills."""
    return summary(run(sys.executable, "-m", "pytest", "-q", "-m", "nightly"))


def mutation() -> dict[str, Any]:
    """Run mutants of what decides; the seed is the day, so that nights differ."""
    seed = datetime.now(UTC).date().toordinal()
    arguments = ("--mutants", str(MUTANTS), "--seed", str(seed))
    mutants = json.loads(run(sys.executable, "-m", "tests.mutation", *arguments))
    survived = [mutant for mutant in mutants if not mutant["killed"]]
    share = 1 - len(survived) / len(mutants)
    if share < KILLED:
        raise RuntimeError(f"tests killed {share:.0%} of the mutants, expected {KILLED:.0%}")
    return {"seed": seed, "killed": share, "survived": survived}


def _in_environment(python: str, *how: str) -> str:
    """Run the suite in an environment of its own, as `uv pip install` makes it with `how`."""
    with tempfile.TemporaryDirectory(prefix="watchkeeper-") as folder:
        environment = Path(folder) / "venv"
        run(UV, "venv", "--quiet", "--python", python, "--no-python-downloads", environment)
        binary = environment / "bin" / "python"
        install = (UV, "pip", "install", "--quiet", "--python", binary)
        run(*install, *how, "--editable", ".", "--group", "dev")
        return summary(run(binary, "-m", "pytest", "-q", "--numprocesses", "auto"))


def oldest() -> str:
    """Run the suite with the oldest version of each direct dependency."""
    return _in_environment(sys.executable, "--resolution", "lowest-direct")


def interpreter(version: str) -> Path:
    """Return a Python of a version, on the path or where pyenv keeps it."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders += sorted(pyenv.glob(f"{version}.*/bin"))
    for folder in folders:
        binary = folder / f"python{version}"
        works = (binary, "-c", "import venv")  # a shim may stand for nothing
        if (
            binary.exists()
            and subprocess.run(works, capture_output=True, check=False).returncode == 0
        ):
            return binary
    raise MissingPartError(f"Python {version} is not on this machine")


def python(version: str) -> str:
    """Run the suite with another Python."""
    return _in_environment(str(interpreter(version)))


def base() -> dict[str, Any]:
    """Install the wheel alone, measure it, and let it work."""
    with tempfile.TemporaryDirectory(prefix="watchkeeper-") as folder:
        scratch = Path(folder)
        run(UV, "build", "--quiet", "--wheel", "--out-dir", scratch)
        (wheel,) = scratch.glob("*.whl")
        environment = scratch / "venv"
        run(UV, "venv", "--quiet", "--python", sys.executable, environment)
        binary = environment / "bin" / "python"
        run(UV, "pip", "install", "--quiet", "--link-mode", "copy", "--python", binary, wheel)
        size = int(run("du", "--summarize", "--block-size=1M", environment).split()[0])
        for name, start in (("reference.csv", 0), ("current.csv", 500)):
            (scratch / name).write_text("\n".join(["x", *map(str, range(start, start + 1_000))]))
        command = environment / "bin" / "watchkeeper"
        run(command, "drift", "reference.csv", "current.csv", cwd=scratch, codes=(1,))
        plan = ("experiments", "plan", "--baseline", "0.1", "--effect", "0.2")
        run(command, *plan, cwd=scratch)
        run(command, "models", "list", cwd=scratch, codes=(2,))
        installed = len(run(UV, "pip", "freeze", "--python", binary).splitlines())
    if size > BASE_MIB:
        raise RuntimeError(f"the base installation takes {size} MiB, expected at most {BASE_MIB}")
    return {"mebibytes": size, "packages": installed}


PARTS: dict[str, Callable[[], object]] = {
    "simulations": simulations,
    "mutation": mutation,
    "oldest-dependencies": oldest,
    "python-3.12": lambda: python("3.12"),
    "python-3.13": lambda: python("3.13"),
    "base-installation": base,
}


def outcome(part: Callable[[], object]) -> dict[str, Any]:
    """Return what became of a part."""
    began = time.monotonic()
    try:
        status, detail = "passed", part()
    except MissingPartError as error:
        status, detail = "missing", str(error)
    except RuntimeError as error:
        status, detail = "failed", str(error)
    return {
        "status": status,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "seconds": round(time.monotonic() - began),
        "detail": detail,
    }


def main(names: Sequence[str]) -> int:
    """Run the parts that are named, or all; the exit code is 1 if one failed."""
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    failed = False
    for name in names or PARTS:
        result = outcome(PARTS[name])
        sys.stdout.write(f"{name}: {result['status']}, {result['seconds']} s: {result['detail']}\n")
        sys.stdout.flush()
        results[name] = result
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
        failed |= result["status"] == "failed"
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
