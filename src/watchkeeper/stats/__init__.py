"""Statistics: arrays in, numbers out. Whether a number deserves an alert is decided elsewhere.

>>> import numpy as np
>>> from watchkeeper.stats import ks_two_sample
>>> test = ks_two_sample(np.arange(5.0), np.arange(5.0) + 10)
>>> test.statistic, round(test.p_value, 4)
(1.0, 0.0079)
"""

from watchkeeper.stats.auc import RocAuc, roc_auc
from watchkeeper.stats.chi_squared import chi_squared
from watchkeeper.stats.intervals import wilson
from watchkeeper.stats.ks import ks_two_sample
from watchkeeper.stats.multiplicity import adjusted
from watchkeeper.stats.sequential import RateDropDetector
from watchkeeper.stats.two_sample import TwoSampleTest

__all__ = [
    "RateDropDetector",
    "RocAuc",
    "TwoSampleTest",
    "adjusted",
    "chi_squared",
    "ks_two_sample",
    "roc_auc",
    "wilson",
]
