"""How far apart two distributions are at least, however often one looks."""

from math import log, pi, sqrt

from watchkeeper.errors import InvalidValueError

__all__ = ["distance_band"]


def distance_band(
    distance: float, first: int, second: int, alpha: float = 0.05
) -> tuple[float, float]:
    """Return between what the distance of two distribution functions lies, at any time.

    Parameters
    ----------
    distance : float
        The Kolmogorov-Smirnov distance of two samples as they are now.
    first, second : int
        Their sizes now.
    alpha : float

    Returns
    -------
    low, high : float
        With probability ``1 - alpha`` the distance of the distributions is within all bands that
        are ever looked at: the bound of Dvoretzky, Kiefer and Wolfowitz with Massart's constant, of
        each sample at half of `alpha`, of which the size n has the part 6 / (π n)².

    Raises
    ------
    InvalidValueError
        If a size is not above 0, or the distance or `alpha` is out of its range.

    References
    ----------
    Massart (1990), "The Tight Constant in the Dvoretzky-Kiefer-Wolfowitz Inequality", Annals of
    Probability 18(3), 1269-1283.

    Examples
    --------
    >>> low, high = distance_band(0.3, 2_000, 2_000)
    >>> round(low, 3), round(high, 3)
    (0.158, 0.442)
    """
    if not 0.0 <= distance <= 1.0:
        raise InvalidValueError("distance", distance, "from 0 to 1")
    if not 0.0 < alpha < 1.0:
        raise InvalidValueError("alpha", alpha, "a number strictly between 0 and 1")
    wide = 0.0
    for name, size in (("first", first), ("second", second)):
        if size < 1:
            raise InvalidValueError(name, size, "at least 1")
        part = alpha / 2 * 6 / (pi * size) ** 2
        wide += sqrt(log(2 / part) / (2 * size))
    return max(0.0, distance - wide), min(1.0, distance + wide)
