"""Is a rate within its limit? Exact evidence, which may be looked at as often as one likes."""

from collections.abc import Callable, Sequence
from math import exp, inf, isfinite, log

from watchkeeper.errors import InvalidValueError

__all__ = ["chance_above", "evidence_above", "evidence_below", "evidence_of_steps"]

_WEIGHT = 20.0  # observations that the prior of a rate above the limit is worth
_LARGEST_LOG = 700.0


def evidence_above(bad: int, good: int, limit: float) -> float:
    """Return the evidence that a rate is above a limit, as a natural logarithm.

    Parameters
    ----------
    bad, good : int
        What was counted so far.
    limit : float

    Returns
    -------
    float
        Of an e-value: if the rate is the limit or less, it ever reaches ``log(1 / alpha)`` with
        probability `alpha` at most, however often one looks. The average of the likelihood over
        rates above the limit, around twice the limit, over that of the limit.

    Raises
    ------
    InvalidValueError
        If counts are negative or the limit is not between 0 and 1.

    References
    ----------
    Ville (1939); Ramdas, Grünwald, Vovk and Shafer (2023), Statistical Science 38(4), 576-601.

    Examples
    --------
    >>> round(evidence_above(10, 90, 0.05), 6)
    1.399758
    >>> evidence_above(12, 88, 0.05) >= log(20)  # 12 of 100 are too many for 5 %
    True
    """
    from scipy.special import betaincc

    _check(bad, good, limit)
    mean = min(2 * limit, (1 + limit) / 2)
    a, b = _WEIGHT * mean, _WEIGHT * (1 - mean)
    return _averaged(bad, good, limit, a, b, betaincc)


def chance_above(bad: int, good: int, limit: float) -> float:
    """Return how often as many bad ones, or more, are counted of a rate that is at its limit.

    Parameters
    ----------
    bad, good : int
        What was counted.
    limit : float

    Returns
    -------
    float
        The exact p-value of one look (binomial); who looks again and again needs `evidence_above`.

    Raises
    ------
    InvalidValueError
        If counts are negative or the limit is not between 0 and 1.

    Examples
    --------
    >>> round(chance_above(10, 90, 0.05), 4), round(chance_above(28, 372, 0.05), 4)
    (0.0282, 0.048)
    """
    from scipy.special import bdtrc

    _check(bad, good, limit)
    return 1.0 if bad == 0 else float(bdtrc(bad - 1, bad + good, limit))


def evidence_below(bad: int, good: int, limit: float) -> float:
    """Return the evidence that a rate is below a limit, as a natural logarithm.

    What it is worth is said of `evidence_above`; the rates are averaged evenly from 0 to the limit.

    Parameters
    ----------
    bad, good : int
    limit : float

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError
        If counts are negative or the limit is not between 0 and 1.

    Examples
    --------
    >>> evidence_below(0, 87, 0.05) < log(20) <= evidence_below(0, 88, 0.05)
    True
    """
    from scipy.special import betainc

    _check(bad, good, limit)
    return _averaged(bad, good, limit, 1.0, 1.0, betainc)


def evidence_of_steps(steps: Sequence[tuple[int, int]], planned: int, limit: float) -> float:
    """Return the evidence, over all steps of a rollout, that a rate is above a limit.

    Half of it is of all that was counted, half the mean over the planned steps of each step's own,
    so that a version that fails only under load is seen as soon as that load is there.

    Parameters
    ----------
    steps : sequence of (int, int)
        Bad and good ones of each step so far.
    planned : int
        Steps in all.
    limit : float

    Returns
    -------
    float
        An e-value, not its logarithm; it holds over all looks at all steps together.

    Raises
    ------
    InvalidValueError
        As `evidence_above`, or if there are more steps than planned.

    Examples
    --------
    >>> round(evidence_of_steps([(1, 99), (12, 88)], 11, 0.05), 2)
    1.6
    """
    if not planned >= 1 or len(steps) > planned:
        raise InvalidValueError("planned", planned, f"at least the {len(steps)} steps there are")
    counted = (sum(bad for bad, _ in steps), sum(good for _, good in steps))
    together = _exp(evidence_above(*counted, limit))
    alone = sum(_exp(evidence_above(bad, good, limit)) for bad, good in steps)
    return (together + (alone + planned - len(steps)) / planned) / 2


def _averaged(
    bad: int, good: int, limit: float, a: float, b: float, part: Callable[..., float]
) -> float:
    """Return the likelihood averaged over one side of the limit, over that of the limit."""
    from scipy.special import betaln

    share = float(part(a + bad, b + good, limit))
    if share <= 0.0:
        return -inf
    averaged = float(betaln(a + bad, b + good) - betaln(a, b)) + log(share)
    return averaged - log(float(part(a, b, limit))) - bad * log(limit) - good * log(1 - limit)


def _exp(logarithm: float) -> float:
    return exp(min(logarithm, _LARGEST_LOG))


def _check(bad: int, good: int, limit: float) -> None:
    if not (isfinite(limit) and 0.0 < limit < 1.0):
        raise InvalidValueError("limit", limit, "a number strictly between 0 and 1")
    for name, count in (("bad", bad), ("good", good)):
        if count < 0:
            raise InvalidValueError(name, count, "0 or more")
