"""Data drift: how far the inputs have moved from what the model learned on.

A statistic compares a *reference* sample with a *current* one and returns a number. Whether that
number deserves an alert is a separate question, which `DataDriftDetector` answers for all columns
together.

>>> import numpy as np
>>> from watchkeeper.drift import DataDriftDetector
>>> rng = np.random.default_rng(0)
>>> detector = DataDriftDetector({"age": rng.normal(40, 9, 500), "plan": ["a", "b"] * 250})
>>> report = detector.detect({"age": rng.normal(46, 9, 500), "plan": ["b", "a"] * 250})
>>> report.drift_detected, [name for name, f in report.features.items() if f.drift_detected]
(True, ['age'])
"""

from watchkeeper.drift.classifier import ClassifierTest, classifier_two_sample_test
from watchkeeper.drift.detector import DataDriftDetector
from watchkeeper.drift.evidently import EvidentlyReport, evidently_report
from watchkeeper.drift.features import FeatureDrift, SchemaChanges
from watchkeeper.drift.methods import METHODS
from watchkeeper.drift.report import DriftReport
from watchkeeper.drift.segments import SegmentDrift, drift_by_segment
from watchkeeper.drift.streaming import StreamingDriftDetector
from watchkeeper.profiles.profile import Profile

__all__ = [
    "METHODS",
    "ClassifierTest",
    "DataDriftDetector",
    "DriftReport",
    "EvidentlyReport",
    "FeatureDrift",
    "Profile",
    "SchemaChanges",
    "SegmentDrift",
    "StreamingDriftDetector",
    "classifier_two_sample_test",
    "drift_by_segment",
    "evidently_report",
]
