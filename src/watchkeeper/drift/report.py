"""What a drift check found: numbers a feature, and one verdict for the dataset."""

from dataclasses import dataclass

from watchkeeper.drift import html
from watchkeeper.drift.distribution import Distribution
from watchkeeper.results import Result

__all__ = ["DriftReport", "FeatureDrift", "SchemaChanges"]


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


@dataclass(frozen=True, slots=True)
class DriftReport(Result):
    """What a check of all features found.

    Attributes
    ----------
    drift_detected : bool
        Whether any feature drifted, after the correction: with no drift at all, at most
        `threshold` of checks say so.
    drift_share : float
        Share of the features that could be tested which drifted.
    features : dict of str to FeatureDrift
    reference_size, current_size : int
        Rows.
    schema_changes : SchemaChanges
    missing_values : dict of str to (float, float)
        Share of nulls and NaN in the reference and in the current sample.
    unseen_categories : dict of str to float
        Share of current values in categories that the reference does not have.
    threshold, min_effect : float
        What the verdict was taken with.
    correction : str
    checks : int
        How many checks `threshold` holds for together.
    """

    drift_detected: bool
    drift_share: float
    features: dict[str, FeatureDrift]
    reference_size: int
    current_size: int
    schema_changes: SchemaChanges
    missing_values: dict[str, tuple[float, float]]
    unseen_categories: dict[str, float]
    threshold: float
    min_effect: float
    correction: str
    checks: int = 1

    def to_html(self, title: str = "Drift report") -> str:
        """Return a self-contained page with a histogram of each feature (extra ``charts``)."""
        return html.page(self, title)

    def _repr_html_(self) -> str:
        return html.summary(self)

    @property
    def drifted(self) -> list[str]:
        """Names of the features that drifted, the strongest first."""
        found = [name for name, feature in self.features.items() if feature.drift_detected]
        return sorted(found, key=lambda name: -(self.features[name].effect_size or 0.0))
