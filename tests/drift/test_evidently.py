import builtins
import json
import socket
import sys
import warnings
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from watchkeeper.drift import evidently_report
from watchkeeper.errors import InvalidValueError, MissingExtraError


def sample(seed: int, shift: float = 0.0, rows: int = 200) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "age": rng.normal(40 + shift, 9, rows),
        "plan": rng.choice(["basic", "plus"], rows).tolist(),
        "active": rng.random(rows) < 0.3,
        "day": [date(2024, 1, 1) + timedelta(int(i)) for i in rng.integers(0, 90, rows)],
        "seen": pa.array(range(rows), pa.timestamp("us", "UTC")),
        "far": np.where(rng.random(rows) < 0.05, np.inf, rng.normal(size=rows)),
        "constant": np.ones(rows),
    }


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Evidently itself; each connection that it would open."""
    with warnings.catch_warnings(action="ignore"):
        import evidently  # noqa: F401 - before connections are counted

    opened: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: opened.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **_: opened.append(asked))
    return opened


def test_given_a_shift_when_evidently_reports_then_its_page_and_its_failed_tests_tell_it(
    tmp_path: Path, connections: list[object]
) -> None:
    page = tmp_path / "report.html"

    report = evidently_report(sample(1), pl.DataFrame(sample(2, shift=20.0)), html=page)

    assert "<html" in page.read_text(encoding="utf-8")[:1_000]
    drifts = {
        metric["config"]["column"]: metric["value"]
        for metric in report.results["metrics"]
        if metric["config"]["type"].endswith("ValueDrift")
    }
    assert drifts["age"] < 1e-6 < drifts["plan"]
    told = [test["status"] for test in report.results["tests"]]
    assert report.tests.failed == told.count("FAIL") > 0
    assert report.tests.total == len(told) > report.tests.failed
    assert not report.tests.success
    assert json.loads(report.to_json())["tests"] == dict(report.tests)
    assert connections == []
    assert "iterative_telemetry" not in sys.modules


def test_given_shared_columns_when_only_drift_is_asked_then_a_test_a_column_and_one_for_all(
    tmp_path: Path, connections: list[object]
) -> None:
    before = {"age": sample(1)["age"], "old": [1] * 200}
    now = {"new": [2] * 300, "age": sample(3, rows=300)["age"]}

    report = evidently_report(before, now, ["drift"], html=tmp_path / "report.html")

    assert dict(report.tests) == {"success": True, "total": 2, "failed": 0}


def test_given_swapped_samples_when_summarised_then_the_rows_are_those_of_the_current_one(
    tmp_path: Path, connections: list[object]
) -> None:
    small, large = {"age": sample(1)["age"]}, {"age": sample(1, rows=300)["age"]}

    for before, now, rows in ((small, large, 300), (large, small, 200)):
        found = evidently_report(before, now, ["summary"], html=tmp_path / "report.html")

        (counted,) = (m for m in found.results["metrics"] if m["metric_name"] == "RowCount()")
        assert counted["value"] == rows


def test_given_a_column_without_values_when_reported_then_the_error_names_it(
    tmp_path: Path, connections: list[object]
) -> None:
    nothing = {"age": pa.nulls(50, pa.float64())}

    with pytest.raises(InvalidValueError, match="'age'"):
        evidently_report(nothing, nothing, html=tmp_path / "report.html")


@pytest.mark.parametrize(
    ("before", "now", "presets", "told"),
    [
        ({"a": [1]}, {"a": [1]}, ["quality"], "presets is 'quality'; expected among drift, summ"),
        ({"a": [1]}, {"a": [1]}, [], "presets is .*; expected at least one of drift, summary"),
        ({"a": []}, {"a": [1]}, ["drift"], "reference is .0 rows"),
        ({"a": [1]}, {"b": [1]}, ["drift"], "a shared column"),
        (1, {"b": [1]}, ["drift"], "reference is 'int'; expected a data frame"),
    ],
)
def test_given_what_cannot_be_compared_when_reported_then_the_error_says_so(
    before: Any, now: Any, presets: Any, told: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        evidently_report(before, now, presets, html=tmp_path / "report.html")


def test_given_no_evidently_when_reported_then_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *others: Any, **named: Any) -> Any:
        if name == "evidently":
            raise ImportError(name)
        return real(name, *others, **named)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(MissingExtraError, match=r"watchkeeper\[evidently\]"):
        evidently_report(sample(1), sample(2), html=tmp_path / "report.html")
