"""A difference of any statistic of two arms, by drawing units again and again: the bootstrap."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.difference import DifferenceTest, arm_values, check_alpha, relative_pct

__all__ = ["BootstrapTest", "Statistic", "bootstrap_test"]

Statistic = Callable[..., Any]
"""``statistic(values, axis=-1)``, a number for each row of values: `numpy.mean`, `numpy.median`,
``functools.partial(numpy.quantile, q=0.9)``."""

_CELLS = 1_000_000  # values that are drawn at once
_FEWEST = 99  # resamples


@dataclass(frozen=True, slots=True)
class BootstrapTest(DifferenceTest):
    """Two arms compared by any statistic, once.

    Attributes
    ----------
    standard_error : float
        Standard deviation of the difference over the resamples.
    resamples : int
    """

    standard_error: float
    resamples: int


def bootstrap_test(
    control: npt.ArrayLike,
    treatment: npt.ArrayLike,
    statistic: Statistic = np.mean,
    alpha: float = 0.05,
    *,
    resamples: int = 9_999,
    seed: int = 0,
) -> BootstrapTest:
    """Test whether a statistic of two arms differs, by resampling the units of each.

    Parameters
    ----------
    control, treatment : array_like of float, shape (m,) and (n,)
        A value a unit, where units are independent of each other.
    statistic : callable
        Called as ``statistic(values, axis=-1)`` with values of shape (m,) and (batch, m).
    alpha : float
    resamples : int
        At least 99. The p-value is at least 2 in one more.
    seed : int
        The same seed gives the same figures.

    Returns
    -------
    BootstrapTest
        With the percentile interval of `scipy.stats.bootstrap`, and the error rate at which such an
        interval ends at 0 as p-value. It takes the time of ``resamples * (m + n)`` draws and the
        memory of a million, or of one resample of each arm where that is more.

    Raises
    ------
    InvalidValueError
        If an arm has fewer than two units or values that are not finite, the statistic does not
        give one finite number a row, there are fewer than 99 resamples, or alpha is not between 0
        and 1.

    Notes
    -----
    The interval of the mean of few, skewed values is too narrow, as Welch's is; that of an extreme
    quantile is as well, for which `quantile_test` is better.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, sections 8.3, 13.3 and 15.4.

    Examples
    --------
    >>> from functools import partial
    >>> from scipy.stats import trim_mean
    >>> rng = np.random.default_rng(1)
    >>> trimmed = partial(trim_mean, proportiontocut=0.1)
    >>> test = bootstrap_test(rng.lognormal(size=300), rng.lognormal(0.5, size=300), trimmed)
    >>> test.is_significant
    True
    """
    from scipy.stats import bootstrap

    check_alpha(alpha)
    if resamples < _FEWEST:
        raise InvalidValueError("resamples", resamples, f"at least {_FEWEST}")
    control_draws, other = (
        arm_values("control", control, least=2),
        arm_values("treatment", treatment, least=2),
    )

    def difference(first: Any, second: Any, axis: int = -1) -> Any:
        return _over_axis(statistic, second, axis) - _over_axis(statistic, first, axis)

    drawn = bootstrap(
        (control_draws, other),
        difference,
        n_resamples=resamples,
        batch=max(1, _CELLS // max(len(control_draws), len(other))),
        vectorized=True,
        confidence_level=1 - alpha,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    differences = drawn.bootstrap_distribution
    beyond = min(int(np.sum(differences <= 0)), int(np.sum(differences >= 0)))
    p_value = min(1.0, 2 * (beyond + 1) / (resamples + 1))
    of_control, of_treatment = (
        float(statistic(control_draws, axis=-1)),
        float(statistic(other, axis=-1)),
    )
    return BootstrapTest(
        control=of_control,
        treatment=of_treatment,
        absolute_difference=of_treatment - of_control,
        relative_improvement_pct=relative_pct(of_control, of_treatment - of_control),
        p_value=p_value,
        is_significant=p_value < alpha,
        confidence_interval=(
            float(drawn.confidence_interval.low),
            float(drawn.confidence_interval.high),
        ),
        confidence_level=100 * (1 - alpha),
        standard_error=float(drawn.standard_error),
        resamples=resamples,
    )


def _over_axis(statistic: Statistic, values: npt.NDArray[np.float64], axis: int) -> Any:
    """Return the statistic of each row, if it is one finite number a row."""
    values_of_draws = np.asarray(statistic(values, axis=axis))
    if values_of_draws.shape != values.shape[:-1]:
        raise InvalidValueError(
            "statistic",
            f"of shape {values_of_draws.shape} for values of shape {values.shape}",
            f"one number a row, of shape {values.shape[:-1]}",
            "Let it work along `axis`, as `numpy.mean` does.",
        )
    if not np.isfinite(values_of_draws).all():
        raise InvalidValueError("statistic", "not finite", "a finite number for every resample")
    return values_of_draws
