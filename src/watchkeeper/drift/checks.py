"""Drift checks over time, by column: which feature drifted when, since when, and how far.

Thousands of checks of dozens of features are a few megabytes like this, and any question about
them is a pass over arrays.

>>> from datetime import UTC, datetime, timedelta
>>> noon = datetime(2013, 7, 1, 12, tzinfo=UTC)
>>> checks = Checks.of([
...     DriftCheck(1, noon, False, ("distance",), [STEADY], [0.01]),
...     DriftCheck(2, noon + timedelta(hours=1), True, ("distance",), [DRIFTED], [0.30]),
... ])
>>> [(each.feature, each.drifted, each.checks) for each in checks.ranking()]
[('distance', 1, 2)]
>>> checks.latest.since == noon + timedelta(hours=1)
True
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from watchkeeper.clock import as_utc

__all__ = [
    "ABSENT",
    "DRIFTED",
    "STEADY",
    "UNKNOWN",
    "Buckets",
    "Checks",
    "DriftCheck",
    "Latest",
    "Ranked",
]

ABSENT, UNKNOWN, STEADY, DRIFTED = -2, -1, 0, 1
"""What a check says of a feature: it did not look, could not tell, no drift, drift."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_STEPS = tuple(
    timedelta(hours=hours)
    for hours in (1, 2, 3, 6, 8, 12, 24, 48, 96, 168, 336, 672, 1344, 2688, 5376, 10_752)
)

Effects = npt.NDArray[np.float32]
States = npt.NDArray[np.int8]


class DriftCheck(NamedTuple):
    """What one check said.

    Attributes
    ----------
    number : int
        Of the finding.
    at : datetime
        The end of its window.
    bad : bool
    features : tuple of str
    states : sequence of int
        `DRIFTED`, `STEADY` or `UNKNOWN`, one a feature.
    effects : sequence of float
        How far each has moved, NaN where that is not known.
    """

    number: int
    at: datetime
    bad: bool
    features: tuple[str, ...]
    states: Sequence[int]
    effects: Sequence[float]


@dataclass(frozen=True, slots=True)
class Ranked:
    """How a feature fared over several checks.

    Attributes
    ----------
    feature : str
    drifted, checks : int
        In how many it drifted, of how many that looked at it.
    strength : float
        How often and how far: the effects of the checks in which it drifted, over all checks.
    largest : float or None
        Effect.
    last_effect : float or None
    last_state : int
    last : int
        Number of the last check that looked at it.
    first_drifted : datetime or None
    """

    feature: str
    drifted: int
    checks: int
    strength: float
    largest: float | None
    last_effect: float | None
    last_state: int
    last: int
    first_drifted: datetime | None


@dataclass(frozen=True, slots=True)
class Latest:
    """How things stand by the last check.

    Attributes
    ----------
    number : int
    at : datetime
    bad : bool
    since : datetime
        The first check of those without a break that said the same.
    checks : int
        How many those are.
    from_start : bool
        Whether no check before them said otherwise: then it may have been so for longer.
    """

    number: int
    at: datetime
    bad: bool
    since: datetime
    checks: int
    from_start: bool


@dataclass(frozen=True, slots=True)
class Buckets:
    """Checks by stretches of time, each with the worst that a check in it said.

    Attributes
    ----------
    starts : tuple of datetime
    end : datetime
    numbers : tuple of int or None
        The worst check of each: one that found drift before one that did not, then the one in
        which most moved; None where there was no check.
    bad : tuple of bool
    shares : tuple of float or None
        Of the features that it could tell of, how many drifted in that check.
    effects : numpy.ndarray of float, shape (n_buckets, n_features)
        Of the worst check for that feature; NaN where none is known.
    states : numpy.ndarray of int, shape (n_buckets, n_features)
    """

    starts: tuple[datetime, ...]
    end: datetime
    numbers: tuple[int | None, ...]
    bad: tuple[bool, ...]
    shares: tuple[float | None, ...]
    effects: Effects
    states: States


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one model, in the order of their windows.

    Attributes
    ----------
    features : tuple of str
        All that any check looked at.
    numbers : numpy.ndarray of int, shape (n_checks,)
    times : numpy.ndarray of float, shape (n_checks,)
        Ends of their windows, in seconds since 1970.
    bad : numpy.ndarray of bool, shape (n_checks,)
    effects, states : numpy.ndarray, shape (n_checks, n_features)
    """

    features: tuple[str, ...]
    numbers: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]
    bad: npt.NDArray[np.bool_]
    effects: Effects
    states: States

    @classmethod
    def of(cls, looks: Sequence[DriftCheck]) -> "Checks":
        """Return some checks by column.

        Parameters
        ----------
        looks : sequence of DriftCheck

        Returns
        -------
        Checks
        """
        alike = _alike(looks)
        features = tuple(dict.fromkeys(name for names in alike for name in names))
        places = {name: index for index, name in enumerate(features)}
        effects = np.full((len(looks), len(features)), np.nan, dtype=np.float32)
        states = np.full(effects.shape, ABSENT, dtype=np.int8)
        for names, rows in alike.items():
            cells = np.ix_(rows, [places[name] for name in names])
            states[cells] = [looks[row].states for row in rows]
            effects[cells] = [looks[row].effects for row in rows]
        return cls(
            features,
            np.array([look.number for look in looks], dtype=np.int64),
            np.array([_seconds(look.at) for look in looks], dtype=np.float64),
            np.array([look.bad for look in looks], dtype=np.bool_),
            effects,
            states,
        )._sorted()

    def __len__(self) -> int:
        return len(self.numbers)

    def merge(self, other: "Checks") -> "Checks":
        """Return the checks of both, which have none in common.

        Parameters
        ----------
        other : Checks

        Returns
        -------
        Checks
        """
        features = tuple(dict.fromkeys((*self.features, *other.features)))
        wide = self._over(features), other._over(features)
        return Checks(
            features,
            np.concatenate([part.numbers for part in wide]),
            np.concatenate([part.times for part in wide]),
            np.concatenate([part.bad for part in wide]),
            np.concatenate([part.effects for part in wide]),
            np.concatenate([part.states for part in wide]),
        )._sorted()

    def within(self, start: datetime | None, end: datetime) -> "Checks":
        """Return those whose windows ended from `start` up to and with `end`.

        Parameters
        ----------
        start : datetime or None
            None leaves that side open.
        end : datetime

        Returns
        -------
        Checks
        """
        first = 0 if start is None else int(np.searchsorted(self.times, _seconds(start)))
        after = int(np.searchsorted(self.times, _seconds(end), side="right"))
        return self._rows(slice(first, max(first, after)))

    def of_feature(self, feature: str) -> "Checks":
        """Return those that looked at a feature, as checks of it alone: bad is where it drifted.

        Parameters
        ----------
        feature : str

        Returns
        -------
        Checks
        """
        if feature not in self.features:
            return self._rows(slice(0, 0))._over(())
        alone = self._over((feature,))
        checked = alone._rows(np.flatnonzero(alone.states[:, 0] != ABSENT))
        return replace(checked, bad=checked.states[:, 0] == DRIFTED)

    def moment(self, row: int) -> datetime:
        """Return when the window of a check ended.

        Parameters
        ----------
        row : int
            Index of the check.

        Returns
        -------
        datetime
        """
        return _moment(float(self.times[row]))

    @property
    def latest(self) -> Latest | None:
        """How things stand; None without any check."""
        if not len(self):
            return None
        now = bool(self.bad[-1])
        opposite = np.flatnonzero(self.bad != now)
        first = int(opposite[-1]) + 1 if len(opposite) else 0
        return Latest(
            int(self.numbers[-1]),
            self.moment(-1),
            now,
            self.moment(first),
            len(self) - first,
            not first,
        )

    def ranking(self) -> list[Ranked]:
        """Return the features, those that drifted most first: by how often and how far.

        Returns
        -------
        list of Ranked
        """
        ranked = list(self._ranked())
        return sorted(
            ranked,
            key=lambda ranked_feature: (
                -ranked_feature.strength,
                -(ranked_feature.largest or 0.0),
                ranked_feature.feature,
            ),
        )

    def _ranked(self) -> Iterator[Ranked]:
        drifted = self.states == DRIFTED
        strength = np.where(drifted, np.nan_to_num(self.effects), 0.0).sum(axis=0)
        for column, name in enumerate(self.features):
            checked = np.flatnonzero(self.states[:, column] != ABSENT)
            if not len(checked):
                continue
            effects, at = self.effects[checked, column], np.flatnonzero(drifted[:, column])
            measured = effects[~np.isnan(effects)]
            yield Ranked(
                feature=name,
                drifted=len(at),
                checks=len(checked),
                strength=float(strength[column]) / len(checked),
                largest=float(measured.max()) if len(measured) else None,
                last_effect=None if np.isnan(effects[-1]) else float(effects[-1]),
                last_state=int(self.states[checked[-1], column]),
                last=int(self.numbers[checked[-1]]),
                first_drifted=self.moment(int(at[0])) if len(at) else None,
            )

    def over(self, start: datetime | None, end: datetime, *, most: int = 100) -> Buckets:
        """Return the worst of each of at most `most` stretches from `start` to `end`.

        The stretches begin at whole hours or days in UTC, and are not shorter than checks are
        apart as a rule, so that a gap is a gap. Without a `start` they begin with the first check.

        Parameters
        ----------
        start : datetime or None
        end : datetime
        most : int

        Returns
        -------
        Buckets
        """
        began = self.moment(0) if start is None and len(self) else start or end
        step = self._step(began, end, most)
        edges = _edges(began, end, step)
        places = np.searchsorted(edges, self.times, side="right") - 1
        shape = len(edges) - 1, len(self.features)
        effects = np.full(shape, np.nan, dtype=np.float32)
        states = np.full(shape, ABSENT, dtype=np.int8)
        numbers: list[int | None] = [None] * shape[0]
        bad = [False] * shape[0]
        shares: list[float | None] = [None] * shape[0]
        worse = self.states * np.float32(4) + np.nan_to_num(self.effects, nan=-1.0)
        columns = np.arange(shape[1])
        for bucket in np.unique(places[(places >= 0) & (places < shape[0])]).tolist():
            first, after = np.searchsorted(places, [bucket, bucket + 1])
            rows = slice(first, after)
            own_states = self.states[rows]
            worst = worse[rows].argmax(axis=0)
            states[bucket] = own_states[worst, columns]
            effects[bucket] = self.effects[rows][worst, columns]
            moved = np.where(own_states == DRIFTED, np.nan_to_num(self.effects[rows]), 0.0)
            order = np.lexsort((self.numbers[rows], moved.sum(axis=1), self.bad[rows]))
            chosen = first + order[-1]
            numbers[bucket], bad[bucket] = int(self.numbers[chosen]), bool(self.bad[chosen])
            decided = self.states[chosen] >= STEADY
            shares[bucket] = float((self.states[chosen] == DRIFTED).sum() / max(1, decided.sum()))
        moments = [_moment(edge) for edge in edges.tolist()]
        return Buckets(
            tuple(moments[:-1]),
            moments[-1],
            tuple(numbers),
            tuple(bad),
            tuple(shares),
            effects,
            states,
        )

    def _step(self, start: datetime, end: datetime, most: int) -> timedelta:
        apart = 0.0
        if len(self) > 1:
            apart = float(np.quantile(np.diff(self.times), 0.75))
        longest = max((end - start) / max(1, most - 1), timedelta(seconds=apart))
        return next((step for step in _STEPS if step >= longest), longest)

    def _over(self, features: tuple[str, ...]) -> "Checks":
        """Return the same checks with these columns; what they did not look at is absent."""
        if features == self.features:
            return self
        shape = len(self), len(features)
        effects = np.full(shape, np.nan, dtype=np.float32)
        states = np.full(shape, ABSENT, dtype=np.int8)
        columns = {name: index for index, name in enumerate(self.features)}
        for row, name in enumerate(features):
            if name in columns:
                effects[:, row] = self.effects[:, columns[name]]
                states[:, row] = self.states[:, columns[name]]
        return Checks(features, self.numbers, self.times, self.bad, effects, states)

    def _sorted(self) -> "Checks":
        return self._rows(np.lexsort((self.numbers, self.times)))

    def _rows(self, rows: slice | npt.NDArray[np.intp]) -> "Checks":
        return Checks(
            self.features,
            self.numbers[rows],
            self.times[rows],
            self.bad[rows],
            self.effects[rows],
            self.states[rows],
        )


def _alike(looks: Sequence[DriftCheck]) -> dict[tuple[str, ...], list[int]]:
    """Return the rows that looked at the same features, all but always all of them."""
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, look in enumerate(looks):
        rows.setdefault(look.features, []).append(row)
    return rows


def _edges(start: datetime, end: datetime, step: timedelta) -> npt.NDArray[np.float64]:
    size = step.total_seconds()
    first = np.floor(_seconds(start) / size)
    last = np.floor(_seconds(end) / size) + 1  # a check at `end` belongs to the last one
    return np.arange(first, last + 1) * size


def _seconds(at: datetime) -> float:
    return (as_utc(at) - _EPOCH).total_seconds()


def _moment(seconds: float) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)
