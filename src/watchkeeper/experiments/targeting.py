"""Targeting: which units an experiment is about, by what a request says of them.

A rule looks at one attribute: a feature by its name, a tag as ``tag.NAME``. It is plain data, as
tables of TOML and bodies of JSON write it, and all rules must hold:

>>> targeting = Targeting.from_dicts([
...     {"attribute": "carrier", "in": ["UA", "AA"]},
...     {"attribute": "distance", "at_least": 500, "below": 2_000},
...     {"not": {"attribute": "tag.source", "equals": "bot"}},
... ])
>>> targeting.matches({"carrier": "UA", "distance": 733.0, "tag.source": "web"})
True

A rule about an attribute that is missing, null or NaN, or is a word where numbers are compared, is
*unknown*; so is its negation. A unit is targeted only where every rule is known to hold: in the
example, a request that does not say its source is not targeted.

>>> targeting.matches({"carrier": "UA", "distance": 733.0})
False
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from watchkeeper.errors import InvalidValueError

__all__ = ["Equals", "In", "Not", "Range", "Rule", "Targeting"]

Value = str | int | float | bool

_FORMS = 'equals, in, at_least and below, or {"not": rule}'


class Rule(ABC):
    """One condition on the attributes of a unit."""

    __slots__ = ()

    @abstractmethod
    def holds(self, attributes: Mapping[str, Any]) -> bool | None:
        """Return whether it holds; None where that is unknown.

        Parameters
        ----------
        attributes : mapping of str to Any
            What is known of a unit.

        Returns
        -------
        bool or None
        """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the rule as plain data, as `Targeting.from_dicts` reads it.

        Returns
        -------
        dict of str to Any
        """


@dataclass(frozen=True, slots=True)
class Equals(Rule):
    """The attribute is `value`: of the same kind, so that 1 is neither true nor ``"1"``.

    Raises
    ------
    InvalidValueError
        If the attribute has no name, or the value is no string, finite number or truth value.
    """

    attribute: str
    value: Value

    def __post_init__(self) -> None:
        _check_attribute(self.attribute)
        _check_value(f"{self.attribute}.equals", self.value)

    def holds(self, attributes: Mapping[str, Any]) -> bool | None:
        actual = _known(attributes.get(self.attribute))
        return None if actual is None else _same(actual, self.value)

    def to_dict(self) -> dict[str, Any]:
        return {"attribute": self.attribute, "equals": self.value}


@dataclass(frozen=True, slots=True)
class In(Rule):
    """The attribute is one of `values`.

    Raises
    ------
    InvalidValueError
        If the attribute has no name, there are no values, or one is no string, finite number or
        truth value.
    """

    attribute: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        _check_attribute(self.attribute)
        object.__setattr__(self, "values", _values(f"{self.attribute}.in", self.values))

    def holds(self, attributes: Mapping[str, Any]) -> bool | None:
        actual = _known(attributes.get(self.attribute))
        return None if actual is None else any(_same(actual, value) for value in self.values)

    def to_dict(self) -> dict[str, Any]:
        return {"attribute": self.attribute, "in": list(self.values)}


@dataclass(frozen=True, slots=True)
class Range(Rule):
    """The attribute is a number, at least `at_least` and below `below`; None leaves a side open.

    Raises
    ------
    InvalidValueError
        If the attribute has no name, neither bound is set, one is no finite number, or `below` is
        not above `at_least`.
    """

    attribute: str
    at_least: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        _check_attribute(self.attribute)
        for name, bound in (("at_least", self.at_least), ("below", self.below)):
            if bound is not None and not (_is_number(bound) and -math.inf < bound < math.inf):
                raise InvalidValueError(f"{self.attribute}.{name}", bound, "a finite number")
        if self.at_least is None and self.below is None:
            raise InvalidValueError(self.attribute, {}, "at_least, below or both")
        if self.at_least is not None and self.below is not None and self.below <= self.at_least:
            raise InvalidValueError(
                f"{self.attribute}.below", self.below, f"a number above at_least, {self.at_least}"
            )

    def holds(self, attributes: Mapping[str, Any]) -> bool | None:
        actual = _known(attributes.get(self.attribute))
        if not _is_number(actual):
            return None
        return (self.at_least is None or actual >= self.at_least) and (
            self.below is None or actual < self.below
        )

    def to_dict(self) -> dict[str, Any]:
        bounds = {"at_least": self.at_least, "below": self.below}
        return {"attribute": self.attribute} | {k: v for k, v in bounds.items() if v is not None}


@dataclass(frozen=True, slots=True)
class Not(Rule):
    """`rule` does not hold; unknown where `rule` is."""

    rule: Rule

    def holds(self, attributes: Mapping[str, Any]) -> bool | None:
        held = self.rule.holds(attributes)
        return None if held is None else not held

    def to_dict(self) -> dict[str, Any]:
        return {"not": self.rule.to_dict()}


@dataclass(frozen=True, slots=True)
class Targeting:
    """Rules that all must hold; without rules every unit is targeted."""

    rules: tuple[Rule, ...] = ()

    def matches(self, attributes: Mapping[str, Any]) -> bool:
        """Return whether every rule is known to hold.

        Parameters
        ----------
        attributes : mapping of str to Any
            What is known of a unit.

        Returns
        -------
        bool
        """
        return all(rule.holds(attributes) for rule in self.rules)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rules as plain data.

        Returns
        -------
        list of dict of str to Any
        """
        return [rule.to_dict() for rule in self.rules]

    @classmethod
    def from_dicts(cls, rules: Sequence[Mapping[str, Any]]) -> "Targeting":
        """Return the targeting that plain data describes.

        Parameters
        ----------
        rules : sequence of mapping of str to Any

        Returns
        -------
        Targeting

        Raises
        ------
        InvalidValueError
            If a rule is none; the message names it by its number.
        """
        if isinstance(rules, str | Mapping) or not isinstance(rules, Sequence):
            raise InvalidValueError("targeting", rules, "an array of rules")
        return cls(tuple(_rule(f"targeting[{n}]", described) for n, described in enumerate(rules)))


def _rule(field: str, described: object) -> Rule:
    if not isinstance(described, Mapping):
        raise InvalidValueError(field, described, f"a rule with an attribute and {_FORMS}")
    keys = set(described)
    if keys == {"not"}:
        return Not(_rule(f"{field}.not", described["not"]))
    match = keys - {"attribute"}
    if "attribute" in keys and match == {"equals"}:
        return Equals(described["attribute"], described["equals"])
    if "attribute" in keys and match == {"in"}:
        return In(described["attribute"], described["in"])
    if "attribute" in keys and match and match <= {"at_least", "below"}:
        return Range(described["attribute"], described.get("at_least"), described.get("below"))
    raise InvalidValueError(field, dict(described), f"an attribute and one of {_FORMS}")


def _known(value: Any) -> Any:
    """Return a value, or None where it says nothing."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _same(actual: object, value: Value) -> bool:
    if isinstance(actual, bool) or isinstance(value, bool):
        return actual is value
    return actual == value


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _check_attribute(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise InvalidValueError("attribute", name, "the name of a feature, or tag.NAME")


def _values(field: str, values: object) -> tuple[Value, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise InvalidValueError(field, values, "an array of values")
    for value in values:
        _check_value(field, value)
    return tuple(values)


def _check_value(field: str, value: object) -> None:
    finite = not isinstance(value, float) or math.isfinite(value)
    if not (isinstance(value, str | int | float) and finite):
        raise InvalidValueError(field, value, "a string, a finite number or a boolean")
