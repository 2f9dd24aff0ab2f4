"""Tests against profiles: what a sample is compared with need not be at hand.

>>> import numpy as np
>>> from watchkeeper.drift import Profile
>>> from watchkeeper.drift.compare import ks_against_profile
>>> reference = Profile.of({"age": np.arange(1_000.0)})
>>> test = ks_against_profile(reference.columns["age"], np.arange(1_000.0) + 50)
>>> round(test.statistic, 4), round(test.p_value, 4)
(0.05, 0.1587)
"""

from collections.abc import Sequence

import numpy as np

from watchkeeper.errors import InvalidValueError
from watchkeeper.profiles import ColumnProfile
from watchkeeper.profiles.categories import CategoryProfile
from watchkeeper.profiles.numbers import NumberProfile
from watchkeeper.profiles.sketches import Floats, Steps
from watchkeeper.stats import TwoSampleTest, chi_squared
from watchkeeper.stats.ks import asymptotic_p_value, asymptotic_p_values
from watchkeeper.stats.sample import Sample

__all__ = [
    "chi_squared_between",
    "ks_against_profile",
    "ks_between_all",
    "ks_between_profiles",
]

_SURE = 20  # times its error that a label must occur to be compared by itself


def ks_against_profile(reference: ColumnProfile, current: Floats | Sample) -> TwoSampleTest:
    """Test whether a sample comes from the distribution of a profile.

    Parameters
    ----------
    reference : ColumnProfile
        Of numbers or times.
    current : array_like of float, shape (n,), or Sample
        Without NaN; times in seconds.

    Returns
    -------
    TwoSampleTest
        The statistic, which is also the effect size, is the two-sample Kolmogorov-Smirnov distance,
        off by at most `NumberProfile.distance_error`: nothing while the profile is exact, and less
        than 1/512 when it is that of one dataset. The p-value is asymptotic, with the sizes of the
        data behind the profile and of the sample.

    Raises
    ------
    InvalidValueError
        If the profile is not one of numbers, or one of the two has no values.

    Notes
    -----
    The sample is counted at the values the profile kept, about a thousand, and need not be sorted
    for it. With very large samples the error of the profile may exceed what the test would call
    chance: judge by the effect size, too.
    """
    ours = _numbers("reference", reference)
    sample = current if isinstance(current, Sample) else Sample(np.asarray(current, np.float64))
    if not len(sample):
        raise InvalidValueError("current", "an empty sample", "at least one value")
    steps, size = ours.steps, len(sample)
    below, upto = sample.ranks(steps.edges)
    distance = max(_furthest(steps.left, below / size), _furthest(steps.right, upto / size))
    return _test(distance, ours.size, size)


def ks_between_profiles(reference: ColumnProfile, current: ColumnProfile) -> TwoSampleTest:
    """Test whether two profiles are of one distribution.

    The cost does not depend on how much data they are of.

    Parameters
    ----------
    reference, current : ColumnProfile

    Returns
    -------
    TwoSampleTest
        As `ks_against_profile` does; the errors of both profiles add up.

    Raises
    ------
    InvalidValueError
        If they are not both of numbers or both of times, or one of them has no values.
    """
    return ks_between_all([(reference, current)])[0]


def ks_between_all(pairs: Sequence[tuple[ColumnProfile, ColumnProfile]]) -> list[TwoSampleTest]:
    """Return `ks_between_profiles` of many columns; together their p-values cost less than half.

    Parameters
    ----------
    pairs : sequence of (ColumnProfile, ColumnProfile)
        Reference and current of each column.

    Returns
    -------
    list of TwoSampleTest

    Raises
    ------
    InvalidValueError
        As `ks_between_profiles`, of any of them.
    """
    distances, sizes = [], []
    for reference, current in pairs:
        first, second = _numbers("reference", reference), _numbers("current", current)
        if first.kind != second.kind:
            raise InvalidValueError("current", f"a column of kind {second.kind}", first.kind)
        there, back = _apart(first.steps, second.steps), _apart(second.steps, first.steps)
        distances.append(max(there, back))
        sizes.append((first.size, second.size))
    p_values = asymptotic_p_values(distances, sizes)
    return [TwoSampleTest(d, p, d) for d, p in zip(distances, p_values, strict=True)]


def chi_squared_between(reference: ColumnProfile, current: ColumnProfile) -> TwoSampleTest:
    """Test whether two profiles have the same shares of categories.

    Parameters
    ----------
    reference, current : ColumnProfile

    Returns
    -------
    TwoSampleTest
        That of `chi_squared` while every label is counted on both sides. Otherwise labels so rare
        that their count may be off by a twentieth or more are taken together as one category.

    Raises
    ------
    InvalidValueError
        If a profile has no values, or is one of more than 200 different numbers.
    """
    before, now = reference.counts(), current.counts()
    for name, column in (("reference", reference), ("current", current)):
        if not column.size:
            raise InvalidValueError(name, "a column without values", "at least one value")
    if _sketched(reference) or _sketched(current):  # their labels are text
        before = {str(label): count for label, count in before.items()}
        now = {str(label): count for label, count in now.items()}
    labels = list(dict.fromkeys([*before, *now]))
    counts = np.array(
        [
            [before.get(label, 0) for label in labels],
            [now.get(label, 0) for label in labels],
        ]
    ).reshape(2, len(labels))
    error = max(_count_error(reference) / reference.size, _count_error(current) / current.size)
    common = counts.sum(axis=0) >= _SURE * error * (reference.size + current.size)
    rest = np.array([[reference.size], [current.size]]) - counts[:, common].sum(
        axis=1, keepdims=True
    )
    table = np.hstack([counts[:, common], rest])
    return chi_squared(table[0], table[1])


def _numbers(name: str, column: ColumnProfile) -> NumberProfile:
    if not isinstance(column, NumberProfile):
        raise InvalidValueError(name, f"a column of kind {column.kind}", "numbers or times")
    return column


def _apart(first: Steps, second: Steps) -> float:
    below, right = second.at(first.edges)
    return max(_furthest(first.left, below), _furthest(first.right, right))


def _furthest(first: Floats, second: Floats) -> float:
    return float(np.abs(first - second).max())


def _test(distance: float, m: int, n: int) -> TwoSampleTest:
    return TwoSampleTest(distance, asymptotic_p_value(distance, m, n), distance)


def _sketched(column: ColumnProfile) -> bool:
    return isinstance(column, CategoryProfile) and column.sketch is not None


def _count_error(column: ColumnProfile) -> int:
    return column.count_error if isinstance(column, CategoryProfile) else 0
