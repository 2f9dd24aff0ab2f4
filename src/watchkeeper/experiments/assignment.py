"""Assignment: which arm of an experiment a unit is in, on every machine and for good.

Each question (is the unit held out, in the namespace's part, included; which arm) has its own label
in the hash, and so has each experiment: the answer to one says nothing of another.

>>> allocation = Allocation(
...     experiment="new-model", arms=(Arm("control", 9_000), Arm("candidate", 1_000, "2.0.0")))
>>> allocation.assign("user-1").arm, allocation.assign("user-33").arm
('control', 'candidate')
>>> second = allocation.next_phase(weights={"control": 5_000, "candidate": 5_000})
>>> second.label, second.assign("user-33").arm  # it was in already
('new-model/2', 'candidate')
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import compress
from typing import Annotated, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.experiments import growthbook
from watchkeeper.experiments.arms import Arm, Holdout, Namespace, Override, check_points
from watchkeeper.experiments.hashing import hash_of, hashes_of, prefix_of, threshold
from watchkeeper.experiments.slots import SLOTS, Owned, free, laid_out, moved, sizes
from watchkeeper.experiments.targeting import Targeting
from watchkeeper.results import Result, Stored

__all__ = [
    "Allocation",
    "Assignment",
    "Assignments",
    "Hash",
    "Reason",
]

Hash = Literal["sha256", "growthbook-v2"]
"""How units are hashed: our own way, or as GrowthBook's SDKs do in their version 2."""

_NOBODY = -1


class Reason(StrEnum):
    """Why a unit is in an arm, or in none."""

    ASSIGNED = "assigned"
    OVERRIDE = "override"
    NOT_TARGETED = "not_targeted"
    HOLDOUT = "holdout"
    NAMESPACE = "namespace"
    NOT_INCLUDED = "not_included"


_NUMBER = {reason: number for number, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Assignment(Result):
    """Where a unit is: `arm` is None when it is in none, and `reason` says why."""

    arm: str | None
    reason: Reason


_OUT = {reason: Assignment(None, reason) for reason in Reason}


@dataclass(frozen=True, slots=True)
class Assignments:
    """Where many units are.

    Attributes
    ----------
    keys : tuple of str
        The arms.
    arms : numpy.ndarray of int, shape (n,)
        Position in `keys`; -1 for a unit in no arm.
    reasons : numpy.ndarray of int, shape (n,)
        Position in ``tuple(Reason)``.
    """

    keys: tuple[str, ...]
    arms: npt.NDArray[np.int64]
    reasons: npt.NDArray[np.int64]

    def counts(self) -> dict[str, int]:
        """Return the number of units of each arm.

        Returns
        -------
        dict of str to int
        """
        return {key: int(np.sum(self.arms == n)) for n, key in enumerate(self.keys)}

    def reason_counts(self) -> dict[Reason, int]:
        """Return the number of units of each reason.

        Returns
        -------
        dict of Reason to int
        """
        return {reason: int(np.sum(self.reasons == n)) for reason, n in _NUMBER.items()}


@dataclass(frozen=True, slots=True)
class _Part:
    """Units whose hash for one question lies from `start` up to `end`, excluded."""

    prefix: bytes
    start: int
    end: int
    reason: Reason  # of being out

    def has(self, unit: str) -> bool:
        return self.start <= hash_of(self.prefix, unit) < self.end

    def of(self, units: Sequence[str]) -> npt.NDArray[np.bool_]:
        hashes = hashes_of(self.prefix, units)
        inside = hashes >= np.uint64(self.start)
        # 2**64 itself is more than a uint64 holds; all hashes are below it.
        return inside if self.end == 2**64 else inside & (hashes < np.uint64(self.end))


_EVERYONE = Targeting()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """All that places a unit in an experiment; it is replaced, never changed.

    A unit is asked about in this order: is it overridden, targeted, held out, in the namespace's
    part, included, and in which arm.

    What is monotone: a larger `included_bp` never moves a unit that was included. In the
    allocation that `next_phase` returns, an arm whose weight did not fall has every unit it had.
    Of two allocations built from weights alone see `watchkeeper.experiments.slots.laid_out`.

    Parameters
    ----------
    experiment : str
        Name of the experiment.
    arms : tuple of Arm
        In order; their weights sum to at most 10,000. Units in what is left over are in no arm.
    phase : int
        Number of this allocation among those of the experiment, from 1.
    salt : str
        By default the experiment's name. Another salt shuffles all units.
    included_bp : int
        Share of the units that are in the experiment, in basis points.
    holdout : Holdout, optional
    namespace : Namespace, optional
    targeting : Targeting
    overrides : tuple of Override
    hash : {"sha256", "growthbook-v2"}
        With the second, `salt` is GrowthBook's seed and `included_bp` its coverage, and the weights
        sum to 10,000; only `included_bp` is monotone then.
    owned : tuple, optional
        The slots of each arm, as `next_phase` hands them on; by default laid out from the weights.

    Raises
    ------
    InvalidValueError
        If weights exceed 10,000 in sum, arms repeat a key, or an override names no arm.
    """

    experiment: str
    arms: tuple[Arm, ...]
    phase: int = 1
    salt: str = ""
    included_bp: int = SLOTS
    holdout: Holdout | None = None
    namespace: Namespace | None = None
    targeting: Annotated[Targeting, Stored(Targeting.from_dicts, Targeting.to_dicts)] = _EVERYONE
    overrides: tuple[Override, ...] = ()
    hash: Hash = "sha256"
    owned: Owned = ()

    # Made of the fields above; the defaults only say that none of them is ever given or stored.
    _parts: tuple[_Part, ...] = field(init=False, repr=False, compare=False, default=())
    _prefix: bytes = field(init=False, repr=False, compare=False, default=b"")
    _edges: tuple[int, ...] = field(init=False, repr=False, compare=False, default=())
    _between: tuple[int, ...] = field(init=False, repr=False, compare=False, default=())
    _answers: tuple[Assignment, ...] = field(init=False, repr=False, compare=False, default=())
    _forced: Mapping[str, Assignment] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        put = object.__setattr__
        check_name(self.experiment, "experiment")
        put(self, "arms", tuple(self.arms))
        put(self, "overrides", tuple(self.overrides))
        put(self, "salt", self.salt or self.experiment)
        self._check()
        weights = [arm.weight_bp for arm in self.arms]
        if self.hash == "growthbook-v2":
            put(self, "owned", growthbook.ranges(weights, self.included_bp))
        elif not self.owned:
            put(self, "owned", laid_out(weights))
        elif sizes(self.owned) != weights:
            raise InvalidValueError(
                f"the slots of experiment {self.experiment}",
                self.owned,
                f"as many as the weights, {weights}, each owned once",
            )
        edges, between = _boundaries(self.owned)
        if self.hash == "sha256":
            edges = [threshold(edge) for edge in edges]
        put(self, "_edges", tuple(edges))
        put(self, "_between", tuple(between))
        put(self, "_prefix", prefix_of(self.salt, f"{self.experiment}/arm"))
        put(self, "_parts", tuple(self._parts_asked()))
        answers = [Assignment(arm.key, Reason.ASSIGNED) for arm in self.arms]
        put(self, "_answers", (*answers, _OUT[Reason.NOT_INCLUDED]))  # the last has no variant
        forced = {
            override.unit: Assignment(override.arm, Reason.OVERRIDE) for override in self.overrides
        }
        put(self, "_forced", forced)

    def _check(self) -> None:
        name = f"experiment {self.experiment}"
        keys = [arm.key for arm in self.arms]
        if not keys or len(set(keys)) != len(keys):
            raise InvalidValueError(f"the variants of {name}", keys, "at least one, each key once")
        total = sum(arm.weight_bp for arm in self.arms)
        exact = self.hash == "growthbook-v2"
        if not 0 < total <= SLOTS or (exact and total != SLOTS):
            raise InvalidValueError(
                f"the sum of the weights of {name}",
                total,
                f"{'' if exact else '1 to '}{SLOTS} basis points",
            )
        if self.hash not in get_args(Hash):
            raise InvalidValueError("hash", self.hash, f"one of {', '.join(get_args(Hash))}")
        if exact and (self.holdout or self.namespace):
            raise InvalidValueError(
                f"the hash of {name}",
                self.hash,
                "sha256 with a holdout or a namespace",
                "GrowthBook's SDKs hash these in another way, so that sides would differ.",
            )
        if self.phase < 1:
            raise InvalidValueError(f"the phase of {name}", self.phase, "a number from 1")
        check_points(f"the included share of {name}", self.included_bp)
        for override in self.overrides:
            if override.arm not in keys:
                raise InvalidValueError(
                    f"the override of unit {override.unit}",
                    override.arm,
                    f"one of {', '.join(keys)}",
                )

    def _parts_asked(self) -> list[_Part]:
        parts = []
        if self.holdout is not None and self.holdout.share_bp:
            prefix = prefix_of(self.holdout.salt, "holdout")
            start = threshold(self.holdout.share_bp)
            parts.append(_Part(prefix, start, 2**64, Reason.HOLDOUT))
        if self.namespace is not None:
            prefix = prefix_of(self.namespace.name, "namespace")
            start, end = threshold(self.namespace.start_bp), threshold(self.namespace.end_bp)
            parts.append(_Part(prefix, start, end, Reason.NAMESPACE))
        if self.included_bp < SLOTS and self.hash == "sha256":
            prefix = prefix_of(self.salt, f"{self.experiment}/inclusion")
            end = threshold(self.included_bp)
            parts.append(_Part(prefix, 0, end, Reason.NOT_INCLUDED))
        return parts

    @property
    def label(self) -> str:
        """``NAME/PHASE``, as it is recorded with each prediction."""
        return f"{self.experiment}/{self.phase}"

    @property
    def weights(self) -> dict[str, int]:
        """The weights in basis points, by arm."""
        return {arm.key: arm.weight_bp for arm in self.arms}

    def percentages(self) -> dict[str, float]:
        """Return what percent of all units each arm is given, before targeting and overrides.

        Returns
        -------
        dict of str to float
        """
        part = self.included_bp / SLOTS
        if self.namespace is not None:
            part *= (self.namespace.end_bp - self.namespace.start_bp) / SLOTS
        if self.holdout is not None:
            part *= 1 - self.holdout.share_bp / SLOTS
        return {arm: 100 * part * weight / SLOTS for arm, weight in self.weights.items()}

    def lists(self, unit: str) -> bool:
        """Return whether there is an override for a unit.

        Parameters
        ----------
        unit : str

        Returns
        -------
        bool
        """
        return unit in self._forced

    def assign(self, unit: str, attributes: Mapping[str, Any] | None = None) -> Assignment:
        """Return where a unit is.

        Parameters
        ----------
        unit : str
        attributes : mapping, optional
            What is known of it, for the targeting.

        Returns
        -------
        Assignment

        Raises
        ------
        InvalidValueError
            If the unit is not a string, or holds a lone surrogate.
        """
        if not isinstance(unit, str):
            raise InvalidValueError("unit", unit, "a string")
        forced = self._forced.get(unit)
        if forced is not None:
            return forced
        if self.targeting.rules and not self.targeting.matches(attributes or {}):
            return _OUT[Reason.NOT_TARGETED]
        for part in self._parts:
            if not part.has(unit):
                return _OUT[part.reason]
        if self.hash == "sha256":
            value = hash_of(self._prefix, unit)
        else:
            value = growthbook.bucket(self.salt, unit)
        return self._answers[self._between[bisect_right(self._edges, value)]]

    def assign_many(
        self, units: Sequence[str], attributes: Sequence[Mapping[str, Any]] | None = None
    ) -> Assignments:
        """Return where many units are, as `assign` does one by one.

        Parameters
        ----------
        units : sequence of str, length n
        attributes : sequence of mapping, length n, optional

        Returns
        -------
        Assignments

        Raises
        ------
        InvalidValueError
            As `assign`, or if there are not as many attributes as units.
        """
        count = len(units)
        if attributes is not None and len(attributes) != count:
            raise InvalidValueError("attributes", f"{len(attributes)} of them", f"{count}")
        arms = np.full(count, _NOBODY)
        reasons = np.full(count, _NUMBER[Reason.ASSIGNED])
        positions, remaining = np.arange(count), units
        if self.targeting.rules:
            mappings = attributes if attributes is not None else [{}] * count
            passed = np.array([self.targeting.matches(mapping) for mapping in mappings], bool)
            reasons[~passed] = _NUMBER[Reason.NOT_TARGETED]
            positions, remaining = positions[passed], list(compress(remaining, passed))
        for part in self._parts:
            passed = part.of(remaining)
            reasons[positions[~passed]] = _NUMBER[part.reason]
            positions, remaining = positions[passed], list(compress(remaining, passed))
        if self.hash == "sha256":
            values = hashes_of(self._prefix, remaining)
        else:
            values = np.array([growthbook.bucket(self.salt, unit) for unit in remaining], np.uint64)
        edges = np.array(self._edges, np.uint64)
        arms_of_values = np.array(self._between)[np.searchsorted(edges, values, side="right")]
        arms[positions] = arms_of_values
        reasons[positions[arms_of_values == _NOBODY]] = _NUMBER[Reason.NOT_INCLUDED]
        if self._forced:
            keys = list(self.weights)
            for at, unit in enumerate(units):
                if (forced := self._forced.get(unit)) is not None:
                    arms[at] = keys.index(str(forced.arm))
                    reasons[at] = _NUMBER[Reason.OVERRIDE]
        return Assignments(tuple(self.weights), arms, reasons)

    def next_phase(
        self, *, weights: Mapping[str, int] | None = None, included_bp: int | None = None
    ) -> "Allocation":
        """Return the allocation that follows this one, with as few units moved as can be.

        Parameters
        ----------
        weights : mapping of str to int, optional
            In basis points, by arm; an arm that is not named keeps its own.
        included_bp : int, optional

        Returns
        -------
        Allocation

        Raises
        ------
        InvalidValueError
            If there is no such arm, or the weights exceed 10,000 in sum.
        """
        unknown = sorted(set(weights or {}) - set(self.weights))
        if unknown:
            raise InvalidValueError(
                "weights", unknown, f"variants of the experiment: {', '.join(self.weights)}"
            )
        new = self.weights | dict(weights or {})
        arms = tuple(replace(arm, weight_bp=new[arm.key]) for arm in self.arms)
        included = self.included_bp if included_bp is None else included_bp
        following = replace(
            self, arms=arms, phase=self.phase + 1, included_bp=included, owned=()
        )  # which refuses wrong weights
        if self.hash == "growthbook-v2":
            return following
        return replace(following, owned=moved(self.owned, [arm.weight_bp for arm in arms]))


def _boundaries(owned: Owned) -> tuple[list[int], list[int]]:
    """Return the slots at which the owner changes, and the owners before, between and after."""
    parts = [(span[0], arm) for arm, spans in enumerate(owned) for span in spans]
    parts += [(span[0], _NOBODY) for span in free(owned)]
    parts.sort()
    return [start for start, _ in parts[1:]], [arm for _, arm in parts]
