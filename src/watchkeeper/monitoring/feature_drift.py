"""One feature in the window of one drift check, beside what the model learned from.

A finding keeps figures and no bars. They are computed here from the recorded events: of that
window, of that column alone, and of what had arrived when the check was made. Findings never
change, so that each is made once in a process.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.drift import DataDriftDetector, SegmentDrift, drift_by_segment
from watchkeeper.drift.distribution import Distribution, distribution_between
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.events import FEATURE, EventLog, Window
from watchkeeper.profiles import ColumnProfile, NumberProfile, Profile
from watchkeeper.records import Finding
from watchkeeper.registry import ModelRegistry
from watchkeeper.results import Result

__all__ = ["ColumnSegment", "ColumnSummary", "DriftLooks", "FeatureLook", "SegmentLooks", "Share"]

MOST_VALUES = 2_000_000
"""Values of a window that are read; of more, whole days are left out, evenly over the window."""

_KEPT = 256  # looks that are remembered
_SHARES = 12  # categories whose shares are told
_COLUMNS = 6  # columns by which segments are looked at
_SEGMENTS = range(2, 31)  # how many different values such a column has
_ROWS = 30  # that a segment has on both sides: fewer, and only what is plain anyway would show

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ColumnSummary(Result):
    """A column on one side of a comparison.

    Attributes
    ----------
    size : int
        Values, without those that are missing.
    missing : float
        Share of nulls and NaN.
    mean, deviation : float or None
        Of numbers; None of categories.
    quantiles : dict of str to float
        ``"5%"``, ``"25%"``, ``"50%"``, …, of numbers.
    """

    size: int
    missing: float
    mean: float | None
    deviation: float | None
    quantiles: dict[str, float]


@dataclass(frozen=True, slots=True)
class Share(Result):
    """A category's share of the values, before and now."""

    label: str
    before: float
    now: float

    @property
    def moved(self) -> float:
        """By how much it has changed."""
        return self.now - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureLook(Result):
    """One feature beside its reference.

    Attributes
    ----------
    feature : str
    kind : str
        ``"number"`` or ``"category"``, as the training data have it: which figures there are.
    model_id : str
        Whose training data the reference is.
    own_reference : bool
        Whether the check compared with that same reference.
    before, now : ColumnSummary
    distribution : Distribution or None
        Both over the same bins; None where they cannot be compared.
    shares : tuple of Share
        Of categories, those first that moved most.
    unseen : float or None
        Share of the values that are in categories which the reference does not have.
    error : str or None
        Why they cannot be compared.
    rows : int
        What was read of the window.
    checked : int or None
        Rows that the check compared.
    days_read, days : int
        Days that were read, of those of the window; fewer where it has very many values.
    """

    feature: str
    kind: str
    model_id: str
    own_reference: bool
    before: ColumnSummary
    now: ColumnSummary
    distribution: Distribution | None
    shares: tuple[Share, ...]
    unseen: float | None
    error: str | None
    rows: int
    checked: int | None
    days_read: int
    days: int


@dataclass(frozen=True, slots=True)
class ColumnSegment(Result):
    """How a feature compares within one segment.

    Attributes
    ----------
    by : str
        The column whose values are the segments.
    found : SegmentDrift
    """

    by: str
    found: SegmentDrift


@dataclass(frozen=True, slots=True)
class SegmentLooks(Result):
    """How a feature compares within segments, where its drift is strongest first.

    Attributes
    ----------
    columns : tuple of str
        Those by which it was looked at: the level is shared between them.
    small : tuple of str
        Those of them in which no segment has enough rows on both sides.
    segments : tuple of ColumnSegment
    """

    columns: tuple[str, ...]
    small: tuple[str, ...]
    segments: tuple[ColumnSegment, ...]


class DriftLooks:
    """Looks at features of kept drift checks; it may be asked from several threads.

    Parameters
    ----------
    events : EventLog
    registry : ModelRegistry
    """

    def __init__(self, events: EventLog, registry: ModelRegistry) -> None:
        self._events, self._registry = events, registry
        self._looks: _Remembered[FeatureLook] = _Remembered(_KEPT)
        self._segments: _Remembered[SegmentLooks] = _Remembered(_KEPT)

    def look(self, finding: Finding, feature: str) -> FeatureLook:
        """Return a feature in the window of a check, beside its reference.

        Parameters
        ----------
        finding : Finding
        feature : str

        Returns
        -------
        FeatureLook

        Raises
        ------
        NotFoundError
            If no profile is kept, it has no such feature, or nothing is kept of the window.
        """
        model_id, of_version = self._reference_of(finding)
        key = finding.number, feature, model_id
        return self._looks.get(key, lambda: self._looked(finding, feature, model_id, of_version))

    def segments(self, finding: Finding, feature: str, *, threshold: float) -> SegmentLooks:
        """Return how a feature compares by the values of other columns.

        It reads those of them that have few different values, and the rows that are kept of the
        training data.

        Parameters
        ----------
        finding : Finding
        feature : str
        threshold : float
            Of the p-values.

        Returns
        -------
        SegmentLooks

        Raises
        ------
        NotFoundError
            If no rows are kept, or there is no column to look by.
        """
        model_id, _ = self._reference_of(finding)
        key = finding.number, feature, model_id, threshold
        return self._segments.get(
            key, lambda: self._segmented(finding, feature, model_id, threshold)
        )

    def _reference_of(self, finding: Finding) -> tuple[str, bool]:
        """Return the version whose training data is the reference, and whether the check's was."""
        version = finding.evidence.get("reference_version")
        if version is not None and self._registry.find(finding.model, version) is not None:
            return f"{finding.model}:{version}", True
        production = self._registry.get_production_model(finding.model)
        if production is None:
            raise NotFoundError(
                "version in production of",
                finding.model,
                "Promote one: `watchkeeper models promote`.",
            )
        return production, False

    def _profile(self, model_id: str) -> Profile:
        stored = self._registry.profile(model_id)
        if stored is not None:
            return stored
        rows = self._registry.reference(model_id)
        if rows is None:
            raise NotFoundError(
                "profile of the training data of",
                model_id,
                "Register the next version with training_data.",
            )
        return Profile.of(rows)

    def _looked(
        self, finding: Finding, feature: str, model_id: str, of_version: bool
    ) -> FeatureLook:
        profile = self._profile(model_id)
        if feature not in profile.columns:
            columns = ", ".join([*profile.columns][:20])
            raise NotFoundError(
                f"feature in the training data of {model_id}", feature, f"It has {columns}."
            )
        before = profile.columns[feature]
        table, read, days = self._rows(finding, [feature])
        if feature not in table.column_names:
            raise NotFoundError(f"feature in the window of finding {finding.number}", feature)
        now = Profile.of(table).columns.get(feature)
        drift = DataDriftDetector(
            Profile(profile.rows, {feature: before}, {}),
            float(finding.evidence.get("threshold", 0.05)),
        ).detect(table)
        error = drift.features[feature].error
        distribution = None
        if now is not None and error is None:
            distribution = distribution_between(before, now)
        category = not isinstance(before, NumberProfile)
        return FeatureLook(
            feature=feature,
            kind="category" if category else before.kind,
            model_id=model_id,
            own_reference=of_version,
            before=_side(before),
            now=ColumnSummary(0, 1.0, None, None, {}) if now is None else _side(now),
            distribution=distribution,
            shares=_shares(before, now) if category and now is not None else (),
            unseen=drift.unseen_categories.get(feature),
            error=error,
            rows=table.num_rows,
            checked=finding.evidence.get("current_size"),
            days_read=read,
            days=days,
        )

    def _segmented(
        self, finding: Finding, feature: str, model_id: str, threshold: float
    ) -> SegmentLooks:
        reference = self._registry.reference(model_id)
        if reference is None or feature not in reference.column_names:
            raise NotFoundError(
                f"row of the training data of {model_id} with", feature,
                "Register the next version with training_data.",
            )  # fmt: skip
        columns = _few_valued(reference, feature)
        table, _, _ = self._rows(finding, [feature, *columns])
        columns = [name for name in columns if name in table.column_names]
        if not columns or feature not in table.column_names:
            raise NotFoundError("column with few different values beside", feature)
        drifted_segments: list[ColumnSegment] = []
        small: list[str] = []
        for by in columns:
            try:
                segments = drift_by_segment(
                    reference.select([by, feature]),
                    table.select([by, feature]),
                    by,
                    threshold=threshold / len(columns),
                    min_rows=_ROWS,
                )
            except InvalidValueError:  # no segment is large enough
                small.append(by)
            else:
                drifted_segments += [ColumnSegment(by, segment) for segment in segments]
        drifted_segments.sort(
            key=lambda column_segment: (
                not column_segment.found.drift_detected,
                -column_segment.found.effect_size,
            )
        )
        return SegmentLooks(tuple(columns), tuple(small), tuple(drifted_segments))

    def _rows(self, finding: Finding, features: Sequence[str]) -> tuple[pa.Table, int, int]:
        """Return columns of a window as they were known, and how many of its days were read."""
        window = Window(finding.start, finding.end)
        columns = [FEATURE + name for name in features]
        events = self._events.as_of(finding.at)
        windows = _sampled(window, int(finding.evidence.get("current_size") or 0))
        parts = [events.read(finding.model, part, columns=columns).rows for part in windows]
        rows = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
        if not rows.num_rows:
            raise NotFoundError(
                f"event of the window of finding {finding.number} of",
                finding.model,
                "They are older than the retention (store.retention_days).",
            )
        names = [name.removeprefix(FEATURE) for name in rows.column_names]
        whole = 1 if windows == [window] else _days(window)
        return rows.rename_columns(names), len(windows), whole


class _Remembered(Generic[T]):
    """The last results of something that takes a while and never changes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Hashable, T] = {}
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key in self._known:
                self._known[key] = self._known.pop(key)  # asked for last
                return self._known[key]
        value = make()
        with self._lock:
            self._known[key] = value
            while len(self._known) > self._most:
                del self._known[next(iter(self._known))]
        return value


def _few_valued(reference: pa.Table, feature: str) -> list[str]:
    """Return the columns by whose values to look: words before numbers, few values before many."""
    names = []
    for name in reference.column_names:
        count = len(pc.unique(reference[name]).drop_null())
        if name != feature and count in _SEGMENTS:
            names.append((pa.types.is_floating(reference.schema.field(name).type), count, name))
    return [name for _, _, name in sorted(names)][:_COLUMNS]


def _sampled(window: Window, rows: int) -> list[Window]:
    """Return the window, or of one with too many rows some of its days, evenly apart."""
    if rows <= MOST_VALUES or window.start is None or window.end is None:
        return [window]
    count = _days(window)
    sampled = max(1, count * MOST_VALUES // rows)
    first = datetime.combine(window.start.date(), time(), UTC)
    starts = [first + timedelta(days=number * count // sampled) for number in range(sampled)]
    return [
        Window(max(start, window.start), min(start + timedelta(days=1), window.end))
        for start in starts
    ]


def _days(window: Window) -> int:
    assert window.start is not None
    assert window.end is not None
    last = window.end - timedelta(microseconds=1)
    return (last.date() - window.start.date()).days + 1


def _side(column: ColumnProfile) -> ColumnSummary:
    missing = column.missing / max(1, column.size + column.missing)
    if not isinstance(column, NumberProfile):
        return ColumnSummary(column.size, missing, None, None, {})
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    values = column.quantile(np.array(shares)).tolist()
    deviation = math.sqrt(column.variance) if column.variance >= 0 else math.nan
    return ColumnSummary(
        column.size,
        missing,
        _finite(column.mean),
        _finite(deviation),
        {f"{share:.0%}": value for share, value in zip(shares, values, strict=True)},
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _shares(before: ColumnProfile, now: ColumnProfile) -> tuple[Share, ...]:
    counted = [_counts(side) for side in (before, now)]
    sizes = max(1, before.size), max(1, now.size)
    shares = [
        Share(label, counted[0].get(label, 0) / sizes[0], counted[1].get(label, 0) / sizes[1])
        for label in dict.fromkeys((*counted[0], *counted[1]))
    ]
    return tuple(sorted(shares, key=lambda share: (-abs(share.moved), share.label))[:_SHARES])


def _counts(column: ColumnProfile) -> dict[str, int]:
    if isinstance(column, NumberProfile) and column.values is None:
        return {}
    counts: dict[Any, int] = dict(column.counts())
    return {str(label): count for label, count in counts.items()}
