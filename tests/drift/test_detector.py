import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from watchkeeper.drift import METHODS, DataDriftDetector
from watchkeeper.drift.methods import OF_NUMBERS
from watchkeeper.errors import InvalidValueError, NotFoundError

RNG = np.random.default_rng(7)
N = 400


def columns(shift: float = 0.0, seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "amount": rng.normal(100 + shift, 15, N),
        "plan": rng.choice(["basic", "pro", "team"], N),
        "active": rng.random(N) < 0.5,
    }


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table, pl.LazyFrame])
def test_given_any_frame_when_compared_then_p_values_are_scipys(make: Any) -> None:
    before, after = columns(), columns(shift=5, seed=2)
    detector = DataDriftDetector(make(before))

    features = detector.detect_all_features(make(after))

    assert features["amount"].method == "KS-test"
    assert features["amount"].p_value == pytest.approx(
        ks_2samp(before["amount"], after["amount"]).pvalue, rel=1e-9
    )
    for name in ("plan", "active"):
        table = pd.crosstab(
            np.repeat([0, 1], N), np.concatenate([before[name], after[name]])
        ).to_numpy()
        assert features[name].method == "Chi-squared"
        assert features[name].p_value == pytest.approx(chi2_contingency(table).pvalue, rel=1e-9)


def test_given_a_shift_when_detected_then_the_report_says_which_feature_and_how_much() -> None:
    report = DataDriftDetector(columns()).detect(columns(shift=12, seed=2))

    assert report.drift_detected
    assert report.drifted == ["amount"]
    assert report.drift_share == pytest.approx(1 / 3)
    assert report["features"]["amount"]["effect_size"] > 0.2
    assert (report.reference_size, report.current_size) == (N, N)
    assert report.to_dict()["features"]["plan"]["drift_detected"] is False
    assert '"drift_detected":true' in report.to_json()


def test_given_one_feature_when_asked_then_the_raw_threshold_decides() -> None:
    detector = DataDriftDetector(columns())

    assert detector.detect_drift_numerical(columns(shift=12, seed=2), "amount")[0]
    assert not detector.detect_drift_categorical(columns(seed=2), "plan")[0]
    with pytest.raises(NotFoundError, match="amount"):
        detector.detect_drift_numerical(columns(), "none")
    with pytest.raises(NotFoundError):
        detector.detect_drift_numerical({"plan": ["basic"]}, "amount")
    with pytest.raises(InvalidValueError, match="KS-test"):
        detector.detect_drift_numerical(columns(), "plan")


def one(before: Any, after: Any, **how: Any) -> Any:
    return DataDriftDetector({"x": before}, **how).detect({"x": after})


def test_given_nulls_and_nan_when_compared_then_they_are_counted_and_not_tested() -> None:
    values = RNG.normal(size=200)
    report = one(pa.array([None, *values]), [np.nan] * 50 + values.tolist())

    assert report.features["x"].p_value == 1.0
    assert report.missing_values["x"] == pytest.approx((1 / 201, 50 / 250))


def test_given_infinities_when_compared_then_they_are_values_at_the_ends() -> None:
    values = RNG.normal(size=300)
    after = np.append(values, [np.inf] * 60)

    assert one(values, after).features["x"].statistic == pytest.approx(60 / 360)


def test_given_constants_when_compared_then_equal_ones_agree_and_others_do_not() -> None:
    assert one([3.5] * 50, [3.5] * 80).features["x"].p_value == 1.0
    assert one([3.5] * 50, [4.5] * 80).drift_detected
    assert one(["a"] * 50, ["a"] * 80).features["x"].p_value == 1.0
    assert one(["a"] * 50, ["b"] * 80).drift_detected


def test_given_an_empty_column_when_compared_then_it_cannot_be_told_and_others_can() -> None:
    before, after = columns(), columns(shift=12, seed=2)
    report = DataDriftDetector(before).detect(pa.table({**after, "plan": [None] * N}))

    assert report.features["plan"].drift_detected is None
    assert report.features["plan"].p_value is None
    assert "no values" in str(report.features["plan"].error)
    assert report.features["amount"].drift_detected


def test_given_changed_columns_when_compared_then_the_schema_changes_are_told() -> None:
    before = columns()
    after = {"amount": ["many"] * N, "plan": before["plan"], "colour": ["red"] * N}
    report = DataDriftDetector(before).detect(after)

    assert report.schema_changes.missing == ("active",)
    assert report.schema_changes.new == ("colour",)
    assert report.schema_changes.retyped == {"amount": "category, was number"}
    assert "retyped" in str(report.features["amount"].error)
    assert "missing" in str(report.features["active"].error)
    assert report.features["plan"].drift_detected is False


def test_given_new_categories_when_compared_then_their_share_is_told() -> None:
    report = one(["a", "b"] * 50, ["a", "b", "c", "c"] * 25)

    assert report.unseen_categories["x"] == pytest.approx(0.5)
    assert report.drift_detected


def test_given_booleans_recorded_as_numbers_when_compared_then_they_are_the_same_thing() -> None:
    before = RNG.random(300) < 0.3

    report = one(before, before.astype(float))

    assert report.features["x"].method == "Chi-squared"
    assert report.features["x"].p_value == 1.0


def test_given_few_whole_numbers_when_compared_then_they_are_codes_and_many_are_amounts() -> None:
    codes, amounts = RNG.integers(1, 6, 300), RNG.integers(0, 1000, 300)

    assert one(codes, codes.astype(float)).features["x"].method == "Chi-squared"
    assert one(amounts, amounts).features["x"].method == "KS-test"
    assert one(codes, codes, methods={"x": "KS-test"}).features["x"].method == "KS-test"


@pytest.mark.parametrize("unit", ["date", "datetime"])
def test_given_dates_when_compared_then_a_later_month_is_drift(unit: str) -> None:
    start = date(2013, 1, 1) if unit == "date" else datetime(2013, 1, 1)  # noqa: DTZ001
    before = [start + timedelta(days=n % 30) for n in range(200)]
    after = [start + timedelta(days=20 + n % 30) for n in range(200)]

    assert one(before, after).features["x"].method == "KS-test"
    assert one(before, after).drift_detected
    assert not one(before, before).drift_detected


def test_given_two_hundred_categories_when_compared_then_it_is_scipys_test() -> None:
    labels = [f"airport-{n}" for n in range(200)]
    before, after = RNG.choice(labels, 5_000), RNG.choice(labels, 5_000)
    table = pd.crosstab(np.repeat([0, 1], 5_000), np.concatenate([before, after])).to_numpy()

    assert one(before, after).features["x"].p_value == pytest.approx(
        chi2_contingency(table).pvalue, rel=1e-9
    )


def test_given_a_large_sample_when_the_shift_is_too_small_to_matter_then_it_is_no_drift() -> None:
    before, after = RNG.normal(size=200_000), RNG.normal(size=200_000) + 0.02

    assert one(before, after).features["x"].adjusted_p_value < 0.05
    assert not one(before, after).drift_detected
    assert one(before, after, min_effect=0.0).drift_detected


@pytest.mark.parametrize(("rows", "windows"), [(20, 40), (150, 120), (3_000, 15)])
def test_given_fifty_columns_without_drift_when_checked_often_then_few_checks_alarm(
    rows: int, windows: int
) -> None:
    rng = np.random.default_rng(42)
    alarms = 0
    for _ in range(windows):
        names = [f"f{n}" for n in range(50)]
        before = dict(zip(names, rng.normal(size=(50, rows)), strict=True))
        after = dict(zip(names, rng.normal(size=(50, rows)), strict=True))
        alarms += DataDriftDetector(before).detect(after).drift_detected

    assert alarms / windows <= 0.05 + 3 * (0.05 * 0.95 / windows) ** 0.5


def test_given_runs_of_checks_without_drift_when_one_reference_serves_then_few_alarm() -> None:
    rng, alarmed = np.random.default_rng(43), 0
    for _ in range(50):
        detector = DataDriftDetector({"x": rng.normal(size=200), "y": rng.normal(size=200)},
                                     checks=24)  # fmt: skip
        alarmed += any(
            detector.detect({"x": rng.normal(size=200), "y": rng.normal(size=200)}).drift_detected
            for _ in range(24)
        )

    assert alarmed / 50 <= 0.05 + 3 * (0.05 * 0.95 / 50) ** 0.5


def test_given_the_names_that_are_promised_when_used_then_they_are_there() -> None:
    detector = DataDriftDetector(columns(), 0.05, correction="fdr_bh", methods="auto")

    told, p_value = detector.detect_drift_numerical(columns(seed=2), "amount")
    assert (type(told), type(p_value)) == (bool, float)
    told, p_value = detector.detect_drift_categorical(columns(seed=2), "plan")
    assert (type(told), type(p_value)) == (bool, float)
    features = detector.detect_all_features(columns(seed=2))
    assert list(features) == ["amount", "plan", "active"]
    names = "drift_detected p_value adjusted_p_value method statistic effect_size error"
    assert set(names.split()) <= set(features["amount"])
    report = detector.detect(columns(seed=2))
    assert report.features == dict(features)
    assert {"drift_detected", "drift_share", "schema_changes", "missing_values"} <= set(report)
    assert {"reference_size", "current_size", "unseen_categories"} <= set(report)


def test_given_several_that_moved_when_detected_then_the_strongest_comes_first() -> None:
    before = {f"x{n}": RNG.normal(size=500) for n in range(3)}
    after = {f"x{n}": RNG.normal(shift, 1, 500) for n, shift in enumerate((0.5, 2.0, 1.0))}

    assert DataDriftDetector(before).detect(after).drifted == ["x1", "x2", "x0"]


@pytest.mark.parametrize(
    ("reference", "how"),
    [
        ({"x": [1.0]}, {"threshold": 0.0}),
        ({"x": [1.0]}, {"threshold": 1.5}),
        ({"x": [1.0]}, {"min_effect": 1.0}),
        ({"x": [1.0]}, {"correction": "holmes"}),
        ({"x": [1.0]}, {"methods": {"x": "guess"}}),
        ({"x": [1.0]}, {"methods": {"y": "KS-test"}}),
        ({"x": []}, {}),
        ({}, {}),
        ({"x": [1.0], "y": [1.0, 2.0]}, {}),
        ("a word", {}),
    ],
)
def test_given_bad_arguments_when_made_then_it_is_a_clear_error(reference: Any, how: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|there is no"):
        DataDriftDetector(reference, **how)


def test_given_many_checks_when_compared_then_each_is_held_to_its_share_of_the_level() -> None:
    rng = np.random.default_rng(3)
    reference, current = {"x": rng.normal(size=800)}, {"x": rng.normal(0.15, 1, 800)}

    once = DataDriftDetector(reference).detect(current)
    year = DataDriftDetector(reference, checks=8760).detect(current)

    assert once.drift_detected
    assert not year.drift_detected
    assert year.features["x"].p_value == once.features["x"].p_value
    assert (once.checks, year.checks) == (1, 8760)
    with pytest.raises(InvalidValueError, match="checks is 0"):
        DataDriftDetector(reference, checks=0)


def test_given_a_large_frame_when_looked_at_in_threads_then_the_answer_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(4)
    reference = {f"x{i}": rng.normal(size=2_000) for i in range(7)} | {"w": ["a", "b"] * 1_000}
    current = {f"x{i}": rng.normal(0.1, 1, 3_000) for i in range(6)} | {"w": ["b"] * 3_000}
    detector = DataDriftDetector(reference)
    alone = detector.detect(current)
    monkeypatch.setattr("watchkeeper.drift.detector._LARGE", 10)

    assert detector.detect(current) == alone
    assert alone.schema_changes.missing == ("x6",)


@pytest.mark.parametrize("method", METHODS)
def test_given_a_method_when_columns_are_odd_then_each_is_told_and_none_hides_another(
    method: str,
) -> None:
    rng = np.random.default_rng(6)
    rows = 400
    times = np.datetime64("2013-01-01") + rng.integers(0, 300, rows).astype("timedelta64[D]")
    frame: dict[str, Any] = {
        "number": rng.normal(size=rows),
        "with nulls": [None if i % 7 == 0 else float(i % 50) for i in range(rows)],
        "infinite": np.where(rng.uniform(size=rows) < 0.1, np.inf, rng.normal(size=rows)),
        "constant": np.ones(rows),
        "coded": rng.integers(0, 4, rows),
        "truth": rng.uniform(size=rows) < 0.5,
        "time": times,
        "word": rng.choice(["a", "b"], rows).tolist(),
        "many": [f"c{i}" for i in rng.integers(0, 200, rows)],
        "empty": pa.nulls(rows, pa.float64()),
    }
    detector = DataDriftDetector(frame, methods=method)  # type: ignore[arg-type]
    report = detector.detect(frame)
    moved = detector.detect(frame | {"number": rng.normal(2, 1, rows), "word": ["b"] * rows})

    assert report.features["empty"].error is not None
    odd = {"infinite"} if method == "Wasserstein" else set()
    for name, feature in report.features.items():
        if name not in odd | {"empty"}:
            assert feature.error is None, (name, feature.error)
            assert feature.p_value is not None
            assert feature.p_value > 0.2
            assert feature.effect_size == pytest.approx(0.0, abs=1e-7)
    assert moved.features["number"].drift_detected
    assert moved.features["word"].drift_detected
    of_words = "Chi-squared" if method in OF_NUMBERS else method
    assert moved.features["number"].method == method
    assert moved.features["word"].method == of_words
    assert not report.drift_detected


def test_given_an_unknown_method_when_made_then_the_error_names_those_there_are() -> None:
    with pytest.raises(InvalidValueError, match="Anderson-Darling"):
        DataDriftDetector({"x": [1.0]}, methods="KS")  # type: ignore[arg-type]


def test_given_the_methods_when_their_page_is_read_then_each_states_where_its_p_value_is_from() -> (
    None
):
    page = (Path(__file__).parents[2] / "docs" / "drift.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| ([^|]+) \|", page, re.MULTILINE))

    assert [name for name in stated if name != "classifier_two_sample_test"] == list(METHODS)
    assert all(len(null) > 3 for null in stated.values())
