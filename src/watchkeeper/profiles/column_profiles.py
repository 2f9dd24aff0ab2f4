"""The profile of one column, of whatever kind."""

from dataclasses import replace
from typing import Any

import narwhals as nw

from watchkeeper.errors import InvalidValueError
from watchkeeper.profiles.categories import CategoryProfile, EmptyProfile
from watchkeeper.profiles.columns import Categories, column_of
from watchkeeper.profiles.numbers import NumberProfile

__all__ = ["ColumnProfile", "merged", "profile_of"]

ColumnProfile = NumberProfile | CategoryProfile | EmptyProfile


def profile_of(series: nw.Series[Any]) -> ColumnProfile:
    """Return the profile of one column.

    Parameters
    ----------
    series : narwhals.Series

    Returns
    -------
    ColumnProfile

    Raises
    ------
    InvalidValueError
        If its type has no profile.
    """
    column = column_of(series)
    if not column.size:
        return EmptyProfile(column.missing)
    if isinstance(column, Categories):
        return CategoryProfile.of(column)
    moment = series.dtype in (nw.Date, nw.Datetime)
    return NumberProfile.of(column, "time" if moment else "number")


def merged(name: str, first: ColumnProfile, second: ColumnProfile) -> ColumnProfile:
    """Return the profile of the values of both.

    Parameters
    ----------
    name : str
    first, second : ColumnProfile

    Returns
    -------
    ColumnProfile

    Raises
    ------
    InvalidValueError
        If they are of different kinds.
    """
    if isinstance(first, EmptyProfile):
        return replace(second, missing=first.missing + second.missing)
    if isinstance(second, EmptyProfile):
        return replace(first, missing=first.missing + second.missing)
    if isinstance(first, NumberProfile) and isinstance(second, NumberProfile):
        if first.kind == second.kind:
            return first.merge(second)
    elif isinstance(first, CategoryProfile) and isinstance(second, CategoryProfile):
        return first.merge(second)
    raise InvalidValueError(
        f"column {name!r}",
        f"{first.kind} in one part and {second.kind} in another",
        "one type in all parts",
    )
