"""`DataDriftDetector`: tests every column against a reference and gives one verdict."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import narwhals as nw

from watchkeeper.drift.distribution import Distribution
from watchkeeper.drift.features import FeatureDrift, SchemaChanges
from watchkeeper.drift.methods import CHI_SQUARED, KS, METHODS, OF_NUMBERS, Method
from watchkeeper.drift.references import (
    by_value,
    column_or_error,
    comparable,
    drawn_together,
    is_categorical,
    missing_share,
    prepared,
    tested,
)
from watchkeeper.drift.report import DriftReport
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.profiles.columns import Categories, Numbers, as_categories, frame_of
from watchkeeper.profiles.engines import QueriedColumn, QueriedFrame, queried
from watchkeeper.stats import TwoSampleTest, adjusted
from watchkeeper.stats.multiplicity import Correction

__all__ = ["DataDriftDetector"]


_LARGE = 2_000_000  # values from which several columns are looked at together
_AT_ONCE = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one column of the current data is like, beside the reference's."""

    test: TwoSampleTest | str
    missing: float | None = None  # None for a column that is not there
    retyped: str | None = None
    unseen: float | None = None
    distribution: Distribution | None = None


class DataDriftDetector:
    """Compares samples with a reference that is prepared once.

    Parameters
    ----------
    reference_data : data frame, dict of sequences, table of Ibis, or Profile
        Anything Narwhals takes; its columns are the features, and are held in memory. A profile is
        a few kilobytes a column and enough for the default methods; the distance is then within
        1/512 of the exact one.
    threshold : float
        Level of the test: with no drift, at most this share of checks says drift.
    correction : {"fdr_bh", "fdr_by", "bonferroni", "none"}
        For the number of features.
    methods : "auto", str, or mapping of str to str
        Which of `watchkeeper.drift.METHODS` all features get, or each. By default numbers, dates
        and times get Kolmogorov-Smirnov; words, truth values, and whole numbers of at most ten
        different values get chi-squared, which they also get where a method is for numbers only.
    min_effect : float
        Effect size below which a difference is not called drift, however significant: a large
        sample makes the smallest shift significant. Between 0 and 1; see `FeatureDrift`.

    checks : int
        How many checks `threshold` is meant for together: with no drift, at most this share of
        runs of so many checks says drift even once. 8760 for a check every hour of a year.

    Raises
    ------
    InvalidValueError
        If the reference has no rows or no columns, or an argument is out of range.
    NotFoundError
        If a method is for a feature that the reference does not have.

    Notes
    -----
    Each of several `checks` is held to ``threshold / checks`` (Bonferroni). That promise needs no
    independence, and there is none: all checks share the chance of one reference sample, which is
    what makes rules such as "three in a row" alarm far more often than they seem to.
    """

    def __init__(
        self,
        reference_data: object,
        threshold: float = 0.05,
        *,
        correction: Correction = "fdr_bh",
        methods: Literal["auto"] | Method | Mapping[str, Method] = "auto",
        min_effect: float = 0.02,
        checks: int = 1,
    ) -> None:
        if not 0.0 < threshold < 1.0:
            raise InvalidValueError("threshold", threshold, "a number strictly between 0 and 1")
        if not 0.0 <= min_effect < 1.0:
            raise InvalidValueError("min_effect", min_effect, "a number from 0 to below 1")
        if checks < 1:
            raise InvalidValueError("checks", checks, "a whole number of at least 1")
        adjusted([], correction)
        self.checks = checks
        self.threshold, self.correction, self.min_effect = threshold, correction, min_effect
        self._size, self._columns = prepared(reference_data)
        self._methods = self._chosen(methods)

    def detect_drift_numerical(self, current: object, feature: str) -> tuple[bool, float]:
        """Return whether a feature drifted by the Kolmogorov-Smirnov test, and the p-value.

        The raw p-value is compared with the threshold, without correction and smallest effect.

        Parameters
        ----------
        current : data frame or dict of sequences
        feature : str

        Returns
        -------
        tuple of bool and float

        Raises
        ------
        NotFoundError
            If the reference or the current sample has no such feature.
        InvalidValueError
            If the feature is not numeric, or has no values.
        """
        return self._raw(current, feature, KS)

    def detect_drift_categorical(self, current: object, feature: str) -> tuple[bool, float]:
        """Return the same by the chi-squared test on the union of the categories.

        Parameters
        ----------
        current : data frame or dict of sequences
        feature : str

        Returns
        -------
        tuple of bool and float

        Raises
        ------
        NotFoundError
            As `detect_drift_numerical`.
        InvalidValueError
            If the columns cannot be compared, or have no values.
        """
        return self._raw(current, feature, CHI_SQUARED)

    def detect_all_features(self, current: object) -> dict[str, FeatureDrift]:
        """Return how each feature of the reference compares; one bad column hides no other.

        Parameters
        ----------
        current : data frame, dict of sequences or table of Ibis

        Returns
        -------
        dict of str to FeatureDrift
            By feature.
        """
        return self.detect(current).features

    def detect(self, current: object) -> DriftReport:
        """Return how all features compare, and the verdict for the dataset.

        A table of Ibis is compared where it lives, column after column.

        Parameters
        ----------
        current : data frame, dict of sequences or table of Ibis

        Returns
        -------
        DriftReport

        Raises
        ------
        InvalidValueError
            If `current` is not a data frame.
        """
        frame = queried(current) or frame_of(current, "current")
        looks = dict(zip(self._columns, self._look_at_all(frame), strict=True))
        p_values = adjusted(
            [
                look.test.p_value if isinstance(look.test, TwoSampleTest) else None
                for look in looks.values()
            ],
            self.correction,
        )
        features = {
            name: self._verdict(name, look, p_value)
            for (name, look), p_value in zip(looks.items(), p_values, strict=True)
        }
        verdicts = [f.drift_detected for f in features.values() if f.drift_detected is not None]
        return DriftReport(
            drift_detected=any(verdicts),
            drift_share=sum(verdicts) / len(verdicts) if verdicts else 0.0,
            features=features,
            reference_size=self._size,
            current_size=len(frame),
            schema_changes=SchemaChanges(
                missing=tuple(name for name, look in looks.items() if look.missing is None),
                new=tuple(name for name in frame.columns if name not in self._columns),
                retyped={name: look.retyped for name, look in looks.items() if look.retyped},
            ),
            missing_values={
                name: (missing_share(self._columns[name]), look.missing)
                for name, look in looks.items()
                if look.missing is not None
            },
            unseen_categories={
                name: look.unseen for name, look in looks.items() if look.unseen is not None
            },
            threshold=self.threshold,
            min_effect=self.min_effect,
            correction=self.correction,
            checks=self.checks,
        )

    def _look_at_all(self, frame: nw.DataFrame[Any] | QueriedFrame) -> Iterator["_Look"]:
        """Look at the columns one after the other, of large frames a few at a time.

        NumPy sorts and Arrow encodes without holding the interpreter. No more columns are in memory
        than are looked at.
        """
        names = list(self._columns)
        series = (frame[name] if name in frame.columns else None for name in names)
        if isinstance(frame, QueriedFrame) or len(frame) * len(names) < _LARGE:
            yield from map(self._look, names, series)
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield from pool.map(self._look, names, series)

    def _look(self, name: str, series: nw.Series[Any] | QueriedColumn | None) -> "_Look":
        before = self._columns[name]
        if series is None:
            return _Look("the column is missing from the current data")
        current_column = column_or_error(series)
        retyped = unseen = drawn = None
        if (
            not isinstance(current_column, str)
            and not isinstance(before, str)
            and current_column.size
        ):
            if before.size and not comparable(before, current_column):
                retyped = f"{current_column.kind}, was {before.kind}"
            if isinstance(before, Numbers | Categories) and is_categorical(before):
                reference_counts, now = (
                    as_categories(before).counts,
                    as_categories(current_column).counts,
                )
                new = sum(count for label, count in now.items() if label not in reference_counts)
                unseen = new / current_column.size
        test = tested(before, current_column, self._methods[name])
        if isinstance(test, TwoSampleTest):
            drawn = drawn_together(before, current_column)
        return _Look(test, missing_share(current_column), retyped, unseen, drawn)

    def _chosen(self, methods: Literal["auto"] | Method | Mapping[str, Method]) -> dict[str, str]:
        chosen: dict[str, str] = {
            name: CHI_SQUARED if is_categorical(column) else KS
            for name, column in self._columns.items()
        }
        if methods == "auto":
            return chosen
        if isinstance(methods, str):
            _require_known("methods", methods)
            of_numbers = methods in OF_NUMBERS
            return {
                name: method if of_numbers and method == CHI_SQUARED else methods
                for name, method in chosen.items()
            }
        for name, method in methods.items():
            if name not in self._columns:
                raise NotFoundError("feature in the reference", name, self._feature_names())
            _require_known(f"methods[{name!r}]", method)
            chosen[name] = method
        return chosen

    def _raw(self, current: object, feature: str, method: str) -> tuple[bool, float]:
        if feature not in self._columns:
            raise NotFoundError("feature in the reference", feature, self._feature_names())
        frame = queried(current) or frame_of(current, "current")
        if feature not in frame.columns:
            raise NotFoundError(
                "feature in the current data", feature, f"It has {', '.join(frame.columns[:20])}."
            )
        before, current_column = self._columns[feature], column_or_error(frame[feature])
        if method == CHI_SQUARED:  # numbers too, by their value
            before, current_column = by_value(before), by_value(current_column)
        test = tested(before, current_column, method)
        if isinstance(test, str):
            raise InvalidValueError(feature, test, f"values that {method} can compare")
        return test.p_value < self.threshold, test.p_value

    def _verdict(self, name: str, look: "_Look", adjusted_p: float | None) -> FeatureDrift:
        test = look.test
        if isinstance(test, str) or adjusted_p is None:
            return FeatureDrift(None, None, None, None, None, None, error=str(test))
        return FeatureDrift(
            drift_detected=adjusted_p < self.threshold / self.checks
            and test.effect_size >= self.min_effect,
            p_value=test.p_value,
            adjusted_p_value=adjusted_p,
            method=self._methods[name],
            statistic=test.statistic,
            effect_size=test.effect_size,
            distribution=look.distribution,
        )

    def _feature_names(self) -> str:
        return f"It has {', '.join(list(self._columns)[:20])}."


def _require_known(field: str, method: str) -> None:
    if method not in METHODS:
        raise InvalidValueError(field, method, f"auto, or one of {', '.join(METHODS)}")
