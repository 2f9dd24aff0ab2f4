"""The base installation by itself: what it can do, and what it says of the rest."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .test_packaging import MODULES, PROJECT, names

_REFUSE = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refused())
"""


def base_alone(code: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run Python where no package can be imported that an extra brings."""
    project = PROJECT["project"]
    base = names(project["dependencies"]) | {"markdown-it-py"}
    extra = set().union(*(names(each) for each in project["optional-dependencies"].values()))
    refused = sorted(MODULES.get(name, name) for name in extra - base)
    return subprocess.run(
        [sys.executable, "-c", _REFUSE.format(refused=refused) + code],
        cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def command(*arguments: str) -> str:
    return f"from watchkeeper.cli import main; sys.exit(main({list(arguments)!r}))"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a reference, data that have moved, and predictions with outcomes."""
    values = [float(n % 97) for n in range(2_000)]
    pq.write_table(pa.table({"x": values}), tmp_path / "reference.parquet")
    pq.write_table(pa.table({"x": [value + 40 for value in values]}), tmp_path / "moved.parquet")
    answers = pa.table({"prediction": ["a", "b"] * 200, "actual": ["a", "b"] * 200})
    pq.write_table(answers, tmp_path / "answers.parquet")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("drift", "reference.parquet", "moved.parquet"), 1, "x"),
        (("drift", "reference.parquet", "reference.parquet"), 0, "x"),
        (("quality", "answers.parquet", "--positive", "a"), 0, "400 labelled"),
        (("experiments", "plan", "--baseline", "0.1", "--effect", "0.2"), 0, "units in all"),
        (("--help",), 0, "rollouts"),
    ],
    ids=["drift", "no drift", "quality", "plan", "help"],
)
def test_given_the_base_alone_when_a_command_reads_files_then_it_works(
    files: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    ended = base_alone(command(*arguments), files)

    assert (ended.returncode, ended.stderr) == (code, "")
    assert says in ended.stdout


def test_given_the_base_alone_when_the_library_measures_then_it_works(tmp_path: Path) -> None:
    code = """
import watchkeeper as wk
report = wk.DataDriftDetector({"x": list(range(500))}).detect({"x": list(range(400, 900))})
assert report.drift_detected
monitor = wk.ModelPerformanceMonitor(min_samples=4)
monitor.add_batch([1, 0, 1, 0], [1, 0, 0, 0])
assert monitor.get_current_metrics()["accuracy"] == 0.75
assert wk.ABTestAnalyzer and wk.CanaryDeployment and wk.ModelMonitor and wk.setup_logger
"""
    ended = base_alone(code, tmp_path)

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    "name",
    ["serve", "models list", "rollouts list", "doctor", "backup list", "retrain list"],
)
def test_given_the_base_alone_when_a_command_needs_a_server_then_it_names_the_extra(
    tmp_path: Path, name: str
) -> None:
    ended = base_alone(command(*name.split()), tmp_path)

    assert ended.returncode == 2
    assert "needs the extra 'server', which is not installed" in ended.stderr
    assert ended.stderr.endswith("pip install 'watchkeeper[server]'\n")


def test_given_the_base_alone_when_a_name_needs_an_extra_then_the_error_names_it(
    tmp_path: Path,
) -> None:
    ended = base_alone("import watchkeeper; watchkeeper.ModelRegistry", tmp_path)

    assert ended.returncode == 1
    assert "watchkeeper.ModelRegistry needs the extra 'server'" in ended.stderr
