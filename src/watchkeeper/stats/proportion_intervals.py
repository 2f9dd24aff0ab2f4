"""Intervals of what two proportions differ by, none of which assumes that they do not.

A test of equal proportions may pool them; an interval may not, since it is there to question just
that.
"""

from math import copysign, exp, inf, log, sqrt
from typing import Literal, get_args

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.intervals import normal_quantile, wilson
from watchkeeper.stats.proportions import counted

__all__ = [
    "RelativeMethod",
    "RiskRatioMethod",
    "agresti_caffo",
    "miettinen_nurminen",
    "newcombe",
    "relative_interval",
    "risk_ratio_interval",
    "score",
    "wald",
]

RelativeMethod = Literal["fieller", "delta"]
RiskRatioMethod = Literal["log", "score"]


def newcombe(
    control_events: int,
    control_total: int,
    treatment_events: int,
    treatment_total: int,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return an interval of the difference, made of Wilson's intervals of both proportions.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total : int
    confidence : float

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    InvalidValueError
        As `pooled_test`, or if the confidence is not between 0 and 1.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17(8), 873-890, method 10.

    Examples
    --------
    >>> low, high = newcombe(2_000, 10_000, 220, 1_000)
    >>> round(low, 6), round(high, 6)
    (-0.005832, 0.047814)
    """
    a, m, b, n = counted(control_events, control_total, treatment_events, treatment_total)
    low, high = wilson(int(a), int(m), confidence)
    own_low, own_high = wilson(int(b), int(n), confidence)
    p, q = a / m, b / n
    difference = q - p
    return (
        difference - sqrt((q - own_low) ** 2 + (high - p) ** 2),
        difference + sqrt((own_high - q) ** 2 + (p - low) ** 2),
    )


def wald(
    control_events: int,
    control_total: int,
    treatment_events: int,
    treatment_total: int,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return the textbook's interval of the difference, from each arm's own variance.

    It is for large samples: ten events and ten non-events in each arm. With fewer it is too narrow,
    and of nothing at all where neither arm has an event.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total : int
    confidence : float

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    InvalidValueError
        As `newcombe`.

    Examples
    --------
    >>> low, high = wald(2_000, 10_000, 220, 1_000)
    >>> round(low, 6), round(high, 6)
    (-0.006845, 0.046845)
    """
    a, m, b, n = counted(control_events, control_total, treatment_events, treatment_total)
    return _wald(a, m, b, n, confidence)


def agresti_caffo(
    control_events: int,
    control_total: int,
    treatment_events: int,
    treatment_total: int,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return Wald's interval of the difference with one event and one non-event added to each arm.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total : int
    confidence : float

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    InvalidValueError
        As `newcombe`.

    References
    ----------
    Agresti and Caffo (2000), The American Statistician 54(4), 280-288.

    Examples
    --------
    >>> low, high = agresti_caffo(2_000, 10_000, 220, 1_000)
    >>> round(low, 6), round(high, 6)
    (-0.006344, 0.047342)
    """
    a, m, b, n = counted(control_events, control_total, treatment_events, treatment_total)
    return _wald(a + 1, m + 2, b + 1, n + 2, confidence)


def miettinen_nurminen(
    control_events: int,
    control_total: int,
    treatment_events: int,
    treatment_total: int,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return the interval of the difference that belongs to the score test.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total : int
    confidence : float

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    InvalidValueError
        As `newcombe`.

    References
    ----------
    Miettinen and Nurminen (1985), Statistics in Medicine 4(2), 213-226.

    Examples
    --------
    >>> low, high = miettinen_nurminen(2_000, 10_000, 220, 1_000)
    >>> round(low, 6), round(high, 6)
    (-0.005859, 0.047799)
    """
    from scipy.optimize import brentq

    a, m, b, n = counted(control_events, control_total, treatment_events, treatment_total)
    quantile = normal_quantile(confidence)
    difference = b / n - a / m

    def beyond(delta: float) -> float:
        return score(a, m, b, n, delta)

    low = (
        -1.0 if beyond(-1.0) <= quantile else brentq(lambda d: beyond(d) - quantile, -1, difference)
    )
    high = (
        1.0 if beyond(1.0) >= -quantile else brentq(lambda d: beyond(d) + quantile, difference, 1)
    )
    return float(low), float(high)


def relative_interval(
    control_events: int,
    control_total: int,
    treatment_events: int,
    treatment_total: int,
    confidence: float = 0.95,
    *,
    method: RelativeMethod = "fieller",
) -> tuple[float, float]:
    """Return an interval of the relative difference.

    It knows that the control's proportion is itself estimated, which the interval of the difference
    over that proportion does not.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total : int
    confidence : float
    method : {"fieller", "delta"}
        Fieller's theorem, or the delta method, which is symmetric and for large samples.

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    InvalidValueError
        As `newcombe`, if the control's proportion cannot be told from 0, or if the method is
        unknown.

    References
    ----------
    Fieller (1954), J. R. Statist. Soc. B 16(2), 175-185.

    Examples
    --------
    >>> low, high = relative_interval(2_000, 10_000, 220, 1_000)
    >>> round(low, 6), round(high, 6)
    (-0.033844, 0.23723)
    """
    _require_method(method, get_args(RelativeMethod))
    a, m, b, n = counted(control_events, control_total, treatment_events, treatment_total)
    squared = normal_quantile(confidence) ** 2
    p, q = a / m, b / n
    of_p, of_q = p * (1 - p) / m, q * (1 - q) / n
    if method == "delta" and p:
        half = sqrt(squared * (of_q / p**2 + of_p * q**2 / p**4))
        return q / p - 1 - half, q / p - 1 + half
    scale = p * p - squared * of_p
    if scale <= 0:
        raise InvalidValueError(
            "control_events", control_events, "so many that the control's rate differs from 0"
        )
    half = sqrt((p * q) ** 2 - scale * (q * q - squared * of_q))
    return (p * q - half) / scale - 1, (p * q + half) / scale - 1


def risk_ratio_interval(
    control_events: int,
    control_total: int,
    treatment_events: int,
    treatment_total: int,
    confidence: float = 0.95,
    *,
    method: RiskRatioMethod = "log",
) -> tuple[float, float]:
    """Return an interval of the ratio of the proportions, treatment over control.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total : int
    confidence : float
    method : {"log", "score"}
        By the logarithm of the ratio, which needs events in both arms, or by the score test, which
        needs them in one.

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    InvalidValueError
        As `newcombe`, if an arm has no event, or neither, or if the method is unknown.

    References
    ----------
    Katz, Baptista, Azen and Pike (1978), Biometrics 34(3), 469-474. Miettinen and Nurminen (1985),
    Statistics in Medicine 4(2), 213-226.

    Examples
    --------
    >>> low, high = risk_ratio_interval(2_000, 10_000, 220, 1_000)
    >>> round(low, 6), round(high, 6)
    (0.972582, 1.244111)
    """
    _require_method(method, get_args(RiskRatioMethod))
    a, m, b, n = counted(control_events, control_total, treatment_events, treatment_total)
    if method == "score" and (a or b):
        return _score_of_ratio(a, m, b, n, normal_quantile(confidence))
    if not (a and b):
        raise InvalidValueError("events", (control_events, treatment_events), "some in each arm")
    half = normal_quantile(confidence) * sqrt(1 / a - 1 / m + 1 / b - 1 / n)
    middle = log(b / n) - log(a / m)
    return exp(middle - half), exp(middle + half)


def _wald(a: float, m: float, b: float, n: float, confidence: float) -> tuple[float, float]:
    p, q = a / m, b / n
    half = normal_quantile(confidence) * sqrt(p * (1 - p) / m + q * (1 - q) / n)
    return max(-1.0, q - p - half), min(1.0, q - p + half)


def score(a: float, m: float, b: float, n: float, delta: float) -> float:
    """Return how many standard errors the difference b / n - a / m is from `delta`.

    The error is that of the likeliest proportions that differ by `delta`, with the factor of
    Miettinen and Nurminen.

    Parameters
    ----------
    a, m, b, n, delta : float

    Returns
    -------
    float
    """
    p, q = _restricted(a, m, b, n, delta)
    variance = (p * (1 - p) / m + q * (1 - q) / n) * (m + n) / (m + n - 1)
    apart = b / n - a / m - delta
    if variance <= 0:
        return copysign(1e9, apart) if apart else 0.0
    return apart / sqrt(variance)


def _require_method(method: str, methods: tuple[str, ...]) -> None:
    if method not in methods:
        raise InvalidValueError("method", method, f"one of {', '.join(methods)}")


def _score_of_ratio(a: float, m: float, b: float, n: float, quantile: float) -> tuple[float, float]:
    from scipy.optimize import brentq

    def beyond(logarithm: float) -> float:
        ratio = exp(logarithm)
        # The likeliest proportions of this ratio solve a quadratic equation.
        linear = m + b + ratio * (n + a)
        p = (linear - sqrt(max(0.0, linear**2 - 4 * ratio * (m + n) * (a + b)))) / (
            2 * ratio * (m + n)
        )
        q = min(1.0, ratio * p)
        variance = (ratio**2 * p * (1 - p) / m + q * (1 - q) / n) * (m + n) / (m + n - 1)
        apart = b / n - ratio * a / m
        if variance <= 0:
            return copysign(1e9, apart) if apart else 0.0
        return apart / sqrt(variance)

    middle = log(b / n) - log(a / m) if a and b else (30.0 if b else -30.0)
    low = exp(brentq(lambda r: beyond(r) - quantile, -40.0, middle)) if b else 0.0
    high = exp(brentq(lambda r: beyond(r) + quantile, middle, 40.0)) if a else inf
    return low, high


def _restricted(a: float, m: float, b: float, n: float, delta: float) -> tuple[float, float]:
    """Return the likeliest proportions that differ by `delta`."""
    from scipy.optimize import brentq

    least, most = max(0.0, -delta), min(1.0, 1.0 - delta)
    if most <= least:
        return least, least + delta

    def slope(p: float) -> float:
        q = p + delta
        gain = (a / p if a else 0.0) - ((m - a) / (1 - p) if m > a else 0.0)
        return gain + (b / q if b else 0.0) - ((n - b) / (1 - q) if n > b else 0.0)

    edge = 1e-14 * max(1.0, abs(delta))
    low, high = least + edge, most - edge
    if high <= low or slope(low) <= 0:
        return least, least + delta
    if slope(high) >= 0:
        return most, most + delta
    p = float(brentq(slope, low, high, xtol=1e-15, rtol=1e-14))
    return p, p + delta
