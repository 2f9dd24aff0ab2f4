"""Two proportions: the pooled test, and intervals of their difference that do not assume it away.

A test of equal proportions may pool them; an interval may not, since it is there to question just
that.
"""

from dataclasses import dataclass
from math import copysign, exp, isfinite, log, sqrt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats.intervals import normal_quantile, wilson

__all__ = [
    "PooledTest",
    "miettinen_nurminen",
    "newcombe",
    "pooled_test",
    "relative_interval",
    "risk_ratio_interval",
]


@dataclass(frozen=True, slots=True)
class PooledTest(Result):
    """The pooled z-test of two proportions.

    Attributes
    ----------
    z : float
        Positive where the treatment's is larger.
    p_value : float
        Two-sided.
    greater, less : float
        One-sided: of a treatment that is not larger, or not smaller.
    """

    z: float
    p_value: float
    greater: float
    less: float


def pooled_test(
    control_events: int, control_total: int, treatment_events: int, treatment_total: int
) -> PooledTest:
    """Test whether two proportions are equal.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total : int

    Returns
    -------
    PooledTest
        Its square is the chi-squared statistic without Yates' correction. Without any event, or
        with nothing but events, z is 0 and the p-value 1.

    Raises
    ------
    InvalidValueError
        If a total is not above 0, or events are not between 0 and their total.

    References
    ----------
    Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, section 3.1.

    Examples
    --------
    >>> test = pooled_test(2_000, 10_000, 220, 1_000)
    >>> round(test.z, 6), round(test.p_value, 6)
    (1.502459, 0.132979)
    """
    from scipy.special import ndtr

    a, m, b, n = _counts(control_events, control_total, treatment_events, treatment_total)
    pooled = (a + b) / (m + n)
    error = sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))
    z = (b / n - a / m) / error if error else 0.0
    p_value = min(1.0, 2 * float(ndtr(-abs(z))))
    return PooledTest(z, p_value, float(ndtr(-z)), float(ndtr(z)))


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
    a, m, b, n = _counts(control_events, control_total, treatment_events, treatment_total)
    low, high = wilson(int(a), int(m), confidence)
    own_low, own_high = wilson(int(b), int(n), confidence)
    p, q = a / m, b / n
    difference = q - p
    return (
        difference - sqrt((q - own_low) ** 2 + (high - p) ** 2),
        difference + sqrt((own_high - q) ** 2 + (p - low) ** 2),
    )


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

    a, m, b, n = _counts(control_events, control_total, treatment_events, treatment_total)
    quantile = normal_quantile(confidence)
    difference = b / n - a / m

    def beyond(delta: float) -> float:
        p, q = _restricted(a, m, b, n, delta)
        variance = (p * (1 - p) / m + q * (1 - q) / n) * (m + n) / (m + n - 1)
        apart = difference - delta
        if variance <= 0:
            return copysign(1e9, apart) if apart else 0.0
        return apart / sqrt(variance)

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
) -> tuple[float, float]:
    """Return an interval of the relative difference, by Fieller's theorem.

    It knows that the control's proportion is itself estimated, which the interval of the difference
    over that proportion does not.

    Raises
    ------
    InvalidValueError
        As `newcombe`, or if the control's proportion cannot be told from 0.

    References
    ----------
    Fieller (1954), J. R. Statist. Soc. B 16(2), 175-185.

    Examples
    --------
    >>> low, high = relative_interval(2_000, 10_000, 220, 1_000)
    >>> round(low, 6), round(high, 6)
    (-0.033844, 0.23723)
    """
    a, m, b, n = _counts(control_events, control_total, treatment_events, treatment_total)
    squared = normal_quantile(confidence) ** 2
    p, q = a / m, b / n
    of_p, of_q = p * (1 - p) / m, q * (1 - q) / n
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
) -> tuple[float, float]:
    """Return an interval of the ratio of the proportions, treatment over control, by its logarithm.

    Raises
    ------
    InvalidValueError
        As `newcombe`, or if an arm has no event.

    References
    ----------
    Katz, Baptista, Azen and Pike (1978), Biometrics 34(3), 469-474.

    Examples
    --------
    >>> low, high = risk_ratio_interval(2_000, 10_000, 220, 1_000)
    >>> round(low, 6), round(high, 6)
    (0.972582, 1.244111)
    """
    a, m, b, n = _counts(control_events, control_total, treatment_events, treatment_total)
    if not (a and b):
        raise InvalidValueError("events", (control_events, treatment_events), "some in each arm")
    half = normal_quantile(confidence) * sqrt(1 / a - 1 / m + 1 / b - 1 / n)
    middle = log(b / n) - log(a / m)
    return exp(middle - half), exp(middle + half)


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


def _counts(*given: int) -> tuple[float, float, float, float]:
    names = ("control_events", "control_total", "treatment_events", "treatment_total")
    for name, value in zip(names, given, strict=True):
        wrong = isinstance(value, bool) or not isfinite(value) or value != int(value) or value < 0
        if wrong or (name.endswith("total") and not value):
            least = 1 if name.endswith("total") else 0
            raise InvalidValueError(name, value, f"a whole number of at least {least}")
    a, m, b, n = (float(value) for value in given)
    for name, events, total in (("control_events", a, m), ("treatment_events", b, n)):
        if events > total:
            raise InvalidValueError(name, int(events), f"at most the total, {int(total)}")
    return a, m, b, n
