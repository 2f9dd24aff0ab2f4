"""The profile of a column of numbers: exact moments, and where the values lie."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np

from watchkeeper.errors import InvalidValueError
from watchkeeper.profiles.categories import top
from watchkeeper.profiles.columns import Numbers
from watchkeeper.profiles.moments import Moments
from watchkeeper.profiles.sketches import Floats, QuantileSketch, Steps

__all__ = ["EXACT_NUMBERS", "NumberProfile"]

EXACT_NUMBERS = 200
"""Different numbers in a column up to which each is counted."""

_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_CODES = 10  # different whole numbers up to which they stand for categories


@dataclass(frozen=True)
class NumberProfile:
    """A column of numbers or times; times are seconds since 1970 in UTC.

    Attributes
    ----------
    kind : {"number", "time"}
    size, missing : int
        Values, infinite ones included; nulls and NaN.
    minimum, maximum : float
    below, above : int
        How often negative and positive infinity occur.
    whole : bool
        Whether the values are whole numbers by their type.
    moments : Moments
        Of the finite values; exact but for rounding, whatever was merged.
    values : dict of float to int, or None
        How often each value occurs, while there are at most 200 different ones.
    sketch : QuantileSketch or None
        What is kept instead when there are more.
    """

    kind: Literal["number", "time"]
    missing: int
    minimum: float
    maximum: float
    below: int
    above: int
    whole: bool
    moments: Moments
    values: Mapping[float, int] | None
    sketch: QuantileSketch | None

    @classmethod
    def of(cls, column: Numbers, kind: Literal["number", "time"]) -> "NumberProfile":
        """Return the profile of a column that has values.

        Parameters
        ----------
        column : Numbers
        kind : {"number", "time"}

        Returns
        -------
        NumberProfile
        """
        values = column.values
        below = int(np.searchsorted(values, -np.inf, side="right"))
        above = len(values) - int(np.searchsorted(values, np.inf, side="left"))
        starts = np.flatnonzero(values[1:] != values[:-1]) + 1
        exact = len(starts) < EXACT_NUMBERS
        counted: dict[float, int] | None = None
        if exact:
            starts = np.append(0, starts)
            counts = np.diff(starts, append=len(values))
            counted = dict(zip(values[starts].tolist(), counts.tolist(), strict=True))
        return cls(
            kind,
            column.missing,
            float(values[0]),
            float(values[-1]),
            below,
            above,
            column.whole,
            Moments.of(values[below : len(values) - above]),
            counted,
            None if exact else QuantileSketch.of(values),
        )

    @property
    def size(self) -> int:
        return self.below + self.moments.size + self.above

    @property
    def mean(self) -> float:
        """Of the finite values; NaN when there are none."""
        return self.moments.mean if self.moments.size else math.nan

    @property
    def variance(self) -> float:
        """Of the finite values, with ``n - 1`` below; NaN when there are fewer than two."""
        return self.moments.variance

    @property
    def distinct(self) -> int | None:
        """How many different values there are; None when they are more than are counted."""
        return None if self.values is None else len(self.values)

    @property
    def coded(self) -> bool:
        """Whether whole numbers are so few that they stand for categories."""
        return self.whole and self.values is not None and len(self.values) <= _CODES

    @property
    def rank_error(self) -> float:
        """By how much `cdf` may be off, see `Profile`; 0 while every value is counted."""
        return self.sketch.rank_error if self.sketch else 0.0

    @property
    def distance_error(self) -> float:
        """By how much a Kolmogorov-Smirnov distance from this profile may be off."""
        return self.sketch.distance_error if self.sketch else 0.0

    @cached_property
    def steps(self) -> Steps:
        """The distribution function at its edges."""
        if self.sketch:
            return self.sketch.steps
        edges, upto = self._ranks
        right = upto / self.size
        return Steps(edges, np.append(0.0, right[:-1]), right)

    def cdf(self, points: Floats) -> Floats:
        """Return the share of the values up to and with each point.

        Parameters
        ----------
        points : array_like of float, shape (n,)

        Returns
        -------
        numpy.ndarray of float, shape (n,)
            Between 0 and 1, off by at most `rank_error`.
        """
        edges, upto = self._ranks
        places = np.searchsorted(edges, np.asarray(points, dtype=np.float64), side="right")
        shares: Floats = np.append(0, upto)[places] / self.size
        return shares

    def quantile(self, shares: Floats) -> Floats:
        """Return the smallest values up to which at least each share of the values lies.

        Parameters
        ----------
        shares : array_like of float, shape (n,)
            Between 0, which gives the minimum, and 1, which gives the maximum.

        Returns
        -------
        numpy.ndarray of float
        """
        edges, upto = self._ranks
        wanted = np.asarray(shares, dtype=np.float64)
        places = np.searchsorted(upto, wanted * self.size, side="left")
        values = edges[np.minimum(places, len(edges) - 1)]
        return np.where(wanted <= 0.0, self.minimum, np.where(wanted >= 1.0, self.maximum, values))

    def counts(self) -> dict[float, int]:
        """Return how often each value occurs, rising.

        Returns
        -------
        dict of float to int

        Raises
        ------
        InvalidValueError
            If there are more than 200 different ones.
        """
        if self.values is None:
            raise InvalidValueError(
                "column", f"more than {EXACT_NUMBERS} different numbers", "a column with fewer"
            )
        return dict(self.values)

    def merge(self, other: "NumberProfile") -> "NumberProfile":
        """Return the profile of the values of both; they are of one kind.

        Parameters
        ----------
        other : NumberProfile

        Returns
        -------
        NumberProfile
        """
        values: dict[float, int] | None = None
        sketch = None
        if self.values is not None and other.values is not None:
            together = dict(self.values)
            for value, count in other.values.items():
                together[value] = together.get(value, 0) + count
            values = dict(sorted(together.items()))
            if len(values) > EXACT_NUMBERS:
                sketch, values = _sketched(values), None
        else:
            sketch = self._as_sketch().merge(other._as_sketch())
        return NumberProfile(
            self.kind,
            self.missing + other.missing,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            self.below + other.below,
            self.above + other.above,
            self.whole and other.whole,
            self.moments.merge(other.moments),
            values,
            sketch,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a readable summary: times in ISO 8601, and None where nothing is finite.

        Returns
        -------
        dict of str to object
        """
        moment = _moment if self.kind == "time" else _finite
        quantiles = self.quantile(np.array(_QUANTILES)).tolist()
        return {
            "kind": self.kind,
            "size": self.size,
            "missing_share": self.missing / (self.size + self.missing),
            "mean": moment(self.mean),
            "std": _finite(math.sqrt(self.variance)),
            "quantiles": {
                f"{share:g}": moment(value)
                for share, value in zip(_QUANTILES, quantiles, strict=True)
            },
            "infinite": self.below + self.above,
            "distinct": self.distinct,
            "top": None if self.values is None else top(self.values),
            "rank_error": self.rank_error,
        }

    @cached_property
    def _ranks(self) -> tuple[Floats, Any]:
        if self.sketch:
            return self.sketch.ranks
        values = self.values or {}
        return np.array([*values], dtype=np.float64), np.cumsum([*values.values()])

    def _as_sketch(self) -> QuantileSketch:
        return self.sketch or _sketched(self.values or {})


def _moment(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):  # infinite, or outside the calendar
        return None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _sketched(values: Mapping[float, int]) -> QuantileSketch:
    return QuantileSketch.of(np.array([*values], dtype=np.float64), np.array([*values.values()]))
