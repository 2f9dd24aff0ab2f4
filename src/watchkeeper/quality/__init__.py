"""Model quality: predictions against labels, and against the baseline of the version.

>>> from watchkeeper.quality import ModelPerformanceMonitor
>>> monitor = ModelPerformanceMonitor(min_samples=4)
>>> monitor.set_baseline(accuracy=0.9)
>>> monitor.add_batch([1, 1, 0, 0], [1, 0, 0, 1], scores=[0.9, 0.6, 0.2, 0.4])
>>> drop = monitor.detect_performance_drift()
>>> drop.drift_detected, drop.current_accuracy, round(drop.accuracy_drop_percentage, 1)
(True, 0.5, 44.4)
"""

from watchkeeper.quality.calibration import ReliabilityBin, calibration_error, reliability
from watchkeeper.quality.calibrators import (
    Calibrator,
    IsotonicCalibrator,
    MulticlassCalibrator,
    PlattCalibrator,
    fit_calibrator,
)
from watchkeeper.quality.estimates import (
    Estimate,
    EstimateScore,
    estimate_binary,
    estimate_multiclass,
    score_estimate,
)
from watchkeeper.quality.losses import LossEstimate, LossEstimator
from watchkeeper.quality.metrics import binary_metrics
from watchkeeper.quality.monitor import ModelPerformanceMonitor, PerformanceDrift
from watchkeeper.quality.multiclass import multiclass_metrics
from watchkeeper.quality.regression import regression_metrics
from watchkeeper.quality.segments import (
    ErrorSegment,
    Segment,
    worst_segments,
    worst_segments_by_error,
)

__all__ = [
    "Calibrator",
    "ErrorSegment",
    "Estimate",
    "EstimateScore",
    "IsotonicCalibrator",
    "LossEstimate",
    "LossEstimator",
    "ModelPerformanceMonitor",
    "MulticlassCalibrator",
    "PerformanceDrift",
    "PlattCalibrator",
    "ReliabilityBin",
    "Segment",
    "binary_metrics",
    "calibration_error",
    "estimate_binary",
    "estimate_multiclass",
    "fit_calibrator",
    "multiclass_metrics",
    "regression_metrics",
    "reliability",
    "score_estimate",
    "worst_segments",
    "worst_segments_by_error",
]
