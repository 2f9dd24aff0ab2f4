import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import (
    Allocation,
    Arm,
    Equals,
    Holdout,
    Namespace,
    Override,
    Reason,
    Targeting,
    basis_points,
)
from watchkeeper.results import from_dict, plain

USERS = [f"user-{n}" for n in range(100_000)]
FEW = USERS[:2_000]


def allocation(*weights: int, name: str = "exp", **more: Any) -> Allocation:
    arms = tuple(Arm(f"arm-{n}", weight) for n, weight in enumerate(weights))
    return Allocation(experiment=name, arms=arms, **more)


def members(of: Allocation, units: list[str] = FEW) -> dict[str, set[str]]:
    """Return the units of each arm."""
    found = of.assign_many(units)
    return {
        key: {units[at] for at in np.flatnonzero(found.arms == n)}
        for n, key in enumerate(found.keys)
    }


def weight_lists(arms: int) -> st.SearchStrategy[list[int]]:
    shares = st.lists(st.integers(1, 1_000), min_size=arms + 1, max_size=arms + 1)
    return shares.map(lambda s: [10_000 * share // sum(s) for share in s[:-1]])


def test_given_weights_when_many_units_are_assigned_then_the_shares_are_the_weights() -> None:
    weights = [5_000, 2_500, 1_500, 500]

    found = allocation(*weights).assign_many(USERS)

    counts = [*found.counts().values(), found.reason_counts()[Reason.NOT_INCLUDED]]
    expected = np.array([*weights, 500]) / 10_000 * len(USERS)
    assert stats.chisquare(counts, expected).pvalue > 1e-3


def test_given_one_basis_point_when_assigned_then_it_is_one_in_ten_thousand() -> None:
    found = allocation(9_999, 1).assign_many(USERS)

    assert 1 <= found.counts()["arm-1"] <= 25  # 10 expected


def buckets(of: Allocation) -> np.ndarray[Any, Any]:
    return of.assign_many(USERS).arms


@pytest.mark.parametrize("same_salt", [False, True])
def test_given_two_experiments_when_cross_tabulated_then_they_are_independent(
    same_salt: bool,
) -> None:
    salts = ["s", "s"] if same_salt else ["", ""]
    first, second = (
        buckets(allocation(*[1_000] * 10, name=name, salt=salt))
        for name, salt in zip(["one", "two"], salts, strict=True)
    )

    table = np.histogram2d(first, second, bins=10)[0]
    test = stats.chi2_contingency(table)

    assert test.dof == 81
    assert stats.chi2.ppf(0.0005, 81) < test.statistic < stats.chi2.ppf(0.9995, 81)


def test_given_a_tenth_included_when_arms_are_split_then_inclusion_says_nothing_of_the_arm() -> (
    None
):
    found = allocation(5_000, 5_000, included_bp=1_000).assign_many(USERS)
    counts = found.counts()

    assert sum(counts.values()) == pytest.approx(10_000, abs=400)
    assert stats.binomtest(counts["arm-1"], sum(counts.values())).pvalue > 1e-3


def test_given_holdout_and_namespace_when_assigned_then_the_arms_stay_balanced_within() -> None:
    within = allocation(
        5_000, 5_000, holdout=Holdout(1_000), namespace=Namespace("ns", 2_000, 6_000)
    ).assign_many(USERS)
    counts, reasons = within.counts(), within.reason_counts()

    assert reasons[Reason.HOLDOUT] == pytest.approx(10_000, abs=400)
    assert sum(counts.values()) == pytest.approx(36_000, abs=600)
    assert stats.binomtest(counts["arm-1"], sum(counts.values())).pvalue > 1e-3


@settings(max_examples=30)
@given(data=st.data(), arms=st.integers(2, 5))
def test_given_a_next_phase_when_a_share_does_not_fall_then_the_arm_keeps_every_unit(
    data: st.DataObject, arms: int
) -> None:
    first = allocation(*data.draw(weight_lists(arms)))
    weights = dict(zip(first.weights, data.draw(weight_lists(arms)), strict=True))

    second = first.next_phase(weights=weights)

    before, after = members(first), members(second)
    assert second.label == "exp/2"
    assert second.weights == weights
    for key, weight in weights.items():
        if weight >= first.weights[key]:
            assert before[key] <= after[key]


@settings(max_examples=30)
@given(weights=weight_lists(3), shares=st.lists(st.integers(0, 10_000), min_size=2, max_size=2))
def test_given_more_included_when_assigned_then_every_unit_keeps_its_arm(
    weights: list[int], shares: list[int]
) -> None:
    less = allocation(*weights, included_bp=min(shares))
    more = less.next_phase(included_bp=max(shares))

    for key, units in members(less).items():
        assert units <= members(more)[key]


@settings(max_examples=30)
@given(shares=st.lists(st.integers(0, 10_000), min_size=2, max_size=2))
def test_given_a_larger_holdout_when_assigned_then_nobody_is_let_go(shares: list[int]) -> None:
    units = FEW[:500]

    def held(share: int) -> set[str]:
        of = allocation(10_000, holdout=Holdout(share))
        return {unit for unit in units if of.assign(unit).reason is Reason.HOLDOUT}

    assert held(min(shares)) <= held(max(shares))


def test_given_one_holdout_when_two_experiments_run_then_who_is_held_out_is_out_of_both() -> None:
    first = allocation(10_000, name="one", holdout=Holdout(1_000)).assign_many(FEW)
    second = allocation(10_000, name="two", holdout=Holdout(1_000)).assign_many(FEW)

    assert 100 < np.sum(first.arms == -1) < 300
    assert (first.arms == second.arms).all()


def test_given_parts_of_a_namespace_when_they_do_not_overlap_then_no_unit_is_in_two() -> None:
    parts = [Namespace("search", 0, 4_000), Namespace("search", 4_000, 10_000)]
    one, two = (
        members(allocation(10_000, name=f"exp-{n}", namespace=part))["arm-0"]
        for n, part in enumerate(parts)
    )

    assert not one & two
    assert one | two == set(FEW)
    assert not parts[0].overlaps(parts[1])
    assert parts[0].overlaps(replace(parts[1], start_bp=3_999))
    assert parts[0].overlaps(Namespace("other", 4_000, 10_000))


def test_given_another_salt_when_assigned_then_the_units_are_shuffled() -> None:
    first = allocation(5_000, 5_000).assign_many(FEW)
    second = allocation(5_000, 5_000, salt="again").assign_many(FEW)

    assert 0.4 < np.mean(first.arms == second.arms) < 0.6


FULL = allocation(
    4_000,
    3_000,
    2_000,
    included_bp=8_000,
    holdout=Holdout(500),
    namespace=Namespace("ns", 1_000, 9_000),
    targeting=Targeting((Equals("carrier", "UA"),)),
    overrides=(Override("user-7", "arm-2", "tester"), Override("user-8", "arm-1", "tester")),
)


def test_given_everything_at_once_when_assigned_together_then_each_unit_is_as_it_is_alone() -> None:
    known = [{"carrier": "UA" if n % 3 else "AA"} for n in range(len(FEW))]

    many = FULL.assign_many(FEW, known)

    alone = [FULL.assign(unit, of) for unit, of in zip(FEW, known, strict=True)]
    assert [None if n < 0 else many.keys[n] for n in many.arms] == [each.arm for each in alone]
    assert [tuple(Reason)[n] for n in many.reasons] == [each.reason for each in alone]
    assert set(many.reasons) == set(range(len(Reason)))  # each of them occurs


def test_given_an_override_when_assigned_then_it_goes_before_everything() -> None:
    assert FULL.assign("user-7") == FULL.assign("user-7", {"carrier": "AA"})
    assert FULL.assign("user-7").to_dict() == {"arm": "arm-2", "reason": "override"}
    assert FULL.assign("user-9").reason is Reason.NOT_TARGETED


def test_given_an_allocation_when_it_is_stored_as_json_then_it_comes_back() -> None:
    later = FULL.next_phase(weights={"arm-0": 1_000, "arm-1": 6_000})

    restored = from_dict(Allocation, json.loads(json.dumps(plain(later))))

    assert restored == later
    assert members(restored) == members(later)


def test_given_no_units_when_assigned_then_there_is_nothing() -> None:
    assert FULL.assign_many([]).arms.shape == (0,)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: allocation(5_000, 5_050), "is 10050; expected 1 to 10000 basis points"),
        (lambda: allocation(0, 0), "1 to 10000 basis points"),
        (allocation, "at least one, each key once"),
        (
            lambda: Allocation(experiment="e", arms=(Arm("a", 1), Arm("a", 2))),
            "at least one, each key once",
        ),
        (lambda: Arm("a", -1), "basis points"),
        (lambda: Arm("a", 10_001), "basis points"),
        (lambda: Arm("a", 50.5), "basis points"),  # type: ignore[arg-type]
        (lambda: Arm("a", True), "basis points"),
        (lambda: Arm("a b", 1), "arm is 'a b'"),
        (lambda: Arm("a", 1, "not a version"), "model version of variant a"),
        (lambda: allocation(1, name="a/b"), "experiment is 'a/b'"),
        (lambda: allocation(1, included_bp=10_001), "included share"),
        (lambda: allocation(1, phase=0), "a number from 1"),
        (lambda: allocation(1, hash="md5"), "one of sha256, growthbook-v2"),
        (lambda: allocation(1, overrides=(Override("u", "nobody", "r"),)), "one of arm-0"),
        (lambda: allocation(5, 5, owned=(((0, 5),), ((5, 9),))), "as many as the weights"),
        (lambda: allocation(5, 5, owned=(((0, 5),), ((4, 9),))), "each owned once"),
        (lambda: Holdout(-1), "share of the holdout"),
        (lambda: Namespace("n", 5, 5), "more than 5"),
        (lambda: Namespace("n", 0, 10_001), "basis points"),
        (
            lambda: allocation(1).next_phase(weights={"other": 5}),
            "variants of the experiment: arm-0",
        ),
        (lambda: allocation(1, 1).next_phase(weights={"arm-0": 10_000}), "is 10001"),
        (lambda: allocation(1).assign(7), "unit is 7; expected a string"),  # type: ignore[arg-type]
        (lambda: allocation(1).assign("\ud800"), "lone surrogates"),
        (lambda: allocation(1).assign_many(["a", "b"], [{}]), "attributes is '1 of them'"),
    ],
)
def test_given_what_cannot_be_when_made_then_the_error_says_so(make: Any, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        make()


def test_given_percentages_when_they_are_basis_points_then_nothing_is_rounded_away() -> None:
    assert [basis_points(p) for p in (0, 0.01, 0.07, 33.33, 99.99, 100)] == [
        0, 1, 7, 3_333, 9_999, 10_000,
    ]  # fmt: skip
    for wrong in (100.5, -1, 33.333, float("nan"), float("inf"), True, "5"):
        with pytest.raises(InvalidValueError, match="percentage"):
            basis_points(wrong)  # type: ignore[arg-type]


def test_given_an_allocation_when_many_are_assigned_then_arms_have_the_told_percentages() -> None:
    allocation = Allocation(
        experiment="told",
        arms=(Arm("control", 6_000), Arm("new", 3_000, "2")),
        included_bp=5_000,
        holdout=Holdout(1_000, "spring"),
        namespace=Namespace("search", 2_000, 8_000),
    )

    told = allocation.percentages()
    counts = allocation.assign_many([f"user-{n}" for n in range(100_000)]).counts()

    assert told == pytest.approx({"control": 16.2, "new": 8.1})
    for arm, share in told.items():
        assert counts[arm] / 1_000 == pytest.approx(share, abs=0.4)
