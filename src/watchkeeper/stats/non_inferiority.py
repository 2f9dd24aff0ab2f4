"""Non-inferiority: whether a treatment is worse by less than a margin."""

from dataclasses import dataclass

from watchkeeper.errors import InvalidValueError
from watchkeeper.results import Result
from watchkeeper.stats.proportion_intervals import miettinen_nurminen, score
from watchkeeper.stats.proportions import counted

__all__ = ["NonInferiorityTest", "non_inferiority_test"]


@dataclass(frozen=True, slots=True)
class NonInferiorityTest(Result):
    """Whether a treatment is worse by less than a margin.

    Attributes
    ----------
    difference : float
        Treatment minus control.
    margin : float
    z, p_value : float
        Of a treatment that is worse by the margin or more.
    bound : float
        What the difference is at worst, one-sided, with confidence 1 - alpha: a lower bound where
        higher is better, an upper one elsewhere.
    shown : bool
        Whether the bound is within the margin.
    """

    difference: float
    margin: float
    z: float
    p_value: float
    bound: float
    shown: bool


def non_inferiority_test(
    control_events: int,
    control_total: int,
    treatment_events: int,
    treatment_total: int,
    margin: float,
    *,
    higher_is_better: bool = True,
    alpha: float = 0.05,
) -> NonInferiorityTest:
    """Test whether a treatment's proportion is worse by less than a margin.

    Parameters
    ----------
    control_events, control_total, treatment_events, treatment_total : int
    margin : float
        Above 0: how much worse is still acceptable.
    higher_is_better : bool
    alpha : float
        One-sided.

    Returns
    -------
    NonInferiorityTest
        By the score test, whose variance is that of the likeliest proportions that differ by the
        margin, and the bound that belongs to it.

    Raises
    ------
    InvalidValueError
        As `newcombe`, or if the margin is not between 0 and 1, or alpha not between 0 and 0.5.

    References
    ----------
    Farrington and Manning (1990), Statistics in Medicine 9(12), 1447-1454; with the factor of
    Miettinen and Nurminen (1985).

    Examples
    --------
    >>> test = non_inferiority_test(9_500, 10_000, 940, 1_000, 0.01)
    >>> round(test.bound, 4), round(test.p_value, 4), test.shown
    (-0.024, 0.5, False)
    """
    from scipy.special import ndtr

    if not 0.0 < margin < 1.0:
        raise InvalidValueError("margin", margin, "a number strictly between 0 and 1")
    if not 0.0 < alpha < 0.5:
        raise InvalidValueError("alpha", alpha, "a number strictly between 0 and 0.5")
    a, m, b, n = counted(control_events, control_total, treatment_events, treatment_total)
    sign = 1.0 if higher_is_better else -1.0
    z = sign * score(a, m, b, n, -sign * margin)
    low, high = miettinen_nurminen(
        control_events, control_total, treatment_events, treatment_total, 1 - 2 * alpha
    )
    p_value = float(ndtr(-z))
    bound = low if higher_is_better else high
    return NonInferiorityTest(b / n - a / m, margin, z, p_value, bound, sign * bound > -margin)
