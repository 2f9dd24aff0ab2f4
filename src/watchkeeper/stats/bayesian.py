"""What is believed of proportions after they were seen: which arm is best, what choosing costs.

All figures are integrals over Beta distributions, by Gauss-Legendre quadrature on the scale of
log-odds, where such densities are smooth. Its error is below 1e-9 up to a billion units an arm.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import isfinite, log

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result

__all__ = ["ArmBelief", "BayesianReport", "bayesian_report"]

_LEVELS = np.arange(-8.0, 8.5)  # standard normal quantiles at which the axis is cut
_GRID = np.arange(-40.0, 42.0, 2.0)  # log-odds at which it is cut as well, where arms reach there
_ORDER = 16  # nodes between two cuts
_NEAR = 1e-10  # of its range: where an end of an interval is found
_LEAST_PRIOR = 0.1  # below, most of a distribution can lie nearer to 0 than floats reach

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ArmBelief(Result):
    """What is believed of one arm.

    Attributes
    ----------
    events, total : int
    mean : float
        Of the posterior.
    credible_interval : tuple of float
        Of the arm's proportion, with equal tails.
    probability_best : float
        That no other arm is better.
    expected_loss : float
        How much worse than the best arm it is on average, as a proportion: what choosing it costs.
    probability_better, difference, difference_interval : float, float and tuple of float, or None
        That it is better than the control; its posterior mean minus the control's, with a credible
        interval of the difference. None for the control.
    """

    events: int
    total: int
    mean: float
    credible_interval: tuple[float, float]
    probability_best: float
    expected_loss: float
    probability_better: float | None
    difference: float | None
    difference_interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class BayesianReport(Result):
    """What is believed of all arms, the control first.

    Attributes
    ----------
    arms : dict of str to ArmBelief
    prior : tuple of float
    credibility : float
        Percent.
    """

    arms: dict[str, ArmBelief]
    prior: tuple[float, float]
    credibility: float


def bayesian_report(
    arms: Mapping[str, tuple[int, int]],
    *,
    prior: tuple[float, float] = (1.0, 1.0),
    credibility: float = 0.95,
    higher_is_better: bool = True,
) -> BayesianReport:
    """Return what is believed of proportions: the probability to be best, and the expected loss.

    It is a report and no test. To call a winner when ``P(B > A)`` exceeds 95 % is wrong in 10 % of
    the comparisons of equal arms at one look, half of them for either arm, not in 5 %; and every
    look adds to it: of equal arms 59 % had a "winner" at one of 100 looks, 76 % at one of 1,000. A
    prior does not protect against looking. An `Experiment` decides by bounds that do.

    Parameters
    ----------
    arms : mapping of str to (int, int)
        Events and total of each arm; the first is the control.
    prior : (float, float)
        Of the Beta distribution of every arm. (1, 1) holds all proportions equally likely.
    credibility : float
    higher_is_better : bool
        Whether events are good.

    Returns
    -------
    BayesianReport

    Raises
    ------
    InvalidValueError
        If there are fewer than two arms, a total is below 1 or events are not between 0 and their
        total, a number of the prior is below 0.1, or the credibility is not between 0 and 1.

    References
    ----------
    Chapelle and Li (2011), NIPS 24, and Scott (2010), Appl. Stoch. Models Bus. Ind. 26(6), 639-658,
    for the probability to be best; Stucchio (2015), Bayesian A/B Testing at VWO, for the loss.

    Examples
    --------
    >>> report = bayesian_report({"control": (2_000, 10_000), "treatment": (220, 1_000)})
    >>> treatment = report.arms["treatment"]
    >>> round(treatment.probability_best, 6), round(treatment.expected_loss, 6)
    (0.934912, 0.00037)
    """
    if not (0.0 < credibility < 1.0):
        raise InvalidValueError("credibility", credibility, "a number strictly between 0 and 1")
    if not all(isfinite(parameter) and parameter >= _LEAST_PRIOR for parameter in prior):
        raise InvalidValueError("prior", prior, f"two numbers of at least {_LEAST_PRIOR}")
    if len(arms) < 2:
        raise InvalidValueError("arms", list(arms), "a control and at least one other arm")
    for name, counts in arms.items():
        _check(name, *counts)
    beliefs = [_Beta(prior[0] + s, prior[1] + n - s) for s, n in arms.values()]
    goods = beliefs if higher_is_better else [belief.mirrored for belief in beliefs]
    nodes = _Nodes.between(belief.cuts for belief in goods)
    best = [_probability_best(goods, at, nodes) for at in range(len(goods))]
    losses = [_expected_loss(goods, at, nodes) for at in range(len(goods))]
    reports = {}
    for at, (name, (events, total)) in enumerate(arms.items()):
        belief, control = beliefs[at], beliefs[0]
        pair = [goods[0], goods[at]]
        reports[name] = ArmBelief(
            events=events,
            total=total,
            mean=belief.mean,
            credible_interval=belief.interval(credibility),
            probability_best=best[at],
            expected_loss=losses[at],
            probability_better=_probability_best(pair, 1, _Nodes.between(g.cuts for g in pair))
            if at
            else None,
            difference=belief.mean - control.mean if at else None,
            difference_interval=_difference_interval(control, belief, credibility) if at else None,
        )
    return BayesianReport(reports, prior, 100 * credibility)


@dataclass(frozen=True)
class _Beta:
    """A Beta distribution on the scale of log-odds."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        return self.a / (self.a + self.b)

    @property
    def mirrored(self) -> "_Beta":
        """The distribution of one minus the proportion."""
        return _Beta(self.b, self.a)

    @cached_property
    def cuts(self) -> Floats:
        """Log-odds at standard normal levels."""
        from scipy.special import betaincinv, ndtr

        low = np.log(np.maximum(betaincinv(self.a, self.b, ndtr(_LEVELS)), 1e-300))
        high = np.log(np.maximum(betaincinv(self.b, self.a, ndtr(-_LEVELS)), 1e-300))
        return np.asarray(low - high, dtype=np.float64)

    def interval(self, credibility: float) -> tuple[float, float]:
        from scipy.special import betaincinv

        tail = (1 - credibility) / 2
        return (
            float(betaincinv(self.a, self.b, tail)),
            1.0 - float(betaincinv(self.b, self.a, tail)),
        )

    def below(self, x: Floats, y: Floats) -> Floats:
        """Return the probability of at most x, where y is 1 - x."""
        from scipy.special import betainc, betaincc

        # Whichever of both is small is known to its last digit.
        chances, low = np.empty(len(x)), x < y
        chances[low] = betainc(self.a, self.b, x[low])
        chances[~low] = betaincc(self.b, self.a, y[~low])
        return chances

    def above(self, x: Floats, y: Floats) -> Floats:
        return self.mirrored.below(y, x)

    def masses(self, nodes: "_Nodes") -> Floats:
        """Return the probability that each node stands for.

        The logarithm of the density is taken from its peak, by the smaller parameter: its terms are
        up to a billion and more, and what differs between nodes is to keep its digits.
        """
        if self.a > self.b:
            return self.mirrored.masses(nodes.mirrored)
        away = nodes.log_odds - log(self.a / self.b)
        logs = self.a * away - (self.a + self.b) * np.log1p(self.mean * np.expm1(away))
        masses = nodes.weights * np.exp(logs)
        return np.asarray(masses / masses.sum(), dtype=np.float64)


@dataclass(frozen=True)
class _Nodes:
    """Where to look, and with which weight: x of proportions, y of their complements."""

    log_odds: Floats
    x: Floats
    y: Floats
    weights: Floats

    @property
    def mirrored(self) -> "_Nodes":
        return _Nodes(-self.log_odds, self.y, self.x, self.weights)

    @classmethod
    def between(cls, cuts: Iterable[Floats]) -> "_Nodes":
        from scipy.special import expit

        places, weights = _legendre()
        ends = np.unique(np.concatenate([*cuts]))
        # Between arms that lie far apart the axis itself bends.
        ends = np.union1d(ends, np.clip(_GRID, ends[0], ends[-1]))
        half = np.diff(ends)[:, None] / 2
        log_odds = (ends[:-1, None] + half * (1 + places)).ravel()
        return cls(log_odds, expit(log_odds), expit(-log_odds), (half * weights).ravel())


@cache
def _legendre() -> tuple[Floats, Floats]:
    places, weights = np.polynomial.legendre.leggauss(_ORDER)
    return places, weights


def _probability_best(arms: Sequence[_Beta], at: int, nodes: _Nodes) -> float:
    masses = arms[at].masses(nodes)
    for other, arm in enumerate(arms):
        if other != at:
            masses = masses * arm.below(nodes.x, nodes.y)
    return min(1.0, float(masses.sum()))


def _expected_loss(arms: Sequence[_Beta], at: int, nodes: _Nodes) -> float:
    """Return how far below the best an arm is: the integral of P(it is below x < the best)."""
    none = np.zeros(len(nodes.x))
    with np.errstate(divide="ignore"):  # where another is surely above
        for other, arm in enumerate(arms):
            if other != at:
                none = none + np.log1p(-arm.above(nodes.x, nodes.y))
    some = -np.expm1(none)
    dx = nodes.weights * nodes.x * nodes.y
    return float(dx @ (arms[at].below(nodes.x, nodes.y) * some))


def _difference_interval(
    control: _Beta, treatment: _Beta, credibility: float
) -> tuple[float, float]:
    from scipy.optimize import brentq
    from scipy.special import expit

    ends = np.concatenate([[0.0], expit(treatment.cuts), [1.0]])

    def beyond(difference: float, level: float) -> float:
        """Return by how much it is likelier than `level` that the arms differ by no more."""
        moved = np.clip(ends - difference, 0.0, 1.0)
        with np.errstate(divide="ignore"):
            cuts = np.clip(np.log(moved) - np.log1p(-moved), control.cuts[0], control.cuts[-1])
        nodes = _Nodes.between([control.cuts, cuts])
        x = np.clip(nodes.x + difference, 0.0, 1.0)
        y = np.clip(nodes.y - difference, 0.0, 1.0)
        return float(control.masses(nodes) @ treatment.below(x, y)) - level

    # Either arm beyond its own interval is as likely as the tail, so both ends lie in between.
    tail = (1 - credibility) / 2
    (least, most), (own_least, own_most) = control.interval(1 - tail), treatment.interval(1 - tail)
    least, most = own_least - most, own_most - least
    near = _NEAR * (most - least)
    low, high = (
        float(brentq(beyond, least, most, args=(level,), xtol=near)) for level in (tail, 1 - tail)
    )
    return low, high


def _check(name: str, events: int, total: int) -> None:
    whole = all(isfinite(count) and count == int(count) for count in (events, total))
    if not whole or total < 1 or not 0 <= events <= total:
        raise InvalidValueError(
            f"arms[{name!r}]",
            (events, total),
            "events and a total, whole numbers: the total at least 1, the events at most the total",
        )
