import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from watchkeeper.cli import main

RNG = np.random.default_rng(1)
BEFORE = pa.table({"age": RNG.normal(40, 9, 500), "plan": ["a", "b"] * 250})
AFTER = pa.table({"age": RNG.normal(46, 9, 500), "plan": ["b", "a"] * 250})
WRITERS: dict[str, Callable[[pa.Table, str], object]] = {
    ".parquet": pa.parquet.write_table,
    ".csv": pa.csv.write_csv,
    ".feather": pa.feather.write_feather,
    ".ndjson": lambda table, path: Path(path).write_text(
        "\n".join(json.dumps(row) for row in table.to_pylist())
    ),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_given_two_files_when_compared_then_the_exit_code_is_the_verdict(
    data_dir: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, table in (("before", BEFORE), ("after", AFTER)):
        WRITERS[ending](table, f"{name}{ending}")

    assert main(["drift", f"before{ending}", f"after{ending}"]) == 1
    told = capsys.readouterr().out
    assert "drift in 1 of 2 features" in told
    assert main(["drift", f"before{ending}", f"before{ending}", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["drift_detected"] is False
    assert set(report["features"]) == {"age", "plan"}
    assert main(["drift", f"before{ending}", f"after{ending}", "--features", "plan"]) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "two files, or --model NAME"),
        (["before.csv"], "two files, or --model NAME"),
        (["before.csv", "none.csv"], "there is no file 'none.csv'"),
        (["before.csv", "before.xlsx"], "a name that ends in"),
        (["before.csv", "bad.parquet"], "a parquet file"),
        (["before.csv", "before.csv", "--alpha", "2"], "strictly between 0 and 1"),
        (["before.csv", "before.csv", "--features", "wage"], "among age, plan"),
        (["few.csv", "few.csv", "--multivariate"], "reference is '9 rows'; expected at least 50"),
        (["--model", "none", "--multivariate"], "two files, in memory"),
        (["--model", "none"], "none"),
        (["--model", "none", "--start", "soon"], "--start"),
    ],
)
def test_given_bad_arguments_when_compared_then_two_lines_say_what_to_do(
    data_dir: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pa.csv.write_csv(BEFORE, "before.csv")
    pa.csv.write_csv(BEFORE[:9], "few.csv")
    Path("bad.parquet").write_text("nothing")

    assert main(["drift", *arguments, "--data-dir", str(data_dir)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) <= 2


def test_given_recorded_inputs_when_compared_with_others_then_windows_are_half_open(
    data_dir: Path, record: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    record(48)
    command = ["drift", "--model", "flights", "--data-dir", str(data_dir), "--json"]
    windows = ["--reference-end", "2013-01-31T12:00:00Z", "--start", "2013-01-31T12:00:00Z"]

    assert main([*command, *windows]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["report"]["reference_size"] == found["report"]["current_size"] == 24
    assert found["report"]["features"]["distance"]["effect_size"] == 1.0
    assert found["report"]["features"]["carrier"]["drift_detected"] is False


def test_given_recorded_outcomes_when_quality_is_asked_then_it_is_shown_with_its_reason(
    data_dir: Path, record: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    record(20)

    assert main(["quality", "--model", "flights", "--data-dir", str(data_dir)]) == 0
    told = capsys.readouterr().out
    assert "20 predictions, 10 labelled (50.0%)" in told
    assert "too few labelled predictions" in told
    assert "Of the 10 without an outcome the scores promise an accuracy of" in told
    assert main(["quality", "--model", "none", "--data-dir", str(data_dir)]) == 2


def test_given_a_method_and_a_threshold_when_compared_then_they_are_used(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, table in (("before", BEFORE), ("after", AFTER)):
        pa.parquet.write_table(table, f"{name}.parquet")
    compare = ["drift", "before.parquet", "after.parquet", "--json"]

    assert main([*compare, "--method", "PSI"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert {each["method"] for each in report["features"].values()} == {"PSI"}
    assert main([*compare, "--alpha", "1e-30"]) == 0
    assert json.loads(capsys.readouterr().out)["threshold"] == 1e-30


def test_given_a_regression_when_quality_is_asked_then_the_error_of_the_open_ones_is_promised(
    data_dir: Path, record: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    record(440)
    Path("watchkeeper.toml").write_text('[models.flights]\ntask = "regression"\n')

    main(["quality", "--model", "flights", "--data-dir", str(data_dir), "--segments", "distance"])

    told = " ".join(capsys.readouterr().out.split())
    assert "Of the 220 without an outcome the inputs promise a mean absolute error of 0.000" in told
    assert "segment predictions mae others" in told
    assert "of the mae of the later half with outcomes: 0.000; it was 0.000, within" in told


def test_given_a_correlation_that_turned_when_tested_together_then_a_line_and_the_json_tell_it(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same, x, y, other = np.random.default_rng(3).normal(size=(4, 800))
    pa.parquet.write_table(pa.table({"x": same, "y": same + other}), "before.parquet")
    pa.parquet.write_table(pa.table({"x": x, "y": np.sqrt(2) * y}), "after.parquet")
    compare = ["drift", "before.parquet", "after.parquet"]

    assert main(compare) == 0
    assert "together" not in capsys.readouterr().out
    assert main([*compare, "--multivariate"]) == 1
    assert "all columns together: drift, AUC 0." in capsys.readouterr().out
    assert main([*compare, "--multivariate", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["drift_detected"] is False
    assert report["multivariate"]["drift_detected"] is True
    assert set(report["multivariate"]["ranking"]) == {"x", "y"}
