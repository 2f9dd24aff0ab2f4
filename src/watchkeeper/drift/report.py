"""What a drift check found: numbers a feature, and one verdict for the dataset."""

from dataclasses import dataclass

from watchkeeper.drift import html
from watchkeeper.drift.features import FeatureDrift, SchemaChanges
from watchkeeper.results import Result

__all__ = ["DriftReport"]


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
        """Return a self-contained page with a histogram of each feature (extra ``charts``).

        Parameters
        ----------
        title : str

        Returns
        -------
        str
            HTML.
        """
        return html.page(title, self._repr_html_(), self.features, self.schema_changes)

    def _repr_html_(self) -> str:
        return html.summary(self._verdict, self._sizes, self.features)

    @property
    def _verdict(self) -> str:
        tested = len(self.features)
        if self.drift_detected:
            return f"Drift in {len(self.drifted)} of {tested} features"
        return f"No drift in {tested} features"

    @property
    def _sizes(self) -> str:
        over = f", over {self.checks:,} checks" if self.checks > 1 else ""
        return (
            f"{self.reference_size:,} reference rows, {self.current_size:,} current rows; level "
            f"{self.threshold:g}{over} ({self.correction}), smallest effect {self.min_effect:g}."
        )

    @property
    def drifted(self) -> list[str]:
        """Names of the features that drifted, the strongest first."""
        names = [name for name, feature in self.features.items() if feature.drift_detected]
        return sorted(names, key=lambda name: -(self.features[name].effect_size or 0.0))
