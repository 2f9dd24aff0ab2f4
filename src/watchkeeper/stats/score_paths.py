"""The score process of a sequential test, followed from look to look."""

from dataclasses import dataclass
from functools import cache
from math import sqrt

import numpy as np
import numpy.typing as npt

__all__ = ["ScorePaths"]

_Array = npt.NDArray[np.float64]
_REACH = 8.5  # standard deviations beyond which the density is nil
_PANEL = 2.5  # widest panel, in standard deviations of the steps that meet in it


@dataclass(frozen=True, slots=True)
class ScorePaths:
    """Where the score process is, at the last look, on paths that have not crossed.

    The process starts at 0, and over a step of information ``d`` it moves by a normal variable of
    mean ``drift * d`` and variance ``d``.
    """

    drift: float
    time: float
    nodes: _Array
    masses: _Array  # probability at each node

    @classmethod
    def at_start(cls, drift: float) -> "ScorePaths":
        """Return the process before any look.

        Parameters
        ----------
        drift : float

        Returns
        -------
        ScorePaths
        """
        return cls(drift, 0.0, np.zeros(1), np.ones(1))

    def above(self, level: float, time: float) -> float:
        """Return the probability to be above a level at the next look.

        Parameters
        ----------
        level, time : float

        Returns
        -------
        float
        """
        step = time - self.time
        return _crossing(self.nodes + self.drift * step - level, self.masses, step)

    def below(self, level: float, time: float) -> float:
        """Return the probability to be below a level at the next look.

        Parameters
        ----------
        level, time : float

        Returns
        -------
        float
        """
        step = time - self.time
        return _crossing(level - self.nodes - self.drift * step, self.masses, step)

    def within(self, level: float, time: float, following: float) -> "ScorePaths":
        """Return the paths that are within plus and minus `level` at the next look.

        Parameters
        ----------
        level, time, following : float

        Returns
        -------
        ScorePaths
        """
        step = time - self.time
        centre, reach = self.drift * time, _REACH * sqrt(time)
        low, high = max(-level, centre - reach), min(level, centre + reach)
        width = _PANEL * sqrt(min(step, following - time))
        nodes, weights = _panels(low, high, width)
        offsets = (nodes[:, None] - (self.nodes + self.drift * step)) / sqrt(step)
        kernel = np.exp(-0.5 * offsets * offsets)
        density = kernel @ self.masses / sqrt(2 * np.pi * step)
        return ScorePaths(self.drift, time, nodes, weights * density)


def _crossing(distances: _Array, masses: _Array, step: float) -> float:
    from scipy.special import ndtr

    return float(masses @ ndtr(distances / sqrt(step)))


@cache
def _rule() -> tuple[_Array, _Array]:
    return np.polynomial.legendre.leggauss(8)


def _panels(low: float, high: float, width: float) -> tuple[_Array, _Array]:
    """Return nodes and weights of an integral from `low` to `high`."""
    if low >= high:  # no path is left
        return np.zeros(0), np.zeros(0)
    edges = np.linspace(low, high, max(1, int(np.ceil((high - low) / width))) + 1)
    half = (edges[1] - edges[0]) / 2
    nodes, weights = _rule()
    centres = (edges[:-1] + edges[1:]) / 2
    return (centres[:, None] + half * nodes).ravel(), np.tile(half * weights, len(centres))
