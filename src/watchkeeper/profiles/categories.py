"""The profile of a column of categories, and of a column without values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from watchkeeper.errors import InvalidValueError
from watchkeeper.profiles.columns import Categories
from watchkeeper.profiles.sketches import Floats, LabelSketch

__all__ = ["EXACT_CATEGORIES", "CategoryProfile", "EmptyProfile", "top"]

EXACT_CATEGORIES = 1_000
"""Different labels in a column up to which each is counted."""

_TOP = 10  # categories that a summary shows


@dataclass(frozen=True, slots=True)
class EmptyProfile:
    """A column without values; what kind it is will show when it gets some."""

    missing: int
    size: ClassVar[int] = 0
    kind: ClassVar[Literal["empty"]] = "empty"

    def counts(self) -> dict[str, int]:
        """Return no counts.

        Returns
        -------
        dict of str to int
        """
        return {}

    def cdf(self, points: Floats) -> Floats:
        """Return NaN: no share of nothing lies below a point.

        Parameters
        ----------
        points : numpy.ndarray of float

        Returns
        -------
        numpy.ndarray of float
        """
        return np.full(np.shape(points), np.nan)

    def to_dict(self) -> dict[str, Any]:
        """Return a readable summary.

        Returns
        -------
        dict of str to object
        """
        return {"kind": self.kind, "size": 0, "missing_share": 1.0 if self.missing else 0.0}


@dataclass(frozen=True)
class CategoryProfile:
    """A column of categories. Truth values are the categories 0.0 and 1.0.

    Attributes
    ----------
    size, missing : int
        Values; nulls.
    labels : dict of str, int, float or bool to int, or None
        How often each label occurs, while there are at most 1,000 different ones.
    sketch : LabelSketch or None
        What is kept instead when there are more; labels are then text.
    """

    missing: int
    labels: Mapping[Any, int] | None
    sketch: LabelSketch | None
    kind: ClassVar[Literal["category"]] = "category"

    @classmethod
    def of(cls, column: Categories) -> "CategoryProfile":
        """Return the profile of a column that has values.

        Parameters
        ----------
        column : Categories

        Returns
        -------
        CategoryProfile
        """
        return cls._counted(
            column.missing,
            {
                label if isinstance(label, str | int | float) else str(label): count
                for label, count in column.counts.items()
            },
        )

    @classmethod
    def _counted(cls, missing: int, labels: dict[Any, int]) -> "CategoryProfile":
        if len(labels) > EXACT_CATEGORIES:
            return cls(missing, None, _labelled(labels))
        ordered = sorted(labels.items(), key=lambda item: (-item[1], str(item[0])))
        return cls(missing, dict(ordered), None)

    @property
    def size(self) -> int:
        return self.sketch.size if self.sketch else sum((self.labels or {}).values())

    @property
    def count_error(self) -> int:
        """How much oftener than `counts` says a label may occur; 0 while all are counted."""
        return self.sketch.count_error if self.sketch else 0

    @property
    def distinct(self) -> float:
        """How many different labels there are; beyond 1,000 an estimate, see `Profile`."""
        return self.sketch.estimate()[0] if self.sketch else float(len(self.labels or {}))

    def counts(self) -> dict[Any, int]:
        """Return how often each label occurs, most frequent first.

        With more than 1,000 labels the frequent ones alone, and how often they occur at least: each
        may occur `count_error` times more, and one that is not among them at most so often.

        Returns
        -------
        dict of object to int
        """
        return dict(self.sketch.counts if self.sketch else self.labels or {})

    def cdf(self, points: Floats) -> Floats:  # noqa: ARG002
        """Refuse: labels have no order.

        Parameters
        ----------
        points : numpy.ndarray of float

        Returns
        -------
        numpy.ndarray of float

        Raises
        ------
        InvalidValueError
            Always.
        """
        raise InvalidValueError("column", "a column of categories", "a column of numbers")

    def merge(self, other: "CategoryProfile") -> "CategoryProfile":
        """Return the profile of the values of both.

        Parameters
        ----------
        other : CategoryProfile

        Returns
        -------
        CategoryProfile
        """
        missing = self.missing + other.missing
        if self.labels is None or other.labels is None:
            return CategoryProfile(missing, None, self._as_sketch().merge(other._as_sketch()))
        together = dict(self.labels)
        for label, count in other.labels.items():
            together[label] = together.get(label, 0) + count
        return self._counted(missing, together)

    def to_dict(self) -> dict[str, Any]:
        """Return a readable summary.

        Returns
        -------
        dict of str to object
        """
        return {
            "kind": self.kind,
            "size": self.size,
            "missing_share": self.missing / (self.size + self.missing),
            "distinct": round(self.distinct),
            "top": top(self.counts()),
            "count_error": self.count_error,
        }

    def _as_sketch(self) -> LabelSketch:
        return self.sketch or _labelled(self.labels or {})


def top(counts: Mapping[Any, int]) -> dict[str, int]:
    """Return the most frequent categories for a summary.

    Parameters
    ----------
    counts : mapping of object to int

    Returns
    -------
    dict of str to int
    """
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return {str(label): count for label, count in ordered[:_TOP]}


def _labelled(labels: Mapping[Any, int]) -> LabelSketch:
    text: dict[str, int] = {}
    for label, count in labels.items():
        text[str(label)] = text.get(str(label), 0) + count
    return LabelSketch.of(text)
