"""Mean and variance of parts that can be put together."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Moments"]


@dataclass(frozen=True, slots=True)
class Moments:
    """How many finite values there were, their mean and their spread.

    Attributes
    ----------
    size : int
    mean : float
        0.0 without values.
    squares : float
        Sum of the squared deviations from the mean.

    References
    ----------
    Chan, Golub and LeVeque (1983), Am. Stat. 37(3), 242-247, whose formula `merge` is.

    >>> import numpy as np
    >>> both = Moments.of(np.array([1.0, 2.0])).merge(Moments.of(np.array([6.0])))
    >>> both.mean, both.variance
    (3.0, 7.0)
    """

    size: int
    mean: float
    squares: float

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> "Moments":
        """Return the moments of finite values.

        Parameters
        ----------
        values : numpy.ndarray of float

        Returns
        -------
        Moments
        """
        if not len(values):
            return cls(0, 0.0, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):  # values near 1e308: inf is the answer
            mean = values.mean()
            apart = values - mean
            return cls(len(values), float(mean), float(np.dot(apart, apart)))

    @property
    def variance(self) -> float:
        """Of the population the values were drawn from; NaN below two values."""
        return self.squares / (self.size - 1) if self.size > 1 else float("nan")

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of values.

        Parameters
        ----------
        other : Moments

        Returns
        -------
        Moments
        """
        if not self.size or not other.size:
            return self if self.size else other
        size = self.size + other.size
        apart = other.mean - self.mean
        return Moments(
            size,
            self.mean + apart * other.size / size,
            self.squares + other.squares + apart * apart * (self.size * other.size / size),
        )
