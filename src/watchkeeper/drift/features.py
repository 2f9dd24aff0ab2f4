"""How one feature compares, and how the columns changed."""

from dataclasses import dataclass

from watchkeeper.drift.distribution import Distribution
from watchkeeper.results import Result

__all__ = ["FeatureDrift", "SchemaChanges"]


@dataclass(frozen=True, slots=True)
class FeatureDrift(Result):
    """How one feature compares.

    Attributes
    ----------
    drift_detected : bool or None
        None when it could not be told; `error` says why.
    p_value, adjusted_p_value : float or None
        Before and after the correction for the number of features.
    method : str or None
        One of `watchkeeper.drift.METHODS`.
    statistic : float or None
    effect_size : float or None
        Between 0 and 1, whatever the sample sizes: of numbers the Kolmogorov-Smirnov distance, of
        categories and bins the total variation distance, or the method's own where it is one.
    error : str or None
    distribution : Distribution or None
        Both samples over the same bins, for a chart.
    """

    drift_detected: bool | None
    p_value: float | None
    adjusted_p_value: float | None
    method: str | None
    statistic: float | None
    effect_size: float | None
    error: str | None = None
    distribution: Distribution | None = None


@dataclass(frozen=True, slots=True)
class SchemaChanges(Result):
    """Columns that are gone, new, or of another kind: ``{name: "number, was category"}``."""

    missing: tuple[str, ...]
    new: tuple[str, ...]
    retyped: dict[str, str]
