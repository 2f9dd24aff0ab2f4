"""What a two-sample test gives."""

from dataclasses import dataclass

from watchkeeper.results import Result

__all__ = ["TwoSampleTest"]


@dataclass(frozen=True, slots=True)
class TwoSampleTest(Result):
    """A test of whether two samples come from one distribution.

    Attributes
    ----------
    statistic : float
    p_value : float
    effect_size : float
        How far apart the two lie, between 0 (equal) and 1 (disjoint), whatever the sample sizes.
    """

    statistic: float
    p_value: float
    effect_size: float
