"""Sample-ratio mismatch: whether the arms have the shares of units that they were given."""

from dataclasses import dataclass
from math import exp, inf, isfinite
from typing import Annotated

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result, Stored

__all__ = [
    "SampleRatioTest",
    "SequentialSampleRatio",
    "sample_ratio_test",
    "sequential_sample_ratio",
]

_Array = npt.NDArray[np.float64]
_LARGEST_LOG = 700.0


@dataclass(frozen=True, slots=True)
class SampleRatioTest(Result):
    """A chi-squared test of shares, for one look.

    Attributes
    ----------
    statistic : float
    p_value : float
    observed, expected : tuple of float
        Units of each arm, over all phases.
    """

    statistic: float
    p_value: float
    observed: tuple[float, ...]
    expected: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SequentialSampleRatio(Result):
    """Evidence that arms do not have their shares, for any number of looks.

    Attributes
    ----------
    e_value : float
        Evidence against the shares.
    p_value : float
        One over it, at most 1: holds at all looks at once, as long as the smallest so far is kept.
    mismatch : bool
        Whether the evidence has reached the limit.
    observed, expected : tuple of float
        Units of each arm, over all phases.
    """

    e_value: Annotated[float, Stored(lambda e_value: inf if e_value is None else e_value)]
    p_value: float
    mismatch: bool
    observed: tuple[float, ...]
    expected: tuple[float, ...]


def sample_ratio_test(counts: npt.ArrayLike, weights: npt.ArrayLike) -> SampleRatioTest:
    """Test the shares of the arms, once.

    Parameters
    ----------
    counts : array_like of int, shape (n_arms,) or (n_phases, n_arms)
        Units that were assigned. A phase is a time in which the weights were the same.
    weights : array_like of float, the shape of `counts`
        What the shares should be, up to a factor: ``[10, 1]`` and ``[1, 0.1]`` are the same. An arm
        of weight 0 takes no part in that phase.

    Returns
    -------
    SampleRatioTest
        Pearson's chi-squared, added up over phases. Looked at again and again it alarms too often:
        `sequential_sample_ratio` does not.

    Raises
    ------
    InvalidValueError
        If the counts or weights are negative or not finite, differ in shape, have fewer than two
        arms, or a phase has no weight.

    References
    ----------
    Fabijan et al. (2019), "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments", KDD.

    Examples
    --------
    >>> test = sample_ratio_test([5_200, 4_800], [1, 1])
    >>> test.statistic, round(test.p_value, 7)
    (16.0, 6.33e-05)
    """
    observed, shares = _phases(counts, weights)
    expected = shares * observed.sum(axis=1, keepdims=True)
    taken = shares > 0
    if np.any(observed[~taken] > 0):
        statistic = inf
    else:
        # A phase without units adds nothing, neither to the statistic nor to its freedom.
        squares = (observed - expected) ** 2 / np.where(expected > 0, expected, 1.0)
        statistic = float(squares.sum())
    phases = observed.sum(axis=1) > 0
    freedom = int((taken.sum(axis=1) - 1)[phases].sum())
    return SampleRatioTest(
        statistic, _chi_squared_tail(statistic, freedom), *_units(observed, expected)
    )


def sequential_sample_ratio(
    counts: npt.ArrayLike,
    weights: npt.ArrayLike,
    *,
    concentration: float = 1000.0,
    limit: float = 100.0,
) -> SequentialSampleRatio:
    """Weigh the evidence that arms do not have their shares, at any time.

    Parameters
    ----------
    counts, weights
        As for `sample_ratio_test`, of all units so far.
    concentration : float
        How close to the weights the alternatives lie that are averaged over: the larger, the
        smaller the mismatch that is found, and the later a gross one is.
    limit : float
        Evidence that is called a mismatch. With the right shares it is ever reached with
        probability ``1 / limit`` at most.

    Returns
    -------
    SequentialSampleRatio
        The likelihood of the assignments, in the order in which they came, averaged over a
        Dirichlet distribution around the weights, over that with the weights themselves; the
        product of this over phases. Once there was a mismatch at a look, it stays one.

    Raises
    ------
    InvalidValueError
        As for `sample_ratio_test`, and if the concentration or the limit is out of its range.

    References
    ----------
    Lindon and Malek (2022), "Anytime-Valid Inference For Multinomial Count Data", NeurIPS.

    Examples
    --------
    >>> check = sequential_sample_ratio([5_200, 4_800], [1, 1])
    >>> round(check.e_value), check.mismatch
    (435, True)
    """
    if not (isfinite(concentration) and concentration > 0):
        raise InvalidValueError("concentration", concentration, "a number above 0")
    if not limit > 1:
        raise InvalidValueError("limit", limit, "a number above 1")
    from scipy.special import gammaln

    observed, shares = _phases(counts, weights)
    taken = shares > 0
    impossible = bool(np.any(observed[~taken] > 0))
    prior, came = concentration * shares[taken], observed[taken]
    logarithm = float(
        np.sum(gammaln(prior + came) - gammaln(prior) - came * np.log(shares[taken]))
        - np.sum(gammaln(concentration + observed.sum(axis=1)) - gammaln(concentration))
    )
    e_value = inf if impossible or logarithm > _LARGEST_LOG else exp(logarithm)
    expected = shares * observed.sum(axis=1, keepdims=True)
    return SequentialSampleRatio(
        e_value,
        1.0 / max(1.0, e_value),
        e_value >= limit,
        *_units(observed, expected),
    )


def _chi_squared_tail(statistic: float, freedom: int) -> float:
    from scipy.special import chdtrc

    if statistic == inf:
        return 0.0
    return float(chdtrc(freedom, statistic)) if freedom else 1.0


def _units(observed: _Array, expected: _Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(observed.sum(axis=0).tolist()), tuple(expected.sum(axis=0).tolist())


def _phases(counts: npt.ArrayLike, weights: npt.ArrayLike) -> tuple[_Array, _Array]:
    """Return counts and shares, one row a phase."""
    observed = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    expected = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    for name, array in (("counts", observed), ("weights", expected)):
        if not (np.isfinite(array).all() and (array >= 0).all()):
            raise InvalidValueError(name, array.tolist(), "finite numbers not below 0")
    if observed.ndim != 2 or observed.shape != expected.shape or observed.shape[1] < 2:
        raise InvalidValueError(
            "weights", f"shape {expected.shape}", f"shape {observed.shape} with at least two arms"
        )
    totals = expected.sum(axis=1, keepdims=True)
    if not totals.all():
        raise InvalidValueError("weights", expected.tolist(), "a weight above 0 in each phase")
    return observed, expected / totals
