"""Exact tests of two arms, given how many events there were: for rare events and unequal arms."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats.group_sequential import Spending, alpha_spent, increasing_fractions

__all__ = [
    "ConditionalTest",
    "ExactLook",
    "ExactSequentialTest",
    "conditional_test",
    "exact_group_sequential_test",
    "exact_repeated_p_value",
]

_Array = npt.NDArray[np.float64]
_FAR, _NEAR = 40.0, 10.0  # standard deviations within which a distribution is kept
_SMALLEST = 1e-300  # tail that a z-statistic is made of
_NIL = 1e-18  # probability at the ends of a distribution that is not carried on


@dataclass(frozen=True, slots=True)
class ConditionalTest(Result):
    """How unusual the events of the treatment are among all events.

    Attributes
    ----------
    events : int
        Of the treatment.
    expected : float
        Of the treatment, if both arms had the same rate within each stratum.
    greater, less : float
        Probability of as many events or more, and of as many or fewer.
    p_value : float
        Two-sided: twice the smaller of the two, at most 1.
    z : float
        The normal quantile of the smaller tail; 0 where neither is below a half. Its sign is that
        of the difference.
    """

    events: int
    expected: float
    greater: float
    less: float
    p_value: float
    z: float


@dataclass(frozen=True, slots=True)
class ExactLook(Result):
    """One look at an exact group-sequential test.

    Attributes
    ----------
    look : int
        Its number, from 1.
    fraction : float
        Share of the planned information.
    events : int
        Of the treatment, up to this look.
    expected : float
        Of the treatment, if both arms had the same rates.
    low, high : int
        It crosses with so many events or fewer, or with so many or more; where no possible count
        crosses, they lie beyond the possible.
    crossed : bool
    alpha_spent : float
        Exact probability to have crossed up to this look when both arms have the same rates.
    """

    look: int
    fraction: float
    events: int
    expected: float
    low: int
    high: int
    crossed: bool
    alpha_spent: float


@dataclass(frozen=True, slots=True)
class ExactSequentialTest(Result):
    """All looks of an exact group-sequential test up to now.

    Attributes
    ----------
    looks : tuple of ExactLook
    crossed : bool
    crossed_at : int or None
        Number of the first look that crossed.
    """

    looks: tuple[ExactLook, ...]
    crossed: bool
    crossed_at: int | None


def conditional_test(
    control_events: npt.ArrayLike,
    control_total: npt.ArrayLike,
    treatment_events: npt.ArrayLike,
    treatment_total: npt.ArrayLike,
) -> ConditionalTest:
    """Test whether two arms have the same rate within each stratum, exactly.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total : array_like of int
        Of any one shape: a number, or one entry a stratum.

    Returns
    -------
    ConditionalTest
        Given all margins of each stratum's table, the events of the treatment are hypergeometric
        whatever the rates are; the strata add up. Without strata the tails are those of Fisher's
        exact test. The test holds its level at any counts and is a little conservative at small
        ones. Its `z` may stand where a group-sequential bound asks for one.

    Raises
    ------
    InvalidValueError
        If the counts differ in shape, are negative or no whole numbers, or an arm has more events
        than units.

    References
    ----------
    Fisher (1935), J. R. Statist. Soc. 98(1), 39-82; strata: Cox (1970), Analysis of Binary Data.

    Examples
    --------
    >>> test = conditional_test(76, 38_000, 9, 2_000)
    >>> test.expected, round(test.greater, 4), round(test.z, 2)
    (4.25, 0.0261, 1.94)
    """
    from scipy.special import ndtri

    cells = _cells(control_events, control_total, treatment_events, treatment_total)
    cells = cells.reshape(4, -1)
    sums = _Sums.none()
    for cell in cells.T:
        sums = sums.plus(_hypergeometric(cell, _FAR))
    events = int(cells[2].sum())
    greater, less = sums.at_least(events), sums.at_most(events)
    z = -float(ndtri(min(max(min(greater, less), _SMALLEST), 0.5)))
    return ConditionalTest(
        events=events,
        expected=_expected(cells),
        greater=greater,
        less=less,
        p_value=min(1.0, 2 * min(greater, less)),
        z=z if greater <= less else -z,
    )


def exact_group_sequential_test(
    control_events: npt.ArrayLike,
    control_total: npt.ArrayLike,
    treatment_events: npt.ArrayLike,
    treatment_total: npt.ArrayLike,
    fractions: Sequence[float],
    alpha: float = 0.05,
    spending: Spending = "obrien_fleming",
) -> ExactSequentialTest:
    """Compare the rates of two arms at several looks, with an error rate that holds exactly.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total : array_like of int
        What came *since the look before*, shape (n_looks,) or (n_looks, n_strata). Units count at
        the look at which their outcome is known.
    fractions : sequence of float, one a look
        Information over the planned information, increasing. It may depend on the totals, but not
        on which arm had the events. A test that ends with less than planned may pass 1 for its last
        look, if its end did not depend on what was seen.
    alpha : float
        Two-sided error rate over all looks, half of it on each side.
    spending : {"obrien_fleming", "pocock"}

    Returns
    -------
    ExactSequentialTest
        The probability to cross any bound is at most `alpha`, each side at most half of it, at any
        rates however rare, any shares of the arms, and with rates and shares that change from look
        to look and from stratum to stratum. What a bound cannot spend, since counts are whole,
        later looks may.

    Raises
    ------
    InvalidValueError
        As for `conditional_test`, and if there is not one row for each of the fractions, which
        increase.

    Notes
    -----
    Given its margins, what came between two looks is a table whose treatment events are
    hypergeometric, independent of the others. The distribution of their sum over the paths that
    have not crossed is carried from look to look, and each bound is the outermost count that spends
    no more than `alpha_spent` allows. This is the discrete form of the recursion behind
    `group_sequential_bounds`, which it approaches when events are many. Five looks at a million
    events are a matter of milliseconds, so that there is no need to approximate.

    References
    ----------
    Lan and DeMets (1983), Biometrika 70(3), 659-663; Jennison and Turnbull (2000), Group Sequential
    Methods, chapters 7 and 12.

    Examples
    --------
    >>> test = exact_group_sequential_test([30, 26], [15_000] * 2, [6, 9], [790] * 2, [0.5, 1.0])
    >>> [(look.events, look.high, look.crossed) for look in test.looks]
    [(6, 8, False), (15, 9, True)]
    """
    times = increasing_fractions(fractions)
    counts = (control_events, control_total, treatment_events, treatment_total)
    looks = _followed(_Came.since(_looks(len(times), *counts)), times, alpha, spending)
    crossed_at = next((step.look for step in looks if step.crossed), None)
    return ExactSequentialTest(looks, crossed_at is not None, crossed_at)


def exact_repeated_p_value(
    control_events: npt.ArrayLike,
    control_total: npt.ArrayLike,
    treatment_events: npt.ArrayLike,
    treatment_total: npt.ArrayLike,
    fractions: Sequence[float],
    spending: Spending = "obrien_fleming",
) -> float:
    """Return the smallest error rate at which one of the looks so far would have crossed.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total, fractions, spending
        As for `exact_group_sequential_test`.

    Returns
    -------
    float
        At or below `alpha` when `exact_group_sequential_test` with that `alpha` crosses; to a
        millionth of itself, between 1e-12 and 1.

    Raises
    ------
    InvalidValueError
        As for `exact_group_sequential_test`.

    Examples
    --------
    >>> looks = [30, 26], [15_000] * 2, [6, 9], [790] * 2
    >>> round(exact_repeated_p_value(*looks, fractions=[0.5, 1.0]), 7)
    3.7e-06
    """
    times = increasing_fractions(fractions)
    counts = (control_events, control_total, treatment_events, treatment_total)
    came = _Came.since(_looks(len(times), *counts))

    def crosses(alpha: float) -> bool:
        return any(look.crossed for look in _followed(came, times, alpha, spending))

    low, high = 1e-12, 1.0 - 1e-9
    if not crosses(high):
        return 1.0
    while high > low * (1 + 1e-6):
        middle = sqrt(low * high)
        low, high = (low, middle) if crosses(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class _Came:
    """What came between two looks: its distribution, and what there is up to the second."""

    sums: "_Sums"
    events: int
    expected: float

    @classmethod
    def since(cls, cells: npt.NDArray[np.int64]) -> "list[_Came]":
        """Return one for each look of cells of shape (4, n_looks, n_strata)."""
        came = []
        for look in range(cells.shape[1]):
            sums, so_far = _Sums.none(), cells[:, : look + 1].reshape(4, -1)
            for cell in cells[:, look].T:
                sums = sums.plus(_hypergeometric(cell, _NEAR))
            came.append(cls(sums, int(so_far[2].sum()), _expected(so_far)))
        return came


def _followed(
    came: Sequence[_Came], times: Sequence[float], alpha: float, spending: Spending
) -> tuple[ExactLook, ...]:
    """Carry the paths that have not crossed from look to look."""
    sums, above, below = _Sums.none(), 0.0, 0.0
    looks: list[ExactLook] = []
    for fraction, table in zip(times, came, strict=True):
        may = alpha_spent(fraction, alpha, spending) / 2
        low, high, sums, under, over = sums.plus(table.sums).within(may - below, may - above)
        below, above = below + under, above + over
        looks.append(
            ExactLook(
                look=len(looks) + 1,
                fraction=fraction,
                events=table.events,
                expected=table.expected,
                low=low,
                high=high,
                crossed=not low < table.events < high,
                alpha_spent=below + above,
            )
        )
    return tuple(looks)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Distribution of a count: ``chances[i]`` is that of ``start + i``."""

    start: int
    chances: _Array

    @classmethod
    def none(cls) -> "_Sums":
        return cls(0, np.ones(1))

    def plus(self, other: "_Sums") -> "_Sums":
        """Return the distribution of the sum with an independent count."""
        return _Sums(self.start + other.start, np.convolve(self.chances, other.chances))

    def at_least(self, count: int) -> float:
        return min(1.0, float(self.chances[max(0, count - self.start) :].sum()))

    def at_most(self, count: int) -> float:
        return min(1.0, float(self.chances[: max(0, count - self.start + 1)].sum()))

    def within(self, below: float, above: float) -> "tuple[int, int, _Sums, float, float]":
        """Return the outermost bounds that spend no more, what is between them, what is spent."""
        size = len(self.chances)
        from_low = np.cumsum(self.chances)
        from_high = np.cumsum(self.chances[::-1])
        # What is outside the array has a chance of nil.
        first = int(np.searchsorted(from_low, max(below, 0.0), side="right"))
        last = size - int(np.searchsorted(from_high, max(above, 0.0), side="right"))
        under = float(from_low[first - 1]) if first else 0.0
        over = float(from_high[size - last - 1]) if last < size else 0.0
        low, high = self.start + first - 1, self.start + last
        chances = self.chances[first:last] if first < last else np.zeros(1)
        solid = np.flatnonzero(chances > _NIL)
        if solid.size:
            first, chances = first + int(solid[0]), chances[solid[0] : solid[-1] + 1]
        return low, high, _Sums(self.start + first, chances), under, over


def _expected(cells: npt.NDArray[np.int64]) -> float:
    """Return the treatment's share of each stratum's events, added up."""
    events, units = cells[0] + cells[2], cells[1] + cells[3]
    return float(np.sum(events * cells[3] / np.maximum(units, 1)))


def _hypergeometric(cell: npt.NDArray[np.int64], reach: float) -> _Sums:
    """Return the distribution of the treatment's events, given the margins of a table."""
    from scipy.special import gammaln

    events_of_control, control, events_of_treatment, treatment = cell.tolist()
    events, units = events_of_control + events_of_treatment, control + treatment
    least, most = max(0, events - control), min(events, treatment)
    if least == most:
        return _Sums(least, np.ones(1))
    share = treatment / units
    mean = events * share
    reached = reach * (np.sqrt(mean * (1 - share) * (units - events) / (units - 1)) + 3)
    least, most = max(least, int(mean - reached)), min(most, int(np.ceil(mean + reached)))
    counts = np.arange(least, most + 1, dtype=np.float64)
    logs = -(
        gammaln(counts + 1)
        + gammaln(treatment - counts + 1)
        + gammaln(events - counts + 1)
        + gammaln(control - events + counts + 1)
    )
    chances = np.exp(logs - logs.max())
    return _Sums(least, chances / chances.sum())


def _looks(looks: int, *counts: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return counts of shape (4, looks, n_strata)."""
    cells = _cells(*counts)
    if cells.ndim not in {2, 3} or cells.shape[1] != looks or not cells.size:
        raise InvalidValueError(
            "control_events", f"shape {cells.shape[1:]}", f"{looks} rows, one a fraction"
        )
    return cells.reshape(4, looks, -1)


def _cells(*counts: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return control events, control total, treatment events and treatment total as one array."""
    arrays = [np.asarray(count) for count in counts]
    names = ("control_events", "control_total", "treatment_events", "treatment_total")
    for name, array in zip(names, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise InvalidValueError(name, f"shape {array.shape}", f"shape {arrays[0].shape}")
        if array.dtype.kind not in "iuf" or not np.all((array >= 0) & (array == np.floor(array))):
            raise InvalidValueError(name, array.tolist(), "whole numbers not below 0")
    for events, total in ((0, 1), (2, 3)):
        if np.any(arrays[events] > arrays[total]):
            raise InvalidValueError(
                names[events], arrays[events].tolist(), f"no more than {names[total]}"
            )
    return np.stack(arrays).astype(np.int64)
