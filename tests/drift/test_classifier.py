from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from scipy.stats import binom

from watchkeeper.drift import DataDriftDetector, Profile, classifier_two_sample_test
from watchkeeper.errors import InvalidValueError


def pair(correlation: float, rows: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x, other, bystander = rng.normal(size=(3, rows))
    y = correlation * x + np.sqrt(1.0 - correlation**2) * other
    return {"bystander": bystander, "x": x, "y": y}


def odd(rows: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "constant": np.ones(rows),
        "none": pa.nulls(rows, pa.float64()),
        "untyped": pa.nulls(rows),
        "infinite": np.where(rng.random(rows) < 0.1, np.inf, rng.normal(size=rows)),
        "huge": 1e307 * rng.normal(size=rows),
        "one value": [1.0 if row == 0 else None for row in range(rows)],
        "many": [f"c{i}" for i in rng.integers(0, 200, rows)],
        "too many": [f"c{i}" for i in rng.integers(0, 2_000, rows)],
        "flag": [None if u < 0.1 else bool(u < 0.5) for u in rng.random(rows)],
        "day": [date(2024, 1, 1) + timedelta(int(i)) for i in rng.integers(0, 90, rows)],
        "seen": pa.array(rng.integers(0, 10**6, rows), pa.timestamp("s")),
    }


def test_given_a_correlation_that_changed_when_tested_then_it_is_seen_by_no_column_alone() -> None:
    before, now = pair(0.0, 1_000, 1), pair(0.8, 1_000, 2)

    test = classifier_two_sample_test(before, now)

    assert not DataDriftDetector(before).detect(now).drift_detected
    assert test.drift_detected
    assert test.p_value < 1e-6
    assert test.effect_size == 2.0 * test.auc - 1.0
    assert list(test.ranking)[-1] == "bystander"
    assert sum(test.ranking.values()) == pytest.approx(1.0)
    assert test.ranking["x"] + test.ranking["y"] > 0.9


def test_given_no_drift_when_tested_many_times_then_it_alarms_as_often_as_its_level() -> None:
    rng = np.random.default_rng(7)

    def sample() -> dict[str, Any]:
        numbers = rng.normal(size=100)
        return {"x": numbers, "y": numbers + rng.normal(size=100), "k": rng.choice([*"abc"], 100)}

    runs = 80
    found = [classifier_two_sample_test(sample(), sample(), seed=n).p_value for n in range(runs)]

    for level in (0.05, 0.2):
        assert sum(p < level for p in found) <= binom.isf(1e-4, runs, level)
    assert sum(p > 0.5 for p in found) <= binom.isf(1e-4, runs, 0.6)  # nor is it far too shy


@pytest.mark.parametrize("kept_as", [pa.table, pl.from_arrow, pa.Table.to_pandas])
def test_given_odd_columns_when_tested_then_undrifted_ones_pass_and_a_drifted_one_is_named(
    kept_as: Callable[[Any], Any],
) -> None:
    before, same, moved = (pa.table(odd(300, seed)) for seed in (1, 2, 3))
    days = moved.column_names.index("day")
    moved = moved.set_column(days, "day", [[date(2025, 1, 1)] * 300])

    test = classifier_two_sample_test(kept_as(before), kept_as(same))
    drifted = classifier_two_sample_test(kept_as(before), kept_as(moved))

    assert test.p_value > 1e-3
    assert set(test.ranking) == set(before.column_names)
    assert test.left_out == {}
    assert drifted.auc == 1.0
    assert drifted.ranking["day"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (["a", "b"] * 150, ["a"] * 300),
        ([f"c{i % 8}" for i in range(300)], [f"c{i % 8 + 8}" for i in range(300)]),
        ([1.0] * 300, [None] * 300),
        ([True] * 300, [False] * 300),
        ([0.0] * 300, [np.inf] * 300),
    ],
)
def test_given_one_column_that_drifted_when_tested_then_it_is_drift(before: Any, now: Any) -> None:
    test = classifier_two_sample_test({"a": before}, {"a": now})

    assert test.drift_detected
    assert test.ranking == {"a": 1.0}


def test_given_only_constants_when_tested_then_nothing_can_be_told_apart() -> None:
    test = classifier_two_sample_test({"a": [1] * 60}, {"a": [1] * 60})

    assert (test.auc, test.p_value, test.effect_size, test.drift_detected) == (0.5, 1.0, 0.0, False)
    assert test.ranking == {"a": 0.0}


def test_given_a_seed_and_a_limit_when_tested_twice_then_the_rows_are_bounded_and_the_same() -> (
    None
):
    before, now = pair(0.0, 3_000, 1), pair(0.5, 400, 2)

    once = classifier_two_sample_test(before, now, max_rows=500, seed=3)

    assert (once.reference_size, once.current_size) == (500, 400)
    assert once == classifier_two_sample_test(before, now, max_rows=500, seed=3)
    assert once.p_value != classifier_two_sample_test(before, now, max_rows=500, seed=4).p_value


def test_given_a_small_shift_when_the_least_effect_is_large_then_it_is_not_called_drift() -> None:
    before, now = {"a": np.arange(500.0)}, {"a": np.arange(500.0) + 200.0}

    assert classifier_two_sample_test(before, now).drift_detected
    assert not classifier_two_sample_test(before, now, min_effect=0.95).drift_detected
    assert not classifier_two_sample_test(before, now, threshold=1e-300).drift_detected


def test_given_columns_that_differ_when_tested_then_the_shared_ones_are_and_the_others_named() -> (
    None
):
    before = {"a": range(60), "old": range(60), "typed": range(60), "list": [[1]] * 60}
    now = {"new": range(60), "a": range(60), "typed": ["1"] * 60, "list": [[1]] * 60}

    test = classifier_two_sample_test(before, now)

    assert list(test.ranking) == ["a"]
    assert test.left_out == {
        "old": "only the reference data has it",
        "new": "only the current data has it",
        "typed": "its type is Int64, and String now",
        "list": "its type is List(Int64), and List(Int64) now",
    }


@pytest.mark.parametrize(
    ("before", "now", "options", "told"),
    [
        ({"a": range(49)}, {"a": range(60)}, {}, "reference is '49 rows'; expected at least 50"),
        ({"a": range(60)}, {"a": range(9)}, {}, "current is '9 rows'; expected at least 50"),
        ({"a": range(60)}, {"b": range(60)}, {}, "expected a column of the reference's .'a'."),
        (Profile.of({"a": range(60)}), {"a": range(60)}, {}, "reference is 'a profile'"),
        ({"a": range(60)}, Profile.of({"a": range(60)}), {}, "current is 'a profile'"),
        ({"a": range(60)}, {"a": range(60)}, {"threshold": 1.0}, "strictly between 0 and 1"),
        ({"a": range(60)}, {"a": range(60)}, {"min_effect": -0.1}, "from 0 to below 1"),
        ({"a": range(60)}, {"a": range(60)}, {"max_rows": 10}, "max_rows is 10; .* at least 50"),
    ],
)
def test_given_what_cannot_be_tested_when_tested_then_the_error_says_what_to_do(
    before: Any, now: Any, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidValueError, match=told):
        classifier_two_sample_test(before, now, **options)
