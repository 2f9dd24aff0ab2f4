"""Vectors: the hash cases of GrowthBook's SDKs, and sides its Python SDK 4.0.0 put units on."""

import pytest

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import Allocation, Arm, Holdout, Namespace, Reason
from watchkeeper.experiments.growthbook import bucket, ranges


@pytest.mark.parametrize(
    ("seed", "value", "share"),
    [
        ("seed", "a", 0.0505),
        ("seed", "b", 0.2696),
        ("foo", "ab", 0.2575),
        ("foo", "def", 0.2019),
        ("89123klj", "8952klfjas09ujkasdf", 0.124),
        ("90850943850283058242805", "123", 0.7516),
        ("()**(%$##$%#$#", '___)((*":&', 0.0128),
    ],
)
def test_given_the_cases_of_the_sdks_when_hashed_then_they_agree(
    seed: str, value: str, share: float
) -> None:
    assert bucket(seed, value) / 10_000 == share


@pytest.mark.parametrize(
    ("weights", "coverage", "expected"),
    [
        ([5_000, 5_000], 10_000, [(0, 5_000), (5_000, 10_000)]),
        ([5_000, 5_000], 5_000, [(0, 2_500), (5_000, 7_500)]),
        ([5_000, 5_000], 0, [(), ()]),
        ([2_500] * 4, 10_000, [(0, 2_500), (2_500, 5_000), (5_000, 7_500), (7_500, 10_000)]),
        # their case says 0.04, and their arithmetic 0.04000000000000001: 400 is in
        ([2_000, 3_000, 5_000], 2_000, [(0, 401), (2_000, 2_600), (5_000, 6_000)]),
    ],
)
def test_given_the_cases_of_the_sdks_when_ranges_are_made_then_they_agree(
    weights: list[int], coverage: int, expected: list[tuple[int, int]]
) -> None:
    assert [span for spans in ranges(weights, coverage) for span in (spans or [()])] == expected


def checkout(*weights: int, coverage: int = 10_000) -> Allocation:
    arms = tuple(Arm(f"v{n}", weight) for n, weight in enumerate(weights))
    return Allocation(
        experiment="k", salt="checkout", arms=arms, included_bp=coverage, hash="growthbook-v2"
    )


@pytest.mark.parametrize(
    ("unit", "arm"),
    [  # buckets 1000, 2999, 3000, 3001, 5999, 6000: 0.1 + 0.2 is more than 0.3 in every SDK
        ("user-7848", "v1"),
        ("user-2388", "v1"),
        ("user-3282", "v1"),
        ("user-4987", "v2"),
        ("user-6114", "v2"),
        ("user-1729", "v2"),
    ],
)
def test_given_units_at_the_edges_of_ranges_when_assigned_then_they_fall_where_the_sdk_puts_them(
    unit: str, arm: str
) -> None:
    assert checkout(1_000, 2_000, 3_000, 4_000).assign(unit).arm == arm


@pytest.mark.parametrize(
    ("unit", "partial", "full"),
    [
        ("user-1", None, "v1"),
        ("user-2", "v1", "v1"),
        ("user-3", None, "v0"),
        ("user-5", None, "v0"),
        ("user-15628", "v0", "v0"),
        ("user-7848", None, "v0"),
        ("Zoë", None, "v0"),
        ("名前", None, "v0"),
        ("😀", None, "v0"),
    ],
)
def test_given_coverage_when_assigned_then_units_fall_where_the_sdk_puts_them(
    unit: str, partial: str | None, full: str
) -> None:
    some = checkout(5_000, 5_000, coverage=2_000)

    assert some.assign(unit).arm == partial
    assert some.next_phase(included_bp=10_000).assign(unit).arm == full
    assert (some.assign(unit).reason is Reason.NOT_INCLUDED) == (partial is None)


def test_given_many_units_when_assigned_together_then_each_is_as_it_is_alone() -> None:
    allocation = checkout(3_333, 3_333, 3_334, coverage=5_000)
    units = [f"user-{n}" for n in range(2_000)]

    many = allocation.assign_many(units)

    keys = [None if n < 0 else many.keys[n] for n in many.arms]
    assert keys == [allocation.assign(unit).arm for unit in units]


def test_given_what_the_sdks_do_not_do_alike_when_asked_for_then_it_is_refused() -> None:
    arms = (Arm("a", 5_000), Arm("b", 5_000))
    with pytest.raises(InvalidValueError, match="sha256 with a holdout or a namespace"):
        Allocation(experiment="e", arms=arms, hash="growthbook-v2", holdout=Holdout(100))
    with pytest.raises(InvalidValueError, match="sha256 with a holdout or a namespace"):
        Allocation(experiment="e", arms=arms, hash="growthbook-v2", namespace=Namespace("n", 0, 9))
    with pytest.raises(InvalidValueError, match="10000 basis points"):
        checkout(5_000, 4_000)
