"""Two arms held against each other, phase by phase.

Pooled over phases, another mix of weights and another base rate look like an effect: from 5 % of
the traffic at a base rate of 10 % to 50 % of it at 20 %, a canary of no effect is 42 % better. So
arms are compared within each phase, and the differences are averaged by what each is worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from watchkeeper.experiments.cells import Sums
from watchkeeper.results import Result

__all__ = ["Contrast", "contrast"]

_FEWEST_EVENTS = 10
_FEWEST_UNITS = 30


@dataclass(frozen=True, slots=True)
class Contrast(Result):
    """A treatment against the control.

    Attributes
    ----------
    units_control, units_treatment : int
    events_control, events_treatment : float
        Sums of what was counted, or of the values.
    control, treatment : float
        Their values, each averaged over phases by what the phase is worth to the difference.
    difference : float
        Treatment minus control.
    standard_error : float
        Of the difference, for intervals.
    z : float
        The difference over its standard error under the null hypothesis. For shares of units that
        one is pooled, since equal shares have equal variances; for means it is not. Without enough
        to go by it is 0.
    enough : bool
        30 units in each arm, and of events at least 10 that happened and 10 that did not: an arm
        without any event has no variance, and every difference looks certain.
    information : float
        ``sum(n1 * n2 / (n1 + n2))`` over the phases, which the precision grows with.
    shares, events : bool
        Whether each unit counted as 0 or 1, and whether each prediction did.
    """

    units_control: int
    units_treatment: int
    events_control: float
    events_treatment: float
    control: float
    treatment: float
    difference: float
    standard_error: float
    z: float
    enough: bool
    information: float
    shares: bool
    events: bool


def contrast(strata: Sequence[tuple[Sums, Sums]], *, events: bool = False) -> Contrast:
    """Return the difference of two arms over phases.

    Parameters
    ----------
    strata : sequence of (Sums, Sums)
        The sums of control and treatment, one pair a phase. A phase in which one arm has no unit
        says nothing about their difference.
    events : bool
        Whether each prediction counted as 0 or 1; known where each unit did.

    Returns
    -------
    Contrast

    References
    ----------
    Mantel and Haenszel (1959), J. Natl. Cancer Inst. 22(4), 719-748, for the weights; Cochran
    (1954), Biometrics 10(4), 417-451, for the test; Deng, Knoblich and Lu (2018), KDD, 233-242, for
    the variance of ratios.

    Examples
    --------
    >>> def arm(events: int, units: int) -> Sums:
    ...     return Sums(units, events, events, units, units, events)
    >>> round(contrast([(arm(2000, 10_000), arm(220, 1000))]).z, 9)
    1.502458874
    """
    both = [(c, t) for c, t in strata if c.n and t.n]
    shares = all(_is_share(arm) for pair in both for arm in pair)
    total = control = treatment = null = free = 0.0
    for c, t in both:
        weight = c.n * t.n / (c.n + t.n)
        control_ratio, other = c.y / c.d, t.y / t.d
        of_c, of_t = _variance(c, control_ratio, shares), _variance(t, other, shares)
        pooled = _variance(c + t, (c.y + t.y) / (c.d + t.d), shares)
        total += weight
        control, treatment = control + weight * control_ratio, treatment + weight * other
        free += weight**2 * (of_c / c.n + of_t / t.n)
        null += weight**2 * (pooled / c.n + pooled / t.n if shares else of_c / c.n + of_t / t.n)
    of_control = sum((c for c, _ in both), Sums())
    of_treatment = sum((t for _, t in both), Sums())
    counted = events or shares
    enough = bool(both) and _enough(of_control, counted) and _enough(of_treatment, counted)
    difference = (treatment - control) / total if total else 0.0
    return Contrast(
        units_control=of_control.n,
        units_treatment=of_treatment.n,
        events_control=of_control.y,
        events_treatment=of_treatment.y,
        control=control / total if total else 0.0,
        treatment=treatment / total if total else 0.0,
        difference=difference,
        standard_error=sqrt(free) / total if total else 0.0,
        z=difference * total / sqrt(null) if enough and null > 0 else 0.0,
        enough=enough,
        information=total,
        shares=shares,
        events=counted,
    )


def _is_share(arm: Sums) -> bool:
    return arm.dd == arm.d == arm.n and arm.yy == arm.y


def _variance(arm: Sums, rate: float, shares: bool) -> float:
    """Return the variance of one unit's part in the arm's value."""
    if shares:
        return rate * (1.0 - rate)
    if arm.n < 2:
        return 0.0
    squares = arm.yy - 2.0 * rate * arm.yd + rate**2 * arm.dd
    return max(0.0, squares) / (arm.n - 1) / (arm.d / arm.n) ** 2


def _enough(arm: Sums, events: bool) -> bool:
    return arm.n >= _FEWEST_UNITS and (not events or min(arm.y, arm.d - arm.y) >= _FEWEST_EVENTS)
