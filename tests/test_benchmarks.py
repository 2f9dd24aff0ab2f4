import ast
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path for path in BENCHMARKS.glob("*.py") if path.name != "figures.py")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "type[Run]":
    """Runs of a benchmark that is called without arguments."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(Run, "folder", tmp_path, raising=False)
    return Run


class Run:
    """One run that measures one figure."""

    folder: Path

    def __init__(self, value: float, *, keep: bool = True) -> None:
        from figures import Figures

        with Figures("benchmarks/one.py", results=self.folder, keep=keep) as figures:
            figures.add("a call", value, "µs")

    @classmethod
    def kept(cls) -> float:
        result = json.loads((cls.folder / "one.json").read_text())
        value: float = result["figures"]["a call"]["value"]
        return value


def test_given_a_kept_figure_when_measured_again_then_both_are_printed_and_the_new_one_is_kept(
    run: type[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run(2.0)
    first = capsys.readouterr().out
    run(3.0)

    assert "kept" not in first
    assert "1.50 times the kept 2" in capsys.readouterr().out
    assert run.kept() == 3.0


def test_given_other_arguments_when_measured_then_what_is_kept_stays(run: type[Run]) -> None:
    run(2.0)
    run(9.0, keep=False)

    assert run.kept() == 2.0


def test_given_a_benchmark_that_fails_when_it_ends_then_what_is_kept_stays(
    run: type[Run],
) -> None:
    from figures import Figures

    run(2.0)
    with (
        pytest.raises(ZeroDivisionError),
        Figures("one.py", results=run.folder, keep=True) as figures,
    ):
        figures.add("a call", 1 / 0, "µs")

    assert run.kept() == 2.0


@pytest.mark.parametrize("path", sorted((BENCHMARKS / "results").glob("*.json")), ids=str)
def test_given_a_kept_result_when_it_is_read_then_its_script_is_there(path: Path) -> None:
    assert json.loads(path.read_text())
    assert path.stem == "nightly" or (BENCHMARKS / f"{path.stem}.py").exists()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_given_a_benchmark_when_it_is_read_then_its_figures_have_its_name(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]

    assert "Figures(__file__)" in {ast.unparse(call) for call in calls}
    assert any(ast.unparse(call.func) == "figures.add" for call in calls)
