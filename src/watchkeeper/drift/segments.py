"""Where drift is strongest: the same check in every segment, corrected for looking at many."""

from dataclasses import dataclass
from typing import Any

from watchkeeper.drift.detector import DataDriftDetector
from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.profiles.columns import frame_of
from watchkeeper.results import Result
from watchkeeper.stats import adjusted
from watchkeeper.stats.multiplicity import Correction

__all__ = ["SegmentDrift", "drift_by_segment"]


@dataclass(frozen=True, slots=True)
class SegmentDrift(Result):
    """How one feature compares within one segment.

    Attributes
    ----------
    segment : object
        The value of the column that segments.
    feature : str
    drift_detected : bool
    effect_size, p_value : float
    adjusted_p_value : float
        For all features of all segments together.
    reference_size, current_size : int
        Rows of the segment.
    """

    segment: Any
    feature: str
    drift_detected: bool
    effect_size: float
    p_value: float
    adjusted_p_value: float
    reference_size: int
    current_size: int


def drift_by_segment(
    reference: object,
    current: object,
    by: str,
    *,
    threshold: float = 0.05,
    correction: Correction = "fdr_bh",
    min_effect: float = 0.02,
    min_rows: int = 100,
) -> list[SegmentDrift]:
    """Compare each segment of the current data with the same segment of the reference.

    Parameters
    ----------
    reference, current : data frame or dict of sequences
    by : str
        The column whose values are the segments; segments of fewer than `min_rows` rows on either
        side are left out.
    threshold, correction, min_effect
        As in `DataDriftDetector`, for all features of all segments together.
    min_rows : int
        Least rows of a segment on either side.

    Returns
    -------
    list of SegmentDrift
        Those that drifted first, the strongest of them before the others.

    Raises
    ------
    NotFoundError
        If either side has no column `by`.
    InvalidValueError
        If no segment is large enough.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(2)
    >>> before = {"site": ["a", "b"] * 500, "load": rng.normal(size=1000)}
    >>> now = {"site": ["a", "b"] * 500, "load": rng.normal(size=1000) + np.tile([0, 1], 500)}
    >>> [(each.segment, each.drift_detected) for each in drift_by_segment(before, now, "site")]
    [('b', True), ('a', False)]
    """
    frames = frame_of(reference, "reference"), frame_of(current, "current")
    for name, frame in zip(("reference", "current"), frames, strict=True):
        if by not in frame.columns:
            raise NotFoundError(
                f"column in the {name} data", by, f"It has {', '.join(frame.columns)}."
            )
    features = [name for name in frames[0].columns if name != by]
    tests: list[tuple[Any, str, Any, int, int]] = []
    for segment in sorted(frames[0][by].unique().drop_nulls().to_list(), key=str):
        before, now = (frame.filter(frame[by] == segment) for frame in frames)
        if min(len(before), len(now)) < min_rows:
            continue
        report = DataDriftDetector(before.select(features), correction="none").detect(now)
        tests += [
            (segment, name, feature, len(before), len(now))
            for name, feature in report.features.items()
            if feature.p_value is not None
        ]
    if not tests:
        raise InvalidValueError(
            "by", by, f"a column with at least one segment of {min_rows} rows on both sides"
        )
    p_values = adjusted([test.p_value for _, _, test, _, _ in tests], correction)
    segments = [
        SegmentDrift(
            segment=segment,
            feature=name,
            drift_detected=(p or 0.0) < threshold and feature_drift.effect_size >= min_effect,
            effect_size=feature_drift.effect_size,
            p_value=feature_drift.p_value,
            adjusted_p_value=p or 0.0,
            reference_size=before_rows,
            current_size=now_rows,
        )
        for (segment, name, feature_drift, before_rows, now_rows), p in zip(
            tests, p_values, strict=True
        )
    ]
    return sorted(segments, key=lambda segment: (not segment.drift_detected, -segment.effect_size))
