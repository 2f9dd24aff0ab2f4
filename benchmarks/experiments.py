"""Claims: what looking often costs an A/B test, and what it does not.

Two arms with an event or none for each unit; every figure is a share of simulated experiments, with
its Monte-Carlo standard error in units of the last digits.

- No effect, 100 looks, arms 1:1 and 19:1, base rates 20 %, 5 % and 0.2 %: how often a difference is
  called. *naive*: p < 0.05 at any look. *unguarded*: a confidence sequence from each arm's own
  variance. *anytime*: `anytime_proportions`. *sequential*: O'Brien-Fleming bounds for the pooled
  statistic. *exact*: `exact_group_sequential_test`, which also computes its error rate for each
  simulated experiment; the mean of these is in the last column.
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
    null(rng, options.runs, options.exact)
    power(rng, options.runs, options.exact)
    unbounded(rng, options.runs)
    ramp(rng, options.runs, options.exact)
    shares(rng, options.runs)


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


def null(rng: np.random.Generator, runs: int, exact: int) -> None:
    print(f"no effect, {LOOKS} looks: share of experiments that call a difference")
    print(f"{'rate':>6} {'arms':>5} {'units a look':>12}", end=" ")
    print(*(f"{name:>11}" for name in HEADINGS))
    for rate in (0.2, 0.05, 0.002):
        for treated in (0.5, 0.05):
            for units in (400, 4_000):
                row = null_row(rng, runs, exact, rate, treated, units)
                arms = "1:1" if treated == 0.5 else "19:1"
                print(f"{rate:>6} {arms:>5} {units:>12,}", *(f"{each:>11}" for each in row))


HEADINGS = ("naive", "unguarded", "anytime", "sequential", "exact", "(its own)")


def null_row(
    rng: np.random.Generator, runs: int, exact: int, rate: float, treated: float, units: int
) -> list[str]:
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
    return [
        *(share(np.concatenate(calls)) for calls in zip(*batches, strict=True)),
        share(np.array(crossed)),
        f"{np.mean(level):.4f}",
    ]


def check(arms: Arms, looks: Looks, planned: float) -> None:
    """Hold the statistics that are computed here in bulk against the package's."""
    for run, look in ((0, 10), (1, 50), (2, LOOKS - 1)):
        bad, control, worse, treated = (each[run, : look + 1].sum() for each in arms.counts())
        test = anytime_proportions(bad, control, worse, treated, planned)
        assert np.isclose(test.z, looks.z[run, look])
        assert test.rejected == looks.anytime(planned)[run, look]


def power(rng: np.random.Generator, runs: int, exact: int) -> None:
    fixed = 6_510
    print(f"\n20 % against 22 %, {fixed:,} units an arm: share of experiments that find it")
    print(
        f"{'looks':>6} {'size':>9} {'fixed':>11} {'sequential':>11} {'exact':>11} {'anytime':>11}",
        end=" ",
    )
    print("computed, mean share of the size used")
    for count in (5, 10, 100):
        fractions = even(count)
        factor = group_sequential_inflation(fractions)
        for size in (1.0, factor):
            ends = np.round(np.array(fractions) * fixed * size).astype(int)
            units = np.diff(ends, prepend=0)
            arms = Arms.drawn(rng, runs, units, units, (0.20, 0.22))
            looks = arms.pooled()
            found = [arms.exactly(run, fractions)[0] for run in range(exact)]
            drift = np.sqrt(size) * (norm.isf(ALPHA / 2) + norm.ppf(0.8))
            computed = group_sequential_power(drift, fractions, group_sequential_bounds(fractions))
            print(
                f"{count:>6} {f'x {size:.4f}':>9}",
                *(
                    f"{share(each):>11}"
                    for each in (
                        looks.naive()[:, -1],
                        looks.sequential(fractions).any(axis=1),
                        np.array(found),
                        looks.anytime(float(looks.information[0, -1])).any(axis=1),
                    )
                ),
                f"{sum(computed.upper):.4f}, {computed.expected_fraction:.2f}",
            )


def unbounded(rng: np.random.Generator, runs: int) -> None:
    size = 1.7
    units = np.diff(np.round(np.array(even(LOOKS)) * 6_510 * size).astype(int), prepend=0)
    looks = Arms.drawn(rng, runs, units, units, (0.20, 0.22)).pooled()
    over = looks.anytime(float(looks.information[0, -1]))
    found = over.any(axis=1)
    stopped = np.where(found, over.argmax(axis=1) + 1, LOOKS) / LOOKS * size
    print(f"  anytime with {size} times the units, {LOOKS} looks: {share(found)}", end=", ")
    print(f"stopped after {stopped.mean():.2f} of the units of the fixed test on average")


def ramp(rng: np.random.Generator, runs: int, exact: int) -> None:
    weights, units = np.arange(0.05, 0.96, 0.1), 2_000
    rates = np.linspace(0.04, 0.06, len(weights))
    print(f"\nno effect, a ramp 5 % … 95 %, base rate 4 % → 6 %, {units:,} units a step")
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
        print(f"  {name:<31} {share(calls)}")
    print(f"  {'its own level, on average':<31} {np.mean(level):.4f}")


def shares(rng: np.random.Generator, runs: int) -> None:
    print(f"\nshares of the arms, {LOOKS} looks, 40,000 units: share of experiments that alarm")
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
            print(f"  served {name}: {rule:<9} {share(calls.any(axis=1))}")


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


def share(calls: npt.ArrayLike) -> str:
    called = np.asarray(calls, dtype=np.float64)
    mean = float(called.mean())
    error = np.sqrt(mean * (1 - mean) / called.size)
    return f"{mean:.4f}({round(error * 1e4)})"


if __name__ == "__main__":
    main()
