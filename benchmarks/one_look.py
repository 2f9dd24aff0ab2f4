"""Claims: how often the intervals of one look hold the truth, and what a belief of 95 % is worth.

- Intervals of a level of 95 %, of unequal arms: the share of simulated comparisons whose interval
  holds the true difference, with its Monte-Carlo standard error. Values are log-normal, for the
  superiority normal, for CUPED a gamma covariate with normal noise; users of the ratio differ in
  how often they click.
- No effect, a base rate of 20 %, 20,000 units an arm: how often one arm is believed to be better
  with a probability above 95 % at one look, and at any of 100 and 1,000 (Beta(1, 1), by a normal
  approximation whose largest error beside `bayesian_report` is printed).

    python benchmarks/one_look.py [--runs 4000] [--seed 7]
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, trim_mean

from figures import Figures
from watchkeeper.experiments import ratio_sums, ratio_test
from watchkeeper.stats import (
    CovariateSums,
    bayesian_report,
    bootstrap_test,
    cuped_test,
    mann_whitney_test,
    mean_test,
    quantile_test,
)

Numbers = npt.NDArray[Any]
RATE, UNITS, BELIEF = 0.2, 20_000, 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with Figures(__file__) as figures:
        covered(figures, rng, options.runs)
        believed(figures, rng, 5 * options.runs)


def covered(figures: Figures, rng: np.random.Generator, runs: int) -> None:
    trimmed = partial(trim_mean, proportiontocut=0.1)
    resampled = partial(bootstrap_test, resamples=499)
    values: list[tuple[str, Callable[..., Any], int, int]] = [
        ("mean", mean_test, 500, 200),
        ("median", quantile_test, 40, 60),
        ("95th percentile", partial(quantile_test, q=0.95), 1_000, 200),
        ("99th percentile", partial(quantile_test, q=0.99), 1_000, 1_000),
        ("trimmed mean, bootstrap", partial(resampled, statistic=trimmed), 100, 60),
        ("mean, bootstrap", resampled, 500, 200),
    ]
    for name, test, m, n in values:
        held = [
            holds(test(rng.lognormal(size=m), rng.lognormal(size=n) + 0.3), 0.3)
            for _ in range(runs)
        ]
        add_share(figures, f"{name}, {m} and {n}, holds the truth", held)
    for m, n in ((20, 20), (200, 20)):
        truth = norm.cdf(1 / np.sqrt(5))
        held = [
            holds(mann_whitney_test(rng.normal(size=m), rng.normal(1, 2, size=n)), truth)
            for _ in range(runs)
        ]
        add_share(figures, f"superiority, other spread, {m} and {n}, holds the truth", held)
    held = [holds(ratio_test(clicks(rng, 300), clicks(rng, 100)), 0.0) for _ in range(runs)]
    add_share(figures, "clicks per page, 300 and 100, holds the truth", held)
    held = [holds(cuped_test(past(rng, 60, 0.0), past(rng, 40, 0.3)), 0.3) for _ in range(runs)]
    add_share(figures, "mean, CUPED, 60 and 40, holds the truth", held)


def believed(figures: Figures, rng: np.random.Generator, runs: int) -> None:
    checked = [(4_000, 4_000), (4_010, 4_000), (4_060, 4_000), (4_100, 4_030)]
    exact = [
        bayesian_report({"a": (s, UNITS), "b": (t, UNITS)}).arms["b"].probability_best
        for s, t in checked
    ]
    apart = np.abs(norm.cdf(scores(np.array(checked).T, np.array(UNITS))) - exact).max()
    figures.add("largest error of the approximation", float(apart), "")
    for looks in (1, 100, 1_000):
        upto = np.arange(1, looks + 1) * (UNITS // looks)
        called: list[bool] = []
        for _ in range(runs // 100):  # a hundred at once
            events = rng.binomial(UNITS // looks, RATE, size=(2, 100, looks)).cumsum(axis=2)
            beyond = np.abs(scores(events, upto)) > norm.isf(1 - BELIEF)
            called += [bool(run.any()) for run in beyond]
        add_share(figures, f"no effect, believed above {BELIEF:.0%}, {looks:,} looks", called)


def scores(events: Numbers, units: Numbers) -> Numbers:
    """Return how many standard deviations the difference of two posteriors lies above 0."""
    means = [(of_arm + 1) / (units + 2) for of_arm in events]
    variance = sum(mean * (1 - mean) / (units + 3) for mean in means)
    found: Numbers = (means[1] - means[0]) / np.sqrt(variance)
    return found


def clicks(rng: np.random.Generator, users: int) -> Any:
    pages = 1 + rng.geometric(0.3, size=users)
    return ratio_sums(rng.binomial(pages, rng.beta(1.6, 6.4, size=users)), pages)


def past(rng: np.random.Generator, users: int, effect: float) -> CovariateSums:
    before = rng.gamma(2, size=users)
    return CovariateSums.of(effect + 0.8 * before + rng.normal(0, 0.6, size=users), before)


def holds(test: Any, truth: float) -> bool:
    low, high = test.confidence_interval
    return bool(low <= truth <= high)


def add_share(figures: Figures, label: str, runs: list[bool]) -> None:
    mean = float(np.mean(runs))
    figures.add(label, mean, f"of runs (± {np.sqrt(mean * (1 - mean) / len(runs)):.4f})")


if __name__ == "__main__":
    main()
