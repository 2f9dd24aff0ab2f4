import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from watchkeeper.drift import DataDriftDetector, Profile
from watchkeeper.drift.compare import (
    chi_squared_between,
    ks_against_profile,
    ks_between_all,
    ks_between_profiles,
)
from watchkeeper.errors import IntegrityError, InvalidValueError
from watchkeeper.profiles.categories import CategoryProfile
from watchkeeper.profiles.numbers import NumberProfile
from watchkeeper.stats import chi_squared

KINDS = ["normal", "heavy", "tied", "constant", "bimodal", "infinite"]


def numbers(kind: str, size: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {
        "normal": lambda: rng.normal(size=size),
        "heavy": lambda: rng.standard_cauchy(size),
        "tied": lambda: rng.poisson(900, size) * 1.0,
        "constant": lambda: np.full(size, 7.0),
        "bimodal": lambda: rng.normal(size=size) + 1e6 * rng.integers(0, 2, size),
        "infinite": lambda: np.where(rng.uniform(size=size) < 0.05, np.inf, rng.normal(size=size)),
    }
    return made[kind]()


def column(profile: Profile, name: str = "x") -> NumberProfile:
    found = profile.columns[name]
    assert isinstance(found, NumberProfile)
    return found


def worst(profile: NumberProfile, values: Any) -> float:
    """Return by how much the distribution function of a profile is off, at every value."""
    points = np.unique(values)
    truth = np.searchsorted(np.sort(values), points, side="right") / len(values)
    return float(np.abs(profile.cdf(points) - truth).max())


@pytest.mark.parametrize("size", [1, 5, 900, 30_000, 300_000])
@pytest.mark.parametrize("kind", KINDS)
def test_given_numbers_when_profiled_then_every_rank_is_within_the_stated_bound(
    kind: str, size: int
) -> None:
    values = numbers(kind, size, 3)
    found = column(Profile.of({"x": values}))
    finite = values[np.isfinite(values)]

    assert worst(found, values) <= found.rank_error + 1e-12
    assert found.rank_error < 1 / 1024
    assert found.size == size
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    if len(finite):
        assert found.mean == pytest.approx(finite.mean())
    if len(finite) > 1:
        assert found.variance == pytest.approx(finite.var(ddof=1), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_given_a_thousand_hours_when_merged_then_they_are_the_whole_within_the_bound(
    kind: str,
) -> None:
    values = numbers(kind, 200_000, 4)
    whole = Profile.of({"x": values})
    parts = [Profile.of({"x": each}) for each in np.array_split(values, 1_000)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    found = column(merged)

    assert merged.rows == whole.rows
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    assert found.mean == pytest.approx(column(whole).mean)
    assert worst(found, values) <= found.rank_error + 1e-12
    assert found.rank_error <= 0.0037
    assert len(merged.to_bytes()) < 30_000


parts = st.lists(
    st.lists(
        st.integers(-4, 4) | st.floats(-1e150, 1e150) | st.just(np.nan), min_size=0, max_size=30
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60)
@given(parts=parts)
def test_given_parts_when_merged_in_any_grouping_then_what_is_exact_is_the_same(
    parts: list[list[float]],
) -> None:
    profiles = [Profile.of({"x": np.array(part, dtype=float)}) for part in parts]
    forward, backward = profiles[0], profiles[-1]
    for each in profiles[1:]:
        forward = forward.merge(each)
    for each in profiles[-2::-1]:
        backward = each.merge(backward)

    assert forward.rows == backward.rows == sum(map(len, parts))
    first, second = forward.columns["x"], backward.columns["x"]
    assert (first.size, first.missing) == (second.size, second.missing)
    if isinstance(first, NumberProfile) and isinstance(second, NumberProfile):
        assert first.values == second.values
        assert Profile.from_bytes(forward.to_bytes()) == forward


def mixed(size: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    start = datetime(2013, 1, 1, tzinfo=UTC)
    return {
        "amount": [None if i % 9 == 0 else float(v) for i, v in enumerate(rng.normal(size=size))],
        "coded": rng.integers(0, 4, size),
        "truth": rng.uniform(size=size) < 0.3,
        "when": [start + timedelta(hours=int(h)) for h in rng.integers(0, 9_000, size)],
        "word": rng.choice(["ä", "b", "日本"], size).tolist(),
        "many": [f"label {i}" for i in rng.integers(0, 200, size)],
        "huge": [f"id-{i}" for i in rng.integers(0, 100_000, size)],
        "empty": pa.nulls(size, pa.float64()),
    }


def test_given_columns_of_all_kinds_when_kept_then_they_come_back_equal_and_small() -> None:
    profile = Profile.of(mixed(50_000, 1))
    data = profile.to_bytes()

    assert Profile.from_bytes(data) == profile
    assert pickle.loads(pickle.dumps(profile)) == profile
    assert len(data) < 100_000
    assert dict[Any, int](profile.columns["many"].counts())["label 7"] > 100
    assert profile.columns["truth"].counts().keys() == {0.0, 1.0}
    told = profile.to_dict()["columns"]
    assert told["when"]["quantiles"]["0"].startswith("2013-01-01")
    assert told["amount"]["missing_share"] == pytest.approx(1 / 9, abs=0.001)
    huge = profile.columns["huge"]
    assert isinstance(huge, CategoryProfile)
    assert huge.distinct == pytest.approx(len(set(mixed(50_000, 1)["huge"])), rel=0.05)


def test_given_a_column_that_one_part_lacks_when_merged_then_its_rows_are_missing_there() -> None:
    merged = Profile.of({"a": [1.0, 2.0], "b": ["x", "y"]}).merge(Profile.of({"a": [3.0]}))

    assert merged.rows == 3
    assert merged.columns["b"].missing == 1
    assert merged.columns["a"].size == 3


def test_given_a_column_that_changes_its_kind_when_merged_then_the_error_names_it() -> None:
    with pytest.raises(InvalidValueError, match="column 'a' is 'number in one part and category"):
        Profile.of({"a": [1.0]}).merge(Profile.of({"a": ["x"]}))


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_given_bytes_that_are_not_a_profile_when_read_then_it_is_said(damage: str) -> None:
    data = Profile.of(mixed(500, 2)).to_bytes()
    bad = {
        "cut": data[: len(data) // 2],
        "flipped": b"\xff" + data[1:],
        "empty": b"",
        "other": b"PK\x03\x04 something else",
    }[damage]

    with pytest.raises(IntegrityError):
        Profile.from_bytes(bad)


@pytest.mark.parametrize("kind", ["normal", "heavy", "tied", "bimodal"])
@pytest.mark.parametrize("shift", [0.0, 0.05, 0.5])
def test_given_a_profile_when_compared_then_the_distance_is_scipys_within_the_bound(
    kind: str, shift: float
) -> None:
    reference = numbers(kind, 100_000, 5)
    current = np.sort(numbers(kind, 80_000, 6) + shift)
    profile = column(Profile.of({"x": reference}))
    expected = ks_2samp(reference, current)

    test = ks_against_profile(profile, current)
    both = ks_between_profiles(profile, column(Profile.of({"x": current})))

    assert profile.distance_error < 1 / 512
    assert abs(test.statistic - expected.statistic) <= profile.distance_error + 1e-12
    assert abs(both.statistic - expected.statistic) <= 2 * profile.distance_error + 1e-12


def test_given_few_values_when_compared_then_the_distance_is_exact() -> None:
    rng = np.random.default_rng(9)
    reference, current = rng.integers(0, 90, 5_000) * 1.0, np.sort(rng.integers(2, 90, 4_000) * 1.0)
    profile = Profile.of({"x": reference}).columns["x"]

    assert ks_against_profile(profile, current).statistic == pytest.approx(
        ks_2samp(reference, current).statistic, abs=1e-12
    )


def test_given_profiles_of_categories_when_compared_then_it_is_the_chi_squared_test() -> None:
    before, now = mixed(5_000, 1)["many"], mixed(4_000, 2)["many"]
    labels = sorted({*before, *now})
    expected = chi_squared(*([each.count(label) for label in labels] for each in (before, now)))

    test = chi_squared_between(
        Profile.of({"x": before}).columns["x"], Profile.of({"x": now}).columns["x"]
    )

    assert test.statistic == pytest.approx(expected.statistic)
    assert test.p_value == pytest.approx(expected.p_value)


def test_given_a_hundred_thousand_labels_when_nothing_moved_then_the_test_does_not_alarm() -> None:
    first, second = (Profile.of({"x": mixed(60_000, seed)["huge"]}).columns["x"] for seed in (1, 2))

    assert chi_squared_between(first, second).p_value > 0.001


@pytest.mark.parametrize("moved", [False, True])
def test_given_a_profile_as_reference_when_checked_then_the_verdicts_are_those_of_its_rows(
    moved: bool,
) -> None:
    reference, current = mixed(20_000, 1), mixed(15_000, 2)
    if moved:
        current["amount"] = [None if v is None else v + 0.2 for v in current["amount"]]
        current["word"] = ["b"] * 15_000
    by_rows = DataDriftDetector(reference).detect(current)
    by_profile = DataDriftDetector(Profile.of(reference)).detect(current)

    assert by_profile.drifted == by_rows.drifted
    assert set(by_profile.drifted) == ({"amount", "word"} if moved else set())
    assert by_profile.reference_size == 20_000
    for name in ("coded", "truth", "word", "many"):  # all of which a profile keeps
        ours, theirs = by_profile.features[name], by_rows.features[name]
        assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-9)
    assert by_profile.features["amount"].effect_size == pytest.approx(
        by_rows.features["amount"].effect_size, abs=1 / 512
    )
    assert by_profile.features["empty"].error == by_rows.features["empty"].error
    assert by_profile.missing_values["amount"] == by_rows.missing_values["amount"]
    drawn = by_profile.features["amount"].distribution
    assert drawn is not None
    assert sum(drawn.current) == sum(v is not None for v in current["amount"])


def test_given_a_profile_when_a_method_needs_rows_then_that_is_said_of_the_feature() -> None:
    profile = Profile.of({"x": np.arange(1_000.0), "w": ["a", "b"] * 500})

    report = DataDriftDetector(profile, methods="Wasserstein").detect(
        {"x": np.arange(500.0), "w": ["a", "b"] * 250}
    )

    assert report.features["x"].error == (
        "Wasserstein needs the rows of the reference, and a profile has none"
    )
    assert report.features["w"].error is None
    with pytest.raises(InvalidValueError, match="0 rows"):
        DataDriftDetector(Profile.of({"x": pa.nulls(0, pa.float64())}))


def test_given_many_columns_when_compared_together_then_each_is_as_compared_alone() -> None:
    rng = np.random.default_rng(11)
    samples = [
        rng.normal(size=30_000),
        np.where(rng.random(30_000) < 0.3, np.inf, rng.normal(size=30_000)),
        np.where(rng.random(30_000) < 0.3, -np.inf, rng.normal(size=30_000)),
        np.full(300, 2.0),
        rng.integers(0, 7, 300).astype(float),
    ]
    columns = [Profile.of({"x": sample}).columns["x"] for sample in samples]
    pairs = [(first, second) for first in columns for second in columns]

    assert ks_between_all(pairs) == [ks_between_profiles(*pair) for pair in pairs]
    assert ks_between_all([]) == []
