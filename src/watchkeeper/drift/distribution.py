"""Two samples as bars over the same bins: what a report draws of a column."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.profiles import ColumnProfile, NumberProfile
from watchkeeper.profiles.columns import Categories, Column, Numbers, as_categories
from watchkeeper.results import Result

__all__ = ["Distribution", "distribution_between", "distribution_of"]

_BINS = 30
_LABELS = 20  # categories of their own; what is rarer goes together
_TAIL = 0.005  # share of the reference beyond each end of the bins
_VALUES = 30  # different numbers that get a bar each


@dataclass(frozen=True, slots=True)
class Distribution(Result):
    """Counts of a reference and a current sample over the same bins.

    Attributes
    ----------
    edges : tuple of float or None
        Of a number's bins, one more than there are bins; the first and the last bin take what lies
        beyond, so that one outlier does not press all else together.
    labels : tuple of str or None
        Of categories, the most frequent of the two samples first.
    reference, current : tuple of int
    others : int
        Categories that the last label stands for together.
    """

    edges: tuple[float, ...] | None
    labels: tuple[str, ...] | None
    reference: tuple[int, ...]
    current: tuple[int, ...]
    others: int = 0


def distribution_of(reference: Column, current: Column) -> Distribution:
    """Return both columns over the same bins.

    Parameters
    ----------
    reference, current : Column
        Both of numbers, or else compared as categories.

    Returns
    -------
    Distribution
    """
    if isinstance(reference, Numbers) and isinstance(current, Numbers):
        return _of_numbers(reference, current)
    return _of_categories(as_categories(reference), as_categories(current))


def distribution_between(reference: ColumnProfile, current: ColumnProfile) -> Distribution:
    """Return two profiles over the same bins, which reach over both.

    Numbers of few different values get a bar each, in their order.

    Parameters
    ----------
    reference, current : NumberProfile, CategoryProfile or EmptyProfile
        Of the same kind.

    Returns
    -------
    Distribution

    Examples
    --------
    >>> from watchkeeper.profiles import Profile
    >>> before, now = (Profile.of({"hour": hours}).columns["hour"] for hours in ([8, 9], [9, 10]))
    >>> found = distribution_between(before, now)
    >>> found.labels, found.reference, found.current
    (('8', '9', '10'), (1, 1, 0), (0, 1, 1))
    """
    if not isinstance(reference, NumberProfile) or not isinstance(current, NumberProfile):
        return _of_categories(Categories(_named(reference), 0), Categories(_named(current), 0))
    before, now = reference.values, current.values
    if before is not None and now is not None:
        values = sorted({*before, *now})
        if len(values) <= _VALUES:
            counts = [[side.get(value, 0) for value in values] for side in (before, now)]
            labels = tuple(f"{value:.10g}" for value in values)
            return Distribution(None, labels, tuple(counts[0]), tuple(counts[1]))
    ends = np.array([side.quantile(np.array([_TAIL, 1 - _TAIL])) for side in (reference, current)])
    ends = np.where(np.isfinite(ends), ends, np.nan)
    low, high = (0.0, 0.0) if np.isnan(ends).all() else (np.nanmin(ends), np.nanmax(ends))
    if high <= low:
        low, high = low - 0.5, low + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    return Distribution(
        tuple(edges.tolist()),
        None,
        _between(reference, edges[1:-1]),
        _between(current, edges[1:-1]),
    )


def _between(column: NumberProfile, inner: npt.NDArray[np.float64]) -> tuple[int, ...]:
    upto = np.round(column.cdf(inner) * column.size).astype(np.int64)
    return tuple(np.diff(upto, prepend=0, append=column.size).tolist())


def _named(column: ColumnProfile) -> dict[Any, int]:
    """Return how often each label occurs; of numbers that are too many for it, nothing."""
    if isinstance(column, NumberProfile):
        return dict(column.values or {})
    return dict(column.counts())


def _of_numbers(reference: Numbers, current: Numbers) -> Distribution:
    values = reference.values if reference.size else current.values
    if not len(values):
        return Distribution((), None, (), ())
    low, high = (float(values[int(q * (len(values) - 1))]) for q in (_TAIL, 1.0 - _TAIL))
    finite = values[np.isfinite(values)]
    low = low if np.isfinite(low) else float(finite[0]) if len(finite) else 0.0
    high = high if np.isfinite(high) else float(finite[-1]) if len(finite) else 0.0
    if high <= low:
        low, high = low - 0.5, low + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    return Distribution(
        tuple(edges.tolist()),
        None,
        _counted(reference, edges[1:-1]),
        _counted(current, edges[1:-1]),
    )


def _counted(
    column: Numbers, inner: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> tuple[int, ...]:
    below, _ = column.sample.ranks(inner)
    return tuple(np.diff(below, prepend=0, append=column.size).tolist())


def _of_categories(reference: Categories, current: Categories) -> Distribution:
    before, now = reference.counts, current.counts
    sizes = max(1, reference.size), max(1, current.size)
    shares = {
        label: before.get(label, 0) / sizes[0] + now.get(label, 0) / sizes[1]
        for label in before.keys() | now.keys()
    }
    ranked = sorted(shares, key=lambda label: (-shares[label], str(label)))
    named, rest = ranked[:_LABELS], ranked[_LABELS:]
    labels = [str(label) for label in named]
    counts = [[side.get(label, 0) for label in named] for side in (before, now)]
    if rest:
        labels.append(f"({len(rest)} others)")
        for side, row in zip((before, now), counts, strict=True):
            row.append(sum(side.get(label, 0) for label in rest))
    return Distribution(None, tuple(labels), tuple(counts[0]), tuple(counts[1]), len(rest))
