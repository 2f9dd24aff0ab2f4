"""Two proportions: the pooled test of whether they are equal."""

from dataclasses import dataclass
from math import isfinite, sqrt

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result

__all__ = ["PooledTest", "counted", "pooled_test"]


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

    a, m, b, n = counted(control_events, control_total, treatment_events, treatment_total)
    pooled = (a + b) / (m + n)
    error = sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))
    z = (b / n - a / m) / error if error else 0.0
    p_value = min(1.0, 2 * float(ndtr(-abs(z))))
    return PooledTest(z, p_value, float(ndtr(-z)), float(ndtr(z)))


def counted(*counts: int, called: str = "events") -> tuple[float, float, float, float]:
    """Return events and totals of two arms as numbers to reckon with.

    Parameters
    ----------
    *counts : int
        Events and total of the control, and of the treatment.
    called : str
        What the caller calls events.

    Returns
    -------
    tuple of (float, float, float, float)

    Raises
    ------
    InvalidValueError
        If they are no counts; see `pooled_test`.
    """
    names = (f"control_{called}", "control_total", f"treatment_{called}", "treatment_total")
    for name, value in zip(names, counts, strict=True):
        wrong = isinstance(value, bool) or not isfinite(value) or value != int(value) or value < 0
        if wrong or (name.endswith("total") and not value):
            least = 1 if name.endswith("total") else 0
            raise InvalidValueError(name, value, f"a whole number of at least {least}")
    a, m, b, n = (float(value) for value in counts)
    for name, events, total in ((f"control_{called}", a, m), (f"treatment_{called}", b, n)):
        if events > total:
            raise InvalidValueError(name, int(events), f"at most the total, {int(total)}")
    return a, m, b, n
