"""References: what a column is compared with, whether its rows are at hand or only its profile."""

from dataclasses import replace
from typing import Any, TypeVar

import narwhals as nw
import numpy as np

from watchkeeper.drift.compare import chi_squared_between, ks_against_profile
from watchkeeper.drift.distribution import Distribution, distribution_of
from watchkeeper.drift.methods import CHI_SQUARED, KS, OF_NUMBERS, compare
from watchkeeper.errors import InvalidValueError, WatchkeeperError
from watchkeeper.profiles import ColumnProfile, Profile
from watchkeeper.profiles.categories import CategoryProfile
from watchkeeper.profiles.columns import (
    Categories,
    Column,
    Numbers,
    as_categories,
    column_of,
    frame_of,
    looks_coded,
)
from watchkeeper.profiles.engines import QueriedColumn, queried
from watchkeeper.profiles.numbers import NumberProfile
from watchkeeper.stats import TwoSampleTest
from watchkeeper.stats.sample import Sample

__all__ = [
    "Current",
    "Reference",
    "by_value",
    "column_or_error",
    "comparable",
    "drawn_together",
    "is_categorical",
    "missing_share",
    "prepared",
    "tested",
]

Current = Column | str
"""A column, or why it cannot be read."""

Reference = Column | NumberProfile | CategoryProfile | str
"""A column, what is kept of one, or why there is none."""

Either = TypeVar("Either", Current, Reference)

_DRAWN = 2_000  # values by which the distribution of a profile is drawn


def prepared(data: object) -> tuple[int, dict[str, Reference]]:
    """Return how many rows a reference has, and its columns.

    Parameters
    ----------
    data : data frame, dict of sequences, table of Ibis, or Profile

    Returns
    -------
    tuple of int and dict of str to Reference
        A column that cannot be read is the reason, in words.

    Raises
    ------
    InvalidValueError
        If it is none of these, or has no rows or no columns.
    """
    columns: dict[str, Reference]
    if isinstance(data, Profile):
        rows = data.rows
        columns = {name: _reference_of(column) for name, column in data.columns.items()}
        columns |= {name: f"its type is {kind}" for name, kind in data.unread.items()}
    else:
        frame = queried(data) or frame_of(data, "reference_data")
        rows = len(frame)
        columns = {name: _sorted(column_or_error(frame[name])) for name in frame.columns if rows}
    if not rows or not columns:
        raise InvalidValueError(
            "reference_data", f"{rows} rows, {len(columns)} columns", "some of both"
        )
    return rows, columns


def _sorted(column: Current) -> Current:
    """Return a column of a reference: sorted once, and apart from the data it came from."""
    if isinstance(column, Numbers):
        return replace(column, sample=Sample.of_sorted(column.values))
    return column


def _reference_of(column: ColumnProfile) -> Reference:
    """Return the column of a profile, as a plain column where all of it is known."""
    if isinstance(column, NumberProfile):
        return Categories(dict(column.values or {}), column.missing) if column.coded else column
    if isinstance(column, CategoryProfile) and column.labels is None:
        return column
    return Categories(dict[Any, int](column.counts()), column.missing)


def column_or_error(series: nw.Series[Any] | QueriedColumn) -> Current:
    """Return a column, or why it cannot be read.

    Parameters
    ----------
    series : narwhals.Series or QueriedColumn

    Returns
    -------
    Current
    """
    try:
        return series.column() if isinstance(series, QueriedColumn) else column_of(series)
    except WatchkeeperError as error:
        return str(error)


def by_value(column: Either) -> Either:
    """Return numbers as categories, each value one; anything else as it is.

    Parameters
    ----------
    column : Either

    Returns
    -------
    Either
    """
    return as_categories(column) if isinstance(column, Numbers) else column


def is_categorical(reference: Reference) -> bool:
    """Return whether a column is one of categories, or of numbers that stand for some.

    Parameters
    ----------
    reference : Reference

    Returns
    -------
    bool
    """
    if isinstance(reference, Numbers):
        return looks_coded(reference)
    return isinstance(reference, Categories | CategoryProfile)


def missing_share(column: Reference) -> float:
    """Return the share of nulls and NaN.

    Parameters
    ----------
    column : Reference

    Returns
    -------
    float
        From 0 to 1; 0.0 of a column that cannot be read.
    """
    if isinstance(column, str):
        return 0.0
    return column.missing / max(1, column.size + column.missing)


def comparable(reference: Column | NumberProfile | CategoryProfile, current: Column) -> bool:
    """Return whether two columns hold the same kind of thing; truth values are numbers, too.

    Parameters
    ----------
    reference : Column, NumberProfile or CategoryProfile
    current : Column

    Returns
    -------
    bool
    """
    if type(reference) is type(current):
        return True
    if isinstance(reference, NumberProfile):
        return isinstance(current, Numbers)
    if isinstance(reference, CategoryProfile):
        return isinstance(current, Categories)
    categories = reference if isinstance(reference, Categories) else current
    return all(isinstance(label, float) for label in as_categories(categories).counts)


def tested(reference: Reference, current: Reference, method: str) -> TwoSampleTest | str:
    """Return the test of two columns, or why there is none.

    Parameters
    ----------
    reference, current : Reference
    method : str
        One of `watchkeeper.drift.methods.METHODS`.

    Returns
    -------
    TwoSampleTest or str
    """
    if isinstance(reference, str):
        return f"the reference cannot be read: {reference}"
    if not isinstance(current, Numbers | Categories):
        return f"it cannot be read: {current}"
    for name, size in (("reference", reference.size), ("current", current.size)):
        if not size:
            return f"the {name} column has no values"
    if not comparable(reference, current):
        return f"the column was retyped: it is {current.kind}, the reference is {reference.kind}"
    try:
        if isinstance(reference, NumberProfile | CategoryProfile):
            return _against_profile(reference, current, method)
        if method in OF_NUMBERS and not (
            isinstance(reference, Numbers) and isinstance(current, Numbers)
        ):
            return f"{method} compares numbers, and the column holds categories"
        return compare(reference, current, method)
    except InvalidValueError as error:
        return str(error)


def _against_profile(
    reference: NumberProfile | CategoryProfile, current: Column, method: str
) -> TwoSampleTest | str:
    if isinstance(reference, NumberProfile) and isinstance(current, Numbers) and method == KS:
        return ks_against_profile(reference, current.sample)
    if isinstance(reference, CategoryProfile) and method == CHI_SQUARED:
        return chi_squared_between(reference, CategoryProfile.of(as_categories(current)))
    return f"{method} needs the rows of the reference, and a profile has none"


def drawn_together(reference: Reference, current: Current) -> Distribution | None:
    """Return two columns that were tested over the same bins; a profile by its quantiles.

    Parameters
    ----------
    reference : Reference
    current : Current

    Returns
    -------
    Distribution or None
        None where one of them cannot be read.
    """
    if isinstance(reference, str) or isinstance(current, str):
        return None
    if isinstance(reference, NumberProfile):
        shares = (np.arange(_DRAWN) + 0.5) / _DRAWN
        return distribution_of(Numbers(Sample.of_sorted(reference.quantile(shares)), 0), current)
    if isinstance(reference, CategoryProfile):
        return distribution_of(Categories(reference.counts(), 0), current)
    if is_categorical(reference):
        return distribution_of(as_categories(reference), as_categories(current))
    return distribution_of(reference, current)
