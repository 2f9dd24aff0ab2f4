"""How many units an experiment needs, before it begins.

>>> planned(0.10, 0.2, mode=Mode.FIXED).units
7682
"""

from dataclasses import dataclass
from math import ceil

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments.design import Mode
from watchkeeper.results import Result
from watchkeeper.stats import days_needed, group_sequential_inflation, total_sample_size

__all__ = ["SampleSizePlan", "planned"]

_ANYTIME = 1.7  # times the units of a fixed test, by benchmarks/experiments.py


@dataclass(frozen=True, slots=True)
class SampleSizePlan(Result):
    """What an experiment needs.

    Attributes
    ----------
    units : int
        In all; `control` of the control and `treatment` of each treatment.
    days : float or None
        At the traffic that was given.
    """

    units: int
    control: int
    treatment: int
    days: float | None


def planned(
    baseline: float,
    effect: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    treatment_share: float = 0.5,
    treatments: int = 1,
    mode: Mode = Mode.GROUP_SEQUENTIAL,
    looks: int = 5,
    units_a_day: float | None = None,
) -> SampleSizePlan:
    """Return how many units an experiment on a rate needs.

    A group-sequential test needs a few percent more than a fixed one for its looks, and on average
    ends earlier; one that may be looked at at any time needs 1.7 times the units.

    Parameters
    ----------
    baseline, effect, alpha, power, treatment_share, treatments
        As for `watchkeeper.stats.total_sample_size`.
    mode : Mode
    looks : int
    units_a_day : float, optional

    Returns
    -------
    SampleSizePlan

    Raises
    ------
    InvalidValueError
        If a number is out of its range.
    """
    if treatments < 1:
        raise InvalidValueError("treatments", treatments, "at least 1")
    inflation = 1.0
    if mode is Mode.ANYTIME:
        inflation = _ANYTIME
    elif mode is Mode.GROUP_SEQUENTIAL:
        if not 1 <= looks <= 100:
            raise InvalidValueError("looks", looks, "a whole number from 1 to 100")
        fractions = [(look + 1) / looks for look in range(looks)]
        inflation = group_sequential_inflation(fractions, alpha / treatments, power)
    units = total_sample_size(
        baseline,
        effect,
        alpha,
        power,
        treatment_share=treatment_share,
        treatments=treatments,
        inflation=inflation,
    )
    ratio = (1 - treatment_share) / treatment_share
    treatment = ceil(units / (treatments + ratio))
    return SampleSizePlan(
        units=units,
        control=units - treatments * treatment,
        treatment=treatment,
        days=None if units_a_day is None else days_needed(units, units_a_day),
    )
