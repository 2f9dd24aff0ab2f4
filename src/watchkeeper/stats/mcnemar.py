"""McNemar's test: whether one of two who answered the same questions is right more often."""

from watchkeeper.errors import InvalidValueError

__all__ = ["mcnemar"]


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value that both are right equally often.

    Parameters
    ----------
    only_first, only_second : int
        Questions that only the first, or only the second, answered rightly. Those on which both
        are right or both wrong say nothing.

    Returns
    -------
    float
        Exact, from the binomial distribution: for one look.

    Raises
    ------
    InvalidValueError
        If a count is negative.

    References
    ----------
    McNemar (1947), Psychometrika 12(2), 153-157; the exact form is in Agresti (2013), Categorical
    Data Analysis, 11.1.

    Examples
    --------
    >>> round(mcnemar(10, 30), 6)
    0.002221
    """
    from scipy.stats import binomtest

    for name, count in (("only_first", only_first), ("only_second", only_second)):
        if count < 0:
            raise InvalidValueError(name, count, "0 or more")
    if not only_first + only_second:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)
