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

from watchkeeper.quality import ModelPerformanceMonitor
from watchkeeper.stats import RateDropDetector

WINDOW = 1_000
NORMAL = 0.92


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outcomes", type=int, default=50_000_000)
    parser.add_argument("--falls", type=int, default=2_000)
    options = parser.parse_args()
    adding()
    measuring()
    delays(options.falls)
    false_alarms(options.outcomes)


def adding() -> None:
    rng = np.random.default_rng(7)
    scores = rng.uniform(size=10_000).tolist()
    for name, sequential in (("binary", False), ("with the sequential detector", True)):
        monitor = ModelPerformanceMonitor(WINDOW, sequential=sequential)
        monitor.set_baseline(accuracy=0.5)

        def add(monitor: ModelPerformanceMonitor = monitor) -> None:
            for score in scores:
                monitor.add_prediction(1, 1, score=score)

        cost = median_s(add, 21) / len(scores) * 1e6
        print(f"add_prediction, {name:30} {cost:8.2f} µs")


def measuring() -> None:
    rng = np.random.default_rng(7)
    scores = rng.uniform(size=WINDOW)
    actual, predicted = rng.uniform(size=WINDOW) < scores, scores > 0.5
    monitor = ModelPerformanceMonitor(WINDOW)
    monitor.add_batch(predicted, actual, scores=scores)
    own = median_s(monitor.get_current_metrics, 501)
    theirs = median_s(lambda: scikit_learn(predicted, actual, scores), 101)
    print(f"get_current_metrics of {WINDOW:,}                   {own * 1e6:8.0f} µs")
    print(f"the same metrics by scikit-learn               {theirs * 1e6:8.0f} µs")
    print(f"  scikit-learn / Watchkeeper                   {theirs / own:8.1f}")


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


def delays(falls: int) -> None:
    rng = np.random.default_rng(20130101)
    for to in (0.87, 0.82, 0.72, 0.5, 0.2):
        found: list[int] = []
        while len(found) < falls:
            detector = RateDropDetector(NORMAL)
            if detector.update_many(rng.random(1_000) < NORMAL) is not None:
                continue  # a false alarm before the fall
            alarm = detector.update_many(rng.random(20_000) < to)
            found.append(20_000 if alarm is None else alarm - 999)
        print(
            f"outcomes until a fall from {NORMAL} to {to:.2f} is noticed: median "
            f"{np.median(found):5.0f}, 90th percentile {np.percentile(found, 90):5.0f}"
        )


def false_alarms(outcomes: int) -> None:
    rng = np.random.default_rng(20130101)
    detector, alarms, seen = RateDropDetector(NORMAL), 0, 0
    while seen + detector.seen < outcomes:
        if detector.update_many(rng.random(65_536) < NORMAL) is not None:
            alarms, seen = alarms + 1, seen + detector.seen
            detector.reset()
    each = (seen + detector.seen) / max(alarms, 1)
    print(f"false alarms: one in {each:,.0f} outcomes ({alarms} in {outcomes:,})")
    level = int(binom.ppf(0.05, 100, NORMAL)) - 1  # alarms at this many of 100 right, or fewer
    each = 100 / float(binom.cdf(level, 100, NORMAL))
    print(f"  a test at 5 % after every 100 outcomes: one in {each:,.0f}")


if __name__ == "__main__":
    main()
