"""Claim: the intervals of label-free estimates have the realised figure about as often as they say.

Windows of 400 rows whose scores are sharpened threefold, calibrated on as many labelled rows as is
said beside; several classes are three, sharpened by 2.5.

    python benchmarks/estimates.py [--windows 300]
"""

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from figures import Figures
from watchkeeper.quality import (
    Calibrator,
    IsotonicCalibrator,
    MulticlassCalibrator,
    PlattCalibrator,
    estimate_binary,
    estimate_multiclass,
    fit_calibrator,
    multiclass_metrics,
    score_estimate,
)

ROWS = 400
Fit = Callable[[npt.NDArray[np.float64], npt.NDArray[np.bool_]], Calibrator]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=300)
    windows = parser.parse_args().windows
    kinds: dict[str, Fit] = {
        "the better one": fit_calibrator,
        "Platt": PlattCalibrator.fit,
        "isotonic": IsotonicCalibrator.fit,
    }
    with Figures(__file__) as figures:
        measure(windows, kinds, figures)


def measure(windows: int, kinds: dict[str, Fit], figures: Figures) -> None:
    for labelled in (100, 400, 3_000):
        for name, fit in kinds.items():
            told(figures, f"binary, {labelled:5} labels, {name}", [
                binary(seed, labelled, fit) for seed in range(windows)
            ])  # fmt: skip
    for labelled in (200, 600, 1_500):
        told(figures, f"three classes, {labelled:5} labels", [
            several(seed, labelled) for seed in range(windows // 2)
        ])  # fmt: skip


def binary(seed: int, labelled: int, fit: Fit) -> list[float]:
    rng = np.random.default_rng(seed)
    chance = 1 / (1 + np.exp(-rng.normal(0, 1.5, labelled + ROWS)))
    actual = rng.random(len(chance)) < chance
    sharp = chance**3 / (chance**3 + (1 - chance) ** 3)
    calibrator = fit(sharp[:labelled], actual[:labelled])
    later, truth = sharp[labelled:], actual[labelled:]
    estimate = estimate_binary(later, later > 0.5, calibrator)
    accuracy = score_estimate(estimate, float(np.mean((later > 0.5) == truth)))
    auc = score_estimate(estimate, float(roc_auc_score(truth, later)), "auc")
    return [accuracy.inside, auc.inside, -accuracy.error, -auc.error]


def several(seed: int, labelled: int) -> list[float]:
    rng = np.random.default_rng(seed)
    chances = rng.normal(0, 1.3, (labelled + ROWS, 3))
    chances = np.exp(chances) / np.exp(chances).sum(axis=1, keepdims=True)
    actual = (rng.random((len(chances), 1)) > np.cumsum(chances, axis=1)[:, :2]).sum(axis=1)
    sharp = chances**2.5 / (chances**2.5).sum(axis=1, keepdims=True)
    classes = [0, 1, 2]
    calibrator = MulticlassCalibrator.fit(sharp[:labelled], actual[:labelled], classes)
    later, truth = sharp[labelled:], actual[labelled:]
    called = later.argmax(axis=1)
    estimate = estimate_multiclass(later, called, classes, calibrator)
    realised = multiclass_metrics(called, truth, later, classes)
    accuracy = score_estimate(estimate, realised["accuracy"])
    auc = score_estimate(estimate, realised["auc"], "auc")
    return [accuracy.inside, auc.inside, -accuracy.error, -auc.error]


def told(figures: Figures, name: str, windows: list[list[float]]) -> None:
    accuracy, auc, accuracy_error, auc_error = np.mean(windows, axis=0)
    figures.add(f"{name}, accuracy inside", float(accuracy), "of windows")
    figures.add(f"{name}, AUC inside", float(auc), "of windows")
    figures.add(f"{name}, accuracy too large by", float(accuracy_error), "")
    figures.add(f"{name}, AUC too large by", float(auc_error), "")


if __name__ == "__main__":
    main()
