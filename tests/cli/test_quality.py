"""``watchkeeper quality`` of a file."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score

from watchkeeper.cli import main
from watchkeeper.registry import ModelRegistry


@pytest.fixture
def answers(tmp_path: Path) -> tuple[Path, pa.Table]:
    rng = np.random.default_rng(4)
    chance = rng.random(600)
    origin = np.where(np.arange(600) < 300, "EWR", "JFK")
    late = (rng.random(600) < chance).astype(int)
    table = pa.table({"said": (chance > 0.5).astype(int), "p": chance, "late": late,
                      "origin": origin})  # fmt: skip
    path = tmp_path / "answers.csv"
    pyarrow.csv.write_csv(table, path)
    return path, table


COLUMNS = ["--prediction", "said", "--actual", "late", "--score", "p"]


def test_given_a_file_when_measured_then_the_metrics_are_scikit_learns(
    tmp_path: Path, answers: tuple[Path, pa.Table], capsys: pytest.CaptureFixture[str]
) -> None:
    path, table = answers
    kept = ["--data-dir", str(tmp_path / "data"), "--json"]

    assert main(["quality", str(path), *COLUMNS, "--segments", "origin", *kept]) == 0

    shown = json.loads(capsys.readouterr().out)
    said, late = table["said"].to_numpy(), table["late"].to_numpy()
    assert shown["metrics"]["accuracy"] == pytest.approx(accuracy_score(late, said))
    assert shown["metrics"]["auc"] == pytest.approx(roc_auc_score(late, table["p"].to_numpy()))
    assert (shown["model"], shown["labelled"]) == ("answers.csv", 600)
    assert shown["drop"]["reason"] == "no_baseline"
    assert {each["value"] for each in shown["segments"]} == {"EWR", "JFK"}


def test_given_a_file_and_a_model_when_quality_fell_below_its_baseline_then_the_exit_code_is_1(
    tmp_path: Path, answers: tuple[Path, pa.Table], capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    with ModelRegistry(data / "registry") as registry:
        model_id = registry.register_model(len, "late", "1", {"accuracy": 0.95}, allow_unsafe=True)
        registry.promote_to_production(model_id)

    code = main(["quality", str(answers[0]), *COLUMNS, "--model", "late", "--data-dir", str(data)])

    assert code == 1
    assert "quality has dropped" in capsys.readouterr().out


def test_given_a_file_of_numbers_when_the_task_is_regression_then_errors_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    actual = rng.normal(size=200)
    table = pa.table({"prediction": actual + rng.normal(size=200), "actual": actual})
    path = tmp_path / "numbers.parquet"
    pyarrow.parquet.write_table(table, path)

    options = ["--task", "regression", "--data-dir", str(tmp_path / "data"), "--json"]
    assert main(["quality", str(path), *options]) == 0

    error = mean_absolute_error(actual, table["prediction"].to_numpy())
    assert json.loads(capsys.readouterr().out)["metrics"]["mae"] == pytest.approx(error)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([], "FILE"), (["none.csv"], "none.csv"),
     (["answers.csv", "--actual", "truth"], "there is no column 'prediction'"),
     (["answers.csv", "--prediction", "said", "--actual", "truth"], "there is no column 'truth'"),
     (["answers.csv", *COLUMNS, "--start", "2026-01-01"], "no FILE"),
     (["answers.csv", *COLUMNS, "--segments", "colour"], "colour")],
)  # fmt: skip
def test_given_a_wrong_call_when_measured_then_the_error_says_what(
    tmp_path: Path,
    answers: tuple[Path, pa.Table],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(answers[0].parent)

    assert main(["quality", *arguments, "--data-dir", str(tmp_path / "data")]) == 2

    assert told in capsys.readouterr().err
