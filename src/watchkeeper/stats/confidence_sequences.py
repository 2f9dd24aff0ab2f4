"""Confidence sequences: intervals of a difference that hold at all times at once."""

from math import exp, inf, isfinite, log, log1p, sqrt

from watchkeeper.errors import InvalidValueError

__all__ = [
    "confidence_sequence",
    "mixture_e_value",
    "rate_sequence",
    "sequence_p_value",
    "sequence_rho",
]

_LARGEST_LOG = 700.0


def sequence_rho(n_star: float, alpha: float = 0.05) -> float:
    """Return the mixture's parameter with which a confidence sequence is narrowest near `n_star`.

    Parameters
    ----------
    n_star : float
        Sample size at which it should be narrow: the planned one.
    alpha : float

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError
        If `n_star` is not positive or `alpha` is not between 0 and 1.

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Ann. Statist. 52(6), 2613-2640, appendix
    on tuning, with the approximation of the Lambert function that is usual there.

    Examples
    --------
    >>> round(sequence_rho(5000), 12)
    0.039840066771
    """
    if not 0.0 < alpha < 1.0:
        raise InvalidValueError("alpha", alpha, "a number strictly between 0 and 1")
    if not (isfinite(n_star) and n_star > 0):
        raise InvalidValueError("n_star", n_star, "a sample size above 0")
    surprise = -2 * log(alpha)
    return sqrt((surprise + log1p(surprise)) / n_star)


def mixture_e_value(z: float, ratio: float) -> float:
    """Return the evidence against no difference, averaged over differences.

    Parameters
    ----------
    z : float
        The estimate over its standard error if there is none.
    ratio : float
        Variance of the differences that are averaged over, normal around 0, over the variance of
        the estimate. With a fixed ``tau``, ``(tau / standard_error)**2``, this is the mixture
        sequential probability ratio test; with ``rho**2 * n`` the confidence sequence.

    Returns
    -------
    float
        Without a difference it reaches ``1 / alpha`` at any time with probability `alpha` at most,
        once the estimate is as good as normal. One over it is a p-value.

    Raises
    ------
    InvalidValueError
        If `z` is not finite or the ratio is negative or not finite.

    References
    ----------
    Robbins (1970), Ann. Math. Statist. 41(5), 1397-1409; Johari, Koomen, Pekelis and Walsh (2022),
    Operations Research 70(3), 1806-1821.

    Examples
    --------
    >>> round(mixture_e_value(3.0, 4.0), 2)
    16.37
    """
    if not isfinite(z):
        raise InvalidValueError("z", z, "a finite number")
    if not (isfinite(ratio) and ratio >= 0):
        raise InvalidValueError("ratio", ratio, "a finite number not below 0")
    logarithm = 0.5 * (z * z * ratio / (ratio + 1) - log1p(ratio))
    return inf if logarithm > _LARGEST_LOG else exp(logarithm)


def confidence_sequence(
    estimate: float, standard_error: float, fraction: float, alpha: float = 0.05
) -> tuple[float, float]:
    """Return the interval of an asymptotic confidence sequence.

    Parameters
    ----------
    estimate, standard_error : float
        Of all data so far.
    fraction : float
        Information so far over the information at which the sequence should be narrow: sample size
        over planned sample size, as long as the arms keep their shares. It may pass 1.
    alpha : float
        Probability that the intervals ever miss.

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    InvalidValueError
        If the estimate is not finite, the standard error is negative, the fraction is not positive,
        or `alpha` is not between 0 and 1.

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), "Time-uniform central limit theory and
    asymptotic confidence sequences", Ann. Statist. 52(6), 2613-2640.

    Examples
    --------
    >>> low, high = confidence_sequence(0.02, 0.013696714935, 11_000 / 5_000)
    >>> round(low, 9), round(high, 9)
    (-0.022031733, 0.062031733)
    """
    if not isfinite(estimate):
        raise InvalidValueError("estimate", estimate, "a finite number")
    if not (isfinite(standard_error) and standard_error >= 0):
        raise InvalidValueError("standard_error", standard_error, "a number not below 0")
    ratio = _ratio(fraction, alpha)
    half = standard_error * sqrt((ratio + 1) / ratio * (log1p(ratio) - 2 * log(alpha)))
    return estimate - half, estimate + half


def sequence_p_value(z: float, fraction: float, alpha: float = 0.05) -> float:
    """Return the smallest error rate at which the confidence sequence leaves out 0.

    Parameters
    ----------
    z : float
        The estimate over its standard error.
    fraction : float
        As for `confidence_sequence`.
    alpha : float
        The error rate that the sequence is tuned for; the tuning stays as the rate is lowered.

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError
        As for `confidence_sequence`.

    Examples
    --------
    >>> round(sequence_p_value(3.5, 1.0), 4), sequence_p_value(1.5, 1.0)
    (0.013, 1.0)
    """
    evidence = mixture_e_value(z, _ratio(fraction, alpha))
    return min(1.0, 1.0 / evidence)


def rate_sequence(events: float, total: float, alpha: float = 0.05) -> tuple[float, float]:
    """Return the interval of a confidence sequence for one rate, at any counts, none included.

    Parameters
    ----------
    events, total : float
        Of all data so far.
    alpha : float
        Probability that the intervals ever miss.

    Returns
    -------
    tuple of float
        The rates at which the evidence of a Beta(1/2, 1/2) mixture is below ``1 / alpha``. It is
        not asymptotic, and holds for the average where the rate changes over time.

    Raises
    ------
    InvalidValueError
        If there are more events than the total, none in all, or `alpha` is not between 0 and 1.

    References
    ----------
    Robbins (1970), Ann. Math. Statist. 41(5), 1397-1409; Howard, Ramdas, McAuliffe and Sekhon
    (2021), Ann. Statist. 49(2), 1055-1080.

    Examples
    --------
    >>> low, high = rate_sequence(0, 1000)
    >>> low, round(high, 4)
    (0.0, 0.007)
    """
    if not 0.0 < alpha < 1.0:
        raise InvalidValueError("alpha", alpha, "a number strictly between 0 and 1")
    if not (isfinite(total) and total > 0 and 0 <= events <= total):
        raise InvalidValueError("events", events, f"from 0 to the total, {total}")
    from scipy.optimize import brentq
    from scipy.special import betaln, xlog1py, xlogy

    rest = total - events
    evidence = betaln(events + 0.5, rest + 0.5) - betaln(0.5, 0.5) + log(alpha)

    def beyond(rate: float) -> float:
        return float(evidence - xlogy(events, rate) - xlog1py(rest, -rate))

    seen = events / total
    low = 0.0 if not events else float(brentq(beyond, 1e-300, seen, xtol=1e-15))
    high = 1.0 if not rest else float(brentq(beyond, seen, 1.0 - 1e-16, xtol=1e-15))
    return low, high


def _ratio(fraction: float, alpha: float) -> float:
    if not (isfinite(fraction) and fraction > 0):
        raise InvalidValueError("fraction", fraction, "a share of the planned information above 0")
    return sequence_rho(1.0, alpha) ** 2 * fraction
