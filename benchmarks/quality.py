"""Claims: what watching quality costs, and how soon and how wrongly it alarms.

- `add_prediction` of a binary task costs at most 3 µs, with a clock, a score and a full window.
- `get_current_metrics()` of a window of 1,000 costs at most 1 ms. Beside it: scikit-learn's
  functions for the same metrics of the same arrays.
- `RateDropDetector` notices a fall of the accuracy from 0.92 to 0.82 within 300 outcomes at the
  median, and alarms at most once in 100,000 outcomes without a fall. Beside it: what a test after
  every hundred outcomes, at a level of 5 %, does.

    python benchmarks/quality.py [--outcomes 50000000] [--falls 2000]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.stats import binom
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from figures import Figures
from watchkeeper.quality import ModelPerformanceMonitor
from watchkeeper.stats import RateDropDetector

WINDOW = 1_000
NORMAL = 0.92


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outcomes", type=int, default=50_000_000)
    parser.add_argument("--falls", type=int, default=2_000)
    options = parser.parse_args()
    with Figures(__file__) as figures:
        adding(figures)
        measuring(figures)
        delays(options.falls, figures)
        false_alarms(options.outcomes, figures)


def adding(figures: Figures) -> None:
    rng = np.random.default_rng(7)
    scores = rng.uniform(size=10_000).tolist()
    for name, sequential in (("binary", False), ("with the sequential detector", True)):
        monitor = ModelPerformanceMonitor(WINDOW, sequential=sequential)
        monitor.set_baseline(accuracy=0.5)

        def add(monitor: ModelPerformanceMonitor = monitor) -> None:
            for score in scores:
                monitor.add_prediction(1, 1, score=score)

        cost = median_s(add, 21) / len(scores) * 1e6
        figures.add(f"add_prediction, {name}", cost, "µs")


def measuring(figures: Figures) -> None:
    rng = np.random.default_rng(7)
    scores = rng.uniform(size=WINDOW)
    actual, predicted = rng.uniform(size=WINDOW) < scores, scores > 0.5
    monitor = ModelPerformanceMonitor(WINDOW)
    monitor.add_batch(predicted, actual, scores=scores)
    own = median_s(monitor.get_current_metrics, 501)
    theirs = median_s(lambda: scikit_learn(predicted, actual, scores), 101)
    figures.add(f"get_current_metrics of {WINDOW:,}", own * 1e6, "µs")
    figures.add("the same metrics by scikit-learn", theirs * 1e6, "µs")
    figures.add("scikit-learn / Watchkeeper", theirs / own, "times")


def scikit_learn(
    predicted: npt.NDArray[np.bool_], actual: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]
) -> list[float]:
    shares, means = calibration_curve(
        actual, scores, n_bins=10, strategy="quantile", pos_label=True
    )
    return [
        sk.accuracy_score(actual, predicted),
        sk.balanced_accuracy_score(actual, predicted),
        sk.precision_score(actual, predicted),
        sk.recall_score(actual, predicted),
        sk.f1_score(actual, predicted),
        sk.roc_auc_score(actual, scores),
        sk.average_precision_score(actual, scores),
        sk.log_loss(actual, scores),
        sk.brier_score_loss(actual, scores),
        float(np.abs(shares - means).mean()),
    ]


def median_s(call: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def delays(falls: int, figures: Figures) -> None:
    rng = np.random.default_rng(20130101)
    for to in (0.87, 0.82, 0.72, 0.5, 0.2):
        found: list[int] = []
        while len(found) < falls:
            detector = RateDropDetector(NORMAL)
            if detector.update_many(rng.random(1_000) < NORMAL) is not None:
                continue  # a false alarm before the fall
            alarm = detector.update_many(rng.random(20_000) < to)
            found.append(20_000 if alarm is None else alarm - 999)
        label = f"until a fall from {NORMAL} to {to:.2f} is noticed"
        figures.add(f"{label}, median", float(np.median(found)), "outcomes")
        figures.add(f"{label}, 90 %", float(np.percentile(found, 90)), "outcomes")


def false_alarms(outcomes: int, figures: Figures) -> None:
    rng = np.random.default_rng(20130101)
    detector, alarms, seen = RateDropDetector(NORMAL), 0, 0
    while seen + detector.seen < outcomes:
        if detector.update_many(rng.random(65_536) < NORMAL) is not None:
            alarms, seen = alarms + 1, seen + detector.seen
            detector.reset()
    each = (seen + detector.seen) / max(alarms, 1)
    figures.add("a false alarm, one in", each, "outcomes")
    level = int(binom.ppf(0.05, 100, NORMAL)) - 1  # alarms at this many of 100 right, or fewer
    each = 100 / float(binom.cdf(level, 100, NORMAL))
    figures.add("a test at 5 % after every 100, one in", each, "outcomes")


if __name__ == "__main__":
    main()
