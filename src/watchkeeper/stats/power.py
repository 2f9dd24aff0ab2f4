"""How many units a comparison needs, what it can find, and how long it takes."""

from math import asin, ceil, isfinite, sqrt
from typing import Literal, get_args

import numpy as np

from watchkeeper.errors import InvalidValueError

__all__ = [
    "SampleSizeMethod",
    "days_needed",
    "exact_power_of_proportions",
    "minimum_detectable_effect",
    "power_of_proportions",
    "sample_size_calculator",
    "sample_size_of_means",
    "total_sample_size",
    "units_needed",
]

SampleSizeMethod = Literal["pooled", "unpooled", "fleiss", "fleiss-corrected", "arcsine"]


def sample_size_calculator(
    baseline_rate: float,
    minimum_detectable_effect: float,
    alpha: float = 0.05,
    power: float = 0.8,
    *,
    method: SampleSizeMethod = "pooled",
) -> int:
    """Return how many units each of two equal groups needs to tell two proportions apart.

    Parameters
    ----------
    baseline_rate : float
        Proportion of the control.
    minimum_detectable_effect : float
        Relative: 0.1 for a rise from 20 % to 22 %, -0.1 for a fall to 18 %.
    alpha : float
        Two-sided error rate.
    power : float
    method : {"pooled", "unpooled", "fleiss", "fleiss-corrected", "arcsine"}
        Variance of the mean proportion; of each arm; the former without an effect and the latter
        with it; the same for a test with Yates' correction, which needs more; or of the arcsine of
        the root, which depends on no rate. All but the corrected agree to a few units.

    Returns
    -------
    int
        By default ``2 p (1 - p) (z_alpha + z_beta)² / (p1 - p2)²`` with the mean p of both, rounded
        up.

    Raises
    ------
    InvalidValueError
        If a rate is not between 0 and 1, the effect is 0, alpha or power are out of range, or the
        method is unknown.

    References
    ----------
    Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, section 4.2;
    Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, chapter 6, for the
    arcsine.

    Examples
    --------
    >>> sample_size_calculator(0.2, 0.1), sample_size_calculator(0.2, 0.1, method="fleiss")
    (6511, 6510)
    """
    return ceil(units_needed(baseline_rate, minimum_detectable_effect, alpha, power, method))


def units_needed(
    baseline_rate: float,
    minimum_detectable_effect: float,
    alpha: float = 0.05,
    power: float = 0.8,
    method: SampleSizeMethod = "pooled",
    ratio: float = 1.0,
) -> float:
    """Return how many units of the treatment a comparison needs, not rounded.

    Parameters
    ----------
    baseline_rate, minimum_detectable_effect, alpha, power, method
        As for `sample_size_calculator`.
    ratio : float
        Units of the control for one of the treatment.

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError
        As `sample_size_calculator`, or if the ratio is not above 0.

    References
    ----------
    Fleiss, Tytun and Ury (1980), Biometrics 36(2), 343-346, for unequal arms and the correction.

    Examples
    --------
    >>> round(units_needed(0.2, 0.1, method="fleiss", ratio=9), 2)
    3574.42
    """
    if method not in get_args(SampleSizeMethod):
        raise InvalidValueError("method", method, f"one of {', '.join(get_args(SampleSizeMethod))}")
    if not (isfinite(ratio) and ratio > 0):
        raise InvalidValueError("ratio", ratio, "a number above 0")
    p, q = _rates(baseline_rate, minimum_detectable_effect)
    z_alpha, z_beta = _quantiles(alpha, power)
    mean = (q + ratio * p) / (1 + ratio)
    same, separate = (1 + 1 / ratio) * mean * (1 - mean), q * (1 - q) + p * (1 - p) / ratio
    if method == "arcsine":
        apart = 2 * (asin(sqrt(q)) - asin(sqrt(p)))
        return (1 + 1 / ratio) * ((z_alpha + z_beta) / apart) ** 2
    without, under = {"pooled": (same, same), "unpooled": (separate, separate)}.get(
        method, (same, separate)
    )
    units = ((z_alpha * sqrt(without) + z_beta * sqrt(under)) / (p - q)) ** 2
    if method == "fleiss-corrected":
        units *= (1 + sqrt(1 + 2 * (1 + ratio) / (ratio * units * abs(p - q)))) ** 2 / 4
    return units


def total_sample_size(
    baseline_rate: float,
    minimum_detectable_effect: float,
    alpha: float = 0.05,
    power: float = 0.8,
    *,
    treatment_share: float = 0.5,
    treatments: int = 1,
    inflation: float = 1.0,
) -> int:
    """Return how many units an experiment needs in all.

    Parameters
    ----------
    baseline_rate, minimum_detectable_effect, alpha, power
        As for `sample_size_calculator`. Several treatments share `alpha` (Bonferroni).
    treatment_share : float
        Share of a treatment among its own units and those of the control.
    treatments : int
        Arms beside the control, each of that size.
    inflation : float
        By how much a sequential test needs more; see `group_sequential_inflation`.

    Returns
    -------
    int
        With pooled variance under no difference and each arm's own under the effect.

    Raises
    ------
    InvalidValueError
        If a number is out of its range.

    References
    ----------
    Fleiss, Tytun and Ury (1980), Biometrics 36(2), 343-346, without their correction for
    continuity.

    Examples
    --------
    >>> total_sample_size(0.2, 0.1), total_sample_size(0.2, 0.1, treatment_share=0.1)
    (13019, 35745)
    """
    _between("treatment_share", treatment_share)
    if treatments < 1:
        raise InvalidValueError("treatments", treatments, "at least 1")
    if not (isfinite(inflation) and inflation >= 1.0):
        raise InvalidValueError("inflation", inflation, "a number of at least 1")
    _between("alpha", alpha)
    ratio = (1 - treatment_share) / treatment_share
    units = units_needed(
        baseline_rate, minimum_detectable_effect, alpha / treatments, power, "fleiss", ratio
    )
    return ceil(inflation * units * (treatments + ratio) - 1e-9)


def power_of_proportions(
    baseline_rate: float,
    minimum_detectable_effect: float,
    control_total: int,
    treatment_total: int,
    alpha: float = 0.05,
) -> float:
    """Return how likely the pooled test finds an effect, in its own direction.

    Parameters
    ----------
    baseline_rate, minimum_detectable_effect, alpha
        As for `sample_size_calculator`.
    control_total, treatment_total : int

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError
        If a number is out of its range.

    Examples
    --------
    >>> round(power_of_proportions(0.2, 0.1, 10_000, 1_000), 4)
    0.3283
    """
    from scipy.special import ndtr, ndtri

    p, q = _rates(baseline_rate, minimum_detectable_effect)
    _between("alpha", alpha)
    _require_totals(control_total, treatment_total)
    m, n = float(control_total), float(treatment_total)
    mean = (m * p + n * q) / (m + n)
    null = sqrt(mean * (1 - mean) * (1 / m + 1 / n))
    standard_error = sqrt(p * (1 - p) / m + q * (1 - q) / n)
    return float(ndtr((abs(q - p) - float(ndtri(1 - alpha / 2)) * null) / standard_error))


def exact_power_of_proportions(
    baseline_rate: float,
    minimum_detectable_effect: float,
    control_total: int,
    treatment_total: int,
    alpha: float = 0.05,
) -> float:
    """Return how likely the pooled test rejects, from the binomial distributions of both arms.

    Parameters
    ----------
    baseline_rate, control_total, treatment_total, alpha
        As for `power_of_proportions`, which is quicker and all that large arms need.
    minimum_detectable_effect : float
        Relative. With 0 it is the test's true error rate.

    Returns
    -------
    float
        To about 1e-12: what is rarer than that is left out.

    Raises
    ------
    InvalidValueError
        If a number is out of its range.

    Examples
    --------
    >>> round(exact_power_of_proportions(0.2, 0.1, 6_510, 6_510), 6)
    0.800109
    >>> round(exact_power_of_proportions(0.05, 0.0, 1_900, 100), 4)  # says 0.05
    0.0452
    """
    from scipy.special import ndtri
    from scipy.stats import binom

    _between("baseline_rate", baseline_rate)
    p = q = baseline_rate
    if minimum_detectable_effect:
        p, q = _rates(baseline_rate, minimum_detectable_effect)
    _between("alpha", alpha)
    _require_totals(control_total, treatment_total)
    m, n, limit = control_total, treatment_total, float(ndtri(1 - alpha / 2)) ** 2
    ours, theirs = (
        np.arange(binom.ppf(1e-14, size, rate), binom.isf(1e-14, size, rate) + 1)
        for size, rate in ((m, p), (n, q))
    )
    likely = binom.pmf(theirs, n, q)
    rejected = 0.0
    for events, weight in zip(ours, binom.pmf(ours, m, p), strict=True):
        pooled = (events + theirs) / (m + n)
        variance = pooled * (1 - pooled) * (1 / m + 1 / n)
        rejected += weight * likely[(theirs / n - events / m) ** 2 > limit * variance].sum()
    return float(rejected)


def minimum_detectable_effect(
    baseline_rate: float,
    control_total: int,
    treatment_total: int,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Return the smallest relative rise that is found with a given power.

    Parameters
    ----------
    baseline_rate : float
    control_total, treatment_total : int
    alpha, power : float

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError
        If a number is out of its range, or no rise is large enough.

    Examples
    --------
    >>> round(minimum_detectable_effect(0.2, 6_510, 6_510), 4)
    0.1
    """
    from scipy.optimize import brentq

    _between("power", power)
    most = (1.0 - baseline_rate) / baseline_rate * (1 - 1e-9)

    def short(effect: float) -> float:
        reached = power_of_proportions(baseline_rate, effect, control_total, treatment_total, alpha)
        return reached - power

    if short(most) < 0:
        raise InvalidValueError(
            "totals", (control_total, treatment_total), "so many that some rise could be found"
        )
    return float(brentq(short, 1e-9, most, xtol=1e-12))


def sample_size_of_means(
    difference: float, standard_deviation: float, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Return how many units each of two equal groups needs to tell two means apart.

    Parameters
    ----------
    difference, standard_deviation, alpha, power : float

    Returns
    -------
    int

    Raises
    ------
    InvalidValueError
        If the difference is 0, or a number is out of its range.

    Examples
    --------
    >>> sample_size_of_means(0.5, 1.0)
    63
    """
    if not (isfinite(difference) and difference):
        raise InvalidValueError("difference", difference, "a number other than 0")
    if not (isfinite(standard_deviation) and standard_deviation > 0):
        raise InvalidValueError("standard_deviation", standard_deviation, "a number above 0")
    return ceil(2 * (standard_deviation * sum(_quantiles(alpha, power)) / difference) ** 2)


def days_needed(units: int, units_a_day: float) -> float:
    """Return how long a sample takes.

    Parameters
    ----------
    units : int
    units_a_day : float

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError
        If there is no traffic.
    """
    if not (isfinite(units_a_day) and units_a_day > 0):
        raise InvalidValueError("units_a_day", units_a_day, "a number above 0")
    return units / units_a_day


def _rates(baseline: float, effect: float) -> tuple[float, float]:
    _between("baseline_rate", baseline)
    other = baseline * (1 + effect)
    if not effect or not 0.0 < other < 1.0:
        raise InvalidValueError(
            "minimum_detectable_effect",
            effect,
            f"a relative change other than 0 that keeps {baseline:g} between 0 and 1",
        )
    return baseline, other


def _require_totals(control_total: int, treatment_total: int) -> None:
    for name, total in (("control_total", control_total), ("treatment_total", treatment_total)):
        if total < 1:
            raise InvalidValueError(name, total, "at least 1")


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    from scipy.special import ndtri

    _between("alpha", alpha)
    _between("power", power)
    return float(ndtri(1 - alpha / 2)), float(ndtri(power))


def _between(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise InvalidValueError(name, value, "a number strictly between 0 and 1")
