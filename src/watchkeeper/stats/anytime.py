"""Comparisons of two arms that may be read at any time."""

from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats.confidence_sequences import confidence_sequence, sequence_p_value

__all__ = ["AnytimeTest", "anytime_means", "anytime_proportions", "comparison_information"]

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AnytimeTest(Result):
    """A comparison of two arms that may be read at any time, as often as one likes.

    Attributes
    ----------
    estimate : float
        Treatment minus control, strata weighted by their information.
    standard_error : float
        Of the estimate, without the assumption that the arms are equal.
    low, high : float
        Confidence sequence: it holds the true difference at all times at once.
    z : float
        The estimate over its standard error if the arms were equal.
    p_value : float
        The smallest `alpha` at which this look rejects.
    rejected : bool
        Whether the p-value is at most `alpha`, and there is enough to tell.
    enough : bool
        Whether each arm has what a verdict asks for; until then the p-value is 1.
    fraction : float
        Information over the planned information.
    """

    estimate: float
    standard_error: float
    low: float
    high: float
    z: float
    p_value: float
    rejected: bool
    enough: bool
    fraction: float


def comparison_information(control_total: npt.ArrayLike, treatment_total: npt.ArrayLike) -> float:
    """Return how much two arms tell about their difference, up to the variance of a unit.

    Parameters
    ----------
    control_total, treatment_total : array_like of int
        A number, or one entry a stratum.

    Returns
    -------
    float
        The sum over strata of ``n1 * n2 / (n1 + n2)``. Planned for ``n`` units with a share ``s``
        in the treatment it is ``n * s * (1 - s)``. The fraction of the two is what
        `confidence_sequence` and the group-sequential bounds ask for.

    Raises
    ------
    InvalidValueError
        If the totals differ in shape, or are negative or missing.

    Examples
    --------
    >>> comparison_information([100, 50], [100, 50])
    75.0
    """
    return float(_weights(control_total, treatment_total).sum())


def anytime_proportions(
    control_events: npt.ArrayLike,
    control_total: npt.ArrayLike,
    treatment_events: npt.ArrayLike,
    treatment_total: npt.ArrayLike,
    planned_information: float,
    alpha: float = 0.05,
    *,
    min_events: int = 10,
) -> AnytimeTest:
    """Compare the rates of two arms at any time.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total : array_like of int
        Of all data so far: a number, or one entry a stratum. Make each phase in which the weights
        were the same a stratum of its own.
    planned_information : float
        Where the sequence is narrowest, from `comparison_information`.
    alpha : float
        Two-sided; who asks about one side only, as a guardrail does, may pass twice the rate.
    min_events : int
        Events and non-events that each arm has to have for a verdict. Below, a normal approximation
        does not hold and nothing is said.

    Returns
    -------
    AnytimeTest
        The *test* uses the variance that both arms would share: an arm without events has a
        variance of 0 of its own, and would be called better for that. The *interval* may not assume
        that the arms are equal, and does not; the two may differ by a hair. With not enough to
        tell, the interval is from -1 to 1.

    Raises
    ------
    InvalidValueError
        If the counts differ in shape, are negative, or an arm has more events than units; no
        stratum has units of both arms; or another number is out of its range.

    Notes
    -----
    Strata are combined with Mantel-Haenszel weights ``n1 * n2 / (n1 + n2)``, which add up to the
    information. Strata with one arm only have none.

    References
    ----------
    Waudby-Smith et al. (2024), as for `confidence_sequence`; Mantel and Haenszel (1959), J. Natl.
    Cancer Inst. 22(4), 719-748; Greenland and Robins (1985), Biometrics 41(1), 55-68.

    Examples
    --------
    >>> test = anytime_proportions(2_000, 10_000, 300, 1_000, comparison_information(10_000, 1_000))
    >>> test.rejected, round(test.low, 3), round(test.high, 3)
    (True, 0.054, 0.146)
    """
    bad, total, bad_treated, treated = _arms(
        control_events=control_events,
        control_total=control_total,
        treatment_events=treatment_events,
        treatment_total=treatment_total,
    )
    for name, events, units in (
        ("control_events", bad, total),
        ("treatment_events", bad_treated, treated),
    ):
        if np.any(events > units):
            raise InvalidValueError(name, events.tolist(), "no more events than units")
    weights, informative = _informative(total, treated)
    bad, total, bad_treated, treated = (
        counts[informative] for counts in (bad, total, bad_treated, treated)
    )
    rates, rates_treated = bad / total, bad_treated / treated
    pooled = (bad + bad_treated) / (total + treated)
    counts = [column.sum() for column in (bad, total - bad, bad_treated, treated - bad_treated)]
    return _anytime(
        rates_treated - rates,
        rates * (1 - rates) / total + rates_treated * (1 - rates_treated) / treated,
        pooled * (1 - pooled) * (1 / total + 1 / treated),
        weights,
        planned_information,
        alpha,
        enough=min(counts) >= min_events,
        widest=1.0,
    )


def anytime_means(
    control_mean: npt.ArrayLike,
    control_variance: npt.ArrayLike,
    control_total: npt.ArrayLike,
    treatment_mean: npt.ArrayLike,
    treatment_variance: npt.ArrayLike,
    treatment_total: npt.ArrayLike,
    planned_information: float,
    alpha: float = 0.05,
    *,
    min_units: int = 100,
) -> AnytimeTest:
    """Compare the means of two arms at any time.

    Parameters
    ----------
    control_mean, control_variance, treatment_mean, treatment_variance : array_like of float
        Of the units so far, the variance with ``n - 1`` (0 for one unit): a number, or one entry a
        stratum.
    control_total, treatment_total : array_like of int
        Units.
    planned_information, alpha
        As for `anytime_proportions`.
    min_units : int
        Units that each arm has to have for a verdict.

    Returns
    -------
    AnytimeTest
        The test takes the larger of two variances, that of arms that are equal and that of arms
        that need not be, so that a small arm whose few values agree does not win by that. With not
        enough to tell, the interval is infinite.

    Raises
    ------
    InvalidValueError
        If numbers differ in shape, are not finite or negative where they may not be; no stratum has
        units of both arms; or another number is out of its range.

    References
    ----------
    As for `anytime_proportions`.

    Examples
    --------
    >>> test = anytime_means(5.0, 4.0, 9_000, 5.3, 4.0, 1_000, comparison_information(9_000, 1_000))
    >>> test.rejected, round(test.low, 3), round(test.high, 3)
    (True, 0.098, 0.502)
    """
    mean, variance, total, mean_treated, variance_treated, treated = _arms(
        control_mean=control_mean,
        control_variance=control_variance,
        control_total=control_total,
        treatment_mean=treatment_mean,
        treatment_variance=treatment_variance,
        treatment_total=treatment_total,
    )
    weights, informative = _informative(total, treated)
    mean, variance, total, mean_treated, variance_treated, treated = (
        column[informative]
        for column in (mean, variance, total, mean_treated, variance_treated, treated)
    )
    differences = mean_treated - mean
    squared_error = variance / total + variance_treated / treated
    # The variance of all units of a stratum together, around their common mean.
    between = differences**2 * total * treated / (total + treated)
    within = variance * (total - 1) + variance_treated * (treated - 1)
    common = (within + between) / np.maximum(total + treated - 1, 1)
    return _anytime(
        differences,
        squared_error,
        np.maximum(squared_error, common * (1 / total + 1 / treated)),
        weights,
        planned_information,
        alpha,
        enough=min(total.sum(), treated.sum()) >= min_units,
        widest=inf,
    )


def _anytime(
    differences: _Array,
    squared_error: _Array,
    null: _Array,
    weights: _Array,
    planned_information: float,
    alpha: float,
    *,
    enough: bool,
    widest: float,
) -> AnytimeTest:
    """Combine strata: `own` and `null` are variances of their differences."""
    if not (isfinite(planned_information) and planned_information > 0):
        raise InvalidValueError(
            "planned_information",
            planned_information,
            "a number above 0",
            "For n units with a share s in the treatment it is n * s * (1 - s).",
        )
    information = float(weights.sum())
    shares = weights / information
    fraction = information / planned_information
    estimate = float(shares @ differences)
    standard_error = sqrt(float(shares**2 @ squared_error))
    deviation = sqrt(float(shares**2 @ null))
    z = estimate / deviation if deviation else 0.0
    low, high = confidence_sequence(estimate, standard_error, fraction, alpha)
    p_value = sequence_p_value(z, fraction, alpha) if enough else 1.0
    return AnytimeTest(
        estimate=estimate,
        standard_error=standard_error,
        low=low if enough else -widest,
        high=high if enough else widest,
        z=z,
        p_value=p_value,
        rejected=p_value <= alpha,
        enough=bool(enough),
        fraction=fraction,
    )


def _weights(control_total: npt.ArrayLike, treatment_total: npt.ArrayLike) -> _Array:
    control, treatment = _arms(control_total=control_total, treatment_total=treatment_total)
    both = control + treatment
    weights: _Array = control * treatment / np.where(both > 0, both, 1.0)
    return weights


def _informative(
    control_total: _Array, treatment_total: _Array
) -> tuple[_Array, npt.NDArray[np.bool_]]:
    """Return the weights of strata that have both arms, and which these are."""
    weights = _weights(control_total, treatment_total)
    informative = weights > 0
    if not informative.any():
        raise InvalidValueError(
            "treatment_total", treatment_total.tolist(), "a stratum with units of both arms"
        )
    return weights[informative], informative


def _arms(**values_of: npt.ArrayLike) -> list[_Array]:
    """Return numbers of each stratum as arrays of one dimension."""
    arrays = {
        name: np.asarray(values, dtype=np.float64).ravel() for name, values in values_of.items()
    }
    strata = len(next(iter(arrays.values())))
    for name, array in arrays.items():
        if len(array) != strata:
            raise InvalidValueError(name, f"{len(array)} strata", f"{strata}, as the others")
        if not np.isfinite(array).all() or (not name.endswith("mean") and (array < 0).any()):
            raise InvalidValueError(name, array.tolist(), "finite numbers, counts not below 0")
    return list(arrays.values())
