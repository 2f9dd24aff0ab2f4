"""A table in an engine gets the report that the same rows get in memory."""

import json
import shutil
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from watchkeeper.cli import main
from watchkeeper.drift import DataDriftDetector, DriftReport
from watchkeeper.profiles import Profile, engines
from watchkeeper.profiles.engines import QueriedSample, duckdb_table
from watchkeeper.profiles.numbers import NumberProfile

ROWS = 60_000  # more than are fetched


def rows(seed: int, count: int = ROWS) -> pa.Table:
    rng = np.random.default_rng(seed)
    amounts = rng.normal(seed / 50, 1, count)
    amounts[:6] = [np.nan, np.inf, -np.inf, -0.0, 0.0, 1e300][:count]
    seconds = rng.integers(0, 10**9, count)
    return pa.table(
        {
            "amount": pa.array(amounts),
            "rounded": pa.array(np.round(rng.normal(size=count), 1)),
            "holes": pa.array([None if i % 7 == 0 else float(i % 500) for i in range(count)]),
            "code": pa.array(rng.integers(0, 3 + seed, count)),
            "large": pa.array(rng.integers(2**60, 2**62, count)),
            "flag": pa.array(rng.random(count) < 0.4),
            "word": pa.array([("a", "b", "c", None)[at] for at in rng.integers(0, 4, count)]),
            "day": pa.array((seconds // 86_400).astype("int32"), pa.date32()),
            "time": pa.array(seconds * 10**6, pa.timestamp("us")),
            "price": pa.array([Decimal(i % 90) / 4 for i in range(count)], pa.decimal128(9, 2)),
            "nothing": pa.nulls(count, pa.float64()),
            "one": pa.array(np.full(count, 0.1)),
        }
    )


def same(report: DriftReport, expected: DriftReport) -> None:
    """Require the same report; an engine may add up in another order."""
    for name, feature in expected.features.items():
        own = report.features[name].to_dict()
        for field, value in feature.to_dict().items():
            if isinstance(value, float):
                assert own[field] == pytest.approx(value, rel=1e-9, abs=1e-300), (name, field)
            else:
                assert own[field] == value, (name, field)
    rest = ("drift_detected", "drift_share", "reference_size", "current_size", "schema_changes",
            "missing_values", "unseen_categories")  # fmt: skip
    for field in rest:
        assert report[field] == expected[field]


@pytest.fixture
def duckdb(tmp_path: Path) -> Any:
    def kept(table: pa.Table, name: str = "current") -> ibis.Table:
        pq.write_table(table, tmp_path / f"{name}.parquet")
        return duckdb_table(str(tmp_path / f"{name}.parquet"), scratch=str(tmp_path / "spilled"))

    return kept


@pytest.mark.parametrize("count", [0, 12, 3_000, ROWS])
def test_given_a_table_in_duckdb_when_compared_then_the_report_is_that_in_memory(
    duckdb: Any, count: int
) -> None:
    current = rows(1).slice(0, count)
    detector = DataDriftDetector(rows(0, 20_000))

    same(detector.detect(duckdb(current)), detector.detect(current))


def test_given_a_profile_when_a_table_in_duckdb_is_compared_then_the_report_is_that_in_memory(
    duckdb: Any,
) -> None:
    current = rows(1)
    detector = DataDriftDetector(Profile.of(rows(0)))

    same(detector.detect(duckdb(current)), detector.detect(current))


@pytest.mark.parametrize("method", ["PSI", "Anderson-Darling", "Total variation"])
def test_given_another_method_when_a_table_in_duckdb_is_compared_then_it_is_that_in_memory(
    duckdb: Any, method: Any
) -> None:
    current = rows(1).select(["amount", "code", "word"])
    detector = DataDriftDetector(rows(0, 20_000).select(current.column_names), methods=method)

    same(detector.detect(duckdb(current)), detector.detect(current))


def test_given_both_tables_in_duckdb_when_columns_differ_then_the_report_is_that_in_memory(
    duckdb: Any,
) -> None:
    reference, current = rows(0, 500), rows(1, 500).drop_columns(["word"])
    detector = DataDriftDetector(duckdb(reference, "reference"))

    report = detector.detect(duckdb(current))

    assert report.schema_changes.missing == ("word",)
    same(report, DataDriftDetector(reference).detect(current))


def test_given_a_table_in_duckdb_when_profiled_in_parts_then_the_profile_is_within_its_bound(
    duckdb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_BATCH", 20_000)
    whole, parts = Profile.of(rows(0)), Profile.of(duckdb(rows(0)))

    assert parts.rows == whole.rows == ROWS
    assert parts.columns["word"] == whole.columns["word"]
    points = np.linspace(-3, 3, 50)
    first, second = (each.columns["amount"] for each in (whole, parts))
    assert isinstance(first, NumberProfile)
    assert isinstance(second, NumberProfile)
    apart = np.abs(first.cdf(points) - second.cdf(points))
    assert apart.max() <= first.rank_error + second.rank_error


def test_given_a_table_in_duckdb_when_compared_then_its_numbers_are_not_fetched(
    duckdb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(_: QueriedSample) -> None:
        raise AssertionError("the column was fetched")

    monkeypatch.setattr(QueriedSample, "values", property(fetched))
    names = ["amount", "rounded", "holes", "code", "large", "flag", "word", "price", "one"]
    current = rows(1).select(names)

    report = DataDriftDetector(rows(0, 20_000).select(names)).detect(duckdb(current))

    assert [feature.error for feature in report.features.values()] == [None] * len(names)


def test_given_files_when_compared_by_duckdb_then_the_command_says_what_it_says_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["amount", "flag", "code"]
    pq.write_table(rows(0, 3_000).select(names), tmp_path / "reference.parquet")
    csv.write_csv(rows(1, 3_000).select(names), tmp_path / "current.csv")
    files = [str(tmp_path / "reference.parquet"), str(tmp_path / "current.csv")]
    codes, found = [], []
    for engine in ("memory", "duckdb"):
        codes.append(main(["drift", *files, "--json", "--engine", engine]))
        found.append(json.loads(capsys.readouterr().out)["features"])

    assert codes[0] == codes[1]
    for name, feature in found[0].items():
        assert found[1][name]["p_value"] == pytest.approx(feature["p_value"], rel=1e-9), name
    broken = tmp_path / "broken.parquet"
    broken.write_text("no table")
    for file in (broken, tmp_path / "none.parquet"):
        assert main(["drift", files[0], str(file), "--engine", "duckdb"]) == 2
    error = capsys.readouterr().err
    assert "expected Parquet or CSV" in error
    assert "there is no file" in error


@pytest.fixture(
    scope="module",
    params=["local[1]", pytest.param("local-cluster[2,1,1024]", marks=pytest.mark.nightly)],
)
def spark(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Start a Spark within one process; at night, one with two workers of their own."""
    if shutil.which("java") is None:
        pytest.fail("Spark needs Java: apt-get install openjdk-17-jre-headless")
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    brief = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # it lives too short to be optimized
    settings = {
        "spark.driver.extraJavaOptions": brief,
        "spark.executor.extraJavaOptions": brief,
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "local"),
        "spark.log.level": "OFF",
        "spark.ui.showConsoleProgress": "false",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("SPARK_WORKER_DIR", str(folder / "work"))
        builder = SparkSession.builder.master(request.param).appName("watchkeeper")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        yield ibis.pyspark.connect(session)
        session.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning",
                            "ignore::ResourceWarning", "ignore::UserWarning")  # fmt: skip
def test_given_a_table_in_spark_when_compared_then_the_report_is_that_in_memory(
    spark: Any, tmp_path: Path
) -> None:
    names = ["amount", "holes", "code", "flag", "word", "day", "nothing"]
    current = rows(1).select(names)
    pq.write_table(current, tmp_path / "current.parquet")
    detector = DataDriftDetector(Profile.of(rows(0).select(names)))

    report = detector.detect(spark.read_parquet(str(tmp_path / "current.parquet")))

    same(report, detector.detect(current))
