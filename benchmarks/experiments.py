"""Claims: what looking often costs an A/B test, and what it does not.

Two arms with an event or none for each unit; every figure is a share of simulated experiments, with
its Monte-Carlo standard error.

- No effect, 100 looks, arms 1:1 and 19:1, base rates 20 %, 5 % and 0.2 %: how often a difference is
  called. *naive*: p < 0.05 at any look. *unguarded*: a confidence sequence from each arm's own
  variance. *anytime*: `anytime_proportions`. *sequential*: O'Brien-Fleming bounds for the pooled
  statistic. *exact*: `exact_group_sequential_test`, which also computes its error rate for each
  simulated experiment; the mean of these is *its own*.
- 20 % against 22 % at the sample size that a fixed test needs for a power of 80 %: how often the
  difference is found; at the size that `group_sequential_inflation` asks for; and anytime, with 1.7
  times the units.
- A ramp of ten steps from 5 % to 95 % while the base rate goes from 4 % to 6 %: pooled, and
  stratified by step, looked at after each step.
- Shares of the arms, looked at 100 times: chi-squared tests and the sequential check.

    python benchmarks/experiments.py [--runs 20000] [--exact 1000] [--seed 7]
"""

import argparse
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln
from scipy.stats import chi2, norm

from figures import Figures
from watchkeeper.stats import (
    anytime_proportions,
    confidence_sequence,
    exact_group_sequential_test,
    group_sequential_bounds,
    group_sequential_inflation,
    group_sequential_power,
    sequential_sample_ratio,
)

Numbers = npt.NDArray[Any]
LOOKS, ALPHA, MIN_EVENTS = 100, 0.05, 10
BATCHES = 5  # of runs without an effect: an error rate asks for more of them than a power


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--exact", type=int, default=1_000, help="runs of the exact test")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with Figures(__file__) as figures:
        null(figures, rng, options.runs, options.exact)
        power(figures, rng, options.runs, options.exact)
        unbounded(figures, rng, options.runs)
        ramp(figures, rng, options.runs, options.exact)
        shares(figures, rng, options.runs)


@dataclass(frozen=True)
class Arms:
    """Events and units of both arms since the look before: runs by looks."""

    control_events: Numbers
    control: Numbers
    treatment_events: Numbers
    treatment: Numbers

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        runs: int,
        control: Numbers,
        treatment: Numbers,
        rates: tuple[Any, Any],
    ) -> "Arms":
        control = np.broadcast_to(control, (runs, control.shape[-1]))
        treatment = np.broadcast_to(treatment, control.shape)
        return cls(
            rng.binomial(control, rates[0]), control, rng.binomial(treatment, rates[1]), treatment
        )

    def counts(self) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        return self.control_events, self.control, self.treatment_events, self.treatment

    def pooled(self) -> "Looks":
        """Return statistics of all units up to each look."""
        bad, control, worse, treated = (np.cumsum(each, axis=1) for each in self.counts())
        rate, own = bad / control, worse / treated
        both = (bad + worse) / (control + treated)
        null = both * (1 - both) * (1 / control + 1 / treated)
        unpooled = rate * (1 - rate) / control + own * (1 - own) / treated
        return Looks(
            ratio(own - rate, null),
            ratio(own - rate, unpooled),
            control * treated / (control + treated),
            np.minimum.reduce([bad, control - bad, worse, treated - worse]),
        )

    def stratified(self) -> "Looks":
        """Return statistics in which every look is a stratum of its own."""
        bad, control, worse, treated = self.counts()
        weights = control * treated / (control + treated)
        both = (bad + worse) / (control + treated)
        rate, own = bad / control, worse / treated
        difference = np.cumsum(weights * (own - rate), axis=1)
        null = np.cumsum(weights * both * (1 - both), axis=1)
        variance = rate * (1 - rate) / control + own * (1 - own) / treated
        unpooled = np.cumsum(weights**2 * variance, axis=1)
        whole = self.pooled()
        return Looks(
            ratio(difference, null),
            ratio(difference, unpooled),
            np.cumsum(weights, axis=1),
            whole.fewest,
        )

    def exactly(self, run: int, fractions: list[float]) -> tuple[bool, float]:
        """Return whether a run crosses, and the error rate of its test."""
        bad, control, worse, treated = (each[run] for each in self.counts())
        test = exact_group_sequential_test(bad, control, worse, treated, fractions)
        return test.crossed, test.looks[-1].alpha_spent


@dataclass(frozen=True)
class Looks:
    """Statistics of each run and look."""

    z: Numbers
    unpooled: Numbers
    information: Numbers
    fewest: Numbers  # of events and non-events, over both arms

    def naive(self) -> Numbers:
        return np.abs(self.z) >= norm.isf(ALPHA / 2)

    def unguarded(self, planned: float) -> Numbers:
        return np.abs(self.unpooled) >= reach(self.information, planned)

    def anytime(self, planned: float) -> Numbers:
        over = np.abs(self.z) >= reach(self.information, planned)
        return over & (self.fewest >= MIN_EVENTS)

    def sequential(self, fractions: list[float]) -> Numbers:
        return np.abs(self.z) >= np.array(group_sequential_bounds(fractions, ALPHA))


def null(figures: Figures, rng: np.random.Generator, runs: int, exact: int) -> None:
    for rate in (0.2, 0.05, 0.002):
        for treated in (0.5, 0.05):
            for units in (400, 4_000):
                calls, level = null_calls(rng, runs, exact, rate, treated, units)
                arms = "1:1" if treated == 0.5 else "19:1"
                label = f"no effect, rate {rate}, arms {arms}, {units:,} a look"
                for rule, called in zip(RULES, calls, strict=True):
                    add_share(figures, f"{label}, {rule}", called)
                figures.add(f"{label}, exact, its own", level, "on average")


RULES = ("naive", "unguarded", "anytime", "sequential", "exact")


def null_calls(
    rng: np.random.Generator, runs: int, exact: int, rate: float, treated: float, units: int
) -> tuple[list[Numbers], float]:
    """Return which experiments each of the rules calls, and the exact test's mean error rate."""
    treatment, fractions = np.full(LOOKS, round(units * treated)), even(LOOKS)
    batches: list[list[Any]] = []
    for _ in range(BATCHES):
        arms = Arms.drawn(rng, runs, units - treatment, treatment, (rate, rate))
        looks = arms.pooled()
        planned = float(looks.information[0, -1])
        check(arms, looks, planned)
        over = (
            looks.naive(),
            looks.unguarded(planned),
            looks.anytime(planned),
            looks.sequential(fractions),
        )
        batches.append([each.any(axis=1) for each in over])
    crossed, level = zip(*(arms.exactly(run, fractions) for run in range(exact)), strict=True)
    calls = [np.concatenate(batch) for batch in zip(*batches, strict=True)]
    return [*calls, np.array(crossed)], float(np.mean(level))


def check(arms: Arms, looks: Looks, planned: float) -> None:
    """Hold the statistics that are computed here in bulk against the package's."""
    for run, look in ((0, 10), (1, 50), (2, LOOKS - 1)):
        bad, control, worse, treated = (each[run, : look + 1].sum() for each in arms.counts())
        test = anytime_proportions(bad, control, worse, treated, planned)
        assert np.isclose(test.z, looks.z[run, look])
        assert test.rejected == looks.anytime(planned)[run, look]


def power(figures: Figures, rng: np.random.Generator, runs: int, exact: int) -> None:
    fixed = 6_510
    for count in (5, 10, 100):
        fractions = even(count)
        factor = group_sequential_inflation(fractions)
        for size in (1.0, factor):
            ends = np.round(np.array(fractions) * fixed * size).astype(int)
            units = np.diff(ends, prepend=0)
            arms = Arms.drawn(rng, runs, units, units, (0.20, 0.22))
            looks = arms.pooled()
            crossed = [arms.exactly(run, fractions)[0] for run in range(exact)]
            drift = np.sqrt(size) * (norm.isf(ALPHA / 2) + norm.ppf(0.8))
            computed = group_sequential_power(drift, fractions, group_sequential_bounds(fractions))
            label = f"20 % against 22 %, {count} looks, {size:.4f} times {fixed:,} units"
            for rule, calls in (
                ("fixed", looks.naive()[:, -1]),
                ("sequential", looks.sequential(fractions).any(axis=1)),
                ("exact", np.array(crossed)),
                ("anytime", looks.anytime(float(looks.information[0, -1])).any(axis=1)),
            ):
                add_share(figures, f"{label}, {rule}", calls)
            figures.add(f"{label}, computed", sum(computed.upper), "of experiments")
            figures.add(f"{label}, used on average", computed.expected_fraction, "of the size")


def unbounded(figures: Figures, rng: np.random.Generator, runs: int) -> None:
    size = 1.7
    units = np.diff(np.round(np.array(even(LOOKS)) * 6_510 * size).astype(int), prepend=0)
    looks = Arms.drawn(rng, runs, units, units, (0.20, 0.22)).pooled()
    over = looks.anytime(float(looks.information[0, -1]))
    found = over.any(axis=1)
    stopped = np.where(found, over.argmax(axis=1) + 1, LOOKS) / LOOKS * size
    label = f"anytime with {size} times the units, {LOOKS} looks"
    add_share(figures, label, found)
    figures.add(f"{label}, stopped after", float(stopped.mean()), "of the fixed test's units")


def ramp(figures: Figures, rng: np.random.Generator, runs: int, exact: int) -> None:
    weights, units = np.arange(0.05, 0.96, 0.1), 2_000
    rates = np.linspace(0.04, 0.06, len(weights))
    treated = rng.binomial(units, weights, (runs, len(weights)))
    arms = Arms.drawn(rng, runs, units - treated, treated, (rates, rates))
    whole, split = arms.pooled(), arms.stratified()
    planned = float(units * np.sum(weights * (1 - weights)))
    fractions = (np.cumsum(weights * (1 - weights) * units) / planned).tolist()
    crossed, level = zip(*(arms.exactly(run, fractions) for run in range(exact)), strict=True)
    for name, calls in (
        ("pooled, at the end", whole.naive()[:, -1]),
        ("stratified, at the end", split.naive()[:, -1]),
        ("pooled, naive at each step", whole.naive().any(axis=1)),
        ("pooled, sequential", whole.sequential(fractions).any(axis=1)),
        ("stratified, naive at each step", split.naive().any(axis=1)),
        ("stratified, sequential", split.sequential(fractions).any(axis=1)),
        ("stratified, anytime", split.anytime(planned).any(axis=1)),
        ("stratified, exact", np.array(crossed)),
    ):
        add_share(figures, f"ramp, {name}", calls)
    figures.add("ramp, stratified, exact, its own", float(np.mean(level)), "on average")


def shares(figures: Figures, rng: np.random.Generator, runs: int) -> None:
    for name, split in (("50:50", 0.5), ("51:49", 0.51)):
        first = np.cumsum(rng.binomial(400, split, (runs, LOOKS)), axis=1)
        units = np.cumsum(np.full(LOOKS, 400))
        squares = (2 * first - units) ** 2 / units
        logs = evidence(first, units)
        assert np.isclose(
            np.log(sequential_sample_ratio([first[0, -1], 40_000 - first[0, -1]], [1, 1]).e_value),
            logs[0, -1],
        )
        for rule, calls in (
            ("p < .01", squares >= chi2.isf(0.01, 1)),
            ("p < .001", squares >= chi2.isf(0.001, 1)),
            ("E >= 100", logs >= np.log(100)),
        ):
            add_share(figures, f"shares of the arms, served {name}, {rule}", calls.any(axis=1))


def evidence(first: Numbers, units: Numbers) -> Numbers:
    logs: Numbers = (
        gammaln(500 + first)
        + gammaln(500 + units - first)
        - 2 * gammaln(500)
        - gammaln(1_000 + units)
        + gammaln(1_000)
        + units * np.log(2)
    )
    return logs


def reach(information: Numbers, planned: float) -> Numbers:
    """Return the confidence sequence's half width in standard errors."""
    fractions, where = np.unique(information / planned, return_inverse=True)
    return np.array([half_width(float(each)) for each in fractions])[where].reshape(
        information.shape
    )


@cache
def half_width(fraction: float) -> float:
    return confidence_sequence(0.0, 1.0, fraction, ALPHA)[1]


def ratio(difference: Numbers, variance: Numbers) -> Numbers:
    z: Numbers = difference / np.sqrt(np.where(variance > 0, variance, np.inf))
    return z


def even(looks: int) -> list[float]:
    return [(look + 1) / looks for look in range(looks)]


def add_share(figures: Figures, label: str, calls: npt.ArrayLike) -> None:
    called = np.asarray(calls, dtype=np.float64)
    mean = float(called.mean())
    error = np.sqrt(mean * (1 - mean) / called.size)
    figures.add(label, mean, f"of experiments (± {error:.4f})")


if __name__ == "__main__":
    main()
